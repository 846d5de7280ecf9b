"""Whether a run can be believed as a steady operating point: STABLE, BACKLOGGED, OVERLOADED.

Latencies of an overloaded system measure the length of the run, not the system. The verdict looks
at the number of requests that wait (not at those in service: a rising arrival rate raises those
without any overload) and asks whether it grows by more than chance and by enough to matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simsched.observe.record import FAILED, REJECTED, TIMED_OUT, UNFINISHED, RunRecord
from simsched.stats.estimates import ratio_estimate
from simsched.stats.growth import (
    ALPHA_REPLICATIONS,
    BLOCKS,
    FEW,
    POINTS_PER_BLOCK,
    exceeds_zero,
    growth_of,
    rates,
)
from simsched.stats.warmup import Warmup
from simsched.stats.window import Window, arrived_in, departure_s, number_waiting, waiting_s
from simsched.stats.wording import duration, number, percent

MATERIAL: Final = 5.0
"""Growth of the number waiting that matters at all, in requests."""
MATERIAL_SHARE: Final = 0.1
"""Growth that matters, as a share of the mean number waiting."""
CHANGING_SHARE: Final = 0.02
"""Growth that matters as a share of the arrivals, where the arrival rate itself changes."""
SHED_SHARE: Final = 0.01
"""Share of requests turned away above which a system sheds load."""
LEFT_SHARE: Final = 0.01
"""Share of requests still waiting after the drain that makes a backlog."""
DRAIN_SHARE: Final = 0.02
"""A backlog matters if it takes longer than this share of the run to clear."""

TURNED_AWAY: Final = {
    REJECTED: "are rejected",
    TIMED_OUT: "are given up after waiting (timeout)",
    FAILED: "fail to get a connection, or after waiting",
}
"""Outcomes of requests that the system had no room for, and what is said of them."""

CHANGING: Final = frozenset({"ramp", "steps"})
"""Arrival kinds whose rate changes by design."""

Kind = Literal["STABLE", "BACKLOGGED", "OVERLOADED"]


@dataclass(frozen=True)
class Verdict:
    """The verdict and the sentence that explains it with numbers."""

    verdict: Kind
    reason: str
    drifting: bool = False
    """Whether latencies grow with the length of the run."""


def decide(records: Sequence[RunRecord], warmup: Warmup, arrivals: str) -> Verdict:
    """The verdict on one scheduler's replications.

    Args:
        records: replications of one scheduler.
        warmup: what `find_warmup` said about them.
        arrivals: kind of the arrivals ("poisson", "closed", "ramp", ...).
    """
    died = sum(record.activity.get("process_died", 0) > 0 for record in records)
    if died:
        where = "" if died == len(records) else f" in {died} of {len(records)} replications"
        reason = f"the process died{where}: it needed more OS threads than its limit (maxThreads)"
        return Verdict("OVERLOADED", reason)
    window = Window(warmup.cut_s, records[0].duration_s)
    shed = _shedding(records, window)
    if shed is not None:
        return shed
    if arrivals == "closed":
        return _closed(records)
    changing = arrivals in CHANGING or (arrivals == "trace" and _rate_changes(records))
    overload = _overload(records, warmup, changing)
    if overload is not None:
        return overload
    backlog = _left_over(records) or _backlog_at_end(records, window, changing)
    if backlog is not None:
        return backlog
    if warmup.steady is False and not changing:
        unsettled = _unsettled(records)
        if unsettled is not None:
            return unsettled
    return _stable(records, window)


def _shedding(records: Sequence[RunRecord], window: Window) -> Verdict | None:
    """Load that is turned away: the queue stays short because requests never enter or give up."""
    edges = np.linspace(window.start_s, window.end_s, BLOCKS + 1)
    lost_blocks = np.zeros(BLOCKS)
    seen_blocks = np.zeros(BLOCKS)
    lost, seen = [], []
    how = dict.fromkeys(TURNED_AWAY, 0)
    for record in records:
        inside = arrived_in(record, window)
        # A timeout shorter than the work itself is no overload: it would fire on an idle machine.
        # Nor is a failure in the middle of the work; one to get a connection at all is.
        stay = departure_s(record) - record.arrival_s
        unserved = waiting_s(record) >= 0.5 * stay
        gave_up = np.isin(record.outcome, (TIMED_OUT, FAILED)) & unserved
        turned_away = inside & ((record.outcome == REJECTED) | gave_up)
        lost.append(int(turned_away.sum()))
        seen.append(int(inside.sum()))
        for outcome in how:
            how[outcome] += int((turned_away & (record.outcome == outcome)).sum())
        lost_blocks += np.histogram(record.arrival_s[turned_away], edges)[0]
        seen_blocks += np.histogram(record.arrival_s[inside], edges)[0]
    share = ratio_estimate(lost, seen)
    low = share.value if share.ci95 is None else share.ci95[0]
    if share.value is None or low is None or low <= SHED_SHARE or sum(lost) < MATERIAL:
        return None
    text = f"{percent(share.value)} of requests {TURNED_AWAY[max(how, key=how.__getitem__)]}"
    blocks = lost_blocks > SHED_SHARE * np.maximum(seen_blocks, 1)
    if blocks.sum() >= BLOCKS / 2 or blocks[-2:].all():
        return Verdict("OVERLOADED", f"sheds load: {text}")
    first, last = np.flatnonzero(blocks)[[0, -1]]
    when = f"between {duration(edges[first])} and {duration(edges[last + 1])}"
    return Verdict("BACKLOGGED", f"sheds load for a time: {text}, all of them {when}")


def _closed(records: Sequence[RunRecord]) -> Verdict:
    most = max(float(record.series["in_system"].max(initial=0.0)) for record in records)
    return Verdict(
        "STABLE",
        "a closed workload waits for its own answers, so no backlog can grow: "
        f"at most {number(most)} requests are in the system at once",
    )


def _rate_changes(records: Sequence[RunRecord]) -> bool:
    """Whether the second half of the run has another arrival rate than the first, by 10 %."""
    half = records[0].duration_s / 2
    early = sum(int((record.arrival_s < half).sum()) for record in records)
    late = sum(len(record) for record in records) - early
    return abs(late - early) > 0.1 * max(early, late) / 2 and early + late > 0


def _overload(records: Sequence[RunRecord], warmup: Warmup, changing: bool) -> Verdict | None:
    end = records[0].duration_s
    start = 0.75 * end if changing else max(warmup.cut_s, 0.25 * end)
    if start >= end:
        return None
    window = Window(start, end)
    found = growth_of(records, window)
    arrived, served = rates(records, window)
    needed = max(MATERIAL, MATERIAL_SHARE * found.level)
    if changing:
        needed = max(needed, CHANGING_SHARE * arrived * window.width_s)
    if not found.significant or found.growth < needed:
        return None
    where = f"between {duration(start)} and {duration(end)}"
    runs = "" if len(records) == 1 else f", in {found.rising} of {len(records)} replications"
    return Verdict(
        "OVERLOADED",
        f"work arrives faster than it is served: {where} {number(arrived)} req/s arrive, "
        f"{number(served)} req/s leave, and the number waiting grows by "
        f"{number(found.growth)}{runs}; latencies depend on the length of the run",
        drifting=True,
    )


def _left_over(records: Sequence[RunRecord]) -> Verdict | None:
    """Requests that were given time after the last arrival and still wait."""
    # A run that has emptied ends early, so the longest drain is the one that was not enough.
    drain_s = max(record.end_s - record.duration_s for record in records)
    if drain_s <= 1e-9 * records[0].duration_s:
        return None
    left = arrived = 0
    for record in records:
        stay = departure_s(record) - record.arrival_s
        waits = (record.outcome == UNFINISHED) & (waiting_s(record) >= 0.5 * stay)
        left += int(waits.sum())
        arrived += len(record)
    if left < MATERIAL * len(records) or left < LEFT_SHARE * arrived:
        return None
    return Verdict(
        "BACKLOGGED",
        f"{percent(left / arrived)} of requests still wait {duration(drain_s)} after the last "
        "arrival, though their number does not grow significantly over the run",
    )


def _backlog_at_end(records: Sequence[RunRecord], window: Window, changing: bool) -> Verdict | None:
    """A backlog at the end of arrivals far above the normal level of the run, slow to clear.

    Normal is the mean, or the quietest quarter where the load changes by design: the mean of a run
    with one big burst is a level that it hardly ever has.
    """
    end = window.end_s
    last = np.array([number_waiting(record, np.array([end]))[0] for record in records])
    grid = np.linspace(window.start_s, end, BLOCKS * POINTS_PER_BLOCK + 1)
    waiting = np.array([number_waiting(record, grid) for record in records])
    level = np.quantile(waiting, 0.25, axis=1) if changing else waiting.mean(axis=1)
    if last.mean() <= MATERIAL:
        return None
    if len(records) >= FEW:
        above = exceeds_zero(last - 2 * level, ALPHA_REPLICATIONS)
    else:
        above = float(last.mean()) > 4 * float(level.mean())
    tail = Window(window.start_s + 0.9 * window.width_s, end)
    served = rates(records, tail)[1]
    clearing_s = float(last.mean()) / served if served > 0 else float("inf")
    if not above or clearing_s < DRAIN_SHARE * end:
        return None
    clear = "nothing leaves any more" if served == 0 else f"{duration(clearing_s)} of work"
    normal = "in the quietest quarter of the run" if changing else "on average over the run"
    return Verdict(
        "BACKLOGGED",
        f"{number(float(last.mean()))} requests wait when arrivals end ({clear}), against "
        f"{number(float(level.mean()))} {normal}",
    )


def _unsettled(records: Sequence[RunRecord]) -> Verdict | None:
    """No steady state, and a number waiting that is still higher late than early."""
    end = records[0].duration_s
    grid = np.linspace(0.0, end, 4 * BLOCKS + 1)
    waiting = np.array([number_waiting(record, grid) for record in records])
    first, last = waiting[:, : 2 * BLOCKS].mean(axis=1), waiting[:, 3 * BLOCKS :].mean(axis=1)
    early, late = float(first.mean()), float(last.mean())
    if late < 1 or late < 1.25 * early:
        return None
    if len(records) >= FEW and not exceeds_zero(last - first, ALPHA_REPLICATIONS):
        return None
    return Verdict(
        "BACKLOGGED",
        f"no steady state in {duration(end)}: {number(early)} requests wait in the first half of "
        f"the run and {number(late)} in its last quarter; a longer run would tell",
    )


def _stable(records: Sequence[RunRecord], window: Window) -> Verdict:
    arrived, served = rates(records, window)
    grid = np.linspace(window.start_s, window.end_s, BLOCKS * POINTS_PER_BLOCK + 1)
    level = float(np.mean([number_waiting(record, grid).mean() for record in records]))
    return Verdict(
        "STABLE",
        f"{number(arrived)} req/s arrive and {number(served)} req/s leave; "
        f"{number(level)} requests wait on average, without significant growth",
    )
