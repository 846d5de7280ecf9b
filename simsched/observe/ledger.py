"""The ledger: what became of each request, and where its time went.

It is the observer that keeps the diary on the task itself (``marks``): each task is in exactly one
part of the breakdown at any time, so that the parts add up to the latency. During the run it only
notes down; what has ended is added up in blocks, so that memory stays bounded.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simsched.observe.branch_books import BRANCH, SLOWEST, BranchBooks, waits_for
from simsched.observe.logs import BLOCK, Logs
from simsched.observe.marks import parse, read
from simsched.observe.series import DeltaLog, FloatArray
from simsched.observe.stays import Owners
from simsched.sim.task import (
    ADMISSION,
    COST,
    CPU,
    ENDED,
    N_PARTS,
    NO_CORE,
    NO_GIL,
    NO_QUOTA,
    TIMED_OUT,
    UNFINISHED,
    Task,
)

if TYPE_CHECKING:
    from simsched.sim.os_thread import OsThread

# What became of an attempt that is no request (any more): it was given up, and released or not.
# Numbers below it are branches (BRANCH, SLOWEST).
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
    join_parts_s: FloatArray
    """As `parts_s`, of the slowest branches; without rows where there were no branches."""
    branch_cpu_s: FloatArray
    """CPU of all branches of each request; empty where there were none."""


class Ledger(Logs):
    """Books by request. Arrays grow by appending only."""

    patient = True  # logs are sorted in the end

    def __init__(self, duration_s: float, kind: str = "", slice_s: float = 0.0) -> None:
        super().__init__(duration_s, kind, slice_s)
        self._programs = self.blame.names.programs
        self.live: dict[int, Task] = {}
        self.given_up: dict[Task, None] = {}  # attempts that go on although nobody waits for them
        self.branches = BranchBooks()
        # Attempts in memory, where that is not simply "from arrival to end": +-(class + 1).
        self.held_log = DeltaLog("h")
        self.late_cpu_s = 0.0
        # Of what has ended and is not packed yet: index, outcome, attempts, class,
        # program and process; and its diary.
        self._closed: list[int] = []
        self._diaries: list[list[float]] = []
        self._noted = 0
        self._blocks: list[tuple[npt.NDArray[np.int32], FloatArray, FloatArray]] = []

    # -- requests ----------------------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.live[task.index] = task
        if len(self._overheads) > BLOCK:
            self._book_overheads()
        if len(self._stalls) > BLOCK:
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
            if thread.stopped_s > 0.0:
                task.marks += NO_QUOTA, min(thread.stopped_s, thread.waited_s)
        if thread.gil_s:
            task.marks += NO_GIL, thread.gil_s
            if not task.cancelled:
                self._blame_holders(task, thread, thread.gil_s)

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
        self.note_back_off(now, task)

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
        task.marks = self.further_diary(now, task)
        self.given_up[task] = None

    def _book_run(self, now: float, task: Task) -> None:
        """Of a run under way, tell apart computing and waiting for a core, as its end would."""
        if task.phase != CPU or task.thread is None:
            return
        stopped_s = task.thread.host.stopped_so_far(task.thread, now)
        cost_s, waited_s, gil_s = task.thread.so_far(now)
        if cost_s:
            task.marks += COST, cost_s
        if waited_s:
            task.marks += NO_CORE, waited_s
            if stopped_s > 0.0:
                task.marks += NO_QUOTA, min(stopped_s, waited_s)
        if gil_s:
            task.marks += NO_GIL, gil_s
            if task not in self.given_up:
                self._blame_holders(task, task.thread, gil_s)

    def _blame_holders(self, task: Task, thread: OsThread, seconds: float) -> None:
        """Of a run's wait for the interpreter lock, ``seconds`` concern this task."""
        holders = thread.blames or {(-1, ""): seconds}
        all_s = sum(holders.values())
        share = seconds / all_s if all_s else 0.0  # nothing but rounding
        for (culprit, step), held_s in holders.items():
            if task.parent is None:
                self.blame.tell("gil", task.class_id, culprit, step, held_s * share)
            else:  # it counts if this turns out to be the slowest branch
                self.branches.waits_for_gil(task, culprit, step, held_s * share)

    def released(self, now: float, task: Task) -> None:
        del self.given_up[task]
        self.held_log.add(now, -1 - task.class_id)
        self._close(now, task, _LATE, task.marks)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        self.branches.forked(now, branch)

    def joined(self, now: float, branch: Task) -> None:
        self.branches.joined(now, branch)
        self._close_branch(now, branch, ended=True)

    def _close_branch(self, now: float, branch: Task, *, ended: bool) -> None:
        slowest = waits_for(self.live.get(branch.index), branch, ended)
        for (culprit, step), seconds in self.branches.waited_for_gil(branch).items():
            if slowest:
                self.blame.tell("gil", branch.class_id, culprit, step, seconds)
        self._close(now, branch, SLOWEST if slowest else BRANCH, branch.marks)

    def _close(self, now: float, task: Task, outcome: int, marks: list[float]) -> None:
        marks += ENDED, now
        self._diaries.append(marks)
        program = self._programs.get(id(task.ops))
        if program is None:
            program = self.blame.names.add(task)
        self._closed += (
            task.index, outcome, task.attempt, task.class_id, program, task.process
        )  # fmt: skip
        self._noted += len(marks)
        if self._noted > BLOCK:
            self._pack()

    def _pack(self) -> None:
        if not self._diaries:
            return
        entries = parse(self._diaries)
        reading = read(entries)
        closed = np.fromiter(self._closed, np.int32, len(self._closed)).reshape(-1, 6)
        self._diaries.clear()
        self._closed.clear()
        self._noted = 0
        self.queued_log.extend(reading.queue_changes)
        outcome = closed[:, 1]
        suffers = (outcome >= UNFINISHED) | (outcome == SLOWEST)
        victim = np.where(suffers, closed[:, 3], -1).astype(np.int32)
        self.blame.add(entries, Owners(victim, closed[:, 4], closed[:, 5], outcome <= BRANCH))
        self._book_stalls()
        if self.blame.is_due():
            self.blame.settle(self._oldest_s())
        self.late_cpu_s = sum(reading.parts_s[outcome == _LATE, CPU].tolist(), self.late_cpu_s)
        branches = outcome <= BRANCH
        self.branches.pack(closed[branches], reading.parts_s[branches])
        requests = outcome >= UNFINISHED
        times_s = np.stack((reading.began_s, reading.ended_s), axis=1)
        self._blocks.append((closed[requests, :4], times_s[requests], reading.parts_s[requests]))

    def _oldest_s(self) -> float:
        """No diary still to come begins before; minus infinity where that is not known.

        Requests are told in order of arrival, so those that are told later arrive later.
        """
        if not self.live:
            return -math.inf
        under_way = [next(iter(self.live.values())), *islice(self.given_up, 1), *self.branches.live]
        return min(task.marks[1] for task in under_way)

    def close(self, now: float) -> Books:
        """At the end of the run; requests without an outcome come as far as they have got."""
        for task in (*self.live.values(), *self.given_up, *self.branches.live):
            self._book_run(now, task)
        for branch in self.branches.live:
            self._close_branch(now, branch, ended=False)
        for task in self.live.values():
            self._close(now, task, UNFINISHED, task.marks)
        for task in self.given_up:
            self._close(now, task, _LATE, task.marks)
        self.live.clear()
        self.given_up.clear()
        self.branches.live.clear()
        self._pack()
        self.blame.settle(math.inf)
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
            join_parts_s=self.branches.join_parts_s(len(order)),
            branch_cpu_s=self.branches.cpu_s(len(order)),
        )
