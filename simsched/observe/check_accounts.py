"""Accounts: core time and memory, booked a second time and compared with the record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simsched.observe.checker import Checker, differs
from simsched.schedulers.processes import processes_of
from simsched.sim.task import FAILED, TIMED_OUT, Task
from simsched.workload.program import CPU

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread


class Integral:
    """A quantity over time: its integral within a window, and its highest settled value."""

    __slots__ = ("_end_s", "_since_s", "area", "peak", "value")

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s
        self._since_s = 0.0
        self.value = 0.0
        self.area = 0.0
        self.peak = 0.0

    def add(self, now: float, change: float) -> None:
        """The quantity changes; values that last no time are no peak."""
        self.advance(now)
        self.value += change

    def advance(self, now: float) -> None:
        """Nothing changes until ``now``."""
        if now > self._since_s:
            self.peak = max(self.peak, self.value)
            self.area += self.value * max(0.0, min(now, self._end_s) - self._since_s)
            self._since_s = now


class Utilization(Checker):
    """Core time = demands carried out + overhead, and the record's core time is that.

    Demands come from the workload and are counted by the steps that end; core time is measured at
    the cores. What runs on a core when the run stops, or was pushed aside in the middle, is in no
    account yet: it bounds the difference.
    """

    invariant = "utilisation"

    def __init__(self) -> None:
        self.busy_s = 0.0
        self.busy_in_window_s = 0.0
        self.demand_s = 0.0
        self.overhead_s = 0.0
        self.bursts = 1
        self.half_done = 0  # bursts that were abandoned half-way
        self.on_since_s: dict[int, float] = {}
        self.computing: set[Task] = set()
        self.demands: dict[Task, list[float]] = {}

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        self.duration_s = simulation.scenario.duration_s

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.on_since_s[core] = now

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self._book(self.on_since_s.pop(core), now)

    def _book(self, on_s: float, off_s: float) -> None:
        self.busy_s += off_s - on_s
        self.busy_in_window_s += max(0.0, min(off_s, self.duration_s) - min(on_s, self.duration_s))
        self.bursts += 1

    def arrived(self, now: float, task: Task) -> None:
        self.demands[task] = self.simulation.trace.demand_row(task.index)

    def resent(self, now: float, task: Task) -> None:
        self.demands[task] = self.simulation.trace.demand_row(task.index)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        self.demands[branch] = self.simulation.trace.demand_row(branch.index)

    def joined(self, now: float, branch: Task) -> None:
        self._leaves(branch)

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:
            self._leaves(task)

    def step_started(self, now: float, task: Task) -> None:
        if task.ops[task.pc].code == CPU:
            self.computing.add(task)

    def step_ended(self, now: float, task: Task) -> None:
        op = task.ops[task.pc]
        if op.code == CPU:
            self.computing.remove(task)
            self.demand_s += self.demands[task][op.slot]

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if outcome != TIMED_OUT:
            self._leaves(task)
        self.half_done += outcome == FAILED  # a process that dies takes with it what it was at

    def released(self, now: float, task: Task) -> None:
        self._leaves(task)

    def _leaves(self, task: Task) -> None:
        del self.demands[task]
        if task in self.computing:
            self.computing.remove(task)
            self.half_done += 1

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> None:
        self.overhead_s += overhead_s

    def overhead(self, now: float, seconds: float) -> None:
        self.overhead_s += seconds

    def switched(self, now: float, seconds: float) -> None:
        self.overhead_s += seconds

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        end_s = record.end_s
        for on_s in self.on_since_s.values():
            if on_s < end_s:
                self._book(on_s, end_s)
        # Seconds are the difference of two clock readings, each of them rounded.
        rounding_s = 1e-9 + 1e-15 * self.bursts * (1.0 + end_s)
        self._compare("busy_core_s", self.busy_s, record.totals["busy_core_s"], rounding_s)
        self._compare(
            "overhead_core_s", self.overhead_s, record.totals["overhead_core_s"], rounding_s
        )
        in_series_s = float(record.series["busy_cores"].mean()) * self.duration_s
        self._compare("busy_cores", self.busy_in_window_s, in_series_s, rounding_s)
        if self.half_done or not simulation.clients.idle():
            return
        spent_s = self.demand_s + self.overhead_s
        early_s, late_s = unbooked_s(simulation, end_s)
        # Of two hyper-threads that are busy at once, each takes longer for what it does.
        most_s = spent_s * simulation.scenario.host.slowest_pace
        if not spent_s - early_s - rounding_s <= self.busy_s <= most_s + late_s + rounding_s:
            demand, overhead = f"{self.demand_s:.12g} s of demand", f"{self.overhead_s:.12g} s"
            self.fail(f"{demand} and {overhead} of overhead", f"{self.busy_s:.12g} s of core time")

    def _compare(self, what: str, expected: float, seen: float, rounding_s: float) -> None:
        if differs(expected, seen, absolute_s=rounding_s):
            self.fail(f"{expected:.12g}", f"{seen:.12g}", where=what)


def unbooked_s(simulation: Simulation, now: float) -> tuple[float, float]:
    """How far booked core time may be ahead of used core time, and how far behind, just now.

    What the kernel does for a thread is booked when it begins, all else when a burst ends. Of one
    that lost the interpreter lock in the middle of a burst nobody knows how far it has got.
    """
    host = simulation.host
    locks = (process.machine.gil for process in processes_of(simulation.scheduler))
    early_s = 0.0
    late_s = math.inf if any(lock is not None and lock.n_waiting for lock in locks) else 0.0
    for core in host.cores:
        if core.thread is not None and core.thread.end_s > now:
            early_s += max(0.0, core.thread.start_s - max(now, core.on_s))
            late_s += core.thread.burst_s + max(0.0, now - core.on_s)
    for thread in host.queue():
        late_s += thread.burst_s
    return early_s, late_s


class Memory(Checker):
    """Memory = base + threads + attempts held, over time and at its peak; all of it comes back.

    All but the room of new objects: it grows with what is made, up to its limit, and stays.

    An attempt holds memory from when it is sent until the scheduler is rid of it, whether or not
    the client still waits. So what a slow runtime does for nobody is in the record. A branch is a
    task of its own, but shares its request and its connection.
    """

    invariant = "memory"

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        spec = simulation.spec.memory
        self.base = float(simulation.spec.base_bytes * simulation.spec.processes)
        self.stack = float(spec.thread_bytes)
        self.connection_bytes = float(spec.connection_bytes)
        self.by_request = simulation.network is None
        each = spec.task_bytes + (spec.connection_bytes if self.by_request else 0)
        self.task = float(spec.task_bytes)
        own = [p.memory_bytes for p in simulation.trace.programs]
        self.held = [float(each + n + simulation.spec.garbage_bytes(n)) for n in own]
        self.makes = [spec.young_task_bytes + n for n in own]
        self.branch_makes = spec.young_task_bytes
        self.room = spec.young_bytes * simulation.spec.processes
        self.total = Integral(simulation.scenario.duration_s)
        self.attempts = 0
        self.branches = 0
        self.n_threads = 0

    def _attempt(self, now: float, task: Task, change: int) -> None:
        self.attempts += change
        if self.by_request:
            self.served(now, task, change)

    def served(self, now: float, task: Task, change: int) -> None:
        self.total.add(now, change * self.held[task.class_id])
        if change > 0:
            self._make(now, self.makes[task.class_id])

    def _make(self, now: float, n_bytes: int) -> None:
        taken = min(n_bytes, self.room)
        self.room -= taken
        self.total.add(now, taken)

    def connection(self, now: float, connection: Connection, event: str) -> None:
        if event != "queued":
            change = 1 if event == "accepted" else -1
            self.total.add(now, change * self.connection_bytes)

    def arrived(self, now: float, task: Task) -> None:
        self._attempt(now, task, 1)

    def resent(self, now: float, task: Task) -> None:
        self._attempt(now, task, 1)

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:
            self._attempt(now, task, -1)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if outcome != TIMED_OUT:
            self._attempt(now, task, -1)

    def released(self, now: float, task: Task) -> None:
        self._attempt(now, task, -1)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        self.branches += 1
        self.total.add(now, self.task)
        self._make(now, self.branch_makes)

    def joined(self, now: float, branch: Task) -> None:
        self.branches -= 1
        self.total.add(now, -self.task)

    def threads(self, now: float, change: int) -> None:
        self.n_threads += change
        self.total.add(now, change * self.stack)

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        if simulation.clients.idle() and (left := self.attempts + self.branches):
            self.fail("no attempt or branch in memory when all is done", f"{left}")
        self.total.advance(float("inf"))
        mean = self.base + self.total.area / record.duration_s
        seen = float(record.series["memory_bytes"].mean())
        if differs(mean, seen, absolute_s=1e-6):
            self.fail(f"{mean:.12g} bytes on average", f"{seen:.12g} in the record")
        peak, seen = self.base + self.total.peak, record.peak["memory_bytes"]
        if differs(peak, seen, absolute_s=1e-6):
            self.fail(f"{peak:.12g} bytes at the peak", f"{seen:.12g} in the record")
        parts = sum(bytes_ for name, bytes_ in record.peak.items() if name != "memory_bytes")
        if differs(parts, seen, absolute_s=1e-6):
            self.fail("the parts of the peak to add up to it", f"{parts:.12g} of {seen:.12g}")
