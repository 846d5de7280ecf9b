"""``sysmon``: the thread without a P that preempts, retakes Ps, and polls a neglected network.

Follows ``sysmon`` and ``retake`` in Go 1.25 ``runtime/proc.go``. It sleeps 20 us; after 50 rounds
without a retake it doubles its sleep, up to 10 ms; when all Ps are idle it sleeps until one is not.
Its
rounds are below 0.1 % of CPU and neglected; to wake it costs whoever leaves the idle state
``sysmon_s``: a futex wake-up, a switch, and its first ``usleep``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.schedulers.go_parts import RUNNING, SYSCALL, P, ThreadLimitExceeded
from simsched.sim.clock import DISPATCH, Process

if TYPE_CHECKING:
    from simsched.schedulers.go_sched import GoSched

SHORTEST_SLEEP_S = 20e-6
LONGEST_SLEEP_S = 10e-3
ROUNDS_BEFORE_DOUBLING = 50
FORCE_PREEMPT_S = 10e-3  # forcePreemptNS
NETPOLL_NEGLECTED_S = 10e-3


class Sysmon:
    """The monitor of one Go runtime.

    Most of its rounds of 20 us see nothing that could matter. As long as no M is in a system call
    and nothing is due within them, the rounds up to the first doubling are slept through in one
    go; :meth:`look_soon` brings the monitor back to its grid when something happens. What it would
    have seen on the way is worked out from the time of the change, so the outcome is the same.
    """

    def __init__(self, sched: GoSched) -> None:
        self.sched = sched
        self._deep_sleep: Event | None = None
        self._nap: Event | None = None
        self._nap_from_s = 0.0
        self._rounds_slept = 0  # rounds of the current nap

    def wake(self) -> bool:
        """A P is in use again: watch it. Returns whether it had to be woken."""
        if self._deep_sleep is None:
            return False
        self.sched.clock.wake(self._deep_sleep)
        self._deep_sleep = None
        return True

    def look_soon(self) -> None:
        """Something happened that the next round of 20 us would see: do not sleep through it."""
        if self._nap is None or self._rounds_slept <= 1:
            return
        clock = self.sched.clock
        rounds = int((clock.now - self._nap_from_s) / SHORTEST_SLEEP_S) + 1
        if rounds < self._rounds_slept:
            self._rounds_slept = rounds
            at_s = self._nap_from_s + rounds * SHORTEST_SLEEP_S
            self._nap = clock.move(self._nap, at_s, DISPATCH)

    def run(self) -> Process:
        """The monitor's loop."""
        sched, clock = self.sched, self.sched.clock
        idle_rounds = 0
        sleep_s = SHORTEST_SLEEP_S
        while True:
            if idle_rounds == 0:
                sleep_s = SHORTEST_SLEEP_S
            elif idle_rounds > ROUNDS_BEFORE_DOUBLING:
                sleep_s = min(2 * sleep_s, LONGEST_SLEEP_S)
            self._nap_from_s = clock.now
            self._rounds_slept = self._rounds_to_sleep(idle_rounds)
            span_s = self._rounds_slept * sleep_s
            self._nap = clock.event_at(clock.now + span_s, DISPATCH)
            yield self._nap
            self._nap = None
            idle_rounds += self._rounds_slept - 1
            if len(sched.idle_ps) == len(sched.ps):
                self._deep_sleep = clock.event()
                yield self._deep_sleep
                idle_rounds = 0
                sleep_s = SHORTEST_SLEEP_S
            if sched.dead:
                return
            try:
                self._poll_neglected_network()
                idle_rounds = 0 if self._retake() else idle_rounds + 1
            except ThreadLimitExceeded:
                return

    def _rounds_to_sleep(self, idle_rounds: int) -> int:
        sched = self.sched
        left = ROUNDS_BEFORE_DOUBLING - idle_rounds
        if left <= 1:
            return 1
        until_s = sched.clock.now + left * SHORTEST_SLEEP_S
        if sched.poller is None and sched.last_poll_s + NETPOLL_NEGLECTED_S < until_s:
            return 1
        for p in sched.ps:
            if p.status == SYSCALL:
                return 1
            if p.status == RUNNING and p.seen_sched_s + FORCE_PREEMPT_S < until_s:
                return 1
        return left

    def _seen_s(self, changed_s: float) -> float:
        """When the rounds since the last nap would first have seen a change."""
        if changed_s <= self._nap_from_s:
            return self._nap_from_s + min(self._rounds_slept, 1) * SHORTEST_SLEEP_S
        rounds = math.ceil((changed_s - self._nap_from_s) / SHORTEST_SLEEP_S)
        return min(self.sched.clock.now, self._nap_from_s + rounds * SHORTEST_SLEEP_S)

    def _poll_neglected_network(self) -> None:
        sched = self.sched
        now = sched.clock.now
        if sched.poller is None and sched.last_poll_s + NETPOLL_NEGLECTED_S < now:
            sched.last_poll_s = now
            sched.inject(sched.netpoll(), None)

    def _retake(self) -> int:
        """Preempt who has run too long; take Ps from Ms in system calls. Returns how many."""
        retaken = 0
        now = self.sched.clock.now
        for p in self.sched.ps:
            if p.status not in (RUNNING, SYSCALL):
                continue
            too_long = False
            if p.seen_sched_tick != p.sched_tick:
                p.seen_sched_tick = p.sched_tick
                p.seen_sched_s = self._seen_s(p.sched_changed_s) if self._rounds_slept > 1 else now
            elif p.seen_sched_s + FORCE_PREEMPT_S <= now:
                too_long = True
                self._preempt(p)
            if p.status == SYSCALL and self._retake_from_syscall(p, now, too_long):
                retaken += 1
        return retaken

    def _preempt(self, p: P) -> None:
        m = p.m
        if m is not None and m.current is not None and self.sched.spec.asyncpreempt:
            m.thread.cut()

    def _retake_from_syscall(self, p: P, now: float, too_long: bool) -> bool:
        sched = self.sched
        if not too_long and p.seen_syscall_tick != p.syscall_tick:
            p.seen_syscall_tick = p.syscall_tick
            p.seen_syscall_s = now
            return False
        nothing_to_do = not len(p.queue) and sched.n_spinning + len(sched.idle_ps) > 0
        if nothing_to_do and p.seen_syscall_s + FORCE_PREEMPT_S > now:
            return False
        p.syscall_tick += 1
        sched.nobody_works_on(p)
        sched.observers.counted("handoffs", 1)
        if p.caller is not None:
            sched.observers.lost(now, p.caller)
            p.caller = None
        sched.hand_off_p(p)
        return True
