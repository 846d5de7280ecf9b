"""The ledger: what became of each request, and where its time went.

It is the observer that keeps the books on the task itself (``parts``, ``phase``, ``since_s``): each
task is in exactly one part of the breakdown at any time, so that the parts add up to the latency.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from simsched.observe.series import DeltaLog, FloatArray, UnitLog
from simsched.sim.observer import Observer
from simsched.sim.task import CPU, N_PARTS, OVERHEAD, RUN_QUEUE, TIMED_OUT, UNFINISHED, Task

if TYPE_CHECKING:
    from simsched.sim.host import OsThread

# ADMISSION and RUN_QUEUE, the parts spent waiting to be executed, are the lowest two.
_LAST_QUEUED = RUN_QUEUE

N_BINS = 1000  # of each time series, over the arrival window
_BLOCK = 4096  # rows kept as Python tuples before they are packed


class Ledger(Observer):
    """Books by request, and logs of what changes over time. Arrays grow by appending only."""

    def __init__(self, duration_s: float) -> None:
        self.arrival_s = array("d")
        self.class_id = array("i")
        self.live: dict[int, Task] = {}
        self.queued_log = UnitLog()
        self.core_log = UnitLog()
        self.worker_log = UnitLog()
        self.thread_log = UnitLog()
        # Attempts in memory, where that is not simply "from arrival to end": +-(class + 1).
        self.held_log = DeltaLog("h")
        self.overhead_bins = [0.0] * (N_BINS + 1)  # the last one is the drain
        self.resource_logs: dict[str, UnitLog] = {}
        self.resource_waits: dict[str, array[float]] = {}
        self.counts: dict[str, float] = {}
        self.stall_starts_s = array("d")
        self.stall_ends_s = array("d")
        self.switches = 0
        self.late_cpu_s = 0.0
        self._duration_s = duration_s
        self._bins_per_s = N_BINS / duration_s
        self._ended: list[tuple[float, ...]] = []
        self._blocks: list[FloatArray] = []
        self._queue_change = self.queued_log.add  # bound once: called for every request

    # -- requests ----------------------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.arrival_s.append(now)
        self.class_id.append(task.class_id)
        self.live[task.index] = task
        self._queue_change(now)

    def entered(self, now: float, task: Task, phase: int) -> None:
        old = task.phase
        task.parts[old] += now - task.since_s
        task.since_s = now
        task.phase = phase
        # ADMISSION and RUN_QUEUE, the parts spent waiting to be executed, are 0 and 1.
        if phase > 1:
            if old < 2:
                self._queue_change(-now)
        elif old > 1:
            self._queue_change(now)

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> None:
        cost_s = overhead_s + thread.cost_s
        if cost_s:
            parts = task.parts
            parts[task.phase] -= cost_s
            parts[OVERHEAD] += cost_s
            if overhead_s:
                if now < self._duration_s:
                    self.overhead_bins[int(now * self._bins_per_s)] += overhead_s
                else:
                    self.overhead_bins[N_BINS] += overhead_s
        if thread.waited_s:
            task.parts[task.phase] -= thread.waited_s
            task.parts[RUN_QUEUE] += thread.waited_s

    def retried(self, now: float, task: Task, again: Task) -> None:
        self.live[task.index] = again
        if task.cancelled:  # the old attempt is still queued; the back-off counts as queueing, too
            self._queue_change(now)
        else:
            self.held_log.add(now, -1 - task.class_id)
            if task.phase > _LAST_QUEUED:
                self._queue_change(now)
        self.counts["retries"] = self.counts.get("retries", 0) + 1

    def resent(self, now: float, task: Task) -> None:
        self.held_log.add(now, task.class_id + 1)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        del self.live[task.index]
        task.parts[task.phase] += now - task.since_s
        task.since_s = now
        if outcome == TIMED_OUT:
            self.held_log.add(now, task.class_id + 1)  # until it is released
        elif task.phase <= _LAST_QUEUED:
            self._queue_change(-now)
        self._ended.append((task.index, now, outcome, task.attempt, *task.parts))
        if len(self._ended) == _BLOCK:
            self._pack()

    def released(self, now: float, task: Task) -> None:
        self.held_log.add(now, -1 - task.class_id)
        if task.phase <= _LAST_QUEUED:
            self._queue_change(-now)
        elif task.phase == CPU:
            task.parts[CPU] += now - task.since_s
        self.late_cpu_s += task.parts[CPU]

    def _pack(self) -> None:
        self._blocks.append(np.array(self._ended, np.float64))
        self._ended.clear()

    def close(self, now: float) -> FloatArray:
        """At the end of the run: one row per request, in order of arrival.

        Columns: index, finish_s, outcome, attempts, and the parts; requests without an outcome
        come as far as they have got.
        """
        for task in self.live.values():
            task.parts[task.phase] += now - task.since_s
            self._ended.append((task.index, now, UNFINISHED, task.attempt, *task.parts))
        self.live.clear()
        if self._ended:
            self._pack()
        rows = np.concatenate(self._blocks) if self._blocks else np.empty((0, 4 + N_PARTS))
        result: FloatArray = rows[np.argsort(rows[:, 0], kind="stable")]
        return result

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
        self._queue_change(now if change > 0 else -now)

    def busy(self, now: float, worker: str, change: int) -> None:
        self.worker_log.add(now if change > 0 else -now)

    def threads(self, now: float, change: int) -> None:
        self.thread_log.add(now if change > 0 else -now)
        if change > 0:
            self.counts["threads_created"] = self.counts.get("threads_created", 0) + change

    def overhead(self, now: float, seconds: float) -> None:
        self.overhead_bins[min(int(now * self._bins_per_s), N_BINS)] += seconds

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
        self.stall_starts_s.append(start_s)
        self.stall_ends_s.append(end_s)
