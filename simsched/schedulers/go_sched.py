"""The state of Go's scheduler, and what changes it: queues, idle Ps and Ms, the network poller.

Follows Go 1.25 ``runtime/proc.go``; see :mod:`simsched.schedulers.goroutine` for the whole, and for
what an M does with its P.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NoReturn

from simsched.schedulers.base import Scheduler
from simsched.schedulers.go_gc import Gc
from simsched.schedulers.go_ingress import GoIngress
from simsched.schedulers.go_parts import IDLE, RUNNING, M, P, ThreadLimitExceeded
from simsched.schedulers.go_sysmon import Sysmon
from simsched.schedulers.random_order import RandomOrder
from simsched.sim.clock import Call, Process
from simsched.sim.task import RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import GoroutineSpec
    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection

CREATED, ALIVE = range(2)
NETPOLL_EVENTS = 128  # netpoll_epoll.go: what one epoll_wait returns at most


class GoSched(Scheduler):
    """``sched``: the global queue, the idle lists, and all Ps and Ms."""

    def __init__(self, machine: Machine, spec: GoroutineSpec) -> None:
        super().__init__(machine, spec)
        self.ps = [P(i, machine.prefix) for i in range(spec.resolved_gomaxprocs(machine.cores))]
        self.global_queue: deque[Task] = deque()
        self.idle_ps: list[P] = list(reversed(self.ps))  # a stack; P 0 is on top
        self.ms: list[M] = []
        self.idle_ms: list[M] = []  # a stack too
        self.n_spinning = 0
        self.sysmon_owed_s = 0.0  # CPU of its wake-ups that nobody has paid yet
        self.net_ready: deque[Task] = deque()  # what netpoll would return
        self.poller: M | None = None  # the M blocked in netpoll, if one is
        self.poll_since_s = 0.0  # ... and since when it is
        self.poll_until_s = float("inf")
        self.last_poll_s = 0.0
        self.steal_order = RandomOrder(machine.stream("steal order"))
        self.sysmon = Sysmon(self)
        self.ingress = GoIngress(self, spec)
        self.gc = Gc(self, spec.gc) if spec.gc is not None else None
        self.locked_ms: dict[Task, M] = {}  # whose goroutine may run nowhere else
        self.dead = False
        self.inside: dict[Task, None] = {}  # requests that the process would take with it

    @property
    def worker_limit(self) -> int | None:
        return len(self.ps)

    def start(self) -> None:
        self.clock.process(self.sysmon.run())
        # The first M has run the program's start-up and is now waiting in netpoll.
        self.start_m(self.idle_p_get(), spinning=False)

    def end(self, now: float) -> None:
        if self.gc is not None:
            self.gc.end(now)

    # -- arrivals, completions, cancellation -------------------------------------------------

    def submit(self, task: Task) -> None:
        """A request becomes readable on its connection, in which a goroutine waits."""
        if self.dead:
            self.clients.failed(task)
            return
        self.begins(task)
        if not self.ingress.takes(task):
            self._net_ready(task)

    def begins(self, task: Task) -> None:
        """The process has the request from now on."""
        task.stage = CREATED
        self.inside[task] = None

    def connection_waits(self) -> None:
        """The goroutine in ``Accept`` will see it; without one it is accepted at once."""
        acceptor = self.ingress.acceptor
        if acceptor is None or self.dead:
            super().connection_waits()
        else:
            acceptor.connection_waits()

    def readable(self, connection: Connection) -> None:
        """A request has come on an open connection: its goroutine is ready, or not yet there."""
        acceptor = self.ingress.acceptor
        if self.dead or acceptor is None or not acceptor.will_read(connection):
            super().readable(connection)

    def _io_done(self, call: Call) -> None:
        task: Task = call.arg
        task.wait = None
        if self.dead:
            return
        self.runs_again(task)
        self._net_ready(task)

    def granted(self, heir: Task) -> None:
        """Another process gives a permit: it tells so through the network."""
        self.runs_again(heir)
        self._net_ready(heir)

    def _net_ready(self, task: Task) -> None:
        if self.detailed:
            self.observers.queued(self.clock.now, task, "netpoll")
        self.net_readable(task)

    def net_readable(self, g: Task) -> None:
        """What ``g`` waits for has come: a poll would say so."""
        self.net_ready.append(g)
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
            if g.index < 0:
                continue
            if self.detailed:
                self.observers.dequeued(self.clock.now, g, "netpoll")
            if g.stage == CREATED:
                self.enter(g, RUN_QUEUE)
        ready.reverse()
        return ready

    def cancel(self, task: Task) -> None:
        """The context is done: a parked goroutine becomes ready and returns."""
        if self.cancel_branches(task):
            return
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

    def run_timers(self, p: P, onto: P) -> None:
        """Run the due timers of ``p``; the goroutines become ready on ``onto``."""
        now = self.clock.now
        while (g := p.timers.pop_due(now)) is not None:
            if g is self.ingress.alarm:
                self.ingress.fires(onto)
                continue
            g.worker = None
            self.step_done(g)
            self.ready(g, onto)

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
        if self.detailed and g.index >= 0:
            self.observers.queued(self.clock.now, g, "global")
        self.global_queue.append(g)

    def local_put(self, p: P, g: Task, *, as_next: bool = False) -> None:
        """``runqput``: into the queue of a P; what does not fit spills into the global queue."""
        queue = self.global_queue
        n = len(queue)
        p.queue.put(g, queue, as_next=as_next)
        if self.detailed:
            for spilled in islice(queue, n, None):
                if spilled.index >= 0:
                    self.observers.queued(self.clock.now, spilled, "global")

    # -- Ps and Ms ---------------------------------------------------------------------------

    def idle_p_get(self) -> P | None:
        """Take the P that became idle last."""
        if not self.idle_ps:
            return None
        p = self.idle_ps.pop()
        if self.sysmon.wake():
            self.sysmon_owed_s += self.spec.sysmon_s
        return p

    def idle_p_put(self, p: P) -> None:
        """Nobody holds this P any more."""
        p.status = IDLE
        p.m = None
        self.idle_ps.append(p)
        if len(self.idle_ps) == len(self.ps):
            self.sysmon.look_soon()

    def nobody_works_on(self, p: P) -> None:
        """The P does no work for now."""
        if p.busy:
            p.busy = False
            self.observers.busy(self.clock.now, p.name, -1)

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
        m = M(self.machine.thread(f"M{len(self.ms) + 1}"))
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
        self.observers.counted("process_died", 1)
        if self.gc is not None:
            self.gc.end(now)
        self.host.kill([m.thread for m in self.ms])
        for _ in self.ms:
            self.observers.threads(now, -1)
        for p in self.ps:
            if p.busy:
                self.observers.busy(now, p.name, -1)
        for g in self.inside:
            self._withdraw(g)
        for g in reversed(self.inside):  # branches come after their parents
            self.drop_held(g)  # its connections are closed: nobody inherits them
            if g.parent is not None:
                g.cancelled = True
                self.branch_ended(g)
        for g in self.inside:
            if g.parent is None:
                self.clients.failed(g)
        self.inside.clear()
        if self.ingress.acceptor is not None and self.network is not None:
            self.network.reset(self)
            super().connection_waits()  # the listening socket is closed
        raise ThreadLimitExceeded

    def _withdraw(self, g: Task) -> bool:
        """Stop waiting for a permit, if ``g`` does."""
        op = g.ops[g.pc] if g.pc < len(g.ops) else None
        if op is None or op.code != op_code.ACQUIRE:
            return False
        return self.resources[op.arg].withdraw(g)

    @abstractmethod
    def poll_timeout_s(self, delay_s: float) -> float:
        """How long a poll lasts that is to wait for ``delay_s``."""

    @abstractmethod
    def _m_start(self, m: M) -> Process:
        """The life of an M, from its creation on."""
