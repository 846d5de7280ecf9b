"""The P, the M, and the timer heap of Go's scheduler."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from simsched.schedulers.go_queues import RunQueue
from simsched.sim.task import Task
from simsched.workload.program import Program

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread

IDLE, RUNNING, SYSCALL = range(3)

_NEVER = float("inf")


def helper(connection: Connection | None = None) -> Task:
    """A goroutine of the process itself, which is no request: its index is negative."""
    task = Task(-1, 0, Program("", (), ()), [], 0.0)
    task.connection = connection
    return task


class ThreadLimitExceeded(Exception):
    """The runtime throws: the process ends, whatever its threads are doing."""


class Timers:
    """The timer heap of one P. Cancelled timers stay in it until they come up."""

    __slots__ = ("_heap", "_live", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._live: dict[Task, int] = {}
        self._sequence = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, when_s: float, g: Task) -> None:
        """Wake ``g`` at ``when_s``."""
        self._sequence += 1
        self._live[g] = self._sequence
        heappush(self._heap, (when_s, self._sequence, g))

    def cancel(self, g: Task) -> None:
        """Forget the timer of ``g``."""
        del self._live[g]

    def earliest_s(self) -> float:
        """When the next timer is due; infinity if there is none."""
        heap = self._heap
        if not heap:
            return _NEVER
        while heap and self._live.get(heap[0][2]) != heap[0][1]:
            heappop(heap)
        return heap[0][0] if heap else _NEVER

    def pop_due(self, now: float) -> Task | None:
        """The goroutine of the earliest timer, if it is due."""
        if self.earliest_s() > now:
            return None
        g = heappop(self._heap)[2]
        del self._live[g]
        return g


class P:
    """A processor: the right to run goroutines, with a queue and timers of its own."""

    __slots__ = (
        "busy", "caller", "index", "m", "name", "queue", "sched_changed_s", "sched_tick",
        "seen_sched_s", "seen_sched_tick", "seen_syscall_s", "seen_syscall_tick",
        "status", "syscall_tick", "timers",
    )  # fmt: skip

    def __init__(self, index: int, prefix: str = "") -> None:
        self.index = index
        self.name = f"{prefix}P{index}"
        self.queue = RunQueue()
        self.timers = Timers()
        self.status = IDLE
        self.m: M | None = None
        self.caller: Task | None = None  # the goroutine in a system call that has it still
        self.busy = False
        self.sched_tick = 1
        self.sched_changed_s = 0.0
        self.syscall_tick = 1
        # what sysmon saw last, and when
        self.seen_sched_tick = 0
        self.seen_sched_s = 0.0
        self.seen_syscall_tick = 0
        self.seen_syscall_s = 0.0


class M:
    """An OS thread of the Go runtime."""

    __slots__ = (
        "back_off_s", "backed_off", "current", "inherit", "locked", "owed_s", "p", "spinning",
        "take", "thread", "token", "was_spinning",
    )  # fmt: skip

    def __init__(self, thread: OsThread) -> None:
        self.thread = thread
        self.p: P | None = None
        self.token: Event | None = None  # what it sleeps on while parked or in netpoll
        self.spinning = False
        self.was_spinning = False
        self.current: Task | None = None  # the goroutine whose code it runs
        self.take: Task | None = None  # what netpoll gave it to run first
        self.locked: Task | None = None  # the only goroutine that it may run
        self.inherit = False  # the goroutine found inherits the time slice
        self.owed_s = 0.0  # scheduling costs, paid with the next burst
        self.back_off_s = 0.0  # a pause before another P's runnext may be stolen
        self.backed_off = False
