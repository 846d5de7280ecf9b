"""Work conservation: nobody idles while there is work that it may take.

Where a real runtime is not work-conserving, neither is its model; the rules below know what each
of them promises:

- **The host**: no core idles while a thread is runnable, and no thread keeps a core without using
  it. Cores that a quota has stopped do not count, for one period at most, nor do virtual ones that
  the hypervisor has taken.
- **Permits**: none is free while a task waits for one.
- **Each kind of scheduler**: see :mod:`simsched.observe.work_rules`.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from simsched.observe.checker import SettledChecker
from simsched.observe.work_rules import (
    fork_join_problem,
    go_problem,
    gthread_problem,
    loop_problem,
    pool_problem,
    reactor_problem,
    sync_problem,
)
from simsched.schedulers.completable_future import CompletableFuture
from simsched.schedulers.event_loop import EventLoop
from simsched.schedulers.go_sysmon import LONGEST_SLEEP_S, NETPOLL_NEGLECTED_S, SHORTEST_SLEEP_S
from simsched.schedulers.goroutine import Goroutine
from simsched.schedulers.gthread import Gthread
from simsched.schedulers.io_threads import IoThread
from simsched.schedulers.processes import processes_of
from simsched.schedulers.reactor import Reactor
from simsched.schedulers.sync_workers import SyncWorker
from simsched.schedulers.thread_pool import ThreadPool
from simsched.schedulers.virtual_thread import VirtualThread
from simsched.sim.bandwidth import QuotaHost
from simsched.sim.steal import absences_of
from simsched.sim.task import ADMISSION, JOIN, RUN_QUEUE, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsched.observe.record import RunRecord
    from simsched.schedulers.base import Scheduler
    from simsched.sim.engine import Simulation
    from simsched.sim.os_thread import OsThread

LONGEST_NEGLECT_S = NETPOLL_NEGLECTED_S + LONGEST_SLEEP_S + 2 * SHORTEST_SLEEP_S

ASLEEP_S = 0.05
"""A machine that has been idle for so long does not go on by itself."""


class WorkConservation(SettledChecker):
    """No idle worker beside work it may take, at the end of any instant."""

    invariant = "work conservation"

    def __init__(self) -> None:
        self.busy_workers: Counter[str] = Counter()  # by the prefix of their process
        self.last_event_s = 0.0
        self.phases: dict[Task, int] = {}  # the part of each attempt that the scheduler has
        self.netpolls: dict[int, Netpoll] = {}  # by process
        self._rules: list[Callable[[float], str | None]] = []

    # -- what touches the state --------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.phases[task] = ADMISSION
        self.touch()

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:
            del self.phases[task]
        self.touch()

    def resent(self, now: float, task: Task) -> None:
        self.phases[task] = ADMISSION
        self.touch()

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if not task.cancelled:
            del self.phases[task]
        self.touch()

    def released(self, now: float, task: Task) -> None:
        del self.phases[task]
        self.touch()

    def forked(self, now: float, task: Task, branch: Task) -> None:
        self.phases[branch] = RUN_QUEUE
        self.touch()

    def joined(self, now: float, branch: Task) -> None:
        del self.phases[branch]
        self.touch()

    def entered(self, now: float, task: Task, phase: int) -> None:
        if task in self.phases:
            self.phases[task] = phase
        self.touch()

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.touch()

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.touch()

    def core_queue(self, now: float, change: int) -> None:
        self.touch()

    def threads(self, now: float, change: int) -> None:
        self.touch()

    def resource(self, now: float, name: str, change: int) -> None:
        self.touch()

    def busy(self, now: float, worker: str, change: int) -> None:
        self.busy_workers[worker[: worker.find(":") + 1]] += change
        self.touch()

    def queued(self, now: float, task: Task, queue: str) -> None:
        if queue == "netpoll":
            self._netpoll(task.process).waiting.append(now)
        self.touch()

    def dequeued(self, now: float, task: Task, queue: str) -> None:
        netpoll = self._netpoll(task.process) if queue == "netpoll" else None
        if netpoll is not None and netpoll.waiting:
            neglect_s = netpoll.neglect_s(now)
            if netpoll.unpolled and neglect_s > LONGEST_NEGLECT_S:
                self.fail(f"netpoll within {LONGEST_NEGLECT_S} s", f"{neglect_s:.9g} s", task)
            netpoll.waiting.popleft()
            netpoll.polled_s = now
        self.touch()

    def _netpoll(self, process: int) -> Netpoll:
        return self.netpolls.setdefault(process, Netpoll())

    # -- the verdict -------------------------------------------------------------------------

    def settled(self, now: float) -> None:
        self.last_event_s = now
        problem = self._host_problem(now) or self._permit_problem()
        if not self._rules:
            self._rules = [self._rule_of(s) for s in processes_of(self.simulation.scheduler)]
        for rule in self._rules:
            problem = problem or rule(now)
        if problem is not None:
            self.fail("no idle worker beside work it may take", problem)

    def _host_problem(self, now: float) -> str | None:
        host = self.simulation.host
        waiting = len(host.woken) + len(host.rotating)
        stopped = self._stopped_cores()
        if host.idle and waiting:
            return f"{len(host.idle)} idle cores and {waiting} runnable threads"
        for core in host.cores:
            if core.index in stopped:
                if core.thread is not None or core.index in host.idle:
                    return f"core {core.index} stopped, and in use or idle"
            elif (core.thread is None) != (core.index in host.idle):
                return f"core {core.index} neither idle nor used"
            if core.thread is not None and core.thread.end_s <= now:
                return f"{core.thread.name} on core {core.index} with nothing to do"
        return None

    def _stopped_cores(self) -> set[int]:
        """Cores that are to run something and may not.

        A quota stops them until the next period, and never for longer than that; a hypervisor, as
        long as it likes.
        """
        host = self.simulation.host
        stolen = {i for i, absence in enumerate(absences_of(host)) if absence and absence.wanted}
        if not isinstance(host, QuotaHost):
            return stolen
        now = self.simulation.clock.now
        for core in host.throttled:
            since_s = host.budgets[core.index].stopped_s
            if since_s is not None and now - since_s > host.period_s * (1 + 1e-9):
                self.fail("a core to be stopped for a period at most", f"{now - since_s:.9g} s")
        return stolen | {core.index for core in host.throttled}

    def _permit_problem(self) -> str | None:
        for resource in self.simulation.machine.resources.values():
            if resource.free and resource.waiting:
                return (
                    f'{resource.free} free permits of "{resource.name}" '
                    f"and {len(resource.waiting)} tasks that wait"
                )
        return None

    def _rule_of(self, scheduler: Scheduler) -> Callable[[float], str | None]:
        """What to look for in one process."""
        prefix = scheduler.machine.prefix
        if isinstance(scheduler, ThreadPool):
            return lambda _: pool_problem(scheduler)
        if isinstance(scheduler, EventLoop):
            return lambda now: loop_problem(scheduler, now)
        if isinstance(scheduler, Goroutine):
            return lambda now: self._go_problem(scheduler, now)
        if isinstance(scheduler, VirtualThread):
            return lambda _: fork_join_problem(scheduler.pool, self.busy_workers[prefix])
        if isinstance(scheduler, CompletableFuture) and scheduler.pool is not None:
            pool, clients = scheduler.pool, scheduler.io_threads
            return lambda _: fork_join_problem(
                pool, self.busy_workers[prefix] - sum(thread.busy for thread in clients)
            )
        if isinstance(scheduler, SyncWorker):
            return lambda _: sync_problem(scheduler)
        if isinstance(scheduler, Gthread):
            return lambda _: gthread_problem(scheduler)
        if isinstance(scheduler, Reactor):
            return lambda _: reactor_problem(scheduler)
        return lambda _: None

    def _go_problem(self, sched: Goroutine, now: float) -> str | None:
        netpoll = self._netpoll(sched.machine.process)
        netpoll.unpolled = sched.poller is None and not sched.dead
        if netpoll.unpolled and netpoll.neglect_s(now) > LONGEST_NEGLECT_S:
            return f"a ready network, neglected for {netpoll.neglect_s(now):.9g} s"
        return go_problem(sched, self.busy_workers[sched.machine.prefix])

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        """Not all that is left waits to be run, on a machine that has come to rest."""
        asleep_s = record.end_s - self.last_event_s
        if asleep_s < ASLEEP_S or len(simulation.host.idle) < len(simulation.host.cores):
            return
        # Who waits for anything else may hold the worker that the others wait for, for ever if it
        # is a lock: that deadlock of pinned carriers is real.
        # Who waits for branches waits for whatever they wait for, unless it pins a carrier, or
        # blocks the thread of a client that would complete what they wait for.
        # What is still on its way through the network is not the machine's work.
        phases = {
            task: phase
            for task, phase in self.phases.items()
            if (phase != JOIN or task.pins or isinstance(task.worker, IoThread))
            and is_at_server(task, simulation)
        }
        waiting = [task for task, phase in phases.items() if phase in (ADMISSION, RUN_QUEUE)]
        if waiting and len(waiting) == len(phases):
            self.fail(
                "a machine at rest to have no work", "a task that waits to be run", waiting[0]
            )


class Netpoll:
    """What is ready in the network of one process, and who looks there."""

    __slots__ = ("polled_s", "unpolled", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[float] = deque()  # since when what is ready waits there
        self.polled_s = 0.0  # when somebody last took something from there
        self.unpolled = False  # nobody was blocked in netpoll when the last instant ended

    def neglect_s(self, now: float) -> float:
        """For how long nobody has looked at a ready network. A look takes a batch, not all."""
        return now - max(self.waiting[0], self.polled_s) if self.waiting else 0.0


def is_at_server(task: Task, simulation: Simulation) -> bool:
    """Whether a process knows of the task; always so if connections are not modelled."""
    attempt = task.parent or task
    connection = attempt.connection
    return simulation.network is None or (connection is not None and connection.reading is attempt)
