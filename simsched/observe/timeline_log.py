"""Writes down a timeline: every stay, slice, count and wake-up in a window of one run.

It is meant for looking at a short window, not for whole runs: what it writes is bounded, and the
run stops where there is enough of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.observe.lanes import Lanes, Piece, step_name
from simsched.observe.record import OUTCOMES, PARTS
from simsched.observe.timeline import (
    CoreSlice,
    Ready,
    RequestSpan,
    Stay,
    Timeline,
    Wake,
    WorkerSlice,
)
from simsched.observe.timeline_arrows import Arrows
from simsched.observe.timeline_window import WindowLog
from simsched.sim.task import ADMISSION, CPU, RUN_QUEUE, UNFINISHED, Task
from simsched.workload import program

if TYPE_CHECKING:
    from simsched.sim.os_thread import OsThread

OUTSIDE = frozenset({program.IO, program.SLEEP, program.BLOCKING})
"""Steps that something outside of the runtime ends."""


class _Open:
    """A request, or a branch of one, that is under way: where it is, and since when."""

    __slots__ = ("branch", "gaps", "part", "pc", "since_s", "step")

    def __init__(self, branch: int, part: int, since_s: float) -> None:
        self.branch = branch
        self.part = part
        self.since_s = since_s
        self.step = ""
        self.pc = -1
        self.gaps: list[Piece] = []  # of the present stay: when its thread did not compute for it


class TimelineLog(WindowLog):
    """Writes down what happens in ``[start_s, end_s)``.

    An attempt that nobody waits for any more is not followed as a request, nor are its branches;
    what workers still do for it is.

    The arguments are those of :class:`WindowLog`.
    """

    def __init__(
        self, start_s: float = 0.0, end_s: float = float("inf"), limit: int | None = None
    ) -> None:
        super().__init__(start_s, end_s, limit)
        self.lanes = Lanes(self._branch_of, self._core_slice, self._worker_slice)
        self._cores: list[CoreSlice] = []
        self._workers: list[WorkerSlice] = []
        self._requests: list[RequestSpan] = []
        self._stays: list[Stay] = []
        self._ready: list[Ready] = []
        self._wakes: list[Wake] = []
        self._live: dict[Task, _Open] = {}
        self._numbers: dict[Task, int] = {}  # of branches, by task
        self._branches: dict[int, int] = {}  # how many a request has had
        self._arrival_s: dict[int, float] = {}
        self._asked: set[Task] = set()
        self._arrows = Arrows(self._arrow)

    # -- requests ----------------------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self._arrival_s[task.index] = now
        self._live[task] = _Open(0, ADMISSION, now)
        self.count(now, "requests in the system", 1)
        self.in_queue(now, ADMISSION, 1)

    def entered(self, now: float, task: Task, phase: int) -> None:
        self.lanes.entered(now, task, phase)
        here = self._live.get(task)
        if here is None:
            return
        self._arrows.entered(now, task, here.part, phase)
        self._close(now, task, here)
        self.in_queue(now, here.part, -1)
        self.in_queue(now, phase, 1)
        here.part = phase

    def step_started(self, now: float, task: Task) -> None:
        here = self._live.get(task)
        if here is not None:
            self._close(now, task, here)
            here.step, here.pc = step_name(task), task.pc

    def step_ended(self, now: float, task: Task) -> None:
        here = self._live.get(task)
        if here is None:
            return
        self._close(now, task, here)
        here.step, here.pc = "", -1
        if task.ops[task.pc].code in OUTSIDE and self.tells(now, now):
            self._ready.append(Ready(task.index, here.branch, step_name(task), now))
            if task.phase != CPU:  # else it goes on where it was
                self._arrows.step_ended(task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        self._leave(now, task)
        self._live[again] = _Open(0, ADMISSION, now)
        self.in_queue(now, ADMISSION, 1)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        self._leave(now, task)
        self.count(now, "requests in the system", -1)
        self._end(now, task, outcome)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        if task in self._live:
            number = self._branches.get(task.index, 0) + 1
            self._numbers[branch] = self._branches[task.index] = number
            self._live[branch] = _Open(number, RUN_QUEUE, now)
            self.in_queue(now, RUN_QUEUE, 1)

    def joined(self, now: float, branch: Task) -> None:
        if branch in self._live:
            self._arrows.joined(now, branch)
            self._leave(now, branch)

    def moved(self, now: float, task: Task, place: str) -> None:
        here = self._live.get(task)
        if here is not None:
            self._arrows.moved(now, task, place, runs=here.part == CPU)

    def _end(self, now: float | None, task: Task, outcome: int) -> None:
        arrival_s = self._arrival_s.pop(task.index)
        if self.tells(arrival_s, self.end_s if now is None else now, 2):
            name = OUTCOMES[outcome]
            span = RequestSpan(task.index, task.program.name, arrival_s, now, name, task.attempt)
            self._requests.append(span)

    def _leave(self, now: float, task: Task) -> None:
        """It is followed no further, and neither is what goes on for it."""
        here = self._live[task]
        if here.part == CPU:
            here.gaps += self.lanes.so_far(now, task, here.since_s)
        self._close(now, task, here)
        self.in_queue(now, here.part, -1)
        del self._live[task]
        self._arrows.forget(task)
        for branch in task.branches:
            if branch in self._live:
                self._leave(now, branch)

    def _close(self, now: float, task: Task, here: _Open) -> None:
        """A stay ends; where its thread had no core or no interpreter lock, that is told apart."""
        since_s, here.since_s = here.since_s, now
        gaps, here.gaps = here.gaps, []
        part = PARTS[here.part]
        for state, start_s, end_s in gaps:
            self._stay(task, here, part, since_s, start_s)
            self._stay(task, here, state, max(since_s, start_s), end_s)
            since_s = max(since_s, end_s)
        self._stay(task, here, part, since_s, now)

    def _stay(self, task: Task, here: _Open, part: str, since_s: float, until_s: float) -> None:
        if until_s > since_s and until_s > self.start_s and self.tells(since_s, until_s, 4):
            start_s = max(since_s, self.start_s)
            self._stays.append(
                Stay(task.index, here.branch, part, here.step, here.pc, start_s, until_s)
            )

    def _branch_of(self, task: Task) -> int:
        return self._numbers.get(task, 0)

    # -- permits -----------------------------------------------------------------------------

    def asked(self, now: float, task: Task, name: str) -> None:
        self._asked.add(task)
        self.count(now, f"{name}: waiting", 1)

    def gave(self, now: float, task: Task, name: str) -> None:
        self._arrows.gave(now, task, name)

    def took(self, now: float, task: Task, name: str) -> None:
        if task not in self._asked:
            return
        self._asked.remove(task)
        self.count(now, f"{name}: waiting", -1)
        self._arrows.took(now, task, name)

    # -- workers and cores -------------------------------------------------------------------

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> None:
        pieces = self.lanes.worked(now, task, overhead_s, thread)
        here = self._live.get(task)
        if here is not None:
            here.gaps += [piece for piece in pieces if piece.state != PARTS[CPU]]
        if not pieces or pieces[-1].end_s <= self.start_s:
            return
        began_s = max(pieces[0].start_s, self.start_s)
        self._arrows.worked(began_s, now, task, thread)

    def _arrow(self, wake: Wake) -> None:
        if self.tells(wake.to_s, wake.to_s, 2):
            self._wakes.append(wake)

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.lanes.on_core(now, thread, self.simulation.clock.now)

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.lanes.off_core(now, core, thread)

    def _core_slice(self, piece: CoreSlice) -> None:
        if piece.end_s > self.start_s and self.tells(piece.start_s, piece.end_s):
            self._cores.append(piece._replace(start_s=max(piece.start_s, self.start_s)))

    def _worker_slice(self, piece: WorkerSlice) -> None:
        if piece.end_s > self.start_s and self.tells(piece.start_s, piece.end_s):
            self._workers.append(piece._replace(start_s=max(piece.start_s, self.start_s)))

    # -- the end -----------------------------------------------------------------------------

    def close(self) -> Timeline:
        """What was written down. Call it once, when the run is over or was stopped."""
        simulation, now = self.simulation, self.simulation.clock.now
        if self._live:
            now = max(now, self._over_s)
        now = max(now, self.start_s)
        limit, self._limit = self._limit, None
        running = {}
        for task, here in self._live.items():
            # The ledger has closed its books, so that the task itself does not know any more.
            if here.part == CPU and task.thread is not None:
                here.gaps += self.lanes.so_far(now, task, here.since_s)
                running[task.thread] = task, here.since_s
        self.lanes.close(now, simulation.scheduler.held_phases(), running)
        for task in list(self._live):
            self._close(now, task, self._live[task])
            if task.parent is None:
                self._end(None, task, UNFINISHED)
        self._limit = limit
        return Timeline(
            scheduler=simulation.spec.name,
            kind=simulation.spec.kind,
            start_s=self.start_s,
            end_s=now,
            cut=self.cut,
            cores=sorted(self._cores, key=lambda p: (p.start_s, p.core)),
            workers=sorted(self._workers, key=lambda p: p.start_s),
            requests=sorted(self._requests),
            stays=sorted(self._stays, key=lambda p: (p.start_s, p.request, p.branch)),
            ready=self._ready,
            counts=self.counts(),
            wakes=sorted(self._wakes, key=lambda w: (w.to_s, w.request)),
        ).until(now)
