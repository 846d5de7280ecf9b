"""The ledger: what became of each request, and where its time went.

It is the observer that keeps the diary on the task itself (``marks``): each task is in exactly one
part of the breakdown at any time, so that the parts add up to the latency. During the run it only
notes down; what has ended is added up in blocks, so that memory stays bounded.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simsched.observe.marks import read
from simsched.observe.series import DeltaLog, FloatArray, UnitLog
from simsched.sim.observer import Observer
from simsched.sim.task import (
    ADMISSION,
    COST,
    CPU,
    ENDED,
    N_PARTS,
    NO_CORE,
    TIMED_OUT,
    UNFINISHED,
    Task,
)

if TYPE_CHECKING:
    from simsched.sim.os_thread import OsThread

N_BINS = 1000  # of each time series, over the arrival window
_BLOCK = 1 << 15  # numbers kept as Python objects before they are packed

# What became of an attempt that is no request (any more): it was given up, and released or not.
_LATE = -1


class Books(NamedTuple):
    """The requests of a run, in order of arrival; see `RunRecord` for the columns."""

    arrival_s: FloatArray
    closed_s: FloatArray
    """When it ended; for unfinished ones, when the run did."""
    outcome: npt.NDArray[np.int8]
    attempts: npt.NDArray[np.int16]
    class_id: npt.NDArray[np.int32]
    parts_s: FloatArray


class Ledger(Observer):
    """Books by request, and logs of what changes over time. Arrays grow by appending only."""

    patient = True  # logs are sorted in the end

    def __init__(self, duration_s: float) -> None:
        self.live: dict[int, Task] = {}
        self.given_up: dict[Task, None] = {}  # attempts that go on although nobody waits for them
        self.queued_log = UnitLog()
        self.core_log = UnitLog()
        self.worker_log = UnitLog()
        self.thread_log = UnitLog()
        # Attempts in memory, where that is not simply "from arrival to end": +-(class + 1).
        self.held_log = DeltaLog("h")
        self.overhead_bins: FloatArray = np.zeros(N_BINS + 1)  # the last one is the drain
        self.resource_logs: dict[str, UnitLog] = {}
        self.resource_waits: dict[str, array[float]] = {}
        self.counts: dict[str, float] = {}
        self.switches = 0
        self.late_cpu_s = 0.0
        self._bins_per_s = N_BINS / duration_s
        # Of what has ended and is not packed yet: index, outcome, attempts, class; and its diary.
        self._closed: list[int] = []
        self._diaries: list[list[float]] = []
        self._noted = 0
        self._overheads: list[float] = []  # time, seconds, time, seconds, ...
        self._stalls: list[float] = []  # start, end, start, end, ...
        self._stall_log = array("d")
        self._blocks: list[tuple[npt.NDArray[np.int32], FloatArray, FloatArray]] = []

    # -- requests ----------------------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.live[task.index] = task
        if len(self._overheads) > _BLOCK:
            self._book_overheads()
        if len(self._stalls) > _BLOCK:
            self._book_stalls()

    def entered(self, now: float, task: Task, phase: int) -> None:
        task.marks += phase, now

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> None:
        cost_s = overhead_s + thread.cost_s
        if cost_s:
            task.marks += COST, cost_s
            if overhead_s:
                self._overheads += now, overhead_s
        if thread.waited_s:
            task.marks += NO_CORE, thread.waited_s

    def retried(self, now: float, task: Task, again: Task) -> None:
        self.live[task.index] = again
        if task.cancelled:
            self._book_run(now, task)
        # The back-off counts as waiting for admission.
        again.marks = [*task.marks, ADMISSION, now]
        if task.cancelled:
            self._goes_on(now, task)
        else:
            self.held_log.add(now, -1 - task.class_id)
        self.counts["retries"] = self.counts.get("retries", 0) + 1

    def resent(self, now: float, task: Task) -> None:
        self.held_log.add(now, task.class_id + 1)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        del self.live[task.index]
        marks = task.marks
        if outcome == TIMED_OUT:
            self._book_run(now, task)
            self.held_log.add(now, task.class_id + 1)  # until it is released
            self._goes_on(now, task)
        self._close(now, task, outcome, marks)

    def _goes_on(self, now: float, task: Task) -> None:
        """What a given-up attempt still does goes into a diary of its own: it delays nobody."""
        task.marks = [task.phase, now]
        self.given_up[task] = None

    def _book_run(self, now: float, task: Task) -> None:
        """Of a run under way, tell apart computing and waiting for a core, as its end would."""
        if task.phase != CPU or task.thread is None:
            return
        cost_s, waited_s = task.thread.so_far(now)
        if cost_s:
            task.marks += COST, cost_s
        if waited_s:
            task.marks += NO_CORE, waited_s

    def released(self, now: float, task: Task) -> None:
        del self.given_up[task]
        self.held_log.add(now, -1 - task.class_id)
        self._close(now, task, _LATE, task.marks)

    def _close(self, now: float, task: Task, outcome: int, marks: list[float]) -> None:
        marks += ENDED, now
        self._diaries.append(marks)
        self._closed += task.index, outcome, task.attempt, task.class_id
        self._noted += len(marks)
        if self._noted > _BLOCK:
            self._pack()

    def _pack(self) -> None:
        if not self._diaries:
            return
        reading = read(self._diaries)
        closed = np.array(self._closed, np.int32).reshape(-1, 4)
        self._diaries.clear()
        self._closed.clear()
        self._noted = 0
        self.queued_log.extend(reading.queue_changes)
        outcome = closed[:, 1]
        self.late_cpu_s = sum(reading.parts_s[outcome == _LATE, CPU].tolist(), self.late_cpu_s)
        requests = outcome >= UNFINISHED
        times_s = np.stack((reading.began_s, reading.ended_s), axis=1)
        self._blocks.append((closed[requests], times_s[requests], reading.parts_s[requests]))

    def close(self, now: float) -> Books:
        """At the end of the run; requests without an outcome come as far as they have got."""
        for task in (*self.live.values(), *self.given_up):
            self._book_run(now, task)
        for task in self.live.values():
            self._close(now, task, UNFINISHED, task.marks)
        for task in self.given_up:
            self._close(now, task, _LATE, task.marks)
        self.live.clear()
        self.given_up.clear()
        self._pack()
        self._book_overheads()
        blocks = self._blocks or [
            (np.empty((0, 4), np.int32), np.empty((0, 2)), np.empty((0, N_PARTS)))
        ]
        self._blocks = []
        closed, times_s, parts_s = (np.concatenate(column) for column in zip(*blocks, strict=True))
        order = np.argsort(closed[:, 0], kind="stable")
        return Books(
            arrival_s=times_s[order, 0],
            closed_s=times_s[order, 1],
            outcome=closed[order, 1].astype(np.int8),
            attempts=closed[order, 2].astype(np.int16),
            class_id=closed[order, 3],
            parts_s=parts_s[order],
        )

    # -- workers and cores -------------------------------------------------------------------

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.core_log.add(now)

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.core_log.add(-now)

    def switched(self, now: float, seconds: float) -> None:
        self.switches += 1
        if seconds:
            self.overhead(now, seconds)

    def core_queue(self, now: float, change: int) -> None:
        self.queued_log.add(now if change > 0 else -now)

    def busy(self, now: float, worker: str, change: int) -> None:
        self.worker_log.add(now if change > 0 else -now)

    def threads(self, now: float, change: int) -> None:
        self.thread_log.add(now if change > 0 else -now)
        if change > 0:
            self.counts["threads_created"] = self.counts.get("threads_created", 0) + change

    def overhead(self, now: float, seconds: float) -> None:
        self._overheads += now, seconds
        if len(self._overheads) > _BLOCK:
            self._book_overheads()

    def _book_overheads(self) -> None:
        spent = np.array(self._overheads, np.float64).reshape(-1, 2)
        self._overheads.clear()
        bins = np.minimum((spent[:, 0] * self._bins_per_s).astype(np.intp), N_BINS)
        np.add.at(self.overhead_bins, bins, spent[:, 1])

    # -- resources and counters --------------------------------------------------------------

    def resource(self, now: float, name: str, change: int) -> None:
        log = self.resource_logs.get(name)
        if log is None:
            log = self.resource_logs[name] = UnitLog()
        log.add(now if change > 0 else -now)

    def resource_waited(self, now: float, name: str, seconds: float) -> None:
        waits = self.resource_waits.get(name)
        if waits is None:
            waits = self.resource_waits[name] = array("d")
        waits.append(seconds)

    def counted(self, name: str, n: int) -> None:
        counts = self.counts
        counts[name] = counts.get(name, 0) + n

    def spent(self, name: str, seconds: float) -> None:
        counts = self.counts
        counts[name] = counts.get(name, 0.0) + seconds

    def stalled(self, start_s: float, end_s: float) -> None:
        self._stalls += start_s, end_s

    def _book_stalls(self) -> None:
        self._stall_log.fromlist(self._stalls)
        self._stalls.clear()

    def stalls(self) -> tuple[FloatArray, FloatArray]:
        """Starts and ends of all stalls."""
        self._book_stalls()
        log = np.array(self._stall_log).reshape(-1, 2)
        return log[:, 0], log[:, 1]
