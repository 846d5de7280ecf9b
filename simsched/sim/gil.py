"""CPython's global interpreter lock: of the threads of one process, one runs Python code at a time.

Follows CPython 3.13 ``Python/ceval_gil.c`` (``take_gil``, ``drop_gil``). This is the lock and who
waits for it; what its threads do is in :mod:`simsched.sim.gil_thread`.

- **Taking.** If the lock is free, it is taken at once, whoever else waits for it: there is no queue
  discipline ("barging"). Else the thread sleeps on a condition for one switch interval. If that
  time runs out, the lock is held, and it has not gone to another thread meanwhile, the thread
  requests that the holder drop it. Else the clock starts again.
- **Dropping.** The holder looks for requests between bytecodes, so it drops the lock at once, as
  soon as it has a core. One waiter is signalled. If a drop was requested, the dropper then sleeps
  until another thread has taken the lock (``FORCE_SWITCHING``).
- **Blocking calls**, and native code that releases the lock, drop it without that: whoever comes
  back before the signalled waiter has woken up takes it again, and the other was woken for nothing.
- **Order.** The condition variable is first come, first served, and a waiter whose time has run out
  goes to its end. But a signal is a token that anybody who waits may use (glibc,
  ``pthread_cond_wait.c``), and the thread that has just requested the drop has often not fallen
  asleep again when the token is there: then it has the lock at once, before the first in the queue.

A waiter that is signalled, or whose time runs out, needs a core before it can look at the lock.
That is where the lock and the kernel's scheduler meet: with a free core the wake-up latency is what
a blocking call may take without losing the lock; without one, the waiter queues for a core first.

**Who signals, pays.** Waking a sleeping thread is a system call and an interrupt of another core,
on the CPU of whoever signals: a drop that finds a waiter, and a take after which the dropper may
wake up. So a thread that has just been given the lock by force is slow at its next call, and the
one that it has taken the lock from is about to look again: it may well lose it at once.

**Noise.** Which of several waiters comes first depends on microseconds. In a model without noise
they fall into step: those that compute pass the lock round among them, and another one starves. So
the wake-up latency of a waiter is drawn from around the host's, time-outs have the kernel's timer
slack, and whether the thread that requests a drop is still awake is drawn, too.

The mutex that guards the condition is left out: who looks while a signal is under way finds the
lock free, and does not first wait for the signaller to let go of the mutex.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from simsched.sim.gil_thread import GilThread
    from simsched.sim.machine import Machine

Key = tuple[int, str]  # a class of requests, and the step that one of them is at

NOBODY: Key = (-1, "")  # who is to blame for a wait while the lock is on its way to a waiter

TIMER_SLACK_S = 50e-6  # Linux: default of PR_SET_TIMERSLACK; a time-out may end so much later
# Measured on a guest whose median is 45 us: most wake-ups of an idle core take 20 to 80 us.
JITTER = 0.6  # a latency is between 1 - JITTER and 1 + JITTER of the host's, evenly
# Measured, two threads that compute and one that comes back from a call: its wait ends with the
# first switch in a quarter of the cases. In the others the one that requested the switch has it.
QUICK = 0.75
DRAWS = 256  # of random numbers at a time


class Gil:
    """The lock of one process."""

    def __init__(self, machine: Machine, interval_s: float) -> None:
        self.clock = machine.clock
        self.interval_s = interval_s
        self.slack_s = TIMER_SLACK_S
        self.jitter = JITTER
        self.quick = QUICK
        self.wakeup_cost_s = machine.host.wakeup_cost_s
        self._latency_s = machine.host.wakeup_s
        self._stream = machine.stream  # made when it is needed: most locks are never fought over
        self._rng: np.random.Generator | None = None
        self._draws: list[float] = []
        self.holder: GilThread | None = None
        self.last_holder: GilThread | None = None
        self.switches = 0  # how often it has gone to another thread than the last one
        self.waiters: deque[GilThread] = deque()  # asleep on the condition
        self.dropper: GilThread | None = None  # asleep until somebody else has taken the lock
        self.n_waiting = 0  # threads that want it, asleep or about to look again
        self.held_s: dict[Key, float] = {}  # while anybody waited, by whom the holder worked for
        self._booked_s = 0.0

    # -- who has it --------------------------------------------------------------------------

    def take(self, thread: GilThread) -> float:
        """It is free, and ``thread`` takes it; returns the CPU that this costs the thread."""
        if self.n_waiting:
            self.book()
        self.holder = thread
        if self.last_holder is not thread:
            self.last_holder = thread
            self.switches += 1
        dropper = self.dropper
        if dropper is None:
            return 0.0
        self.dropper = None
        dropper.wake_up()
        return self.wakeup_cost_s

    def drop(self) -> float:
        """Its holder drops it and wakes a waiter; returns the CPU that this costs the holder."""
        self.leave_free()
        if not self.waiters:
            return 0.0
        self.waiters.popleft().wake_up()
        return self.wakeup_cost_s

    def leave_free(self) -> None:
        """Its holder drops it, and signals nobody."""
        if self.n_waiting:
            self.book()
        self.holder = None

    # -- noise -------------------------------------------------------------------------------

    def draw(self) -> float:
        """A random number in [0, 1)."""
        if not self._draws:
            self._rng = self._rng or self._stream("gil")
            self._draws = self._rng.random(DRAWS).tolist()
        return self._draws.pop()

    def asker_is_quick(self) -> bool:
        """Whether one that requests a drop has it before it has fallen asleep again."""
        return self.quick > 0.0 and self.draw() < self.quick

    def time_out_s(self) -> float:
        """When the time of a thread is over that begins to wait now."""
        due_s = self.clock.now + self.interval_s
        return due_s + self.slack_s * self.draw() if self.slack_s else due_s

    def latency_s(self) -> float:
        """How long it takes now to wake a waiter on an idle core."""
        latency_s = self._latency_s
        if not latency_s or not self.jitter:
            return latency_s
        return latency_s * (1.0 + self.jitter * (2.0 * self.draw() - 1.0))

    # -- who has had it while others waited ---------------------------------------------------

    def book(self) -> None:
        """The time since the last change belongs to the present holder."""
        now = self.clock.now
        if now > self._booked_s:
            holder = self.holder
            key = NOBODY if holder is None else holder.works_for()
            self.held_s[key] = self.held_s.get(key, 0.0) + now - self._booked_s
            self._booked_s = now

    def begins_to_wait(self) -> dict[Key, float]:
        """One more waits; returns what :meth:`blame_since` has to be given."""
        if self.n_waiting:
            self.book()
        else:
            self._booked_s = self.clock.now
        self.n_waiting += 1
        return self.held_s.copy()

    def blame_since(self, before: dict[Key, float], blames: dict[Key, float]) -> None:
        """Add to ``blames`` who has held the lock since then, and how long."""
        self.book()
        for key, held_s in self.held_s.items():
            since_s = held_s - before.get(key, 0.0)
            if since_s > 0.0:
                blames[key] = blames.get(key, 0.0) + since_s
