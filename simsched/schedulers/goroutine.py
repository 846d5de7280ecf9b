"""Goroutines: many Gs on few Ps, each P held by an M, which is an OS thread.

Follows Go 1.25 ``runtime/proc.go``; the functions below carry the names they have there, so that
both can be read side by side. What decides the behaviour:

- ``schedule``/``findRunnable`` (:mod:`simsched.schedulers.go_find`): the order in which an M
  looks for work: its timers, every 61st time the global queue, ``runnext``, its ring, the global
  queue, the network, other Ps.
- ``ready`` puts a woken goroutine into ``runnext`` of the P that woke it, and ``wakep`` then
  starts one more M if a P is idle and no M is spinning already. So cores come into play one
  wake-up after the other.
- A goroutine that waits for the network, a timer or a lock parks; its M goes on with another. One
  in a system call (:mod:`simsched.schedulers.go_calls`) takes its M with it, and ``sysmon``
  (:mod:`simsched.schedulers.go_sysmon`) takes the P away from it after a while.
- There is no slice, but ``sysmon`` preempts who has run for 10 ms without a change; as it may look
  only every 10 ms itself, that takes 10-20 ms. ``runnext`` inherits the slice, so that a pair of
  goroutines that wake each other counts as one.

A request is one goroutine, made readable by the network poller, as ``net/http`` has one per
connection; serving it starts another (``startBackgroundRead``), and every ``go`` statement calls
``wakep``. A goroutine that merely resumes after network I/O wakes nobody: while it computes, a
ready network may go unnoticed until its P looks there again, or ``sysmon`` does.

``blocking`` steps of kind ``socket`` and ``synchronized`` park like any other wait (Go has no
blocking sockets and no monitors); ``file`` and ``native`` are system calls.

A ``parallel`` step is a ``go`` statement for each branch and a ``WaitGroup``: ``newproc`` puts each
new goroutine into ``runnext``, from where the one before moves on to the ring, and calls ``wakep``.
Then the parent parks. Whoever calls the last ``Done`` makes it ready, as any waker does.

``context.Context`` cancellation reaches a goroutine that is parked. One that computes, or is in a
system call, goes on to its next wait, which fails at once. Branches share the context of their
parent, which waits until all of them have returned.
"""

from __future__ import annotations

import math
from typing import ClassVar

from simsched.schedulers.go_calls import GoCalls
from simsched.schedulers.go_find import find_runnable
from simsched.schedulers.go_parts import M, ThreadLimitExceeded
from simsched.schedulers.go_sched import ALIVE, CREATED
from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program as op_code

SYSCALL_KINDS = frozenset({"file", "native"})
PER_CONNECTION = ("direct", "accept")  # ways in of net/http
SHORTEST_POLL_S = 1e-6  # epoll_wait as a system call, even where it does not wait


