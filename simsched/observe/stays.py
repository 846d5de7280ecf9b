"""Who waited where, and who held what meanwhile, read off a block of diaries at once.

A diary says in which part of the breakdown a task was from when to when. Each such *stay* is read
here as a wait at a *station* (the loop, the threads of a pool, the permits of a resource), or as
holding one. Who is to blame for the waits is worked out later (:mod:`simsched.observe.blame`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simsched.observe.kept import kept_until_s, pinned
from simsched.observe.marks import ASKED, GAVE, TOOK, WHATS
from simsched.sim.task import (
    ADMISSION,
    BACK_OFF,
    BLOCKING,
    COST,
    CPU,
    ENDED,
    IO,
    LOCK,
    MOVED,
    N_PARTS,
    NO_CORE,
    NO_GIL,
    NO_QUOTA,
    PERMITS,
    RESOURCE,
    RUN_QUEUE,
    STEPS,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from simsched.observe.marks import Entries
    from simsched.observe.series import FloatArray
    from simsched.observe.steps import StepNames

IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

HOME, CORES, QUOTA, CONNECTIONS = range(4)
"""Places every run has: where the scheduler's own workers are, the cores of the machine, what its
CPU quota allows, and the connections between clients and server."""
PROCESSES: Final = 1 << 16
"""Station = place * PROCESSES + process: workers of one process do not stall those of another."""

THREADS: Final = frozenset({"thread_pool", "gthread", "sync_workers"})
"""Kinds of schedulers in which a request holds its worker from beginning to end."""


Cut = Callable[["Stays", IntArray, "FloatArray", "FloatArray"], "list[Intervals]"]


class Intervals(NamedTuple):
    """Waits or holds, one per row."""

    start_s: FloatArray
    end_s: FloatArray
    key: npt.NDArray[np.int32]
    """Of a wait, the class; of a hold, class and step (`StepNames`)."""
    station: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    """Of a wait, the share of the interval that was spent waiting. Of a hold, the share that was
    spent on a core: 0 where the task did not compute."""


class Owners(NamedTuple):
    """Whose diaries these are, one row per diary."""

    victim: npt.NDArray[np.int32]
    """The class whose latency its waits are part of, or -1."""
    program: npt.NDArray[np.int32]
    process: npt.NDArray[np.int32]
    branch: BoolArray
    """Whether it is a branch of a request, which has a diary of its own."""


def chosen(of: Intervals, rows: IntArray | BoolArray) -> Intervals:
    """Some of the rows."""
    return Intervals(*(column[rows] for column in of))  # type: ignore[arg-type]


def joined(parts: Sequence[Intervals]) -> Intervals:
    """All rows of all parts."""
    return Intervals(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def made(
    start_s: FloatArray,
    end_s: FloatArray,
    key: npt.NDArray[Any],
    station: npt.NDArray[Any],
    weight: npt.NDArray[Any] | float,
) -> Intervals:
    """Intervals without those of no length (and those that rounding turned around)."""
    rows = np.flatnonzero(end_s > start_s)
    return Intervals(
        start_s[rows],
        end_s[rows],
        key[rows].astype(np.int32),
        station[rows].astype(np.int32),
        np.broadcast_to(np.asarray(weight, np.float32), start_s.shape)[rows],
    )


class Stays:
    """The stays of a block of diaries: stay ``i`` begins with mark ``i``."""

    def __init__(
        self,
        entries: Entries,
        owners: Owners,
        names: StepNames,
        kind: str,
        slice_s: float,
        loops: Collection[int] = (),
    ) -> None:
        self.entries = entries
        self.names = names
        self.kind = kind
        self.slice_s = slice_s
        self.loops = sorted(loops)  # places that are one of several loops
        self.part, self.start_s = entries.part, entries.time_s
        self.end_s = np.append(self.start_s[1:], np.nan)  # meaningless after an ENDED mark
        ended = self.part == ENDED
        self.going = ~ended
        diary = np.cumsum(ended) - ended
        self.victim = owners.victim[diary]
        self.process = owners.process[diary]
        self.branch = owners.branch[diary]
        self.program = owners.program[diary].astype(np.intp)
        self.fresh = np.append(True, ended[:-1]) | (self.part == ADMISSION)
        self.waits = (self.part == IO) | (self.part == BLOCKING)
        self.note_at = np.flatnonzero(entries.code > ENDED)
        self.note = entries.code[self.note_at]
        self.present = frozenset(np.flatnonzero(np.bincount(self.note)).tolist())
        self.position = self._positions(diary)
        self.station = self._places() * PROCESSES + self.process

    def noted(self, code: int) -> FloatArray | None:
        """Seconds noted under this code, by stay; None where there is no such note."""
        if code not in self.present:
            return None
        at = self.note_at[self.note == code]
        entries = self.entries
        seconds: FloatArray = np.bincount(
            entries.mark[at], entries.value[at], minlength=len(self.part)
        ).astype(np.float64, copy=False)
        return seconds

    def _positions(self, diary: IntArray) -> IntArray:
        """How many waits of its program each stay has behind it; a new attempt begins anew."""
        before = np.cumsum(self.waits) - self.waits
        position: IntArray = before - _latest(self.fresh, before)
        skipped = self.noted(STEPS)
        if skipped is not None:
            by_diary = np.bincount(diary, skipped).astype(np.intp)
            position = position + by_diary[diary]
        return position

    def _places(self) -> IntArray:
        """Where each stay is spent: at home, unless it was said to go on elsewhere."""
        place = np.zeros(len(self.part), np.intp)
        if MOVED not in self.present:
            return place
        at = self.note_at[self.note == MOVED]
        following = self.entries.mark[at] + 1
        place[following] = self.entries.value[at]
        begins = self.fresh.copy()
        begins[following] = True
        return _latest(begins, place)

    def keys(self, stays: IntArray) -> IntArray:
        """Class and step of what a task does in these stays."""
        part, program, position = self.part[stays], self.program[stays], self.position[stays]
        key = self.names.computing(program, position)
        if bool((part != CPU).any()):
            waits = self.names.waiting(program, position)
            other = self.names.other(program, np.minimum(part, N_PARTS - 1))
            key = np.where(part == CPU, key, np.where(self.waits[stays], waits, other))
        return key

    # -- at the workers ----------------------------------------------------------------------

    def waits_for_workers(self, cut: Cut | None = None) -> list[Intervals]:
        """Waits for a worker, and waits of those that have one for a core.

        ``cut`` makes waits of the stays from then to then, if they are not all for a worker.
        """
        no_core, cost, no_gil = self.noted(NO_CORE), self.noted(COST), self.noted(NO_GIL)
        back_off = self.noted(BACK_OFF)
        rows = np.flatnonzero((self.part <= RUN_QUEUE) & (self.victim >= 0))
        start_s, end_s = self.start_s[rows], self.end_s[rows]
        if back_off is not None:
            start_s = start_s + back_off[rows]
        found = []
        if no_core is not None:
            found.append(self._waits_for_cores(no_core))
        # A worker that is woken for a task waits for a core first, then pays for getting it.
        for at_the_end in (cost, no_core, no_gil):
            if at_the_end is not None:
                end_s = end_s - at_the_end[rows]
        if cut is not None:
            return [*found, *cut(self, rows, start_s, end_s)]
        found.append(made(start_s, end_s, self.victim[rows], self.station[rows], 1.0))
        return found

    def _waits_for_cores(self, no_core: FloatArray) -> Intervals:
        """Waits for a core, without those for the quota."""
        stopped = self.noted(NO_QUOTA)
        return self._off_core(no_core, no_core if stopped is None else no_core - stopped, CORES)

    def waits_for_quota(self) -> Intervals:
        """Waits of those whose core is stopped, as the CPU quota is used up."""
        no_core, stopped = self.noted(NO_CORE), self.noted(NO_QUOTA)
        if no_core is None or stopped is None:
            nothing = np.empty(0)
            return made(nothing, nothing, nothing, nothing, 1.0)
        return self._off_core(no_core, stopped, QUOTA)

    def _off_core(self, no_core: FloatArray, of_it: FloatArray, place: int) -> Intervals:
        """When in a stay the core was missing is not noted. See `_got_a_core_s`."""
        rows = np.flatnonzero((of_it > 0) & (self.victim >= 0))
        start_s, end_s, seconds = self.start_s[rows], self.end_s[rows], no_core[rows]
        queued = self.part[rows] <= RUN_QUEUE
        start_s = np.where(queued, np.maximum(start_s, end_s - seconds), start_s)
        got_s = self._got_a_core_s(rows, no_core)
        end_s = np.where(got_s > start_s, got_s, end_s)
        with np.errstate(invalid="ignore", divide="ignore"):
            weight = of_it[rows] / (end_s - start_s)
        stations = np.full(len(rows), place * PROCESSES)
        return made(start_s, end_s, self.victim[rows], stations, weight)

    def _got_a_core_s(self, rows: IntArray, no_core: FloatArray) -> FloatArray:
        """When a task that had a worker got its core, or nan where it may have lost it again.

        Whoever computes for less than a slice waits once, before. A longer wait may have come in
        pieces: it is spread over the stay.
        """
        start_s, wait_s = self.start_s[rows], no_core[rows]
        computes = (self.part[rows] == CPU) & (wait_s > 0)
        short = self.end_s[rows] - start_s - wait_s <= self.slice_s
        return np.where(computes & short, start_s + wait_s, np.nan)

    def holds_of_workers(self) -> list[Intervals]:
        """What tasks did with a worker: a place on the loop, a thread, a processor, a carrier."""
        part, following = self.part, np.append(self.part[1:], ENDED)
        held = part == CPU
        if self.kind in THREADS:
            held = self.going & (part > RUN_QUEUE)
        elif self.kind in ("event_loop", "reactor"):
            held = held | (part == BLOCKING)
        elif self.kind in ("virtual_thread", "goroutine"):
            held = held | pinned(self)
        else:
            # Who goes on without queueing again has kept its worker.
            held = held | (self.going & (part > RUN_QUEUE) & (following == CPU))
        if MOVED in self.present:  # the threads of executors are held throughout
            place = self.station // PROCESSES
            away = (place > CONNECTIONS) & ~np.isin(place, self.loops)
            held = np.where(away, self.going & (part > RUN_QUEUE), held)
        rows = np.flatnonzero(held)
        no_core, no_gil = self.noted(NO_CORE), self.noted(NO_GIL)
        start_s, end_s, key = self.start_s[rows], kept_until_s(self, rows), self.keys(rows)
        station = self.station[rows]
        on_core = (part[rows] == CPU).astype(np.float32)
        if no_core is None and no_gil is None:
            return [made(start_s, end_s, key, station, on_core)]
        found = []
        if no_core is not None:
            got_s = self._got_a_core_s(rows, no_core)
            late = np.flatnonzero(got_s > start_s)
            found.append(made(start_s[late], got_s[late], key[late], station[late], 0.0))
            start_s = np.fmax(start_s, got_s)
            no_core = np.where(np.isnan(got_s), no_core[rows], 0.0)
        off_s = (0.0 if no_core is None else no_core) + (0.0 if no_gil is None else no_gil[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            on_core = on_core * np.maximum(1.0 - off_s / (end_s - start_s), 0.0)
        return [*found, made(start_s, end_s, key, station, on_core)]

    # -- at resources and locks --------------------------------------------------------------

    def waits_for_permits(self) -> Intervals:
        """Waits for a permit. Just before one begins, the diary says which resource it is for."""
        rows = np.flatnonzero(
            ((self.part == RESOURCE) | (self.part == LOCK)) & (self.victim >= 0) & ~self.fresh
        )
        note = self.entries.code[self.entries.mark_at[rows] - 1] - PERMITS
        asked = (note >= 0) & (note % WHATS == ASKED)
        rows, place = rows[asked], note[asked] // WHATS
        return made(self.start_s[rows], self.end_s[rows], self.victim[rows], place * PROCESSES, 1.0)

    def holds_of_permits(self) -> list[Intervals]:
        """What tasks did while they held permits: the pieces of their stays inside."""
        code, value, mark = self.entries.code, self.entries.value, self.entries.mark
        about = code - PERMITS
        what = np.where(about >= 0, about % WHATS, ASKED)
        is_mark = code <= ENDED
        timed = np.flatnonzero(is_mark | (what != ASKED))
        is_mark, about, what = is_mark[timed], about[timed], what[timed]
        stay = mark[timed] + is_mark
        begins = is_mark & self.fresh[stay]
        start_s = value[timed]
        end_s = np.append(start_s[1:], np.nan)
        alive = self.going[stay]
        found = []
        noted = {(note - PERMITS) // WHATS for note in self.present if note >= PERMITS}
        for place in sorted(noted):
            change = np.where(about // WHATS == place, (what == TOOK) * 1 - (what == GAVE) * 1, 0)
            before = np.cumsum(change) - change
            held = before + change - _latest(begins, before) > 0
            rows = np.flatnonzero(held & alive)
            station = np.full(len(rows), place * PROCESSES)
            found.append(made(start_s[rows], end_s[rows], self.keys(stay[rows]), station, 0.0))
        return found


def _latest(begins: BoolArray, value: IntArray) -> IntArray:
    """Of each row, the value in the latest row that begins something (the first one does)."""
    found: IntArray = value[np.maximum.accumulate(np.where(begins, np.arange(len(value)), 0))]
    return found
