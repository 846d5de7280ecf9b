"""Where the start-up transient ends: MSER-5 over replication-averaged series.

Deleting the transient is only honest where a steady state follows. If the best cut lies in the
second half of the run nothing is deleted and the run is reported as having no steady state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from simsched.observe.record import COMPLETED, UNFINISHED, FloatArray, RunRecord
from simsched.stats.window import bin_edges, departure_s, next_edge

BATCH: Final = 5
"""Observations per batch: the 5 of MSER-5."""
MIN_BATCHES: Final = 10
"""Fewest batches a cut may leave; it must also leave a quarter of the series. The statistic of the
last few values is small by chance, while a series that drifts is cut as late as it can be."""


@dataclass(frozen=True)
class Mser:
    """Outcome of MSER on one series."""

    cut: int
    """Observations to delete: a multiple of the batch size."""
    statistic: FloatArray
    """The MSER statistic for every admissible number of deleted batches, from 0."""
    in_first_half: bool
    """Whether the cut leaves at least half of the series."""


def mser(values: npt.ArrayLike, batch: int = BATCH) -> Mser | None:
    """MSER cut of a series, or None where it is too short to say (under 2 * MIN_BATCHES batches).

    For batch means z_1..z_n and d deleted ones the statistic is the variance of the remaining
    means over their number, sum_{i>d} (z_i - mean)^2 / (n - d)^2; the cut is the first d with the
    smallest (White, 1997; White, Cobb & Spratt, 2000). Cuts that leave less than a quarter of the
    series are not considered.
    """
    series = np.asarray(values, dtype=np.float64)
    n = len(series) // batch
    if n < 2 * MIN_BATCHES:
        return None
    means = series[: n * batch].reshape(n, batch).mean(axis=1)
    # Centred on the tail, so that sums of squares do not cancel where it matters.
    centred = means - means[n // 2 :].mean()
    if float(np.ptp(means)) <= 1e-9 * float(np.abs(means).max()):
        centred = np.zeros(n)
    left = np.arange(n, 0, -1)
    keep = max(MIN_BATCHES, n // 4)
    sums = np.cumsum(centred[::-1])[::-1]
    squares = np.cumsum(centred[::-1] ** 2)[::-1]
    variance = np.maximum(squares / left - (sums / left) ** 2, 0.0)
    statistic = (variance / left)[: n - keep + 1]
    lowest = statistic.min() + 1e-12 * statistic.max()
    d = int(np.argmax(statistic <= lowest))
    return Mser(d * batch, statistic, d <= n // 2)


@dataclass(frozen=True)
class Evidence:
    """One series that the warm-up was judged by."""

    name: str
    time_s: FloatArray
    """Mean time of each observation."""
    values: FloatArray
    """Observations, averaged over replications."""
    mser: Mser

    @property
    def cut_s(self) -> float:
        """Time of the first observation that is kept."""
        return float(self.time_s[self.mser.cut]) if self.mser.cut else 0.0


@dataclass(frozen=True)
class Warmup:
    """The warm-up that is removed, and why."""

    method: Literal["mser5", "fixed", "none"]
    cut_s: float
    """Requests that arrived before are not measured. On a bin edge, except a fixed one."""
    steady: bool | None
    """Whether a steady state was found; None for a terminating study, which has none."""
    latency_cut_s: float | None = None
    """Cut by the latency series; None where it could not be judged."""
    in_system_cut_s: float | None = None
    """Cut by the series of requests in the system; None where it could not be judged."""
    removed_requests: int = 0
    """Requests that arrived before the cut, over all replications."""
    reason: str | None = None
    """Why there is no steady state, or what is wrong with a fixed warm-up."""
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As in the result document."""
        return {
            "method": self.method,
            "cut_s": self.cut_s,
            "steady": self.steady,
            "latency_cut_s": self.latency_cut_s,
            "in_system_cut_s": self.in_system_cut_s,
            "removed_requests": self.removed_requests,
        }


def latency_series(records: Sequence[RunRecord]) -> tuple[FloatArray, FloatArray]:
    """Mean arrival time and mean latency of the i-th arrival, over replications.

    Unfinished requests count with the age they reached (leaving them out would make the end of
    an overloaded run look fast); requests that ended otherwise are left out.
    """
    length = min(len(record) for record in records)
    times = np.zeros(length)
    sums = np.zeros(length)
    counts = np.zeros(length)
    for record in records:
        outcome = record.outcome[:length]
        counted = (outcome == COMPLETED) | (outcome == UNFINISHED)
        latency = departure_s(record)[:length] - record.arrival_s[:length]
        sums += np.where(counted, latency, 0.0)
        counts += counted
        times += record.arrival_s[:length]
    seen = counts > 0
    return times[seen] / len(records), sums[seen] / counts[seen]


def in_system_series(records: Sequence[RunRecord]) -> tuple[FloatArray, FloatArray]:
    """Start of each bin and mean number in the system, over replications."""
    values = np.mean([record.series["in_system"] for record in records], axis=0)
    return bin_edges(records[0])[:-1], values


def judge(records: Sequence[RunRecord]) -> tuple[Evidence, ...]:
    """MSER-5 evidence of the latency and of the number in the system, where long enough."""
    found = []
    for name, series in (("latency", latency_series), ("in_system", in_system_series)):
        time_s, values = series(records)
        result = mser(values)
        if result is not None:
            found.append(Evidence(name, time_s, values, result))
    return tuple(found)


def find_warmup(
    records: Sequence[RunRecord], fixed_s: float | None = None, terminating: bool = False
) -> Warmup:
    """The warm-up of a set of replications of one scheduler.

    Args:
        records: one or more replications.
        fixed_s: warm-up the user asked for; None for MSER-5.
        terminating: the start belongs to what is studied; nothing is removed.
    """
    if terminating:
        return Warmup("none", 0.0, None)
    evidence = judge(records)
    cuts = {item.name: item.cut_s for item in evidence}
    latest = max(cuts.values(), default=0.0)
    half = 0.5 * records[0].duration_s
    late = [item for item in evidence if not item.mser.in_first_half or item.cut_s > half]
    reason = _reason(evidence, late, latest, fixed_s)
    steady = bool(evidence) and not late
    automatic = next_edge(records[0], latest) if steady else 0.0
    cut_s = automatic if fixed_s is None else fixed_s
    return Warmup(
        method="mser5" if fixed_s is None else "fixed",
        cut_s=cut_s,
        steady=steady,
        latency_cut_s=cuts.get("latency"),
        in_system_cut_s=cuts.get("in_system"),
        removed_requests=sum(int((record.arrival_s < cut_s).sum()) for record in records),
        reason=reason,
        evidence=evidence,
    )


def _reason(
    evidence: tuple[Evidence, ...], late: list[Evidence], latest: float, fixed_s: float | None
) -> str | None:
    if not evidence:
        return "the run is too short to look for a steady state"
    if late:
        names = {"latency": "the latency", "in_system": "the number of requests in the system"}
        moving = " and ".join(names[item.name] for item in late)
        verb = "change" if len(late) > 1 else "changes"
        return f"no steady state found: {moving} still {verb} in the second half of the run"
    if fixed_s is not None and latest > fixed_s:
        return (
            f"the warm-up of {fixed_s:g} s is short: by MSER-5 the start-up ends at {latest:.3g} s"
        )
    return None
