"""A host whose kernel gives turns as Linux does from 6.6 on: EEVDF (kernel/sched/fair.c).

Every runnable thread has a virtual runtime, the CPU time it has used, and a virtual deadline, one
base slice beyond the virtual runtime at which it last got one. The average of the virtual runtimes
of all runnable threads is what each would have if all had had the same. All weights are equal.

- **Who is next** (``pick_eevdf``): of those that are not ahead of the average, the one with the
  earliest deadline; the one that runs keeps the core until it has used up its slice, unless it is
  ahead of the average (``RUN_TO_PARITY``, ``protect_slice``).
- **When the kernel looks** (``update_curr``): at ticks and when a thread wakes. So threads that
  only compute take turns of whole ticks: 4 ms with a base slice of 1.4 ms. One that computes alone
  gets a new deadline at such a tick, but no protection.
- **Lag** (``place_entity``): a thread that falls asleep behind the average finds itself as far
  behind it when it wakes, and so goes first; one that needs next to nothing per wake-up lives on
  what it is owed for having waited once. One ahead of the average goes on competing
  (``DELAY_DEQUEUE``) until the others have caught up; from then on nothing is left of that.

Measured on Linux 6.18 (HZ=250, base slice 1.4 ms): of two threads that only compute, each runs for
3.98 ms at a time; a sleeper among four of them waits for 22 us, and in one of fifteen cases for the
next tick, which is what the lag explains.

One queue serves all cores, as in :mod:`simsched.sim.host`; a thread that wakes looks at the core it
ran on last. Operations cost O(log n) comparisons, and the queue is kept by deadline.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simsched.sim.host import Host
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread

if TYPE_CHECKING:
    from simsched.scenario import Host as HostSpec
    from simsched.sim.clock import Clock
    from simsched.sim.observer import Observers

MOST_LAG_SLICES = 2  # update_entity_lag: at most so many slices are remembered


class Turn:
    """What the kernel knows of a thread: its ``sched_entity``. Times are virtual seconds."""

    __slots__ = ("busy_period", "deadline_s", "lag_s", "protected_s", "vruntime_s")

    def __init__(self) -> None:
        self.vruntime_s = 0.0
        self.deadline_s = 0.0
        self.lag_s = 0.0  # when it fell asleep: how far behind the average it was
        self.protected_s = 0.0  # until when it keeps the core that it has
        self.busy_period = -1  # in which that was: once all sleep, nothing is remembered


def _turn(thread: OsThread) -> Turn:
    turn = thread.turn
    if turn is None:
        turn = thread.turn = Turn()
    return turn


def _deadline_s(thread: OsThread) -> float:
    return _turn(thread).deadline_s


class EevdfHost(Host):
    """A host whose threads get the core by virtual deadlines."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        super().__init__(clock, spec, observers)
        self.queued_vruntime_s = 0.0  # the sum over those that wait
        self.last_vruntime_s = 0.0  # of whoever ran last, if nobody does
        self.busy_period = 0
        self.newcomers: list[list[OsThread]] = [[] for _ in self.cores]  # not looked at yet

    # -- virtual time ------------------------------------------------------------------------

    def _vruntime_s(self, core: Core, thread: OsThread) -> float:
        """Virtual runtime of the thread on a core."""
        return _turn(thread).vruntime_s + max(0.0, self.clock.now - core.on_s)

    def _average_s(self) -> float:
        """Average virtual runtime of the runnable threads."""
        n, total_s = len(self.rotating), self.queued_vruntime_s
        for core in self.cores:
            if core.thread is not None:
                n += 1
                total_s += self._vruntime_s(core, core.thread)
        return total_s / n if n else self.last_vruntime_s

    def _tick(self, at_s: float) -> float:
        """The first tick from then on."""
        tick_s = self.tick_s
        return math.ceil(at_s / tick_s - 1e-9) * tick_s if tick_s else at_s

    def _slice_is_over_s(self, core: Core, turn: Turn) -> float:
        """The first tick that finds the slice of the thread on a core used up."""
        return self._tick(core.on_s + turn.deadline_s - turn.vruntime_s)

    def _catch_up(self, core: Core, turn: Turn) -> None:
        """A thread for whose core nobody waited got a new slice at every tick that ended one."""
        now, over_s = self.clock.now, self._slice_is_over_s(core, turn)
        if over_s < now:
            period_s = self._tick(self.slice_s)
            last_s = over_s + math.ceil((now - over_s) / period_s - 1.0 - 1e-9) * period_s
            turn.deadline_s = turn.vruntime_s + last_s - core.on_s + self.slice_s

    # -- waking and sleeping -----------------------------------------------------------------

    def wake(self, thread: OsThread, latency_s: float | None = None) -> None:
        """A sleeping thread becomes runnable, where its lag puts it."""
        turn, average_s = _turn(thread), self._average_s()
        if self.idle:
            turn.vruntime_s = average_s
            turn.deadline_s = average_s + self.slice_s
            turn.busy_period = self.busy_period
            super().wake(thread, latency_s)
            return
        thread.queued_s = now = self.clock.now
        thread.burst_s = 0.0
        self.observers.core_queue(now, 1)
        self._place(turn, average_s)
        self._enqueue(thread)
        core = thread.last_core
        if core is None or core.thread is None:
            core = next((other for other in self.cores if other.thread is not None), None)
        if core is not None and core.thread is not None:
            self._catch_up(core, _turn(core.thread))
            if self.preempts_on_wakeup:
                self.newcomers[core.index].append(thread)
            core.slice_end_s = min(core.slice_end_s, now)
        self._arm_slices()

    def _place(self, turn: Turn, average_s: float) -> None:
        if turn.busy_period != self.busy_period:
            turn.lag_s = 0.0
        elif turn.vruntime_s > average_s:
            return  # it has gone on competing
        turn.busy_period = self.busy_period
        n = len(self.rotating) + sum(core.thread is not None for core in self.cores)
        # Its own arrival moves the average towards it.
        lag_s = max(0.0, turn.lag_s) * (n + 1) / n if n else 0.0
        turn.vruntime_s = average_s - lag_s
        turn.deadline_s = turn.vruntime_s + self.slice_s

    def leave(self, thread: OsThread) -> None:
        """The thread on a core goes to sleep; what it is owed is remembered."""
        core = thread.core
        if core is not None:
            most_s = MOST_LAG_SLICES * self.slice_s
            lag_s = self._average_s() - self._vruntime_s(core, thread)
            _turn(thread).lag_s = max(-most_s, min(most_s, lag_s))
        super().leave(thread)

    def kill(self, threads: Sequence[OsThread]) -> None:
        """Their process is gone, whether they run or wait."""
        for thread in threads:
            if thread in self.rotating:
                self.queued_vruntime_s -= _turn(thread).vruntime_s
        super().kill(threads)

    def napped(self, core: Core, thread: OsThread) -> None:
        """It has slept and is awake again, alone all the time."""
        turn = _turn(thread)
        turn.vruntime_s += max(0.0, self.clock.now - core.on_s)
        self.busy_period += 1
        turn.busy_period = self.busy_period
        turn.deadline_s = turn.protected_s = turn.vruntime_s + self.slice_s

    # -- the queue ---------------------------------------------------------------------------

    def _enqueue(self, thread: OsThread) -> None:
        insort(self.rotating, thread, key=_deadline_s)
        self.queued_vruntime_s += _turn(thread).vruntime_s

    def _next(self, average_s: float) -> int:
        """Place in the queue of who is next, of those that wait.

        Of one core's threads somebody is not ahead of the average; with more cores it may be that
        all who are not ahead run.
        """
        for i, thread in enumerate(self.rotating):
            if _turn(thread).vruntime_s <= average_s + NANOSECOND_S:
                return i
        return 0

    def _refill(self, core: Core) -> None:
        if self.rotating:
            i = self._next(self._average_s())
            thread = self.rotating[i]
            if i:
                del self.rotating[i]
                self.rotating.appendleft(thread)
            self.queued_vruntime_s -= _turn(thread).vruntime_s
            if len(self.rotating) == 1:
                self.queued_vruntime_s = 0.0  # and no rounding errors are kept
        super()._refill(core)

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        super()._put(core, thread, latency_s)
        if core.thread is thread:
            turn = _turn(thread)
            turn.protected_s = turn.deadline_s
            core.slice_end_s = self._slice_is_over_s(core, turn)
            self.newcomers[core.index].clear()
            if self.rotating:
                self._arm(core, core.slice_end_s)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        turn = _turn(thread)
        turn.vruntime_s = self._vruntime_s(core, thread)
        super()._take_off(core, thread)
        if not self.rotating and all(other.thread is None for other in self.cores):
            self.last_vruntime_s = turn.vruntime_s
            self.busy_period += 1

    def _preempt(self, core: Core, to_head: bool) -> None:
        thread = self._interrupt(core)
        self.observers.counted("preemptions", 1)
        self._enqueue(thread)
        self._refill(core)

    # -- when the kernel looks ---------------------------------------------------------------

    def _next_slice_end(self, core: Core) -> float:
        return max(self.clock.now, core.slice_end_s)

    def _judge(self, core: Core, now: float) -> None:
        if now < core.slice_end_s:
            self._arm(core, core.slice_end_s)
            return
        thread = core.thread
        assert thread is not None
        if self._is_preempted(core, thread):
            self._preempt(core, to_head=False)
            return
        self.newcomers[core.index].clear()
        core.slice_end_s = self._slice_is_over_s(core, _turn(thread))
        self._arm(core, core.slice_end_s)

    def _is_preempted(self, core: Core, thread: OsThread) -> bool:
        """Whether the thread on a core has to leave it. If not, it may have got a new slice."""
        turn, vruntime_s = _turn(thread), self._vruntime_s(core, thread)
        average_s = self._average_s()
        behind = vruntime_s <= average_s + NANOSECOND_S
        over = vruntime_s >= turn.deadline_s - NANOSECOND_S
        if over:
            turn.deadline_s = vruntime_s + self.slice_s
        elif behind and vruntime_s < turn.protected_s - NANOSECOND_S:
            return False
        other = self.rotating[self._next(average_s)]
        later_s = turn.deadline_s - _turn(other).deadline_s
        if _turn(other).vruntime_s > average_s + NANOSECOND_S:
            if behind or later_s <= NANOSECOND_S:
                return False
        elif behind and later_s < -NANOSECOND_S:
            return False
        return over or other in self.newcomers[core.index]
