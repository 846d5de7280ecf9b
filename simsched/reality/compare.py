"""Predicted against measured: case by case, and all of them against what is demanded.

Errors are relative: (predicted - measured) / measured. Latency counts from the intended arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from simsched.reality.cases import MeasuredCase

__all__ = ["Comparison", "Demand", "compare", "demands", "noise_floor", "reason"]

LEVELS = (50, 95, 99)
RUNGS = (0.01, 0.02, 0.05, *(k / 20 for k in range(2, 19)), 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
MOST_LOAD = 0.9  # up to here a case is one of steady load
OVERLOAD = 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case: what was measured, what was predicted, and how far apart they are.

    Attributes:
        errors: Relative errors of p50, p95, p99, throughput and cpu.
        measured: Those quantities as measured: seconds, requests per second, seconds of CPU.
        predicted: The same as predicted.
        within_5_percent: Share of single requests predicted within 5 % of their latency.
        ladder: Levels between 0 and 1, and the measured and predicted quantiles there, seconds.
        saturated: It completed less than it was offered, in reality.
    """

    id: str
    runtime: str
    kind: str
    load: float
    requests: int
    errors: dict[str, float]
    measured: dict[str, float]
    predicted: dict[str, float]
    within_5_percent: float
    ladder: dict[str, list[float]]
    saturated: bool
    took_s: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the result document. How long it took is nobody's result."""
        data = asdict(self)
        del data["took_s"]
        return data


def compare(
    case: MeasuredCase, finish_s: npt.NDArray[np.float64], cpu_s: float, took_s: float = 0.0
) -> Comparison:
    """Hold a prediction against a case.

    Args:
        case: what was measured.
        finish_s: when each request was predicted to end; NaN: not at all.
        cpu_s: predicted CPU use of the process, overheads included.
        took_s: how long the prediction took.
    """
    arrays = case.arrays()
    arrival, latency = arrays["arrival_us"] / 1e6, arrays["latency_us"] / 1e6
    predicted = finish_s - arrival
    measured_of = _figures(arrival, latency, float(case.record["cpu_s"]))
    predicted_of = _figures(arrival, predicted, cpu_s)
    near = np.abs(predicted - latency) <= 0.05 * latency
    return Comparison(
        id=case.id,
        runtime=case.runtime,
        kind=str(case.record["kind"]),
        load=case.load,
        requests=len(arrival),
        errors={key: predicted_of[key] / measured_of[key] - 1.0 for key in measured_of},
        measured=measured_of,
        predicted=predicted_of,
        within_5_percent=float(np.mean(near)),
        ladder={
            "level": list(RUNGS),
            "measured_s": [float(q) for q in np.nanquantile(latency, RUNGS)],
            "predicted_s": [float(q) for q in np.nanquantile(predicted, RUNGS)],
        },
        saturated=_saturated(arrival, latency),
        took_s=took_s,
    )


def _figures(
    arrival: npt.NDArray[np.float64], latency: npt.NDArray[np.float64], cpu_s: float
) -> dict[str, float]:
    done = ~np.isnan(latency)
    quantiles = np.percentile(latency[done], LEVELS)
    figures = {f"p{level}": float(q) for level, q in zip(LEVELS, quantiles, strict=True)}
    makespan_s = float((arrival + latency)[done].max())
    return figures | {"throughput": float(done.sum()) / makespan_s, "cpu": cpu_s}


def _saturated(arrival: npt.NDArray[np.float64], latency: npt.NDArray[np.float64]) -> bool:
    """Whether latencies grew with time: the last tenth waits twice as long as the third one."""
    tenth = max(1, len(latency) // 10)
    return bool(np.nanmedian(latency[-tenth:]) > 2.0 * np.nanmedian(latency[2 * tenth : 3 * tenth]))


def reason(comparison: Comparison, noise: dict[str, dict[str, float]]) -> str:
    """What the worst error of a case most likely comes from, in a sentence."""
    key = max(("p50", "p95", "p99"), key=lambda k: abs(comparison.errors[k]))
    error, cpu = comparison.errors[key], comparison.errors["cpu"]
    spread = noise.get(comparison.id.split("__rep", 1)[0], {}).get(key, 0.0)
    if spread >= abs(error):
        return "the repetitions of this trace differ as much"
    if comparison.saturated:
        return "saturated: what was measured depends on small differences of CPU use"
    if abs(cpu) >= 0.02 and (cpu < 0) == (error < 0):
        less = "less" if cpu < 0 else "more"
        return f"{abs(cpu):.0%} {less} CPU than was used, which queueing multiplies"
    if key == "p99":
        return "the tail hangs on few requests and on who was served first"
    return "who is served first: CPU use is right, the order is not"


def noise_floor(cases: Iterable[MeasuredCase]) -> dict[str, dict[str, float]]:
    """Of traces that were measured repeatedly: half the range of each quantile over its median."""
    runs: dict[str, list[list[float]]] = {}
    for case in cases:
        latency = case.arrays()["latency_us"]
        row = [float(np.nanpercentile(latency, level)) for level in LEVELS]
        runs.setdefault(case.repeated, []).append(row)
    floor = {}
    for name, rows in runs.items():
        if len(rows) < 2:
            continue
        columns = list(zip(*rows, strict=True))
        floor[name] = {
            f"p{level}": 0.5 * (max(column) - min(column)) / median(column)
            for level, column in zip(LEVELS, columns, strict=True)
        } | {"runs": float(len(rows))}
    return floor


@dataclass(frozen=True, slots=True)
class Demand:
    """Something the predictions have to keep, and what they do."""

    what: str
    limit: float
    found: float
    cases: int

    @property
    def kept(self) -> bool:
        """Whether it is kept; with no case there is nothing to break."""
        return self.cases == 0 or self.found <= self.limit


def demands(comparisons: Sequence[Comparison]) -> list[Demand]:
    """How the predictions stand against what is demanded of them."""
    steady = [c for c in comparisons if c.kind == "inproc" and c.load <= MOST_LOAD]
    over = [c for c in comparisons if c.kind == "inproc" and c.load > OVERLOAD]
    http = [c for c in comparisons if c.kind == "http"]
    found = []
    medians = {"p50": 0.02, "p95": 0.03, "p99": 0.05, "throughput": 0.01, "cpu": 0.03}
    for key, limit in medians.items():
        found.append(_demand(f"in process, median error of {key}", steady, key, limit, median))
    for key, limit in {"p50": 0.05, "p95": 0.08, "p99": 0.12}.items():
        found.append(_demand(f"in process, nine in ten, {key}", steady, key, limit, _ninth))
    for key in ("p50", "p95", "p99"):
        found.append(_demand(f"in process, worst {key}", steady, key, 0.25, max))
    found.append(_demand("overload, median error of throughput", over, "throughput", 0.03, median))
    found.append(_demand("overload, median error of p50", over, "p50", 0.15, median))
    for key, limit in {"p50": 0.05, "p95": 0.08, "p99": 0.12}.items():
        found.append(_demand(f"HTTP servers, median error of {key}", http, key, limit, median))
    return found


def _ninth(values: Sequence[float]) -> float:
    """The error that nine in ten do not exceed."""
    return float(np.quantile(values, 0.9, method="higher"))


def _demand(
    what: str,
    comparisons: Sequence[Comparison],
    key: str,
    limit: float,
    summary: Callable[[list[float]], float],
) -> Demand:
    values = [abs(c.errors[key]) for c in comparisons]
    return Demand(what, limit, summary(values) if values else 0.0, len(values))
