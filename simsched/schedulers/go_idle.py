"""What an M does that has found nothing to run: a pause, a poll that waits, or sleep.

Follows the end of ``findRunnable`` in Go 1.25 ``runtime/proc.go``; see
:mod:`simsched.schedulers.goroutine` for the whole.
"""

from __future__ import annotations

import math

from simsched.schedulers.go_parts import M
from simsched.schedulers.go_sched import GoSched
from simsched.sim.clock import IO_DONE, Call, Process

SHORTEST_POLL_S = 1e-6  # epoll_wait as a system call, even where it does not wait


class GoIdle(GoSched):
    """Ms without work."""

    def _back_off(self, m: M) -> Process:
        """Before ``runnext`` of a P that runs is taken: its own P may be about to run it."""
        back_off_s, m.back_off_s = m.back_off_s, 0.0
        wait = m.thread.run(back_off_s)
        if wait is not None:
            yield wait
        self.observers.overhead(self.clock.now, back_off_s)

    def _wait_for_work(self, m: M) -> Process:
        """Nothing to do: wait for the network if nobody does yet, else park."""
        had_p = m.p is not None
        if had_p:
            self._release_p(m)
        m.thread.sleep()
        m.token = token = self.clock.event()
        timer: Call | None = None
        if had_p and self.poller is None:
            self.poller = m
            self.poll_since_s = self.clock.now
            self.poll_until_s = min(p.timers.earliest_s() for p in self.ps)
            if self.poll_until_s < float("inf"):
                # One that is due is on somebody else's P, and that P's M on its way to it.
                now = self.clock.now
                at_s = now + SHORTEST_POLL_S
                if self.poll_until_s > now:
                    at_s = now + self.poll_timeout_s(self.poll_until_s - now)
                timer = self.clock.call_at(at_s, IO_DONE, self._poll_times_out)
            yield token
            if timer is not None:
                timer.cancel()
            self._back_from_netpoll(m)
        else:
            self.idle_ms.append(m)
            yield token

    def poll_timeout_s(self, delay_s: float) -> float:
        """``netpoll(delay)``: whole milliseconds, cut off, but at least one; and late, as all are.

        So a timer that is less than a millisecond away ends the wait up to a millisecond late, and
        one that is further away is waited for twice. Source: Go runtime/netpoll_epoll.go.
        """
        resolution_s = self.spec.poll_resolution_s
        if resolution_s:
            delay_s = max(resolution_s, math.floor(delay_s / resolution_s + 1e-9) * resolution_s)
        return delay_s + self.host.timer_slack_s

    def _release_p(self, m: M) -> None:
        p = m.p
        assert p is not None
        if m.spinning:
            m.spinning = False
            m.was_spinning = True
            self.n_spinning -= 1
        else:
            m.was_spinning = False
        m.p = None
        self.idle_p_put(p)
        self.nobody_works_on(p)

    def _poll_times_out(self, _: Call) -> None:
        self.break_netpoll()

    def _back_from_netpoll(self, m: M) -> None:
        """Distribute what the network has; go on with a P if there is an idle one."""
        self.poller = None
        self.poll_until_s = float("inf")
        self.last_poll_s = self.clock.now
        ready = self.netpoll()
        p = self.idle_p_get()
        if p is None:
            self.inject(ready, None)
            return
        self.acquire_p(m, p)
        if ready:
            m.take = ready[0]
            self.inject(ready[1:], p)
        elif m.was_spinning:
            m.spinning = True
            self.n_spinning += 1
