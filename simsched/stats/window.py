"""The measured window of a replication, and what can be read off a record inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simsched.observe.record import COMPLETED, PARTS, UNFINISHED, FloatArray, RunRecord

BoolArray = npt.NDArray[np.bool_]

SERVICE_PARTS: Final = ("cpu", "io", "blocking", "overhead")
"""Parts in which a request makes progress; in all others it waits for something to be free, except
for "join", in which it does what its slowest branch does."""
QUEUEING_PARTS: Final = ("admission", "run_queue", "gil")
"""Parts that make up the queueing delay: waiting for a worker or a core."""

ROUNDING_S: Final = 1e-12
"""Sums of clock readings that differ by less are equal: a reading at 1000 s is exact to 1e-13 s."""


@dataclass(frozen=True)
class Window:
    """Half-open interval [`start_s`, `end_s`) of simulated time that is measured."""

    start_s: float
    end_s: float

    @property
    def width_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def columns(names: tuple[str, ...]) -> list[int]:
    """Columns of `parts_s` that hold the named parts."""
    return [PARTS.index(name) for name in names]


def bin_edges(record: RunRecord) -> FloatArray:
    """The n_bins + 1 edges of the series' bins, seconds; the last edge is `duration_s`."""
    n_bins = len(record.series["in_system"])
    edges: FloatArray = np.minimum(np.arange(n_bins + 1) * record.bin_s, record.duration_s)
    return edges


def next_edge(record: RunRecord, time_s: float) -> float:
    """The first bin edge at or after `time_s`."""
    edges = bin_edges(record)
    slack = 1e-9 * record.bin_s
    return float(edges[min(int(np.searchsorted(edges, time_s - slack)), len(edges) - 1)])


def overlap_s(record: RunRecord, window: Window) -> FloatArray:
    """Seconds of each bin that lie inside the window."""
    clipped = np.clip(bin_edges(record), window.start_s, window.end_s)
    return np.diff(clipped)


def time_mean(record: RunRecord, name: str, window: Window) -> float:
    """Time-weighted mean of a series over the window; nan for an empty window.

    Exact where the window begins and ends on bin edges.
    """
    weights = overlap_s(record, window)
    total = float(weights.sum())
    return float(weights @ record.series[name]) / total if total > 0 else float("nan")


def arrived_in(record: RunRecord, window: Window) -> BoolArray:
    """Mask of the requests that arrived in the window.

    An arrival exactly at `duration_s` belongs to a window that ends there.
    """
    inside = (record.arrival_s >= window.start_s) & (record.arrival_s < window.end_s)
    if window.end_s >= record.duration_s:
        inside |= record.arrival_s == record.duration_s
    return inside


def completed_in(record: RunRecord, window: Window) -> int:
    """Number of requests whose completion falls in the window, whenever they arrived."""
    finish_s = record.finish_s[record.outcome == COMPLETED]
    return int(((finish_s >= window.start_s) & (finish_s < window.end_s)).sum())


def departure_s(record: RunRecord) -> FloatArray:
    """When each request left the system; `end_s` for those that never did."""
    return np.where(record.outcome == UNFINISHED, record.end_s, record.finish_s)


def waiting_s(record: RunRecord) -> FloatArray:
    """How long each request waited for anything (worker, core, permit, lock, GIL), in seconds.

    A request that waits for its branches waits for what the slowest of them waits for. Time that no
    part explains counts as waiting.
    """
    in_system = departure_s(record) - record.arrival_s
    served = record.parts_s[:, columns(SERVICE_PARTS)].sum(axis=1)
    if len(record.join_parts_s):
        # Branches of branches are not looked into: their join is progress.
        served += record.join_parts_s[:, columns((*SERVICE_PARTS, "join"))].sum(axis=1)
    waited: FloatArray = in_system - served
    waited[waited < ROUNDING_S] = 0.0
    return waited


def queueing_s(record: RunRecord) -> FloatArray:
    """Queueing delay of each request, its own and its slowest branches', in seconds."""
    cols = columns(QUEUEING_PARTS)
    queued: FloatArray = record.parts_s[:, cols].sum(axis=1)
    if len(record.join_parts_s):
        queued += record.join_parts_s[:, cols].sum(axis=1)
    queued[queued < ROUNDING_S] = 0.0
    return queued


def number_waiting(record: RunRecord, times_s: FloatArray) -> FloatArray:
    """How many requests wait at each of `times_s`, all waits moved to the start of the stay.

    Moving them keeps the integral over time and needs no trace of each request's states.
    """
    arrived = np.searchsorted(record.arrival_s, times_s, side="right")
    # A wait of zero may come out a rounding error above it: not a request that waits.
    slack = 1e-9 * max(record.end_s, 1.0)
    waited = record.arrival_s + waiting_s(record)
    # Unfinished and never served: it waits on, beyond the end of the record.
    waited[(record.outcome == UNFINISHED) & (waited >= record.end_s - slack)] = np.inf
    over = np.searchsorted(np.sort(waited), times_s + slack, side="right")
    return (arrived - over).astype(np.float64)
