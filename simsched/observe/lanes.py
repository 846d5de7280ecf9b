"""Cores and workers on a timeline: which thread has which core, and what each thread does.

The host tells when a thread gets a core and leaves it; schedulers tell for whom a run was when it
ends (``worked``). So what a thread does on its core is known only afterwards, and why it sleeps
only when its request goes on: a request that computes again without having queued was held by its
thread all the time; one that had to queue has let the thread go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from simsched.observe.record import PARTS
from simsched.observe.timeline import ASLEEP, CoreSlice, WorkerSlice
from simsched.sim.task import BLOCKING, CPU, IO, LOCK, RESOURCE

if TYPE_CHECKING:
    from simsched.sim.os_thread import OsThread
    from simsched.sim.task import Task

WAITS = frozenset({IO, BLOCKING, RESOURCE, LOCK})
"""Parts in which a thread may be blocked together with its request."""

COMPUTES, RUNNABLE, GIL, OVERHEAD = "cpu", "run_queue", "gil", "overhead"
ROUNDING_S = 1e-10


@dataclass
class Wait:
    """A request has begun to wait; ``held`` tells whether its thread waits with it, once known."""

    time_s: float
    task: Task
    state: str
    step: str
    held: bool | None = None


class Piece(NamedTuple):
    """What a thread did, for whom is not known yet: ``state`` is "cpu" while it had a core."""

    state: str
    start_s: float
    end_s: float


@dataclass
class Lane:
    """One thread: since when it is on its core or off it, and what is not told yet."""

    name: str
    on_s: float | None = None
    start_s: float = 0.0
    """When the switch to it was over, the last time it got a core."""
    noted_s: float = 0.0
    """Until when its time on cores is in ``pieces`` or told."""
    pieces: list[Piece] = field(default_factory=list)
    worked_s: float = 0.0
    """When its last run ended."""
    off_s: float = 0.0
    state: str = ASLEEP
    wait: Wait | None = None


def step_name(task: Task) -> str:
    """The step a task stands at, or ""."""
    return task.ops[task.pc].name if task.pc < len(task.ops) else ""


class Lanes:
    """The cores and workers of one scheduler.

    Args:
        branch_of: the number of a task among the branches of its request, 0 if it is none.
        core_slice: what is told of cores.
        worker_slice: what is told of workers; of each of them in order of time.
    """

    def __init__(
        self,
        branch_of: Callable[[Task], int],
        core_slice: Callable[[CoreSlice], None],
        worker_slice: Callable[[WorkerSlice], None],
    ) -> None:
        self.lanes: dict[OsThread, Lane] = {}
        self._branch_of = branch_of
        self._core_slice = core_slice
        self._worker_slice = worker_slice
        self._named: dict[str, OsThread] = {}
        self._latest: Wait | None = None  # what began last
        self._waits: dict[Task, Wait] = {}

    # -- requests ----------------------------------------------------------------------------

    def entered(self, now: float, task: Task, phase: int) -> None:
        """A task goes to another part of the breakdown."""
        wait = self._waits.pop(task, None)
        if wait is not None:
            wait.held = phase == CPU
        if phase in WAITS:
            self._latest = self._waits[task] = Wait(now, task, PARTS[phase], step_name(task))

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> list[Piece]:
        """A run of a thread is over; returns what of it was for the task.

        Before the task computes, that is how long it took the thread to come to it.
        """
        lane = self._lane(thread)
        self._note(lane, now)
        since_s = max(lane.worked_s, task.since_s)
        lane.worked_s = now
        if task.phase != CPU:  # whatever its thread did, it was not yet for the task
            return self._label(lane, task, since_s, float("inf"))
        return self._label(lane, task, since_s, overhead_s + ROUNDING_S)

    def _label(self, lane: Lane, task: Task, since_s: float, overhead_s: float) -> list[Piece]:
        """Tell whose the pieces of a run are; on a core for at most ``overhead_s``: overhead."""
        own = []
        pieces, lane.pieces = lane.pieces, []
        for state, start_s, end_s in pieces:
            self._tell(lane, OVERHEAD if state == COMPUTES else state, start_s, min(end_s, since_s))
            start_s = max(start_s, since_s)
            if end_s > start_s:
                if state == COMPUTES and end_s - start_s <= overhead_s:
                    state = OVERHEAD
                self._tell(lane, state, start_s, end_s, task, step_name(task))
                own.append(Piece(state, start_s, end_s))
        return own

    def so_far(self, now: float, task: Task, since_s: float) -> list[Piece]:
        """Of a run under way, when its thread did not compute, as its end would tell.

        ``since_s`` is since when the task computes.
        """
        lane = None if task.thread is None else self.lanes.get(task.thread)
        if lane is None or task.thread is None:
            return []
        since_s = max(lane.worked_s, since_s)
        pieces = lane.pieces.copy()
        if lane.on_s is None:
            off_s, queued_s = lane.off_s, task.thread.queued_s
            if lane.state == RUNNABLE or queued_s < off_s:
                pieces.append(Piece(lane.state, off_s, now))
            else:
                pieces += [Piece(lane.state, off_s, queued_s), Piece(RUNNABLE, queued_s, now)]
        return [
            Piece(state, max(start_s, since_s), min(end_s, now))
            for state, start_s, end_s in pieces
            if state in (RUNNABLE, GIL, OVERHEAD) and end_s > since_s and start_s < now
        ]

    # -- cores -------------------------------------------------------------------------------

    def on_core(self, now: float, thread: OsThread, told_s: float) -> None:
        """A thread gets a core: told at ``told_s``, it is there after a wake-up latency."""
        lane = self.lanes.get(thread)
        if lane is None:
            self._replaced(thread, told_s)
            lane = self._lane(thread)
            lane.off_s = min(thread.queued_s, now)
        self._away(lane, thread, now, told_s)
        lane.on_s, lane.start_s = now, thread.start_s

    def _replaced(self, thread: OsThread, now: float) -> None:
        """A thread of the same name has been killed: until now it was what it was last."""
        dead = self._named.get(thread.name)
        self._named[thread.name] = thread
        if dead is None:
            return
        lane = self.lanes.pop(dead)
        if lane.wait is not None and lane.wait.held is None:
            lane.wait.held = True
            self._away(lane, dead, now, now)
        self._flush(lane)

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        """A thread leaves its core."""
        lane = self._lane(thread)
        self._note(lane, now)
        if lane.on_s is not None and now > lane.on_s:
            self._core_slice(CoreSlice(core, lane.name, lane.on_s, now))
        lane.on_s, lane.off_s, lane.wait = None, now, None
        if getattr(thread, "asleep_s", -1.0) >= 0.0:
            lane.state = GIL
        elif thread.event is not None and thread.event.callbacks:
            lane.state = RUNNABLE  # its run is not over: it was pushed aside
        else:
            lane.state = ASLEEP
            self._flush(lane)
            latest = self._latest
            if latest is not None and latest.time_s == now and latest.task.thread in (None, thread):
                lane.wait = latest

    def close(
        self, now: float, holds: frozenset[int], running: dict[OsThread, tuple[Task, float]]
    ) -> None:
        """The end of the window.

        Args:
            now: when it is.
            holds: parts in which a request keeps its worker.
            running: for whom threads compute, and since when, as far as that is known.
        """
        held = {PARTS[phase] for phase in holds}
        for thread, lane in self.lanes.items():
            if lane.on_s is not None:
                self._note(lane, now)
                if now > lane.on_s and thread.core is not None:
                    self._core_slice(CoreSlice(thread.core.index, lane.name, lane.on_s, now))
            else:
                wait = lane.wait
                if wait is not None and wait.held is None:
                    wait.held = wait.state in held
                if lane.state != ASLEEP or (wait is not None and wait.held):
                    self._away(lane, thread, now, now)
            if thread in running:
                task, since_s = running[thread]
                self._label(lane, task, max(lane.worked_s, since_s), 0.0)
            self._flush(lane)

    # -- what is told ------------------------------------------------------------------------

    def _lane(self, thread: OsThread) -> Lane:
        lane = self.lanes.get(thread)
        if lane is None:
            lane = self.lanes[thread] = Lane(thread.name)
        return lane

    def _note(self, lane: Lane, now: float) -> None:
        """It has been on its core until now; the kernel needed the core first, for the switch."""
        if lane.on_s is None:
            return
        on_s = max(lane.on_s, lane.noted_s)
        start_s = min(max(on_s, lane.start_s), now)
        self._owe(lane, OVERHEAD, on_s, start_s)
        self._owe(lane, COMPUTES, start_s, now)
        lane.noted_s = max(now, lane.noted_s)

    def _away(self, lane: Lane, thread: OsThread, now: float, told_s: float) -> None:
        """It was off its core until now: for its reason, for want of a core, and to wake up.

        The last two, and a wait for the interpreter lock, belong to the run that follows.
        """
        off_s = lane.off_s
        woken_s = min(thread.queued_s, now) if thread.queued_s >= off_s else now
        if lane.state == RUNNABLE:
            woken_s = off_s
        elif lane.state == GIL:
            self._owe(lane, GIL, off_s, woken_s)
        else:
            wait = lane.wait
            if wait is not None and wait.held:
                self._tell(lane, wait.state, off_s, woken_s, wait.task, wait.step)
            else:
                self._tell(lane, lane.state, off_s, woken_s)
        put_s = max(woken_s, min(told_s, now)) if thread.waited_s else woken_s
        self._owe(lane, RUNNABLE, woken_s, put_s)
        self._owe(lane, OVERHEAD, put_s, now)

    def _owe(self, lane: Lane, state: str, start_s: float, end_s: float) -> None:
        if end_s > start_s:
            lane.pieces.append(Piece(state, start_s, end_s))

    def _flush(self, lane: Lane) -> None:
        """What nobody has asked for is the runtime's own work."""
        pieces, lane.pieces = lane.pieces, []
        for state, start_s, end_s in pieces:
            self._tell(lane, OVERHEAD if state == COMPUTES else state, start_s, end_s)

    def _tell(
        self,
        lane: Lane,
        state: str,
        start_s: float,
        end_s: float,
        task: Task | None = None,
        step: str = "",
    ) -> None:
        if end_s <= start_s:
            return
        request = -1 if task is None else task.index
        branch = 0 if task is None else self._branch_of(task)
        self._worker_slice(WorkerSlice(lane.name, state, request, branch, step, start_s, end_s))
