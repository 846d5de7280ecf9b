"""What is measured of one scheduler, over its replications and inside the measured window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simsched.observe.record import (
    COMPLETED,
    FAILED,
    PARTS,
    REJECTED,
    TIMED_OUT,
    UNFINISHED,
    FloatArray,
    ResourceUse,
    RunRecord,
)
from simsched.stats.estimates import Estimate, mean_estimate, rate_estimate, ratio_estimate
from simsched.stats.quantiles import LADDER, Sample
from simsched.stats.window import (
    ROUNDING_S,
    BoolArray,
    Window,
    arrived_in,
    completed_in,
    departure_s,
    queueing_s,
    time_mean,
)

AT_PEAK: Final = ("stacks", "tasks", "requests", "connections", "garbage")


@dataclass(frozen=True)
class Measures:
    """Estimates of one scheduler; requests are attributed by their time of arrival."""

    records: Sequence[RunRecord]
    cut_s: float
    """End of the warm-up; the window ends with the arrivals."""
    cores: float
    """Cores that may be busy on average: those of the host, or the quota."""

    @cached_property
    def windows(self) -> list[Window]:
        """The measured window of each replication."""
        return [Window(self.cut_s, record.duration_s) for record in self.records]

    @cached_property
    def inside(self) -> list[BoolArray]:
        """Masks of the requests that arrived in the window."""
        return [arrived_in(r, w) for r, w in zip(self.records, self.windows, strict=True)]

    @cached_property
    def latency(self) -> Sample:
        """Latency of completed requests, from arrival; unfinished ones censored at their age."""
        return self._latency(self.inside)

    def class_latency(self, class_id: int) -> Sample:
        """Latency of one class."""
        masks = [
            mask & (record.class_id == class_id)
            for mask, record in zip(self.inside, self.records, strict=True)
        ]
        return self._latency(masks)

    def _latency(self, masks: Sequence[BoolArray]) -> Sample:
        stays = [departure_s(record) - record.arrival_s for record in self.records]
        return self._sample(stays, masks)

    @cached_property
    def queueing(self) -> Sample:
        """Queueing delay (admission, run queue, GIL) of completed requests."""
        return self._sample([queueing_s(record) for record in self.records], self.inside)

    def _sample(self, values: Sequence[FloatArray], masks: Sequence[BoolArray]) -> Sample:
        done, open_ended = [], []
        for record, value, mask in zip(self.records, values, masks, strict=True):
            done.append(value[mask & (record.outcome == COMPLETED)])
            open_ended.append(value[mask & (record.outcome == UNFINISHED)])
        return Sample(done, open_ended)

    @cached_property
    def throughput(self) -> Estimate:
        """Completions per second in the window (goodput: errors do not count)."""
        counts = [completed_in(r, w) for r, w in zip(self.records, self.windows, strict=True)]
        return rate_estimate(counts, self.windows[0].width_s)

    @cached_property
    def errors(self) -> list[int]:
        """Requests that arrived in the window and were rejected, timed out or failed."""
        return [
            int((mask & np.isin(record.outcome, (REJECTED, TIMED_OUT, FAILED))).sum())
            for mask, record in zip(self.inside, self.records, strict=True)
        ]

    @cached_property
    def error_rate(self) -> Estimate:
        """Share of the requests that arrived and ended in an error."""
        return ratio_estimate(self.errors, [int(mask.sum()) for mask in self.inside])

    def breakdown(self) -> dict[str, Estimate]:
        """Mean of each part of the latency of completed requests; they add up to its mean."""
        means = np.full((len(self.records), len(PARTS)), np.nan)
        for i, (record, mask) in enumerate(zip(self.records, self.inside, strict=True)):
            done = mask & (record.outcome == COMPLETED)
            if done.any():
                means[i] = record.parts_s[done].mean(axis=0)
        # A part that is nothing may be the difference of two equal sums: a rounding error.
        means[np.abs(means) < ROUNDING_S] = 0.0
        return {part: mean_estimate(means[:, k], self.latency.what) for k, part in enumerate(PARTS)}

    def series_means(self, name: str) -> FloatArray:
        """Time-weighted mean of a series over the window, per replication."""
        return np.array(
            [time_mean(r, name, w) for r, w in zip(self.records, self.windows, strict=True)]
        )

    @cached_property
    def utilization(self) -> dict[str, Estimate]:
        """Busy share of the cores, of the workers there may be, and of the cores by overhead.

        Where there is a CPU quota, shares are of that, and of virtual cores, while they are there.
        """
        limit = self.records[0].worker_limit
        alive = np.maximum(self.series_means("workers"), 1e-300) if limit is None else float(limit)
        return {
            "cpu": mean_estimate(self.series_means("busy_cores") / self.available),
            "workers": mean_estimate(self.series_means("busy_workers") / alive),
            "overhead": mean_estimate(self.series_means("overhead_cores") / self.available),
        }

    @cached_property
    def available(self) -> FloatArray | float:
        """Cores that there were in the window on average, of those that may be busy."""
        if not self.records[0].stolen_s:
            return self.cores
        there = len(self.records[0].stolen_s) - self.series_means("away_cores")
        available: FloatArray = np.minimum(self.cores, np.maximum(there, 1e-300))
        return available

    def stolen(self) -> dict[str, list[float]]:
        """By virtual core, seconds in which the hypervisor had it while it was wanted."""
        stolen_s = np.array([record.stolen_s for record in self.records]).mean(axis=0)
        return {"stolen_by_core_s": stolen_s.tolist()} if stolen_s.size else {}

    @cached_property
    def memory_peak(self) -> Estimate:
        """Highest memory of a replication, bytes; mean over replications."""
        return mean_estimate([r.peak.get("memory_bytes", np.nan) for r in self.records])

    def memory(self, base_bytes: int) -> dict[str, Any]:
        """Memory in bytes: time mean, peak, and what the peak consists of (means that add up)."""
        peaks = {
            name: round(float(np.mean([r.peak.get(name, 0.0) for r in self.records])))
            for name in AT_PEAK
        }
        return {
            "mean": mean_estimate(self.series_means("memory_bytes")).to_dict(),
            "peak": self.memory_peak.to_dict(),
            "base": base_bytes,
            "at_peak": peaks,
        }

    def activity(self) -> dict[str, float]:
        """Counters of the scheduler, mean over replications; 0 where one has none."""
        names = sorted({name for record in self.records for name in record.activity})
        return {
            name: float(np.mean([record.activity.get(name, 0.0) for record in self.records]))
            for name in names
        }

    def resources(self) -> dict[str, dict[str, Any]]:
        """Use of each resource, over the whole run."""
        found: dict[str, dict[str, Any]] = {}
        for name in sorted({name for record in self.records for name in record.waits}):
            uses = [record.waits[name] for record in self.records if name in record.waits]
            waits = [use["wait_s_mean"] if use["acquisitions"] else np.nan for use in uses]
            found[name] = {
                "capacity": uses[0]["capacity"],
                "utilization": mean_estimate([use["utilization"] for use in uses]).to_dict(),
                "wait_s": mean_estimate(waits, "acquisition").to_dict(),
                **_in_vain(uses),
            }
        return found

    def per_replication(self) -> dict[str, list[float | None]]:
        """The value of each replication, for paired comparisons and other analyses."""
        seen = np.array([mask.sum() for mask in self.inside], dtype=np.float64)
        completed = [completed_in(r, w) for r, w in zip(self.records, self.windows, strict=True)]
        width = max(self.windows[0].width_s, 1e-300)
        with np.errstate(invalid="ignore", divide="ignore"):
            columns_of: dict[str, npt.ArrayLike] = {
                "latency_mean_s": self.latency.replication_means(),
                **{
                    f"latency_{name}_s": self.latency.replication_quantiles(p)
                    for name, p in LADDER.items()
                },
                "throughput_rps": np.array(completed) / width,
                "error_rate": np.array(self.errors) / seen,
                "utilization_cpu": self.series_means("busy_cores") / self.available,
                "memory_peak_bytes": [r.peak.get("memory_bytes", np.nan) for r in self.records],
                "arrived": [len(record) for record in self.records],
                "unfinished": [int((r.outcome == UNFINISHED).sum()) for r in self.records],
            }
        return {name: _finite(values) for name, values in columns_of.items()}


def _in_vain(uses: Sequence[ResourceUse]) -> dict[str, int]:
    """How often a permit of a resource with limits was asked for, and not got, in all runs."""
    timeouts = [use["timeouts"] for use in uses if "timeouts" in use]
    refusals = [use["refusals"] for use in uses if "refusals" in use]
    if not timeouts and not refusals:
        return {}
    in_vain = sum(timeouts) + sum(refusals)
    found = {"asked": in_vain + sum(use["acquisitions"] for use in uses)}
    if timeouts:
        found["timeouts"] = sum(timeouts)
    if refusals:
        found["refusals"] = sum(refusals)
    return found


def _finite(values: npt.ArrayLike) -> list[float | None]:
    """Plain numbers; None for nan and infinity, which JSON does not have."""
    return [float(x) if np.isfinite(x) else None for x in np.asarray(values, dtype=np.float64)]