class Goroutine(GoCalls):
    """The Go scheduler: Ms that find goroutines and run them."""

    kind: ClassVar[str] = "goroutine"

    # -- the life of an M --------------------------------------------------------------------

    def _m_start(self, m: M) -> Process:
        if self.dead:
            return
        try:
            yield from self._m_life(m)
        except ThreadLimitExceeded:
            return

    def _m_life(self, m: M) -> Process:
        create_s = self.spec.thread_create_s if self.clock.now > 0 else 0.0
        wait = m.thread.run(create_s)
        if wait is not None:
            yield wait
        if create_s:
            self.observers.overhead(self.clock.now, create_s)
        while True:
            if self.clock.settling():
                yield self.clock.settle()
            if self.dead:
                return
            g = find_runnable(self, m)
            if g is None:
                if m.back_off_s:
                    back_off_s, m.back_off_s = m.back_off_s, 0.0
                    wait = m.thread.run(back_off_s)
                    if wait is not None:
                        yield wait
                    self.observers.overhead(self.clock.now, back_off_s)
                    continue
                yield from self._wait_for_work(m)
                continue
            yield from self._execute(m, g)

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
        if p.busy:
            p.busy = False
            self.observers.busy(self.clock.now, p.name, -1)

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

    # -- running a goroutine -----------------------------------------------------------------

    def _execute(self, m: M, g: Task) -> Process:
        p = m.p
        assert p is not None
        if m.spinning:  # resetspinning: the last one to find work wakes the next one up
            m.spinning = False
            self.n_spinning -= 1
            self.wake_p()
        if not m.inherit:
            p.sched_tick += 1
            p.sched_changed_s = self.clock.now
        if not p.busy:
            p.busy = True
            self.observers.busy(self.clock.now, p.name, 1)
        m.owed_s += self.spec.switch_s + self.sysmon_owed_s
        self.sysmon_owed_s = 0.0
        if g.index < 0:
            if self.gc is not None and g.stage:
                yield from self.gc.work(m, g)
                return
            request = yield from self.ingress.run(m, g)
            if request is None:
                return
            g = request
        if g.stage == CREATED:
            g.stage = ALIVE
            if g.cancelled:  # nobody waits for it any more
                g.pc = len(g.ops)
            m.owed_s += self.spec.create_s + self.spec.request_s
            if self.gc is not None:
                self.gc.allocates(m)
            if self.ingress.kind in PER_CONNECTION:
                self.wake_p()  # newproc: each request starts a goroutine
        g.thread = m.thread
        self.enter(g, CPU)
        yield from self._run_steps(m, g)

    def _run_steps(self, m: M, g: Task) -> Process:
        """Run ``g`` until it parks, ends, is preempted, or loses its P in a system call."""
        clock = self.clock
        ops = g.ops
        if g.broken:  # its wait, or one of its branches, has returned an error
            g.pc = len(ops)
        while g.pc < len(ops):
            op = ops[g.pc]
            if op.code == op_code.CPU:
                if self.detailed and not g.left_s:
                    self.observers.step_started(clock.now, g)
                demand_s = g.left_s or g.demands[op.slot]
                m.current = g
                yield from self._burst(m, g, demand_s)
                m.current = None
                if g.left_s:
                    self._preempted(m, g)
                    return
                self.step_done(g)
                continue
            if m.owed_s or m.thread.core is None:
                yield from self._burst(m, g, 0.0)
            if self.detailed:
                self.observers.step_started(clock.now, g)
            if op.code == op_code.BLOCKING and op.kind in SYSCALL_KINDS:
                yield from self._syscall(m, g, g.demands[op.slot])
                if m.p is None:
                    return
            elif op.code == op_code.RELEASE:
                heir = self.release(g, op)
                if heir is not None:
                    self._grant(heir, m)
            elif not (op.code == op_code.ACQUIRE and self.resources[op.arg].acquire(g)):
                if g.cancelled or g.broken:
                    if op.code == op_code.ACQUIRE:
                        self.resources[op.arg].withdraw(g)
                    break
                if op.code == op_code.FORK:
                    yield from self._go(m, g, op)
                else:
                    self._park(m, g)
                return
            self.step_done(g)
        if m.owed_s or m.thread.core is None:
            yield from self._burst(m, g, 0.0)
        self._finish(m, g)

    def _preempted(self, m: M, g: Task) -> None:
        """``gopreempt_m``: to the tail of the global queue."""
        self.observers.counted("goroutine_preemptions", 1)
        self.enter(g, RUN_QUEUE)
        self.global_put(g)
        if self.idle_ps:
            self.wake_p()

    def _park(self, m: M, g: Task) -> None:
        op = g.ops[g.pc]
        p = m.p
        assert p is not None
        if op.code == op_code.SLEEP:
            self.enter(g, IO)
            g.worker = p
            when_s = self.clock.now + g.demands[op.slot]
            first = when_s < p.timers.earliest_s()
            p.timers.add(when_s, g)
            if first and self.poller is None:  # wakeNetPoller: somebody should wait for this timer
                self.wake_p()
            elif first and when_s < self.poll_until_s:
                self.break_netpoll()
        elif op.code == op_code.ACQUIRE:
            self.enter(g, self.resources[op.arg].phase)
        else:
            self.enter(g, BLOCKING if op.code == op_code.BLOCKING else IO)
            self.after(g.demands[op.slot], g, self._io_done)

    def _finish(self, m: M, g: Task) -> None:
        del self.inside[g]
        if g.cancelled or g.broken:
            for heir in self.drop_held(g):
                self._grant(heir, m)
        if g.parent is not None:
            self._done(m, g)
        else:
            self.ends(g)
