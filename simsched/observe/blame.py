"""Blame: who made whom wait, for what, and what the culprit did meanwhile.

At each station (the loop, a pool's threads, processors or carriers, the cores, connections, a
resource, a lock) there are at any time N_v requests of class v that wait and H holds, H_k of them
by requests of one class in one step, k. Of the waiting of class v, step k is to blame for

    integral of N_v(t) H_k(t) / H(t) dt,

so what is waited for is shared out among all who had it at that time. Where nobody held the station
(a wake-up under way, the runtime's own work), nobody is to blame: key 0. The seconds blamed for the
waits of a class add up to the parts of the breakdown in which they are booked: admission and run
queue (slots of the runtime, core, quota, connections, pools), resource and lock (their names), gil.
Which of these it is while a slot is free is told in :mod:`simsched.observe.slots`.

Nothing of this happens while requests are simulated: their diaries are read in blocks, and what is
older than the oldest request under way is added up and forgotten.

What the interpreter lock costs whom is told by the lock itself (``OsThread.blames``). A request's
wait within a ``parallel`` step counts by what its slowest branch waited for, the lock included.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from simsched.observe import wires
from simsched.observe.kept import pinned_s, waited_after_loss_s
from simsched.observe.quota_books import STOPPED, QuotaBooks
from simsched.observe.record import BlameRow, PinnedRow, Stall
from simsched.observe.sharing import Holders, shared
from simsched.observe.slots import (
    OTHERS_FREE,
    SLOTTED,
    Limits,
    SingleThread,
    cases_of_thread,
    cases_of_workers,
)
from simsched.observe.stays import (
    CONNECTIONS,
    CORES,
    HOME,
    PROCESSES,
    QUOTA,
    THREADS,
    Intervals,
    Owners,
    Stays,
    chosen,
    joined,
    made,
)
from simsched.observe.steps import NOBODY, StepNames
from simsched.sim.task import PERMITS, PINNED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simsched.observe.marks import Entries
    from simsched.observe.series import FloatArray

HOME_CAUSES: Final = {
    "event_loop": "loop",
    "reactor": "loop",
    "goroutine": "Ps",
    "virtual_thread": "carriers",
}
LOOP: Final = "loop:"
"""What the places begin with that are one of several loops. They are one cause, not several."""
CORE_CAUSE: Final = "core"
QUOTA_CAUSE: Final = "quota"
CONNECTION_CAUSE: Final = "connections"
CAUSES: Final = frozenset(
    {*HOME_CAUSES.values(), "threads", "workers", "gil", "core", "quota", "connections"}
)
"""Names that are not a resource's: one that is called so is told as `RESOURCE`, name."""
RESOURCE: Final = "resource:"
WORTH_SETTLING: Final = 1 << 15
"""Intervals that are kept before they are added up, unless many of them go on."""
SLICE: Final = 1 << 12
"""Beginnings of intervals that are sorted and added up at a time: as many as make arrays for which
numpy need not ask the operating system for memory, which takes longer than adding up."""

Window = tuple[float, float]


