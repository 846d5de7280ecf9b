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
from collections.abc import Iterable, Sequence
from heapq import heappush
from typing import TYPE_CHECKING

from simsched.sim.clock import DISPATCH, Call, Clock, Moment
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread

if TYPE_CHECKING:
    from simsched.scenario import Host as HostSpec
    from simsched.sim.observer import Observers

# Measured up to 60 ms of idling; what lies beyond is not extrapolated far.
COLD_AFTER_S = 0.1


class Host:
    """Cores and the run queue in front of them."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        self.clock = clock
        self.observers = observers
        self.on_core, self.off_core = observers.on_core, observers.off_core
        self.cores = [Core(i) for i in range(spec.cores)]
        self.slice_s = spec.slice_s
        self.tick_s = 1.0 / spec.os.hz if spec.os.hz else 0.0
        self.switch_s = spec.os.switch_cost_s
        self.wakeup_s = spec.os.wakeup_latency_s
        self.idle_exit_s = spec.os.idle_exit_cost_s
        self.idle_cold_s = spec.os.idle_cold_cost_s
        self.timer_slack_s = spec.os.timer_slack_s
        self.wakeup_cost_s = spec.os.wakeup_cost_s
        self.preempts_on_wakeup = spec.os.wakeup_preemption
        self.granularity_s = spec.os.wakeup_granularity_s
        self.naps = True  # whether a thread may skip leaving its core and coming back to it
        self.stolen_s: list[float] = []  # by core, where they are virtual
        self.idle: set[int] = set(range(spec.cores))
        self.woken: deque[OsThread] = deque()  # positive lag: served first, first come first served
        self.rotating: deque[OsThread] = deque()  # round robin

    def thread(self, name: str) -> OsThread:
        """A new, sleeping thread."""
        return OsThread(self, name)

    # -- becoming runnable and leaving -------------------------------------------------------

    def wake(self, thread: OsThread, latency_s: float | None = None) -> None:
        """A sleeping thread becomes runnable; ``latency_s`` if it is not the host's usual one."""
        now = self.clock.now
        thread.queued_s = now
        idle = self.idle
        if idle:
            thread.burst_s = 0.0
            core = self._idle_core(thread)
            idle.discard(core.index)
            self._put(core, thread, self.wakeup_s if latency_s is None else latency_s)
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

    def _idle_core(self, thread: OsThread) -> Core:
        """Where a thread is woken: on the core it ran on last, if that idles."""
        core = thread.last_core
        if core is None or core.index not in self.idle:
            return self.cores[min(self.idle)]
        return core

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

    def napped(self, core: Core, thread: OsThread) -> None:
        """A thread has slept and is awake again (``nap``): for hosts that remember who slept."""

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
            core, now = thread.core, self.clock.now
            if core is not None and thread.start_s > max(now, core.on_s):
                # What the kernel does was booked when it began, and is not brought to its end: it
                # is taken back where it was booked, or a bin of the series would be below zero.
                self.observers.overhead(core.put_s, max(now, core.on_s) - thread.start_s)
            self.leave(thread)

    def queue(self) -> Iterable[OsThread]:
        """The runnable threads without a core."""
        return (*self.woken, *self.rotating)

    def stopped_so_far(self, thread: OsThread, now: float) -> float:
        """Of the present wait of a thread for a core, what is due to a CPU quota; told once."""
        return 0.0

    def end(self, now: float) -> None:
        """The run is over: tell what has not been told yet."""

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
        if latency_s:
            exit_s = self.exit_cost_s(now - core.off_s)
            if exit_s:
                cost_s += exit_s
                self.observers.overhead(now, exit_s)
        if now > thread.queued_s:
            thread.waited_s += now - thread.queued_s
        thread.cost_s += cost_s
        thread.core = thread.last_core = core
        core.thread = thread
        core.put_s = now
        core.on_s = on = now + latency_s
        thread.start_s = start_s = now + cost_s
        core.slice_end_s = start_s + self.slice_s
        if thread.cut_asked:
            thread.cut_asked = False
            thread.unrun_s = thread.left_s
            thread.left_s = 0.0
        thread.end_s = end_s = start_s + thread.left_s * thread.pace
        heappush(clock.heap, (end_s, thread.rank, next(clock.sequence), thread.event))
        self.observers.on_core(on, core.index, thread)
        if self.woken:
            self._arm(core, max(now, on + self.granularity_s))
        elif self.rotating:
            self._arm(core, core.slice_end_s)

    def exit_cost_s(self, idle_s: float) -> float:
        """What leaving the idle state costs a thread, on a core that has idled for so long."""
        if not self.idle_cold_s:
            return self.idle_exit_s
        return self.idle_exit_s + self.idle_cold_s * math.sqrt(min(idle_s, COLD_AFTER_S) / 1e-3)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        core.off_s = now = self.clock.now
        on = core.on_s
        thread.core = core.thread = None
        if now > on:
            thread.burst_s += now - on
            self.observers.off_core(now, core.index, thread)
        else:  # it leaves while it is still being woken
            self.observers.off_core(on, core.index, thread)

    def _interrupt(self, core: Core) -> OsThread:
        """Take the thread off in the middle of its burst. It stays runnable."""
        thread = core.thread
        assert thread is not None
        assert thread.event is not None
        now = self.clock.now
        thread.left_s = (thread.end_s - max(now, thread.start_s)) / thread.pace
        event = Moment(self.clock)
        event.callbacks, thread.event.callbacks = thread.event.callbacks, []
        thread.event = event
        self._take_off(core, thread)
        thread.queued_s = now
        self.observers.core_queue(now, 1)
        return thread

    def _preempt(self, core: Core, to_head: bool) -> None:
        thread = self._interrupt(core)
        self.observers.counted("preemptions", 1)
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
        self._judge(core, now)

    def _judge(self, core: Core, now: float) -> None:
        """Whether the core is taken from its thread now, which others wait for."""
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
