"""Predicted against measured: case by case, and all of them against what is demanded.

Errors are relative: (predicted - measured) / measured. Latency counts from the intended arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from simsched.reality.cases import MeasuredCase, trace_of
from simsched.reality.phases import measured_phases, stretch

__all__ = [
    "MEDIANS",
    "Comparison",
    "Demand",
    "compare",
    "demands",
    "measured_figures",
    "noise_floor",
    "spread_of",
]

LEVELS = (50, 95, 99)
RUNGS = (0.01, 0.02, 0.05, *(k / 20 for k in range(2, 19)), 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
MOST_LOAD = 0.9  # up to here a case is one of steady load
OVERLOAD = 1.0
MEDIANS = {
    "inproc": {"p50": 0.02, "p95": 0.03, "p99": 0.05, "throughput": 0.01, "cpu": 0.03},
    "overload": {"throughput": 0.03, "p50": 0.15},
    "http": {"p50": 0.05, "p95": 0.08, "p99": 0.12},
}
"""Most that the median size of an error may be, by sort of case."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case: what was measured, what was predicted, and how far apart they are.

    Attributes:
        errors: Relative errors of p50, p95, p99, throughput and cpu.
        measured: Those quantities as measured: seconds, requests per second, seconds of CPU.
        predicted: The same as predicted.
        within_5_percent: Share of single requests predicted within 5 % of their latency.
        family: The runtime without its size: "go", "http_gsync".
        within_1_ms: ... within 1 ms of it.
        median_off_s: Median distance of a request's predicted latency from its measured one.
        ladder: Levels between 0 and 1, and the measured and predicted quantiles there, seconds.
        saturated: It completed less than it was offered, in reality.
        unfinished: Requests that did not end, "measured" and "predicted".
        memory: Resident bytes at their highest, "measured" and "predicted", and the relative
            "error"; empty where they were not measured.
        phases: Mean seconds of each phase of a request, "measured" and "predicted"; empty unless
            asked for.
        stretch: By how much longer work took than alone, as of `stretch`; None: not known.
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
    family: str = ""
    within_1_ms: float = 0.0
    median_off_s: float = 0.0
    unfinished: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    phases: dict[str, dict[str, float]] = field(default_factory=dict)
    stretch: float | None = None
    took_s: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the result document. How long it took is nobody's result."""
        data = asdict(self)
        del data["took_s"]
        return data


def compare(
    case: MeasuredCase,
    finish_s: npt.NDArray[np.float64],
    cpu_s: float,
    took_s: float = 0.0,
    memory_bytes: float | None = None,
    phases: dict[str, float] | None = None,
) -> Comparison:
    """Hold a prediction against a case.

    Args:
        case: what was measured.
        finish_s: when each request was predicted to end; NaN: not at all.
        cpu_s: predicted CPU use of the process, overheads included.
        took_s: how long the prediction took.
        memory_bytes: predicted memory at its highest; None: not to be compared.
        phases: predicted mean seconds of each phase; None: not to be compared.

    Raises:
        CannotRead: the case's arrays cannot be read.
    """
    arrays = case.arrays()
    arrival, latency = arrays["arrival_us"] / 1e6, arrays["latency_us"] / 1e6
    predicted = finish_s - arrival
    measured_of = measured_figures(case)
    predicted_of = _figures(arrival, predicted, cpu_s)
    off = np.abs(predicted - latency)
    return Comparison(
        id=case.id,
        runtime=case.runtime,
        kind=str(case.record["kind"]),
        load=case.load,
        requests=len(arrival),
        errors={key: _relative(predicted_of[key], measured_of[key]) for key in measured_of},
        measured=measured_of,
        predicted=predicted_of,
        within_5_percent=float(np.mean(off <= 0.05 * latency)),
        ladder={
            "level": list(RUNGS),
            "measured_s": [float(q) for q in np.nanquantile(latency, RUNGS)],
            "predicted_s": [float(q) for q in np.nanquantile(predicted, RUNGS)],
        },
        saturated=_saturated(arrival, latency),
        family=str(case.record["runtime"]).rstrip("0123456789"),
        within_1_ms=float(np.mean(off <= 1e-3)),
        median_off_s=float(np.nanmedian(off)),
        unfinished={
            "measured": int(np.isnan(latency).sum()),
            "predicted": int(np.isnan(predicted).sum()),
        },
        memory=_memory(case.peak_bytes, memory_bytes),
        phases=_phases(measured_phases(arrays), phases),
        stretch=stretch(arrays, case.record),
        took_s=took_s,
    )


