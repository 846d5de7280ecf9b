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
  in a system call takes its M with it, and ``sysmon`` (:mod:`simsched.schedulers.go_sysmon`) takes
  the P away from it after a while.
- There is no slice, but ``sysmon`` preempts who has run for 10 ms without a change; as it may look
  only every 10 ms itself, that takes 10-20 ms. ``runnext`` inherits the slice, so that a pair of
  goroutines that wake each other counts as one.

A request is one goroutine, made readable by the network poller, as ``net/http`` has one per
connection; serving it starts another (``startBackgroundRead``), and every ``go`` statement calls
``wakep``. A goroutine that merely resumes after network I/O wakes nobody: while it computes, a
ready network may go unnoticed until its P looks there again, or ``sysmon`` does.

``blocking`` steps of kind ``socket`` and ``synchronized`` park like any other wait (Go has no
blocking sockets and no monitors); ``file`` and ``native`` are system calls.

``context.Context`` cancellation reaches a goroutine that is parked. One that computes, or is in a
system call, goes on to its next wait, which fails at once.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, NoReturn

from simsched.schedulers.base import Scheduler
from simsched.schedulers.go_find import find_runnable
from simsched.schedulers.go_parts import IDLE, RUNNING, SYSCALL, M, P, ThreadLimitExceeded
from simsched.schedulers.go_sysmon import Sysmon
from simsched.schedulers.random_order import RandomOrder
from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import GoroutineSpec
    from simsched.sim.machine import Machine

SYSCALL_KINDS = frozenset({"file", "native"})
CREATED, ALIVE = range(2)
SHORTEST_POLL_S = 1e-6  # epoll_wait as a system call, even where it does not wait
NETPOLL_EVENTS = 128  # netpoll_epoll.go: what one epoll_wait returns at most


