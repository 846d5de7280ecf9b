"""Series over time for a page: means over replications, few enough points to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from simsched.observe.record import FloatArray, RunRecord
from simsched.stats.window import bin_edges

MOST_POINTS: Final = 300
MEANS: Final = ("in_system", "queued", "busy_cores", "busy_workers", "memory_bytes")
COUNTS: Final = ("arrivals", "completions")


def chart_series(records: Sequence[RunRecord]) -> dict[str, list[float]]:
    """Series averaged over replications and joined to at most 300 bins.

    `time_s` is the middle of each bin; means stay time-weighted, counts become rates per second.
    """
    edges = bin_edges(records[0])
    n_bins = len(edges) - 1
    group = -(-n_bins // MOST_POINTS)
    starts = np.arange(0, n_bins, group)
    widths = np.diff(edges)
    joined = np.add.reduceat(widths, starts)
    chart: dict[str, list[float]] = {
        "time_s": [float(x) for x in edges[starts] + joined / 2],
    }
    for name in MEANS:
        chart[name] = _list(np.add.reduceat(_mean(records, name) * widths, starts) / joined)
    for name in COUNTS:
        chart[f"{name}_rps"] = _list(np.add.reduceat(_mean(records, name), starts) / joined)
    return chart


def _mean(records: Sequence[RunRecord], name: str) -> FloatArray:
    mean: FloatArray = np.mean([record.series[name] for record in records], axis=0)
    return mean


def _list(values: FloatArray) -> list[float]:
    return [float(x) for x in values]
