"""Capacity: never more at work than there are cores, workers, threads and permits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsched.observe.checker import Checker, threw
from simsched.observe.lock_books import LockBooks
from simsched.schedulers.processes import processes_of
from simsched.sim.task import COMPLETED, FAILED, REJECTED, Task
from simsched.workload.program import ACQUIRE, CPU, RELEASE

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.os_thread import OsThread


def worker_limits(simulation: Simulation) -> tuple[int | None, int | None]:
    """Most busy workers and most OS threads there may be, in all processes of the server."""
    n = simulation.spec.processes
    workers, threads = limits_of_one(simulation)
    return None if workers is None else n * workers, None if threads is None else n * threads


def limits_of_one(simulation: Simulation) -> tuple[int | None, int | None]:
    """The same of one process, by the specification of the scheduler.

    Compensation lets a pool of carriers grow up to ``maxPoolSize``. An M of Go without a P is a
    thread but no worker. A scheduler of another kind is taken at its word.
    """
    spec: Any = simulation.spec
    cores = spec.visible_cpus(simulation.scenario.host)
    if spec.kind == "thread_pool":
        if spec.policy == "python":
            most = spec.resolved_max_workers(cores)
        else:
            most = spec.max_threads if spec.policy == "tomcat" else spec.maximum_pool_size
        return most, most
    if spec.kind == "sync_workers":
        return 1, 1
    if spec.kind == "gthread":
        return spec.threads, spec.threads  # the main thread is part of the process
    if spec.kind == "event_loop":
        return 1, 1 + sum(simulation.machine.pools.values()) // spec.processes
    if spec.kind == "reactor":
        loops = spec.resolved_io_worker_count(cores)
        return loops, loops + sum(simulation.machine.pools.values()) // spec.processes
    if spec.kind == "goroutine":
        return spec.resolved_gomaxprocs(cores), spec.max_threads
    if spec.kind == "virtual_thread":
        most = spec.resolved_max_pool_size(cores)
        return most, most
    if spec.kind == "fork_join":
        return fork_join_limits(spec, cores)
    return processes_of(simulation.scheduler)[0].worker_limit, None


def fork_join_limits(spec: Any, cores: int) -> tuple[int | None, int | None]:
    """The workers with all spares; threads of the client count where they run stages."""
    if spec.thread_per_task(cores):
        return None, None
    most = spec.resolved_max_pool_size(cores)
    if spec.io == "async" and spec.stages == "thenApply":
        most += spec.io_threads
    return most, most


class Capacity(Checker):
    """Cores hold one thread each, threads one core; workers and permits stay within their limits.

    Who holds a permit is told by the steps: from the end of an acquiring step to the beginning of
    the releasing one. That is compared with the permits that the resource says are taken, at the
    end of each instant, because within it a permit passes from hand to hand. Of the threads that
    share an interpreter lock, one runs at a time (:mod:`simsched.observe.lock_books`).
    """

    invariant = "capacity"

    def __init__(self) -> None:
        self.now = 0.0
        self.on: dict[int, OsThread] = {}
        self.where: dict[OsThread, int] = {}
        self.since_s: dict[int, float] = {}
        self.busy_workers: set[str] = set()
        self.n_threads = 0
        self.taken: dict[str, int] = {}
        self.holders: dict[str, set[Task]] = {}
        self.changed: set[str] = set()
        self.locks: dict[int, LockBooks] = {}  # by process
        self._limits: tuple[int | None, int | None] | None = None

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        self.cores = simulation.scenario.host.cores
        self.capacity = {name: r.capacity for name, r in simulation.scenario.resources.items()}

    @property
    def limits(self) -> tuple[int | None, int | None]:
        """Most busy workers, most OS threads."""
        if self._limits is None:
            self._limits = worker_limits(self.simulation)
        return self._limits

    # -- cores -------------------------------------------------------------------------------

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        if not 0 <= core < self.cores:
            self.fail(f"a core below {self.cores}", f"core {core}", where=thread.name)
        if core in self.on:
            self.fail(f"core {core} to be free", f"{self.on[core].name} on it", where=thread.name)
        if thread in self.where:
            self.fail("a thread on one core", f"on {self.where[thread]} too", where=thread.name)
        if now < self.since_s.get(core, 0.0):
            self.fail(f"core {core} to be free by then", "it is not yet", where=thread.name)
        self.on[core] = thread
        self.where[thread] = core
        self.since_s[core] = now

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        if self.on.get(core) is not thread:
            self.fail(f"the thread on core {core} to leave it", "another one", where=thread.name)
        if now < self.since_s[core]:
            self.fail("a thread to leave after it came", "before", where=thread.name)
        del self.on[core], self.where[thread]
        # Who leaves while it is still waking up has not been there.
        self.since_s[core] = now if now > self.since_s[core] else 0.0

    # -- workers and threads -----------------------------------------------------------------

    def busy(self, now: float, worker: str, change: int) -> None:
        if (change > 0) == (worker in self.busy_workers):
            self.fail("a worker to be busy and idle in turns", f"{change:+d} twice", where=worker)
        if change < 0:
            self.busy_workers.remove(worker)
            return
        self.busy_workers.add(worker)
        limit = self.limits[0]
        if limit is not None and len(self.busy_workers) > limit:
            self.fail(f"{limit} busy workers at most", f"{len(self.busy_workers)}", where=worker)

    def threads(self, now: float, change: int) -> None:
        self.n_threads += change
        limit = self.limits[1]
        if self.n_threads < 0 or (limit is not None and self.n_threads > limit):
            self.fail(f"0 to {limit} threads", f"{self.n_threads}")

    # -- permits -----------------------------------------------------------------------------

    def resource(self, now: float, name: str, change: int) -> None:
        self._instant(now)
        taken = self.taken[name] = self.taken.get(name, 0) + change
        capacity = self.capacity.get(name) or self.simulation.machine.pools.get(name, 1)  # a lock
        if not 0 <= taken <= capacity:
            self.fail(f"0 to {capacity} permits taken", f"{taken}", where=name)
        self.changed.add(name)

    def step_started(self, now: float, task: Task) -> None:
        op = task.ops[task.pc]
        if op.code == CPU and self._locked(task):
            self.locks.setdefault(task.process, LockBooks()).started(now, task)
        if op.code == RELEASE:
            self._instant(now)
            holders = self.holders.get(op.arg, set())
            if task not in holders:
                self.fail("a permit to be given back by its holder", "by another task", task)
            holders.remove(task)
            self.changed.add(op.arg)

    def _locked(self, task: Task) -> bool:
        process = processes_of(self.simulation.scheduler)[task.process]
        return process.machine.gil is not None

    def step_ended(self, now: float, task: Task) -> None:
        op = task.ops[task.pc]
        books = self.locks.get(task.process)
        if books is not None:
            excess_s = books.ended(now, task)
            if excess_s > 1e-9 + 1e-12 * now:
                seen = f"{books.done_s:.9g} s of code in {books.done_s - excess_s:.9g} s"
                self.fail("one thread at a time with the interpreter lock", seen, task)
        if op.code == ACQUIRE:
            self._instant(now)
            self.holders.setdefault(op.arg, set()).add(task)
            self.changed.add(op.arg)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if outcome == COMPLETED and (
            task.held or any(task in holders for holders in self.holders.values())
        ):
            self.fail("nothing held at completion", "a permit", task)
        if outcome in (FAILED, REJECTED):
            self._let_go(now, task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:  # it was rejected, perhaps in the middle of its steps
            self._let_go(now, task)

    def released(self, now: float, task: Task) -> None:
        self._let_go(now, task)

    def joined(self, now: float, branch: Task) -> None:
        gave_up = branch.cancelled or threw(self.simulation, branch)
        if not gave_up and any(branch in holders for holders in self.holders.values()):
            self.fail("nothing held at the end of a branch", "a permit", branch)
        self._let_go(now, branch)

    def _let_go(self, now: float, task: Task) -> None:
        self._instant(now)
        books = self.locks.get(task.process)
        if books is not None:
            books.left(task)
        if task.held:
            self.fail("nothing held by an attempt that is over", f"{len(task.held)} permits", task)
        for name, holders in self.holders.items():
            if task in holders:
                holders.remove(task)
                self.changed.add(name)

    def _instant(self, now: float) -> None:
        """At the first change of a later instant, judge how the last one was left."""
        if now == self.now:
            return
        for name in self.changed:
            holding, taken = len(self.holders.get(name, ())), self.taken.get(name, 0)
            if holding > taken:
                self.fail(f"a permit for each of {holding} holders", f"{taken} taken", where=name)
        self.changed.clear()
        self.now = now

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        self._instant(float("inf"))
        limit = self.limits[0]
        if limit is not None and record.series["busy_workers"].max() > limit * (1 + 1e-9):
            most = record.series["busy_workers"].max()
            self.fail(f"{limit} busy workers at most", f"{most} in the record")
        if record.workers_max > (self.limits[1] or record.workers_max):
            self.fail(f"{self.limits[1]} threads at most", f"{record.workers_max} in the record")
        held = sum(map(len, self.holders.values())) or sum(self.taken.values())
        if held and simulation.clients.idle():
            self.fail("all permits and tokens back when all is done", f"{held} held")