class Goroutine(Scheduler):
    """The Go scheduler: ``sched`` and all Ps and Ms."""

    kind: ClassVar[str] = "goroutine"

    def __init__(self, machine: Machine, spec: GoroutineSpec) -> None:
        super().__init__(machine, spec)
        self.ps = [P(i) for i in range(spec.resolved_gomaxprocs(machine.cores))]
        self.global_queue: deque[Task] = deque()
        self.idle_ps: list[P] = list(reversed(self.ps))  # a stack; P 0 is on top
        self.ms: list[M] = []
        self.idle_ms: list[M] = []  # a stack too
        self.n_spinning = 0
        self.net_ready: deque[Task] = deque()  # what netpoll would return
        self.poller: M | None = None  # the M blocked in netpoll, if one is
        self.poll_until_s = float("inf")
        self.last_poll_s = 0.0
        self.steal_order = RandomOrder(machine.stream("steal order"))
        self.sysmon = Sysmon(self)
        self.dead = False
        self.inside: dict[Task, None] = {}  # requests that the process would take with it

    @property
    def worker_limit(self) -> int | None:
        return len(self.ps)

    @property
    def worker_noun(self) -> str:
        return "Ps"

    def start(self) -> None:
        self.clock.process(self.sysmon.run())
        # The first M has run the program's start-up and is now waiting in netpoll.
        self.start_m(self.idle_p_get(), spinning=False)

    # -- arrivals, completions, cancellation -------------------------------------------------

    def submit(self, task: Task) -> None:
        """A request becomes readable on its connection, in which a goroutine waits."""
        if self.dead:
            self.clients.failed(task)
            return
        task.stage = CREATED
        self.inside[task] = None
        self._net_ready(task)

    def _io_done(self, call: Call) -> None:
        task: Task = call.arg
        task.wait = None
        if self.dead:
            return
        self.step_done(task)
        self.enter(task, RUN_QUEUE)
        self._net_ready(task)

    def _net_ready(self, task: Task) -> None:
        if self.detailed:
            self.observers.queued(self.clock.now, task, "netpoll")
        self.net_ready.append(task)
        self.break_netpoll()

    def break_netpoll(self) -> None:
        """Wake the M that is blocked in netpoll, if there is one."""
        m = self.poller
        if m is not None and m.token is not None:
            token, m.token = m.token, None
            m.thread.wake_with(token)

    def netpoll(self) -> list[Task]:
        """Goroutines whose I/O is ready, the latest first: the runtime's ``gList`` is a stack."""
        events = self.net_ready
        ready = [events.popleft() for _ in range(min(NETPOLL_EVENTS, len(events)))]
        for g in ready:
            if self.detailed:
                self.observers.dequeued(self.clock.now, g, "netpoll")
            if g.stage == CREATED:
                self.enter(g, RUN_QUEUE)
        ready.reverse()
        return ready

    def cancel(self, task: Task) -> None:
        """The context is done: a parked goroutine becomes ready and returns."""
        if task.wait is not None:
            task.wait.cancel()
            task.wait = None
        elif isinstance(task.worker, P):
            task.worker.timers.cancel(task)
            task.worker = None
        elif not self._withdraw(task):
            return
        task.pc = len(task.ops)  # its wait fails: no step follows
        self.enter(task, RUN_QUEUE)
        self._net_ready(task)

    # -- putting goroutines into queues ------------------------------------------------------

    def ready(self, g: Task, p: P) -> None:
        """``goready``: into ``runnext`` of the P that woke it."""
        self.enter(g, RUN_QUEUE)
        self.local_put(p, g, as_next=True)
        self.wake_p()

    def inject(self, gs: list[Task], p: P | None) -> None:
        """``injectglist``: one for each idle P by way of the global queue, the rest to ``p``."""
        if not gs:
            return
        n_global = len(gs) if p is None else min(len(gs), len(self.idle_ps))
        for g in gs[:n_global]:
            self.global_put(g)
        for _ in range(min(n_global, len(self.idle_ps))):
            self.start_m(self.idle_p_get(), spinning=False)
        if p is not None:
            for g in gs[n_global:]:
                self.local_put(p, g)
            self.wake_p()

    def global_put(self, g: Task) -> None:
        """At the tail of the global queue."""
        if self.detailed:
            self.observers.queued(self.clock.now, g, "global")
        self.global_queue.append(g)

    def local_put(self, p: P, g: Task, *, as_next: bool = False) -> None:
        """``runqput``: into the queue of a P; what does not fit spills into the global queue."""
        queue = self.global_queue
        n = len(queue)
        p.queue.put(g, queue, as_next=as_next)
        if self.detailed:
            for spilled in islice(queue, n, None):
                self.observers.queued(self.clock.now, spilled, "global")

    # -- Ps and Ms ---------------------------------------------------------------------------

    def idle_p_get(self) -> P | None:
        """Take the P that became idle last."""
        if not self.idle_ps:
            return None
        p = self.idle_ps.pop()
        self.sysmon.wake()
        return p

    def idle_p_put(self, p: P) -> None:
        """Nobody holds this P any more."""
        p.status = IDLE
        p.m = None
        self.idle_ps.append(p)
        if len(self.idle_ps) == len(self.ps):
            self.sysmon.look_soon()

    def acquire_p(self, m: M, p: P) -> None:
        """``acquirep``: from now on this M runs this P's goroutines."""
        m.p = p
        p.m = m
        p.status = RUNNING

    def wake_p(self) -> None:
        """``wakep``: one more M, spinning, if a P is idle and nobody is looking for work yet."""
        if self.n_spinning == 0 and self.idle_ps:
            self.n_spinning += 1
            self.start_m(self.idle_p_get(), spinning=True)

    def start_m(self, p: P | None, *, spinning: bool) -> None:
        """``startm``: have an idle M, or a new one, run this P."""
        assert p is not None
        if self.idle_ms:
            m = self.idle_ms.pop()
            self.acquire_p(m, p)
            m.spinning = spinning
            token, m.token = m.token, None
            assert token is not None
            m.thread.wake_with(token)
            return
        if len(self.ms) >= self.spec.max_threads:
            self._die()
        self.observers.threads(self.clock.now, 1)
        m = M(self.host.thread(f"M{len(self.ms) + 1}"))
        self.ms.append(m)
        self.acquire_p(m, p)
        m.spinning = spinning
        self.clock.process(self._m_start(m))

    def hand_off_p(self, p: P) -> None:
        """``handoffp``: a P whose M blocks. Somebody takes it if there is anything to do."""
        p.m = None
        p.status = IDLE
        nobody_looks = self.n_spinning + len(self.idle_ps) == 0
        last_p = len(self.idle_ps) == len(self.ps) - 1
        if len(p.queue) or self.global_queue:
            self.start_m(p, spinning=False)
        elif nobody_looks:
            self.n_spinning += 1
            self.start_m(p, spinning=True)
        elif last_p and self.poller is None:
            self.start_m(p, spinning=False)  # somebody has to wait for the network
        else:
            self.idle_p_put(p)
            if p.timers.earliest_s() < self.poll_until_s:
                self.break_netpoll()

    def _die(self) -> NoReturn:
        """``checkmcount``: "runtime: program exceeds 10000-thread limit"."""
        now = self.clock.now
        self.dead = True
        self.poller = None
        self.observers.counted("thread_limit_exceeded", 1)
        self.host.kill([m.thread for m in self.ms])
        for _ in self.ms:
            self.observers.threads(now, -1)
        for p in self.ps:
            if p.busy:
                self.observers.busy(now, p.name, -1)
        for g in self.inside:
            self._withdraw(g)
        for g in self.inside:
            self.drop_held(g)  # its connections are closed: nobody inherits them
            self.clients.failed(g)
        self.inside.clear()
        raise ThreadLimitExceeded

    def _withdraw(self, g: Task) -> bool:
        """Stop waiting for a permit, if ``g`` does."""
        op = g.ops[g.pc] if g.pc < len(g.ops) else None
        if op is None or op.code != op_code.ACQUIRE:
            return False
        return self.resources[op.arg].withdraw(g)

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
            self.poll_until_s = min(p.timers.earliest_s() for p in self.ps)
            if self.poll_until_s < float("inf"):
                # One that is due is on somebody else's P, and that P's M on its way to it.
                now = self.clock.now
                at_s = self.poll_until_s if self.poll_until_s > now else now + SHORTEST_POLL_S
                timer = self.clock.call_at(at_s, IO_DONE, self._poll_times_out)
            yield token
            if timer is not None:
                timer.cancel()
            self._back_from_netpoll(m)
        else:
            self.idle_ms.append(m)
            yield token

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
        m.owed_s += self.spec.switch_s
        if g.stage == CREATED:
            g.stage = ALIVE
            if g.cancelled:  # nobody waits for it any more
                g.pc = len(g.ops)
            m.owed_s += self.spec.create_s
            self.wake_p()  # newproc: each request starts a goroutine
        g.thread = m.thread
        self.enter(g, CPU)
        yield from self._run_steps(m, g)

    def _run_steps(self, m: M, g: Task) -> Process:
        """Run ``g`` until it parks, ends, is preempted, or loses its P in a system call."""
        clock = self.clock
        ops = g.ops
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
                if g.cancelled:
                    if op.code == op_code.ACQUIRE:
                        self.resources[op.arg].withdraw(g)
                    break
                self._park(m, g)
                return
            self.step_done(g)
        if m.owed_s or m.thread.core is None:
            yield from self._burst(m, g, 0.0)
        self._finish(m, g)

    def _burst(self, m: M, g: Task, demand_s: float) -> Process:
        owed_s, m.owed_s = m.owed_s, 0.0
        thread = m.thread
        wait = thread.run(owed_s + demand_s, g.index)
        if wait is not None:
            yield wait
        g.left_s = 0.0
        if thread.unrun_s:  # the costs come first: they are left over only with all of the demand
            g.left_s = min(thread.unrun_s, demand_s)
            m.owed_s = thread.unrun_s - g.left_s
            thread.unrun_s = 0.0
        self.observers.worked(self.clock.now, g, owed_s - m.owed_s, thread)

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
            p.timers.add(when_s, g)
            if self.poller is None:  # wakeNetPoller: somebody should wait for this timer
                self.wake_p()
            elif when_s < self.poll_until_s:
                self.break_netpoll()
        elif op.code == op_code.ACQUIRE:
            self.enter(g, self.resources[op.arg].phase)
        else:
            self.enter(g, BLOCKING if op.code == op_code.BLOCKING else IO)
            self.after(g.demands[op.slot], g, self._io_done)

    def run_timers(self, p: P, onto: P) -> None:
        """Run the due timers of ``p``; the goroutines become ready on ``onto``."""
        now = self.clock.now
        while (g := p.timers.pop_due(now)) is not None:
            g.worker = None
            self.step_done(g)
            self.ready(g, onto)

    def _grant(self, heir: Task, m: M) -> None:
        self.step_done(heir)
        assert m.p is not None
        self.ready(heir, m.p)

    def _finish(self, m: M, g: Task) -> None:
        del self.inside[g]
        if g.cancelled:
            for heir in self.drop_held(g):
                self._grant(heir, m)
            self.clients.abandoned(g)
        else:
            self.clients.completed(g)

    # -- system calls ------------------------------------------------------------------------

    def _syscall(self, m: M, g: Task, seconds: float) -> Process:
        """``entersyscall`` ... ``exitsyscall``; ``m.p`` is None if no P was to be had."""
        clock = self.clock
        p = m.p
        assert p is not None
        p.status = SYSCALL
        self.sysmon.look_soon()
        self.enter(g, BLOCKING)
        m.thread.sleep()
        yield clock.event_at(clock.now + seconds, IO_DONE | g.index)
        if self.dead:
            m.p = None
            return
        self.enter(g, CPU)
        wait = m.thread.run(0.0, g.index)
        if wait is not None:
            yield wait
        self.observers.worked(clock.now, g, 0.0, m.thread)
        if p.m is m and p.status == SYSCALL:
            p.status = RUNNING
            p.syscall_tick += 1
            return
        m.p = None
        other = self.idle_p_get()
        if other is not None:
            self.acquire_p(m, other)
            other.syscall_tick += 1
            if not other.busy:
                other.busy = True
                self.observers.busy(clock.now, other.name, 1)
            return
        # exitsyscall0: no P. The goroutine queues up globally and the thread parks.
        self.step_done(g)
        self.enter(g, RUN_QUEUE)
        self.global_put(g)