class Blame:
    """Waits and holds as the diaries tell them, and the blame that is certain already."""

    def __init__(self, kind: str, slice_s: float = 0.0) -> None:
        self.kind = kind
        self.slice_s = slice_s
        self.names = StepNames()
        self.limits = Limits()
        self.quota: QuotaBooks | None = None
        home = "threads" if kind in THREADS else HOME_CAUSES.get(kind, "workers")
        self.places: list[str] = [home, CORE_CAUSE, QUOTA_CAUSE, CONNECTION_CAUSE]
        self._place_of: dict[str, int] = {}
        self._loops: set[int] = set()  # places that are loops
        self._threads: dict[int, SingleThread] = {}  # places that are one thread of a pool
        self._waits: list[Intervals] = []
        self._holds: list[Intervals] = []
        self._pending = 0
        self._left = 0  # of the pending ones, those that were under way at the last settlement
        self._settled_s = -math.inf
        self._sums: dict[tuple[int, int], FloatArray] = {}  # by place and class; one per key
        self._told: dict[tuple[str, int, int, str], float] = {}
        self._pinned_s: dict[int, float] = {}  # by key
        self.after_loss_s = 0.0  # waits of those whose worker was taken from them
        self.full = wires.FullClock()
        self._wired = False  # whether a diary has told of waits for connections
        self.occupied: list[float] = []  # by the runtime: from, to, process, and so on
        self._stall_s = 0.0, 0.0  # the longest one, from and to
        self._inside: list[Intervals] = []  # what the loop was held by meanwhile
        self._recent: list[Intervals] = []  # ... and of the last two blocks, by whom at all

    def knows(self, limits: Limits) -> None:
        """Hear of the machine, before anything happens on it."""
        self.limits = limits
        if limits.quota_period_s is not None:
            self.quota = QuotaBooks(limits.quota_period_s, self.names)

    def place(self, name: str) -> int:
        """The number of a place: a resource, a lock, or the pool of an executor."""
        number = self._place_of.get(name)
        if number is None:
            number = self._place_of[name] = len(self.places)
            if name.startswith(LOOP):
                self._loops.add(number)
                name = "loop"
            elif name in CAUSES:
                name = RESOURCE + name
            self.places.append(name)
        return number

    def place_of_thread(self, pool: str, thread: int) -> int:
        """The number of one of a pool's threads, where a task waits for that one only."""
        key = f"{pool}#{thread}"
        number = self._place_of.get(key)
        if number is None:
            beside = self.place(pool + OTHERS_FREE)
            number = self._place_of[key] = len(self.places)
            self._threads[number] = SingleThread(pool, beside)
            self.places.append(pool)
        return number

    def tell(self, cause: str, victim: int, culprit: int, step: str, seconds: float) -> None:
        """Somebody who knows at once says whose fault a wait was."""
        key = cause, victim, culprit, step
        self._told[key] = self._told.get(key, 0.0) + seconds

    def add(self, entries: Entries, owners: Owners) -> None:
        """Read a block of diaries."""
        if self.kind == "sync_workers":  # whoever is free first takes the next connection
            owners = owners._replace(process=np.zeros_like(owners.process))
        stays = Stays(entries, owners, self.names, self.kind, self.slice_s, self._loops)
        cut = partial(wires.waits, full=self.full) if stays.present & wires.NOTES else None
        waits = stays.waits_for_workers(cut)
        holds = [self._of_the_runtime(), *stays.holds_of_workers()]
        self._wired |= cut is not None
        if self._wired:
            holds = [*wires.holds(stays, self.full), *holds]
        place = holds[-1].station // PROCESSES  # a call in an executor is no part of a stall
        at_workers = chosen(holds[-1], (place == HOME) | np.isin(place, sorted(self._loops)))
        if any(note >= PERMITS for note in stays.present):
            waits.append(stays.waits_for_permits())
            holds += stays.holds_of_permits()
        if PINNED in stays.present:
            for key, seconds in pinned_s(stays):
                self._pinned_s[key] = self._pinned_s.get(key, 0.0) + seconds
            self.after_loss_s += waited_after_loss_s(stays)
        if self.quota is not None:
            self.quota.wait(stays.waits_for_quota())
            for part in holds:
                self.quota.use(part)
        self._recent = [*self._recent[-1:], at_workers]
        if self._inside:
            self._inside.append(self._during_stall(at_workers))
        self._waits += waits
        self._holds += holds
        self._pending += sum(len(part.start_s) for part in (*waits, *holds))

    def _of_the_runtime(self) -> Intervals:
        """What the runtime has done with its own slots since the last look: nobody's holds."""
        turns = np.array(self.occupied, np.float64).reshape(-1, 3)
        self.occupied.clear()
        nobody = np.full(len(turns), NOBODY)
        return made(turns[:, 0], turns[:, 1], nobody, HOME * PROCESSES + turns[:, 2], 1.0)

    def is_due(self) -> bool:
        """Whether so much has come in that adding it up is worth its while."""
        return self._pending > WORTH_SETTLING + 2 * self._left

    def settle(self, until_s: float) -> None:
        """Add up all before ``until_s``: nothing that is still to come may begin before it."""
        if not self._waits or until_s <= self._settled_s:
            return
        waits, self._waits = _split(joined(self._waits), until_s)
        holds, self._holds = _split(joined(self._holds), until_s)
        stations = np.unique(waits.station).tolist()
        for window in self._slices(waits, holds, until_s):
            inside = chosen(holds, (holds.start_s < window[1]) & (holds.end_s > window[0]))
            for station in stations:
                here = (waits.station == station) & (waits.start_s < window[1])
                now = chosen(waits, here & (waits.end_s > window[0]))
                if len(now.start_s):
                    self._share(station, now, inside, window)
        self._pending = self._left = sum(len(p.start_s) for p in (*self._waits, *self._holds))
        self._settled_s = until_s

    def _slices(self, waits: Intervals, holds: Intervals, until_s: float) -> list[Window]:
        """The time up to ``until_s`` in slices with some ten thousand events each."""
        begins = np.concatenate((waits.start_s, holds.start_s))
        begins = begins[begins < until_s]
        edges = np.sort(begins)[SLICE::SLICE].tolist()
        edges = [self._settled_s, *(edge for edge in edges if edge > self._settled_s), until_s]
        return [(a, b) for a, b in pairwise(edges) if b > a]

    def _share(self, station: int, waits: Intervals, holds: Intervals, window: Window) -> None:
        """Share what is waited for in a slice of time out among those who hold."""
        place = station // PROCESSES
        on_core = holds.weight > 0  # whoever computes, in whatever process, has a core
        mine = chosen(holds, on_core if place == CORES else holds.station == station)
        all_of_it = mine.weight if place == CORES else np.ones(len(mine.start_s))
        holders = Holders(mine, all_of_it.astype(np.float64, copy=False))
        if place == CONNECTIONS:
            holders = holders._replace(all_of_it=self.limits.connections)
        if place in self._threads:
            cases = cases_of_thread(station, holders, holds, self._threads, self.limits)
        else:
            stops = None if self.quota is None else self.quota.stops(window[0])
            slots = self.limits.slots if place == HOME else 1.0 if place in self._loops else None
            woken = place == HOME and self.kind in SLOTTED
            computing = chosen(holds, on_core) if woken else None
            cases = cases_of_workers(place, holders, slots, stops, computing, self.limits.cores)
        for where, of, gate in cases:
            for victim, sums in shared(waits, of, *window, len(self.names.pairs), gate):
                if where != place and place in self._threads:  # it is only being woken
                    self._sums[place, victim][NOBODY] += sums[NOBODY]
                    sums[NOBODY] = 0.0
                before = self._sums.get((where, victim))
                if before is not None:
                    sums[: len(before)] += before
                self._sums[where, victim] = sums

    def rows(self) -> list[BlameRow]:
        """All blame, in the order of cause, victim, culprit and step."""
        found: dict[tuple[str, int, int, str], float] = dict(self._told)
        seconds_of: dict[tuple[int, int, int], float] = {}
        for (place, victim), sums in self._sums.items():
            for key in np.flatnonzero(sums > 0).tolist():
                culprit, period = self.names.pairs[key]
                if culprit == STOPPED and self.quota is not None:
                    self.quota.wait_in(victim, int(period), float(sums[key]))
                else:
                    seconds_of[place, victim, key] = float(sums[key])
        if self.quota is not None:
            for (victim, key), seconds in self.quota.rows().items():
                seconds_of[QUOTA, victim, key] = seconds
        for (place, victim, key), seconds in seconds_of.items():
            row = (self.places[place], victim, *self.names.pairs[key])
            found[row] = found.get(row, 0.0) + seconds
        return [BlameRow(*row, seconds) for row, seconds in sorted(found.items())]

    def pinned(self) -> list[PinnedRow]:
        """For how long workers were pinned, by class and step, in that order."""
        rows = (PinnedRow(*self.names.pairs[key], s) for key, s in self._pinned_s.items() if s > 0)
        return sorted(rows)

    def figures(self, rows: Iterable[BlameRow]) -> dict[str, float]:
        """Of the waits, how long those are that are of a kind of their own."""
        beside_idle_s = sum(row.seconds for row in rows if row.cause.endswith(OTHERS_FREE))
        found = {
            "waited_beside_idle_s": beside_idle_s,
            "waited_after_handoff_s": self.after_loss_s,
        }
        return {name: seconds for name, seconds in found.items() if seconds}

    def watch(self, start_s: float, end_s: float) -> None:
        """The loop was away from its poll. The longest such time is kept, and what it did then."""
        if end_s - start_s > self._stall_s[1] - self._stall_s[0]:
            self._stall_s = start_s, end_s
            self._inside = [self._during_stall(holds) for holds in self._recent]

    def _during_stall(self, holds: Intervals) -> Intervals:
        start_s, end_s = self._stall_s
        return chosen(holds, (holds.start_s < end_s) & (holds.end_s > start_s))

    def stall(self) -> Stall | None:
        """The longest stall, and whose step was the longest in it."""
        start_s, end_s = self._stall_s
        if end_s <= start_s:
            return None
        holds = joined(self._inside) if self._inside else None
        if holds is None or not len(holds.start_s):
            return Stall(end_s - start_s, -1, "", 0.0)
        inside_s = np.minimum(holds.end_s, end_s) - np.maximum(holds.start_s, start_s)
        at = int(np.argmax(inside_s))
        culprit, step = self.names.pairs[int(holds.key[at])]
        return Stall(end_s - start_s, culprit, step, float(inside_s[at]))


def _split(of: Intervals, until_s: float) -> tuple[Intervals, list[Intervals]]:
    """What begins before ``until_s``, and what is left for later: what ends after it."""
    return chosen(of, of.start_s < until_s), [chosen(of, of.end_s > until_s)]
