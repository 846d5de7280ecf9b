"""A host on which a container may use only so much CPU time per period.

Follows Linux's CFS bandwidth control (kernel Documentation/scheduler/sched-bwc.rst and
kernel/sched/fair.c), of which Kubernetes' ``limits.cpu`` and ``docker --cpus`` are the usual users:

- **Period.** A pool is filled with the quota at the beginning of every period. What is left of the
  last one is lost, except for as much as ``cpu_burst`` allows.
- **Slices.** A core draws CPU time from the pool in slices of 5 ms, and uses them up while it runs
  threads of the container. A core that has nothing to run gives back all but 1 ms.
- **Throttling.** A core that has used up its slice when the pool is empty stops until the next
  period, and with it the thread on it. Since cores stop one by one, those that were quicker to draw
  the last slices run on for a while.
- **Slack.** Time that is given back to the pool while others are stopped is given to them 5 ms
  later, if it is more than a slice, and unless the next period begins by then anyway.

What is simpler than in the kernel: all threads belong to the container; a core stops exactly when
its time is used up, not at the next tick (what it overdraws there, it owes to the next period, so
that the averages are the same); and periods begin at multiples of their length.

A stopped thread stays with its core, as the kernel does not move it; that it waits counts as
waiting for a core. How much of such waits is due to the quota, each thread tells (``stopped_s``):
all of it as long as its own core is stopped, and of a wait in the run queue the share of the cores
that are.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.sim.clock import DISPATCH, Call, Clock
from simsched.sim.host import Host
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simsched.scenario import Host as HostSpec
    from simsched.sim.observer import Observers

KEPT_S = 1e-3  # min_cfs_rq_runtime: what a core keeps when it has nothing to run
SLACK_AFTER_S = 5e-3  # cfs_bandwidth_slack_period: given back time is handed out so much later,
SLACK_BEFORE_S = 2e-3  # min_bandwidth_expiration: ... unless a period begins so soon after that

ROUNDING = 1e-9
"""Of a period: 0.3 s is the end of the third one, though 3 * 0.1 is more than 0.3."""


class Budget:
    """The CPU time of one core."""

    __slots__ = ("frozen", "left_s", "since_s", "stopped_s", "timer")

    def __init__(self) -> None:
        self.left_s = 0.0  # negative: it owes that
        self.since_s = 0.0  # until when use of it is booked
        self.timer: Call | None = None  # when it is used up
        self.stopped_s: float | None = None  # since when the core is throttled
        self.frozen: OsThread | None = None  # who was on it then


class QuotaHost(Host):
    """A host with a CPU quota."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        super().__init__(clock, spec, observers)
        self.naps = False
        self.period_s = spec.cpu_period_s
        self.quota_s = (spec.cpu_quota or 0.0) * spec.cpu_period_s
        self.most_s = self.quota_s + spec.cpu_burst_s
        self.slice_of_quota_s = spec.os.bandwidth_slice_s
        self.pool_s = self.quota_s
        self.period = 0  # the pool is that of this one
        self.budgets = [Budget() for _ in self.cores]
        self.throttled: deque[Core] = deque()  # in the order in which they were stopped
        self.throttled_in = -1  # the last period in which any core was stopped
        self._stop_clock_s = 0.0  # the integral of the share of cores that are stopped
        self._stop_clock_at_s = 0.0  # ... up to here
        self._renewal: Call | None = None
        self._slack: Call | None = None

    # -- the pool ----------------------------------------------------------------------------

    def _renew(self) -> None:
        """Begin the period that it is, if that has not been done."""
        period = int(self.clock.now / self.period_s + ROUNDING)
        if period > self.period:
            added_s = self.quota_s * (period - self.period)
            self.pool_s = min(self.pool_s + added_s, self.most_s)
            self.period = period

    def _draw(self, core: Core) -> bool:
        """Fill up the core's slice from the pool; returns whether it may run now."""
        self._renew()
        budget = self.budgets[core.index]
        drawn_s = min(self.slice_of_quota_s - budget.left_s, self.pool_s)
        self.pool_s -= drawn_s
        budget.left_s += drawn_s
        return budget.left_s > NANOSECOND_S

    def _may_run(self, core: Core) -> bool:
        return self.budgets[core.index].left_s > NANOSECOND_S or self._draw(core)

    def _book(self, core: Core) -> Budget:
        """Take what has been used since the last look off the budget."""
        budget, now = self.budgets[core.index], self.clock.now
        if now > budget.since_s:
            budget.left_s -= now - budget.since_s
            budget.since_s = now
        return budget

    # -- running on a budget -----------------------------------------------------------------

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        if not self._may_run(core):
            self.observers.core_queue(self.clock.now, 1)
            self._stop(core, thread)
            return
        super()._put(core, thread, latency_s)
        thread.stopped_s += self._stop_clock()
        budget = self.budgets[core.index]
        budget.since_s = core.on_s
        self._watch(core, core.on_s + budget.left_s)

    def _watch(self, core: Core, time_s: float) -> None:
        self.budgets[core.index].timer = self.clock.call_at(time_s, DISPATCH, self._used_up, core)

    def _used_up(self, call: Call) -> None:
        core: Core = call.arg
        thread = core.thread
        assert thread is not None
        now = self.clock.now
        budget = self._book(core)
        if thread.end_s <= now + NANOSECOND_S:
            # Its burst ends at this instant: look again when its owner has decided what is next.
            self._watch(core, max(now, thread.end_s))
        elif now < thread.start_s:
            self._watch(core, thread.start_s)  # a switch that has begun is not undone
        elif self._draw(core):
            self._watch(core, now + budget.left_s)
        else:
            self._interrupt(core)
            self._stop(core, thread)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        budget = self._book(core)
        if budget.timer is not None:
            budget.timer.cancel()
            budget.timer = None
        super()._take_off(core, thread)

    def leave(self, thread: OsThread) -> None:
        """The thread goes to sleep; its core, if nobody follows, gives back what it has."""
        core = thread.core
        super().leave(thread)
        if core is not None and core.index in self.idle:
            self._give_back(core)

    def _refill(self, core: Core) -> None:
        if (self.woken or self.rotating) and not self._may_run(core):
            self._stop(core, None)
            return
        super()._refill(core)
        if core.thread is None and core.index in self.idle:
            self._give_back(core)

    def kill(self, threads: Sequence[OsThread]) -> None:
        """Their process is gone, whether they run, wait or are stopped."""
        for core in self.throttled:
            budget = self.budgets[core.index]
            if budget.frozen in threads:
                budget.frozen = None
                self.observers.core_queue(self.clock.now, -1)
        super().kill(threads)

    # -- stopping and going on ---------------------------------------------------------------

    def _stop(self, core: Core, thread: OsThread | None) -> None:
        """The core has no time left, nor has the pool. ``thread`` was to go on on it."""
        budget, now = self.budgets[core.index], self.clock.now
        if thread is not None:
            thread.stopped_s += self._stop_clock() - now
        self._stop_clock()
        budget.frozen = thread
        budget.stopped_s = now
        self.throttled.append(core)
        self.observers.throttled(now, core.index, 1)
        if self.throttled_in < self.period:
            self.throttled_in = self.period
            self.observers.counted("throttled_periods", 1)
        if self._renewal is None:
            begins_s = (self.period + 1) * self.period_s
            self._renewal = self.clock.call_at(begins_s, DISPATCH, self._period_begins)

    def _period_begins(self, _: Call) -> None:
        self._renewal = None
        self._renew()
        self._go_on()

    def _give_back(self, core: Core) -> None:
        """The core has nothing to run: all but a millisecond goes back to the pool."""
        budget = self.budgets[core.index]
        spare_s = budget.left_s - KEPT_S
        if spare_s <= 0.0:
            return
        self._renew()
        budget.left_s = KEPT_S
        self.pool_s = min(self.pool_s + spare_s, self.most_s)
        if not self.throttled or self._slack is not None or self.pool_s <= self.slice_of_quota_s:
            return
        now = self.clock.now
        if now + SLACK_AFTER_S + SLACK_BEFORE_S < (self.period + 1) * self.period_s:
            self._slack = self.clock.call_at(now + SLACK_AFTER_S, DISPATCH, self._slack_is_due)

    def _slack_is_due(self, _: Call) -> None:
        self._slack = None
        if self.pool_s > self.slice_of_quota_s:
            self._go_on()

    def _go_on(self) -> None:
        """Let the stopped cores run again, first come first served, as long as there is time."""
        clock_s, now = self._stop_clock(), self.clock.now
        waiting, self.throttled = self.throttled, deque()
        for core in waiting:
            budget = self.budgets[core.index]
            assert budget.stopped_s is not None
            self.observers.spent("throttled_s", now - budget.stopped_s)
            budget.stopped_s = None
            self.observers.throttled(now, core.index, -1)
            thread, budget.frozen = budget.frozen, None
            if thread is not None:
                thread.stopped_s += now - clock_s
            if thread is None:
                self._refill(core)
            elif self._may_run(core):
                self.observers.core_queue(now, -1)
                self._put(core, thread, 0.0)
            else:
                self._stop(core, thread)

    # -- how long a thread waits because of it -----------------------------------------------
    # From the moment at which a thread waits, its ``stopped_s`` lacks the time that a clock shows
    # then, and it gets back what that shows when it has its core: the time of day while its core is
    # stopped, and otherwise a clock that runs the faster the more cores are.

    def _stop_clock(self) -> float:
        now = self.clock.now
        if now > self._stop_clock_at_s:
            share = len(self.throttled) / len(self.cores)
            self._stop_clock_s += share * (now - self._stop_clock_at_s)
            self._stop_clock_at_s = now
        return self._stop_clock_s

    def wake(self, thread: OsThread, latency_s: float | None = None) -> None:
        """A sleeping thread becomes runnable."""
        thread.stopped_s -= self._stop_clock()
        super().wake(thread, latency_s)

    def _interrupt(self, core: Core) -> OsThread:
        thread = super()._interrupt(core)
        thread.stopped_s -= self._stop_clock()
        return thread

    def stopped_so_far(self, thread: OsThread, now: float) -> float:
        """Of the present wait of a thread for a core, what is due to the quota; told once."""
        clock_s = 0.0
        if any(self.budgets[core.index].frozen is thread for core in self.throttled):
            clock_s = now
        elif thread in self.woken or thread in self.rotating:
            clock_s = self._stop_clock()
        told_s, thread.stopped_s = thread.stopped_s + clock_s, -clock_s
        return told_s

    def queue(self) -> Iterable[OsThread]:
        """The runnable threads without a core, the stopped ones included."""
        frozen = (self.budgets[core.index].frozen for core in self.throttled)
        return (*super().queue(), *(thread for thread in frozen if thread is not None))

    def end(self, now: float) -> None:
        """Book what has been stopped until the end of the run."""
        for core in self.throttled:
            stopped_s = self.budgets[core.index].stopped_s
            if stopped_s is not None and now > stopped_s:
                self.observers.spent("throttled_s", now - stopped_s)
