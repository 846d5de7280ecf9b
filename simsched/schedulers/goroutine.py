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
blocking sockets and no monitors); ``file`` is a system call, and ``native`` one through cgo, which
for the scheduler is the same (``cgocall`` says ``entersyscall``).

A ``parallel`` step is a ``go`` statement for each branch and a ``WaitGroup``: ``newproc`` puts each
new goroutine into ``runnext``, from where the one before moves on to the ring, and calls ``wakep``.
Then the parent parks. Whoever calls the last ``Done`` makes it ready, as any waker does.

``context.Context`` cancellation reaches a goroutine that is parked. One that computes, or is in a
system call, goes on to its next wait, which fails at once. Branches share the context of their
parent, which waits until all of them have returned.
"""

from __future__ import annotations

from typing import ClassVar

from simsched.schedulers.go_calls import GoCalls
from simsched.schedulers.go_find import find_runnable
from simsched.schedulers.go_parts import M, ThreadLimitExceeded
from simsched.schedulers.go_sched import ALIVE, CREATED
from simsched.sim.clock import Process
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program as op_code

SYSCALL_KINDS = frozenset({"file", "native"})
PER_CONNECTION = ("direct", "accept")  # ways in of net/http


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
                yield from self._back_off(m) if m.back_off_s else self._wait_for_work(m)
                continue
            owner = self.locked_ms.get(g) if self.locked_ms else None
            if owner is not None and owner is not m:
                self._start_locked(m, owner)
                yield from self._wait_for_work(m)
                continue
            yield from self._execute(m, g)
            while m.locked is not None and not self.dead:
                yield from self._stop_locked(m)
                yield from self._execute(m, m.locked)

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
            if self.spec.locked_classes:
                self._lock(m, g)
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
            if op.kind == "native" and op.code == op_code.BLOCKING:
                m.owed_s += self.spec.cgo_s
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
        self._unlock(m, g)
        if g.cancelled or g.broken:
            for heir in self.drop_held(g):
                self._grant(heir, m)
        if g.parent is not None:
            self._done(m, g)
        else:
            self.ends(g)
