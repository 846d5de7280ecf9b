"""What holds the scheduler back: the busiest of its cores, workers and resources, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from simsched.observe.record import RunRecord
from simsched.stats.quota import Quota, cores_of, most_of_it, of_periods, throttled_share
from simsched.stats.window import Window, arrived_in, columns, departure_s, time_mean, waiting_s
from simsched.stats.wording import duration, number, percent

SHORT: Final = 0.7
"""Utilisation from which something counts as short."""
TIE: Final = 0.05
"""Difference of utilisations that does not tell which of two is the cause."""
LOCK: Final = "lock:"
"""What the names of locks begin with among the resources."""
POOL: Final = "pool:"
"""What the names of executors' threads begin with among them."""
LEAST_PINNED: Final = 0.01
"""Share of the carriers' time from which being pinned is told of."""
NOTABLE: Final = 0.2
"""Share of the time in the system from which waiting is told of, though nothing is short."""

NOUNS: Final = {
    "thread_pool": "threads",
    "gthread": "threads",
    "event_loop": "the loop",
    "goroutine": "Ps",
    "virtual_thread": "carriers",
    "reactor": "loops",
    "fork_join": "workers",
}
STATES: Final = {
    "cpu": "running",
    "run_queue": "waiting for a core",
    "io": "waiting on io",
    "sleep": "sleeping",
    "blocking": "in blocking calls",
    "resource": "waiting for a resource",
    "lock": "waiting for a lock",
    "gil": "waiting for the interpreter lock",
    "overhead": "on the runtime's own work",
}
WAITS: Final = {
    "to be executed": ("admission", "run_queue"),
    "for a resource": ("resource",),
    "for a lock": ("lock",),
    "for the interpreter lock": ("gil",),
}
"""What requests wait for, and in which parts of the breakdown."""


@dataclass(frozen=True)
class _Candidate:
    utilization: float
    rank: int
    """Which of two equally busy ones is the cause: those that wait for another come last."""
    sentence: str


def binding(
    records: Sequence[RunRecord],
    kind: str,
    cores: int,
    cut_s: float,
    quota: Quota | None = None,
    names: Sequence[str] = (),
) -> str:
    """The sentence that names what binds.

    Args:
        records: replications of one scheduler.
        kind: the scheduler's kind.
        cores: cores of the host.
        cut_s: end of the warm-up.
        quota: of CPU time, if there is one.
        names: of the request classes.
    """
    enough = cores if quota is None else quota.cores
    candidates = [*_resources(records), *_workers(records, kind, enough, cut_s, names)]
    if quota is not None:
        candidates.append(_quota(records, quota, cut_s, names))
    else:
        candidates.append(_cores(records, cores, cut_s))
    highest = max(candidate.utilization for candidate in candidates)
    close = [c for c in candidates if c.utilization >= highest - TIE]
    found = min(close, key=lambda c: (c.rank, -c.utilization))
    if found.utilization >= SHORT:
        return found.sentence
    at_times = _bursts(records, kind, cores, cut_s, quota)
    if at_times is not None:
        return at_times
    busiest = max(candidates, key=lambda c: c.utilization)
    return f"nothing is short: {busiest.sentence}{_yet(records, cut_s)}"


def _yet(records: Sequence[RunRecord], cut_s: float) -> str:
    """What requests wait for most, where that is much of their time."""
    stayed, waited = 0.0, np.zeros(len(WAITS))
    for record in records:
        inside = arrived_in(record, Window(cut_s, record.duration_s))
        stayed += float((departure_s(record) - record.arrival_s)[inside].sum())
        spent = record.parts_s[inside].sum(axis=0)
        if len(record.join_parts_s):
            spent += record.join_parts_s[inside].sum(axis=0)
        waited += [float(spent[columns(parts)].sum()) for parts in WAITS.values()]
    most = int(np.argmax(waited))
    if stayed == 0 or waited[most] < NOTABLE * stayed:
        return ""
    share = percent(waited[most] / stayed)
    return f"; yet {share} of the requests' time is waiting {tuple(WAITS)[most]}"


def _bursts(
    records: Sequence[RunRecord], kind: str, cores: int, cut_s: float, quota: Quota | None
) -> str | None:
    """What is short in bursts, where nothing is on average and requests mostly wait."""
    waited = stayed = 0.0
    for record in records:
        inside = arrived_in(record, Window(cut_s, record.duration_s))
        waited += float(waiting_s(record)[inside].sum())
        stayed += float((departure_s(record) - record.arrival_s)[inside].sum())
    if waited < 0.5 * stayed or stayed == 0:
        return None
    limit, noun = records[0].worker_limit, NOUNS.get(kind, "workers")
    found = [(_full_share(records, "busy_cores", cores, cut_s), "the cores are all busy")]
    if limit and kind == "event_loop":
        text = "the loop never rests" if limit == 1 else f"none of the {limit} loops rests"
        found = [(_full_share(records, "busy_workers", limit, cut_s), text)]
    elif limit:
        share = _full_share(records, "busy_workers", limit, cut_s)
        taken = f"all {limit} {noun} are taken"
        found.append((share, taken if limit > 1 else f"the only {noun.removesuffix('s')} is taken"))
    share, text = max(found, key=lambda item: item[0])
    text = f"{text} {percent(share)} of the time"
    stopped = throttled_share(records, quota)
    if quota is not None and stopped >= share:
        share = stopped
        text = f"the quota of {cores_of(quota)} runs out in {of_periods(stopped, quota)}"
    return f"short in bursts: {text}" if share >= 0.02 else None