def _relative(predicted: float, measured: float) -> float:
    """The relative error; where nothing was measured it is 0 or 1, and never infinite."""
    return predicted / measured - 1.0 if measured > 0.0 else float(predicted > 0.0)


def _memory(measured: float | None, predicted: float | None) -> dict[str, float]:
    if not measured or predicted is None:
        return {}
    return {
        "measured": measured,
        "predicted": predicted,
        "error": _relative(predicted, measured),
    }


def _phases(
    measured: dict[str, float] | None, predicted: dict[str, float] | None
) -> dict[str, dict[str, float]]:
    if measured is None or predicted is None:
        return {}
    return {"measured": measured, "predicted": predicted}


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


def measured_figures(case: MeasuredCase) -> dict[str, float]:
    """What was measured of a case: latencies, throughput and CPU use.

    Raises:
        CannotRead: the case's arrays cannot be read.
    """
    arrays = case.arrays()
    return _figures(
        arrays["arrival_us"] / 1e6, arrays["latency_us"] / 1e6, float(case.record["cpu_s"])
    )


def noise_floor(measured: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Of traces that were measured repeatedly: half the range of each quantity over its median.

    ``runs`` says how often it was measured.

    Args:
        measured: what was measured, as of `measured_figures`, by the id of the case.
    """
    runs: dict[str, list[dict[str, float]]] = {}
    for case_id, row in measured.items():
        runs.setdefault(trace_of(case_id), []).append(row)
    floor = {}
    for name, rows in runs.items():
        if len(rows) < 2:
            continue
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        floor[name] = {
            key: 0.5 * (max(column) - min(column)) / middle if (middle := median(column)) else 0.0
            for key, column in columns.items()
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


def demands(
    comparisons: Sequence[Comparison], noise: Mapping[str, Mapping[str, float]] | None = None
) -> list[Demand]:
    """How the predictions stand against what is demanded of them.

    Args:
        comparisons: all cases.
        noise: spread of repetitions, as of `noise_floor`. A case is not held to more than that by
            the demand on the worst case.
    """
    steady = [c for c in comparisons if c.kind == "inproc" and c.load <= MOST_LOAD]
    over = [c for c in comparisons if c.kind == "inproc" and c.load > OVERLOAD]
    http = [c for c in comparisons if c.kind == "http"]
    found = []
    for key, limit in MEDIANS["inproc"].items():
        found.append(_demand(f"in process, median error of {key}", steady, key, limit, median))
    for key, limit in {"p50": 0.05, "p95": 0.08, "p99": 0.12}.items():
        found.append(_demand(f"in process, nine in ten, {key}", steady, key, limit, _ninth))
    for key in ("p50", "p95", "p99"):
        clear = [c for c in steady if abs(c.errors[key]) > spread_of(c, key, noise)]
        found.append(_demand(f"in process, worst {key}", clear, key, 0.25, max))
    for key, limit in MEDIANS["overload"].items():
        found.append(_demand(f"overload, median error of {key}", over, key, limit, median))
    for key, limit in MEDIANS["http"].items():
        found.append(_demand(f"HTTP servers, median error of {key}", http, key, limit, median))
    return found


def spread_of(
    comparison: Comparison, key: str, noise: Mapping[str, Mapping[str, float]] | None
) -> float:
    """Half the range that repetitions of its trace span; 0 where it was measured once.

    Args:
        comparison: the case.
        key: the quantity.
        noise: spread of repetitions, as of `noise_floor`.
    """
    return (noise or {}).get(trace_of(comparison.id), {}).get(key, 0.0)


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
