"""Blame over replications: how long, and which share of its latency, a class waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from simsched.observe.record import RunRecord
from simsched.stats.estimates import mean_estimate, ratio_estimate
from simsched.stats.window import departure_s

LEAST_SHARE: Final = 0.001
"""Rows with less of their victim's latency than this are left out."""


def blame(records: Sequence[RunRecord], names: Sequence[str]) -> list[dict[str, Any]]:
    """Who made whom wait: one entry per cause, victim, culprit and step, the longest first.

    The whole run counts, warm-up and unfinished requests included: seconds are per request of the
    victim's class that arrived, and shares are of all the time these spent in the system.

    Args:
        records: replications of one scheduler.
        names: names of the request classes.
    """
    found = [{row[:4]: row.seconds for row in record.blame} for record in records]
    counts = np.array([np.bincount(r.class_id, minlength=len(names)) for r in records], np.float64)
    stays = np.array(
        [
            np.bincount(r.class_id, departure_s(r) - r.arrival_s, minlength=len(names))
            for r in records
        ]
    )
    entries = []
    for key in sorted({key for rows in found for key in rows}):
        cause, victim, culprit, step = key
        seconds = np.array([rows.get(key, 0.0) for rows in found])
        arrived, stayed = counts[:, victim], stays[:, victim]
        total_s = float(seconds.sum())
        if total_s <= 0 or total_s < LEAST_SHARE * float(stayed.sum()):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            per_request = np.where(arrived > 0, seconds / arrived, np.nan)
        entries.append(
            {
                "cause": cause,
                "victim": names[victim],
                "culprit": names[culprit] if culprit >= 0 else None,
                "step": step or None,
                "seconds": mean_estimate(per_request, "request of this class").to_dict(),
                "share": ratio_estimate(seconds, stayed).to_dict(),
                "total_s": total_s,
            }
        )
    return sorted(entries, key=lambda entry: -entry["total_s"])


def pinned(records: Sequence[RunRecord], names: Sequence[str]) -> list[dict[str, Any]]:
    """Which steps pinned carriers: one entry per class and step, the longest first.

    Over the whole run. ``carriers`` is how many were pinned on average, and ``share`` that in terms
    of those there are without spare ones.
    """
    found = [{row[:2]: row.seconds for row in record.pinned} for record in records]
    spans_s = np.array([record.end_s for record in records])
    all_s = spans_s * np.array([record.worker_limit or 1 for record in records])
    entries = []
    for key in sorted({key for rows in found for key in rows}):
        seconds = np.array([rows.get(key, 0.0) for rows in found])
        entries.append(
            {
                "culprit": names[key[0]],
                "step": key[1],
                "carriers": ratio_estimate(seconds, spans_s).to_dict(),
                "share": ratio_estimate(seconds, all_s).to_dict(),
                "total_s": float(seconds.sum()),
            }
        )
    return sorted(entries, key=lambda entry: -entry["total_s"])


def longest_stall(records: Sequence[RunRecord], names: Sequence[str]) -> dict[str, Any] | None:
    """The longest stall of a loop in any replication, and the longest step in it."""
    stalls = [record.longest_stall for record in records if record.longest_stall is not None]
    if not stalls:
        return None
    longest = max(stalls, key=lambda stall: stall.seconds)
    return {
        "seconds": longest.seconds,
        "culprit": names[longest.culprit] if longest.culprit >= 0 else None,
        "step": longest.step or None,
        "step_s": longest.step_s,
    }
