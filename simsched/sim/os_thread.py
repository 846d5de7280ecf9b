"""OS threads, as their owners see them, and the cores they run on.

A thread is a handle: its owner, a SimPy process, says what it wants (``run``, ``sleep``, ``nap``),
and the rules by which it gets a core are the host's (:mod:`simsched.sim.host`).
"""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING, Any

from simpy.events import Event

from simsched.sim.clock import Call, Moment

if TYPE_CHECKING:
    from simsched.sim.eevdf import Turn
    from simsched.sim.host import Host
    from simsched.sim.task import Task

# The kernel counts whole nanoseconds; less than one left of a burst is rounding. Without this, a
# burst of exactly n slices may be stopped 1e-18 s before its end, and wait a whole round.
NANOSECOND_S = 1e-9


class Core:
    """One core: the thread on it, and when it may be taken from it."""

    __slots__ = (
        "index", "last", "off_s", "on_s", "put_s", "settling", "slice_end_s", "thread", "timer",
    )  # fmt: skip

    def __init__(self, index: int) -> None:
        self.index = index
        self.thread: OsThread | None = None
        self.last: OsThread | None = None
        self.on_s = 0.0
        self.off_s = 0.0  # when the last thread left it
        self.put_s = 0.0  # when it was given its thread, and the costs of that were booked
        self.slice_end_s = 0.0
        self.settling = False
        self.timer: Call | None = None


