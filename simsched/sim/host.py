"""The machine under the runtimes: cores, OS threads, and the kernel's scheduling rules.

A runtime maps its tasks to OS threads; this module maps runnable threads to cores. It follows the
rules of Linux's fair scheduler as far as they decide who runs when:

- **Work conserving.** A runnable thread never waits while a core is idle. One run queue serves all
  cores, which is what load balancing approximates within a few milliseconds.
- **Time slice with the tick rule.** A thread that others wait for is preempted at the first timer
  tick after its base slice: ``ceil(base / tick) * tick`` (kernel commit a26979377bf3 measures it).
  Preempted threads rotate: they go to the tail.
- **Wake-up preemption.** A thread that slept before it had used up a slice has positive lag and
  goes ahead of the rotating ones. It takes a core from whoever has run for at least the wake-up
  granularity; the one pushed aside goes to the head of the rotation. Threads that burn whole
  slices wait their turn even when they wake.
- **Costs.** Putting another thread on a core costs a context switch of CPU time. Waking a thread on
  an idle core takes the wake-up latency (interrupt and leaving the idle state), during which the
  core does no work.

Two deliberate simplifications: all threads have the same weight, and lag is judged by the last run
only. Both keep every operation O(1) in the number of threads, so that overload costs no more per
request than light load.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from heapq import heappush
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.sim.clock import DISPATCH, Call, Clock, Moment

if TYPE_CHECKING:
    from simsched.scenario import Host as HostSpec
    from simsched.sim.observer import Observers

# The kernel counts whole nanoseconds; less than one left of a burst is rounding. Without this, a
# burst of exactly n slices may be stopped 1e-18 s before its end, and wait a whole round.
NANOSECOND_S = 1e-9


class Core:
    """One core: the thread on it, and when it may be taken from it."""

    __slots__ = ("index", "last", "on_s", "settling", "slice_end_s", "thread", "timer")

    def __init__(self, index: int) -> None:
        self.index = index
        self.thread: OsThread | None = None
        self.last: OsThread | None = None
        self.on_s = 0.0
        self.slice_end_s = 0.0
        self.settling = False
        self.timer: Call | None = None


class OsThread:
    """One OS thread. Its owner, a SimPy process, alternates between ``run`` and ``sleep``.

    After a ``run`` has ended, ``waited_s`` holds the time it was runnable without a core, and
    ``cost_s`` the switches and wake-up latencies it paid.
    """

    __slots__ = (
        "burst_s", "clock", "core", "cost_s", "cut_asked", "end_s", "event", "host", "last_core",
        "left_s", "name", "queued_s", "rank", "start_s", "unrun_s", "waited_s",
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
        self.start_s = 0.0  # when the work of the current stay on the core begins
        self.end_s = 0.0  # when the current run ends if nobody interferes
        self.queued_s = 0.0
        self.burst_s = 0.0  # CPU used since the last wake-up
        self.waited_s = 0.0
        self.cost_s = 0.0
        self.cut_asked = False
        self.unrun_s = 0.0  # what a cut left undone

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
        self.waited_s = self.cost_s = 0.0
        self.end_s = end_s = clock.now + demand_s
        heap = clock.heap
        if (not heap or heap[0][0] > end_s) and end_s <= clock.limit_s:
            clock.now = end_s
            return None
        self.rank = rank
        self.event = event = Moment(clock)
        heappush(heap, (end_s, rank, next(clock.sequence), event))
        return event

    def wake_with(self, event: Event, demand_s: float = 0.0, rank: int = 0) -> None:
        """Wake a sleeping thread whose owner waits on ``event``.

        The event succeeds when the thread has got a core and done ``demand_s`` on it.
        """
        self.waited_s = self.cost_s = 0.0
        self.rank = rank
        self.event = event
        self.left_s = demand_s
        self.host.wake(self)

    def so_far(self, now: float) -> tuple[float, float]:
        """Costs and waits of the present run until now; its end will tell only what follows."""
        cost_s, waited_s = self.cost_s, self.waited_s
        self.cost_s = self.waited_s = 0.0
        if self.core is None:
            waited_s += now - self.queued_s
            self.queued_s = now
        else:  # a switch or a wake-up may be under way
            self.cost_s = min(cost_s, max(0.0, self.start_s - now))
        return cost_s - self.cost_s, waited_s

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
        back_s = until_s + host.wakeup_s
        heap = clock.heap
        if (heap and heap[0][0] <= back_s) or back_s > clock.limit_s or core is None:
            return False
        if host.woken or host.rotating:
            return False
        observers = host.observers
        observers.off_core(clock.now, core.index, self)
        clock.now = core.on_s = self.start_s = self.end_s = back_s
        core.slice_end_s = back_s + host.slice_s
        self.queued_s = until_s
        self.cost_s = host.wakeup_s
        self.waited_s = self.burst_s = 0.0
        observers.on_core(back_s, core.index, self)
        return True

    def cut(self) -> None:
        """End the current run now, or once the thread has a core; ``unrun_s`` tells the rest."""
        if self.event is None:
            return
        if self.core is None:
            self.cut_asked = True
            return
        host = self.host
        now = host.clock.now
        if self.end_s <= now + NANOSECOND_S:
            return  # the run ends at this very instant anyway
        self.unrun_s = self.end_s - max(now, self.start_s)
        self.event = host.clock.move(self.event, max(now, self.start_s), self.rank)
        self.end_s = max(now, self.start_s)


class Host:
    """Cores and the run queue in front of them."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        self.clock = clock
        self.observers = observers
        self.cores = [Core(i) for i in range(spec.cores)]
        self.slice_s = spec.slice_s
        self.tick_s = 1.0 / spec.os.hz if spec.os.hz else 0.0
        self.switch_s = spec.os.switch_cost_s
        self.wakeup_s = spec.os.wakeup_latency_s
        self.preempts_on_wakeup = spec.os.wakeup_preemption
        self.granularity_s = spec.os.wakeup_granularity_s
        self.idle: set[int] = set(range(spec.cores))
        self.woken: deque[OsThread] = deque()  # positive lag: served first, first come first served
        self.rotating: deque[OsThread] = deque()  # round robin

    def thread(self, name: str) -> OsThread:
        """A new, sleeping thread."""
        return OsThread(self, name)

    # -- becoming runnable and leaving -------------------------------------------------------

    def wake(self, thread: OsThread) -> None:
        """A sleeping thread becomes runnable."""
        now = self.clock.now
        thread.queued_s = now
        idle = self.idle
        if idle:
            thread.burst_s = 0.0
            core = thread.last_core
            if core is None or core.index not in idle:
                core = self.cores[min(idle)]
            idle.discard(core.index)
            self._put(core, thread, self.wakeup_s)
            return
        has_lag = self.preempts_on_wakeup and thread.burst_s < self.slice_s
        thread.burst_s = 0.0
        self.observers.core_queue(now, 1)
        if has_lag:
            self.woken.append(thread)
            self._arm_for_woken()
        else:
            self.rotating.append(thread)
            self._arm_slices()

    def leave(self, thread: OsThread) -> None:
        """The thread on a core goes to sleep; the core takes the next one."""
        core = thread.core
        if core is None:
            return
        self._take_off(core, thread)
        thread.event = None
        if self.clock.settling():
            core.settling = True
            self.clock.call_at(self.clock.now, DISPATCH, self._settled, core)
        elif self.woken or self.rotating:
            self._refill(core)
        else:
            self.idle.add(core.index)

    def kill(self, threads: Sequence[OsThread]) -> None:
        """Their process is gone: they leave for good, and their owners hear no more of them."""
        for thread in threads:
            event = thread.event
            if event is not None and event.callbacks is not None:
                event.callbacks = []
            for queue in (self.woken, self.rotating):
                if thread in queue:
                    queue.remove(thread)
                    self.observers.core_queue(self.clock.now, -1)
        for thread in threads:
            self.leave(thread)

    def _settled(self, call: Call) -> None:
        core: Core = call.arg
        core.settling = False
        self._refill(core)

    def _refill(self, core: Core) -> None:
        """Give a free core its next thread, or let it idle."""
        if self.woken:
            thread = self.woken.popleft()
        elif self.rotating:
            thread = self.rotating.popleft()
        else:
            self.idle.add(core.index)
            return
        self.observers.core_queue(self.clock.now, -1)
        self._put(core, thread, 0.0)

    # -- on and off a core -------------------------------------------------------------------

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        clock = self.clock
        now = clock.now
        if core.last is thread:
            cost_s = latency_s
        else:
            core.last = thread
            cost_s = latency_s + self.switch_s
            self.observers.switched(now, self.switch_s)
        if now > thread.queued_s:
            thread.waited_s += now - thread.queued_s
        thread.cost_s += cost_s
        thread.core = thread.last_core = core
        core.thread = thread
        core.on_s = on = now + latency_s
        thread.start_s = start_s = now + cost_s
        core.slice_end_s = start_s + self.slice_s
        if thread.cut_asked:
            thread.cut_asked = False
            thread.unrun_s = thread.left_s
            thread.left_s = 0.0
        thread.end_s = end_s = start_s + thread.left_s
        heappush(clock.heap, (end_s, thread.rank, next(clock.sequence), thread.event))
        self.observers.on_core(on, core.index, thread)
        if self.woken:
            self._arm(core, max(now, on + self.granularity_s))
        elif self.rotating:
            self._arm(core, core.slice_end_s)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        now = self.clock.now
        on = core.on_s
        thread.core = core.thread = None
        if now > on:
            thread.burst_s += now - on
            self.observers.off_core(now, core.index, thread)
        else:  # it leaves while it is still being woken
            self.observers.off_core(on, core.index, thread)

    def _preempt(self, core: Core, to_head: bool) -> None:
        thread = core.thread
        assert thread is not None
        assert thread.event is not None
        now = self.clock.now
        thread.left_s = thread.end_s - max(now, thread.start_s)
        event = Moment(self.clock)
        event.callbacks, thread.event.callbacks = thread.event.callbacks, []
        thread.event = event
        self._take_off(core, thread)
        thread.queued_s = now
        self.observers.counted("preemptions", 1)
        self.observers.core_queue(now, 1)
        if to_head:
            self.rotating.appendleft(thread)
        else:
            self.rotating.append(thread)
        self._refill(core)

    # -- when a core may be taken from its thread --------------------------------------------

    def _arm(self, core: Core, time_s: float) -> None:
        """Look at this core again at ``time_s``, unless that is planned for earlier already."""
        timer = core.timer
        if timer is not None:
            if timer.arg[1] <= time_s:
                return
            timer.cancel()
        core.timer = self.clock.call_at(time_s, DISPATCH, self._check, (core, time_s))

    def _arm_slices(self) -> None:
        for core in self.cores:
            if core.thread is not None:
                self._arm(core, self._next_slice_end(core))

    def _next_slice_end(self, core: Core) -> float:
        """End of the running slice; a thread that ran on alone is stopped at its next tick."""
        now = self.clock.now
        if core.slice_end_s >= now:
            return core.slice_end_s
        step = self.tick_s or self.slice_s
        periods = math.ceil((now - core.slice_end_s) / step - 1e-9)
        return max(now, core.slice_end_s + periods * step)

    def _arm_for_woken(self) -> None:
        """Arm the core that a woken thread may take first."""
        best: Core | None = None
        best_s = math.inf
        for core in self.cores:
            if core.thread is None:
                continue
            at = max(self.clock.now, core.on_s + self.granularity_s)
            armed = core.timer is not None and core.timer.arg[1] <= at
            if at < best_s and not armed:
                best, best_s = core, at
        if best is not None:
            self._arm(best, best_s)

    def _check(self, call: Call) -> None:
        core: Core = call.arg[0]
        core.timer = None
        thread = core.thread
        if thread is None or not (self.woken or self.rotating):
            return
        now = self.clock.now
        if thread.end_s <= now + NANOSECOND_S:
            # Its burst ends at this instant and the owner is about to decide what comes next.
            self._arm(core, max(now, thread.end_s))
            return
        if now < thread.start_s:
            self._arm(core, thread.start_s)  # a switch that has begun is not undone
            return
        if self.woken:
            if now >= core.on_s + self.granularity_s:
                self._preempt(core, to_head=True)
            else:
                self._arm(core, core.on_s + self.granularity_s)
            return
        due = self._next_slice_end(core)
        if due <= now:
            self._preempt(core, to_head=False)
        else:
            self._arm(core, due)