def _full_share(records: Sequence[RunRecord], series: str, limit: float, cut_s: float) -> float:
    """Share of the time, in hundredths of the window, in which the mean is at the limit."""
    full = 0
    for record in records:
        edges = np.linspace(cut_s, record.duration_s, 101)
        for start, end in pairwise(edges.tolist()):
            taken = time_mean(record, series, Window(start, end))
            if series == "busy_cores" and record.stolen_s:
                taken += time_mean(record, "away_cores", Window(start, end))
            full += taken >= 0.95 * limit
    return full / (100 * len(records))


def _mean(records: Sequence[RunRecord], series: str, cut_s: float) -> float:
    return float(np.mean([time_mean(r, series, Window(cut_s, r.duration_s)) for r in records]))


def _cores(records: Sequence[RunRecord], cores: int, cut_s: float) -> _Candidate:
    busy = _mean(records, "busy_cores", cut_s)
    there, left = float(cores), ""
    if records[0].stolen_s:
        there -= _mean(records, "away_cores", cut_s)
        left = " that is left to them"
    share = busy / there if there else 0.0
    if cores == 1:
        text = f"the core is busy {percent(share)} of the time{left.replace('them', 'it')}"
    else:
        text = f"the cores are busy {percent(share)} of the time{left}"
        text += f" ({number(busy)} of {number(there)})"
    return _Candidate(share, 1, text)


def _quota(
    records: Sequence[RunRecord], quota: Quota, cut_s: float, names: Sequence[str]
) -> _Candidate:
    share = _mean(records, "busy_cores", cut_s) / quota.cores
    text = f"the quota of {cores_of(quota)} is used to {percent(share)}"
    stopped = throttled_share(records, quota)
    if stopped:
        text += f": threads are stopped in {of_periods(stopped, quota)}"
        text += most_of_it(records, names)
    return _Candidate(share, 0, text)


def _workers(
    records: Sequence[RunRecord], kind: str, cores: float, cut_s: float, names: Sequence[str]
) -> list[_Candidate]:
    limit = records[0].worker_limit
    if not limit:
        return []
    busy = _mean(records, "busy_workers", cut_s)
    share = busy / limit
    if kind == "event_loop":
        # One loop is all that its process has; of several, the cores may be what they lack.
        text = f"the loop is busy {percent(share)} of the time"
        if limit > 1:
            text = f"the loops are busy {percent(share)} of the time ({number(busy)} of {limit})"
        return [_Candidate(share, 2 if 1 < limit >= cores else 0, text + _on(records))]
    noun = NOUNS.get(kind, "workers")
    text = f"{number(busy)} of {limit} {noun} are taken on average ({percent(share)})"
    text += _pinned(records, kind, limit, names) or _on(records)
    # Fewer workers than cores: they are the cause, where both are as busy as they can be.
    return [_Candidate(share, 2 if limit >= cores else 0, text)]


def _pinned(records: Sequence[RunRecord], kind: str, limit: int, names: Sequence[str]) -> str:
    """How many of the taken carriers are pinned, where that is worth a word.

    A P in a system call does nothing either until it is handed on.
    """
    by_step: dict[tuple[int, str], float] = {}
    for record in records:
        for culprit, step, seconds in record.pinned:
            by_step[culprit, step] = by_step.get((culprit, step), 0.0) + seconds
    pinned = sum(by_step.values()) / sum(record.end_s for record in records)
    if pinned < LEAST_PINNED * limit:
        return ""
    text = f", {number(pinned)} of them {'in system calls' if kind == 'goroutine' else 'pinned'}"
    if pinned <= limit:
        text += f" ({percent(pinned / limit)} of their time)"
    if not names:
        return text
    culprit, step = max(by_step, key=lambda key: by_step[key])
    return f"{text}, {'most ' if len(by_step) > 1 else ''}by {names[culprit]} in {step}"


def _on(records: Sequence[RunRecord]) -> str:
    """What the taken workers do most, unless it is what they are for."""
    times: dict[str, float] = {}
    for record in records:
        for state, seconds in record.worker_time_s.items():
            if state != "idle":
                times[state] = times.get(state, 0.0) + seconds
    total = sum(times.values())
    if total <= 0:
        return ""
    state = max(times, key=lambda name: times[name])
    if state == "cpu":
        return ""
    return f", {percent(times[state] / total)} of that {STATES.get(state, state)}"


def _resources(records: Sequence[RunRecord]) -> list[_Candidate]:
    found = []
    for name in sorted({name for record in records for name in record.waits}):
        uses = [record.waits[name] for record in records if name in record.waits]
        share = float(np.mean([use["utilization"] for use in uses]))
        wait = float(np.mean([use["wait_s_mean"] for use in uses]))
        capacity = uses[0]["capacity"]
        if name.startswith(LOCK):
            text = f"the lock {name.removeprefix(LOCK)} is held {percent(share)} of the time"
            text += f": requests wait {duration(wait)} for it"
        else:
            text = f"{name}: {number(share * capacity)} of {capacity} are taken on average "
            if name.startswith(POOL):
                text = f"{number(share * capacity)} of {capacity} threads of "
                text += f"{name.removeprefix(POOL)} are taken on average "
            text += f"({percent(share)}), and requests "
            text += f"wait {duration(wait)} for one" if wait > 0 else "never wait for one"
        found.append(_Candidate(share, 0, text))
    return found
