"""Queues worked out request by request, and the statistics of replications.

Sources: Lindley (1952); Kiefer and Wolfowitz (1955). In both, a request starts when it has arrived
and a server is free, in order of arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simsched.observe.record import COMPLETED, RunRecord
from simsched.stats.estimates import t_quantile

Floats = npt.NDArray[np.float64]


def lindley(arrival_s: Floats, service_s: Floats) -> Floats:
    """When each request ends in a queue with one server."""
    ends = []
    free_s = 0.0
    for arrival, service in zip(arrival_s, service_s, strict=True):
        free_s = max(arrival, free_s) + service
        ends.append(free_s)
    return np.array(ends)


def kiefer_wolfowitz(arrival_s: Floats, service_s: Floats, servers: int) -> Floats:
    """When each request ends in a queue with several servers."""
    free_s = [0.0] * servers
    ends = []
    for arrival, service in zip(arrival_s, service_s, strict=True):
        first = min(range(servers), key=free_s.__getitem__)
        free_s[first] = max(arrival, free_s[first]) + service
        ends.append(free_s[first])
    return np.array(ends)


@dataclass(frozen=True)
class Interval:
    """Mean of independent replications and half the width of its interval."""

    mean: float
    half_width: float

    def __contains__(self, value: float) -> bool:
        return abs(value - self.mean) <= self.half_width


def interval(values: Sequence[float], confidence: float = 0.999) -> Interval:
    """The t interval of a mean over replications."""
    x = np.asarray(values)
    n = len(x)
    spread = float(x.std(ddof=1)) / math.sqrt(n)
    return Interval(float(x.mean()), t_quantile(0.5 + confidence / 2, n - 1) * spread)


def over(
    records: Sequence[RunRecord], measure: Callable[[RunRecord], float], confidence: float = 0.999
) -> Interval:
    """The interval of a measure over replications."""
    return interval([measure(record) for record in records], confidence)


def settled(record: RunRecord) -> npt.NDArray[np.bool_]:
    """The requests that count: those that arrived after the first fifth of the run."""
    mask: npt.NDArray[np.bool_] = record.arrival_s > 0.2 * record.duration_s
    return mask


def mean_latency_s(record: RunRecord) -> float:
    """Mean time in the system of the completed requests."""
    counted = settled(record) & (record.outcome == COMPLETED)
    return float((record.finish_s - record.arrival_s)[counted].mean())


def throughput_rps(record: RunRecord) -> float:
    """Completions per second after the first fifth of the run."""
    done = record.finish_s[record.outcome == COMPLETED]
    start_s, end_s = 0.2 * record.duration_s, record.duration_s
    return float(((done > start_s) & (done <= end_s)).sum() / (end_s - start_s))
