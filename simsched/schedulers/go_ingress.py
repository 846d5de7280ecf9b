"""How requests get into a Go process, other than each on a connection of its own.

- ``reader``: one goroutine blocks in ``Read`` of a pipe or socket. The network poller makes it
  ready like any other. When it runs, it takes what is there and says ``go handle(request)`` for
  each: the newest goes into ``runnext`` and pushes the one before into the ring, so that of a batch
  the last one runs first, and all of them after the reader has parked again.
- ``timer``: a chain of ``time.AfterFunc``. The timer of the next request is set by the function
  that the last one ran, on its P, and so fires when that P looks at its timers. It runs in a new
  goroutine (``goFunc``).
- ``accept``: connections are accepted by a goroutine, which starts one for each of them
  (:mod:`simsched.schedulers.go_accept`). A request on a connection that is open already, or where
  connections are not modelled, is as one of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from simpy.events import Event

from simsched.schedulers.go_accept import AcceptLoop
from simsched.schedulers.go_parts import ThreadLimitExceeded, helper
from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.task import RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.scenario import GoroutineSpec
    from simsched.schedulers.go_parts import M, P
    from simsched.schedulers.go_sched import GoSched


class GoIngress:
    """The goroutine or the chain of timers by which requests get in, where there is one."""

    def __init__(self, sched: GoSched, spec: GoroutineSpec) -> None:
        self.kind = spec.ingress
        self.reader = helper() if spec.ingress == "reader" else None
        self.alarm = helper() if spec.ingress == "timer" else None
        self.acceptor = AcceptLoop(sched, spec) if spec.ingress == "accept" else None
        self._sched = sched
        self._read_s, self._submit_s = spec.read_s, spec.submit_s
        self._pipe: deque[Task] = deque()
        self._parked = True  # the reader waits for the network poller
        self._onto: P | None = None  # whose timer has made the latest request
        self._due: deque[Task] = deque()

    def takes(self, task: Task) -> bool:
        """Whether the request gets in this way."""
        if self.reader is not None:
            self._pipe.append(task)
            if self._parked:
                self._parked = False
                self._sched.net_readable(self.reader)
            return True
        if self.alarm is not None:
            self._set_alarm(task)
            return True
        return False

    def run(self, m: M, g: Task) -> Generator[Event, Any, Task | None]:
        """A goroutine of the process itself runs; returns the request that it now serves."""
        acceptor = self.acceptor
        if acceptor is None:
            yield from self._read(m)
        elif g.connection is None:
            yield from acceptor.run(m)
        else:
            task = acceptor.first_read(m, g.connection)
            if task is not None:
                return task
            cost_s, m.owed_s = m.owed_s, 0.0
            wait = m.thread.run(cost_s)
            if wait is not None:
                yield wait
            self._sched.observers.overhead(self._sched.clock.now, cost_s)
        return None

    def _read(self, m: M) -> Process:
        """The reader runs: until ``Read`` finds nothing any more."""
        sched = self._sched
        p = m.p
        assert p is not None
        while True:
            n = len(self._pipe)
            cost_s = m.owed_s + self._read_s + n * self._submit_s
            m.owed_s = 0.0
            wait = m.thread.run(cost_s)
            if wait is not None:
                yield wait
            sched.observers.overhead(sched.clock.now, cost_s)
            if not n:
                break
            for _ in range(n):
                task = self._pipe.popleft()
                sched.enter(task, RUN_QUEUE)
                sched.local_put(p, task, as_next=True)
                sched.wake_p()
        self._parked = not self._pipe
        if self._pipe:
            assert self.reader is not None
            sched.net_readable(self.reader)

    # -- timers ------------------------------------------------------------------------------

    def _set_alarm(self, task: Task) -> None:
        """The timer of the request is due. Who waits in a poll wakes up when that one ends."""
        sched, alarm = self._sched, self.alarm
        assert alarm is not None
        now = sched.clock.now
        self._due.append(task)
        if len(self._due) > 1:
            return
        p = self._onto or sched.ps[0]
        p.timers.add(now, alarm)
        if sched.poller is None:
            with suppress(ThreadLimitExceeded):  # the process has died, which all have been told
                sched.wake_p()
            return
        ends_s = sched.poll_since_s
        while ends_s < now:
            ends_s += sched.poll_timeout_s(now - ends_s)
        sched.clock.call_at(ends_s, IO_DONE, self._poll_ends, sched.poller)

    def _poll_ends(self, call: Call) -> None:
        if self._due and self._sched.poller is call.arg:
            self._sched.break_netpoll()

    def fires(self, onto: P) -> None:
        """A P has looked at its timers: a goroutine for each request that is due."""
        self._onto = onto
        while self._due:
            self._sched.ready(self._due.popleft(), onto)