class OsThread:
    """One OS thread. Its owner, a SimPy process, alternates between ``run`` and ``sleep``.

    After a ``run`` has ended, ``waited_s`` holds the time it was runnable without a core,
    ``stopped_s`` what of that is due to a CPU quota, and ``cost_s`` the switches and wake-up
    latencies it paid.
    """

    __slots__ = (
        "blames", "burst_s", "clock", "core", "cost_s", "cut_asked", "end_s", "event", "gil_s",
        "host", "last_core", "left_s", "name", "pace", "queued_s", "rank", "start_s",
        "stopped_s", "task", "turn", "unrun_s", "waited_s",
    )  # fmt: skip

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.clock = host.clock
        self.name = name
        self.core: Core | None = None
        self.last_core: Core | None = None
        self.event: Event | None = None
        self.rank = 0
        self.left_s = 0.0  # CPU still to do when it gets a core
        self.pace = 1.0  # seconds that a second of CPU takes on the present core
        self.start_s = 0.0  # when the work of the current stay on the core begins
        self.end_s = 0.0  # when the current run ends if nobody interferes
        self.queued_s = 0.0
        self.burst_s = 0.0  # CPU used since the last wake-up
        self.waited_s = 0.0
        self.stopped_s = 0.0
        self.cost_s = 0.0
        self.gil_s = 0.0  # time it waited for the interpreter lock, if there is one
        self.blames: dict[tuple[int, str], float] = {}  # ... by class and step of who had it
        self.task: Task | None = None  # the one that it works for, as far as its owner says
        self.cut_asked = False
        self.unrun_s = 0.0  # what a cut left undone
        self.turn: Turn | None = None  # what a host with virtual deadlines knows of it

    def run(self, demand_s: float, rank: int = 0) -> Event | None:
        """Use ``demand_s`` seconds of CPU; the event succeeds when they are done.

        A thread on a core just goes on. A sleeping one becomes runnable first, and so may wait,
        pay a switch, and pay the wake-up latency. ``rank`` (the request's index) orders bursts
        that end at the same instant.

        Returns None if nothing else at all happens before the end: the clock then stands there
        already. Half of all bursts need no event of their own that way.
        """
        clock = self.clock
        if self.core is None:
            event = Moment(clock)
            self.wake_with(event, demand_s, rank)
            return event
        self.waited_s = self.stopped_s = self.cost_s = 0.0
        self.end_s = end_s = clock.now + demand_s * self.pace
        heap = clock.heap
        if (not heap or heap[0][0] > end_s) and end_s <= clock.limit_s:
            clock.now = end_s
            return None
        self.rank = rank
        self.event = event = Moment(clock)
        heappush(heap, (end_s, rank, next(clock.sequence), event))
        return event

    def run_native(self, demand_s: float, rank: int = 0) -> Event | None:
        """As ``run``, for code that needs no interpreter lock and lets others have it."""
        return self.run(demand_s, rank)

    def wake_with(self, event: Event, demand_s: float = 0.0, rank: int = 0) -> None:
        """Wake a sleeping thread whose owner waits on ``event``.

        The event succeeds when the thread has got a core and done ``demand_s`` on it.
        """
        self.waited_s = self.stopped_s = self.cost_s = 0.0
        self.rank = rank
        self.event = event
        self.left_s = demand_s
        self.host.wake(self)

    def so_far(self, now: float) -> tuple[float, float, float]:
        """Costs, waits for a core and waits for the interpreter lock of the present run until now.

        Its end will tell only what follows.
        """
        cost_s, waited_s = self.cost_s, self.waited_s
        self.cost_s = self.waited_s = 0.0
        if self.core is None:
            waited_s += now - self.queued_s
            self.queued_s = now
        else:  # a switch or a wake-up may be under way
            self.cost_s = min(cost_s, max(0.0, self.start_s - now))
        return cost_s - self.cost_s, waited_s, 0.0

    def sleep(self) -> None:
        """Leave the core. The owner then waits for whatever will wake it."""
        self.host.leave(self)

    def nap(self, until_s: float) -> bool:
        """Sleep, be woken at ``until_s``, and be back on the core, all at once.

        Like a ``run`` that returns None, this is for when nothing else at all happens before: no
        other thread is runnable, and the core stays free. Otherwise it does nothing and returns
        False, and the owner has to go the long way through ``sleep`` and ``wake_with``.
        """
        host, clock, core = self.host, self.clock, self.core
        on_s = until_s + host.wakeup_s
        exit_s = host.exit_cost_s(until_s - clock.now) if host.wakeup_s else 0.0
        back_s = on_s + exit_s
        heap = clock.heap
        if (heap and heap[0][0] <= back_s) or back_s > clock.limit_s or core is None:
            return False
        if host.woken or host.rotating or not host.naps:
            return False
        off_core, on_core = host.off_core, host.on_core
        off_core(clock.now, core.index, self)
        host.napped(core, self)
        clock.now = self.start_s = self.end_s = back_s
        core.on_s = on_s
        core.slice_end_s = back_s + host.slice_s
        self.queued_s = until_s
        self.cost_s = back_s - until_s
        self.waited_s = self.burst_s = 0.0
        on_core(on_s, core.index, self)
        if back_s > on_s:
            host.observers.overhead(until_s, exit_s)
        return True

    def cut(self, order: int | None = None) -> None:
        """End the current run now, or once the thread has a core; ``unrun_s`` tells the rest.

        ``order`` is its place among the events of that instant, if it is not the rank of the run.
        """
        if self.event is None:
            return
        if self.core is None:
            self.cut_asked = True
            return
        host = self.host
        now = host.clock.now
        if self.end_s <= max(now, self.start_s) + NANOSECOND_S:
            return  # the run ends at this very instant anyway, or is cut already
        self.unrun_s = (self.end_s - max(now, self.start_s)) / self.pace
        at_s = max(now, self.start_s)
        self.event = host.clock.move(self.event, at_s, self.rank if order is None else order)
        self.end_s = max(now, self.start_s)

    # -- for threads that take more than a burst (:mod:`simsched.sim.gil_thread`) ------------

    def spend(self, cost_s: float) -> None:
        """From now on, the kernel uses its core for so long; nothing interrupts that."""
        now = self.clock.now
        self.cost_s += cost_s
        self.start_s = now + cost_s
        self.host.observers.overhead(now, cost_s)

    def end_at(self, end_s: float, callbacks: list[Any]) -> None:
        """It keeps its core until ``end_s``, if the host lets it; then these are called."""
        self.end_s = end_s
        self.event = event = Moment(self.clock)
        event.callbacks = callbacks
        heappush(self.clock.heap, (end_s, self.rank, next(self.clock.sequence), event))
