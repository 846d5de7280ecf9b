"""Mistakes: each takes the right method and gives a wrong one in its place."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from simsched.observe.branch_books import BranchBooks
from simsched.observe.ledger import Ledger
from simsched.schedulers.anyio_threads import AnyioThreads
from simsched.schedulers.base import Scheduler
from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.go_parts import P
from simsched.schedulers.goroutine import Goroutine
from simsched.schedulers.pool_policies import TomcatPolicy
from simsched.schedulers.reactor_threads import SingleThread
from simsched.schedulers.sync_workers import SyncWorker
from simsched.schedulers.thread_pool import ThreadPool
from simsched.sim.clients import Clients
from simsched.sim.gil import Gil
from simsched.sim.gil_thread import GilThread
from simsched.sim.host import Host
from simsched.sim.network import Listener, Network
from simsched.sim.resources import Resource
from simsched.sim.task import COMPLETED


def never(_: Any) -> Callable[..., None]:
    """Does nothing at all."""
    return lambda *_args, **_kwargs: None


def draws_from_nowhere(right: Any) -> Any:
    def draw(self: Any, core: Any) -> bool:
        self.pool_s = max(self.pool_s, self.quota_s)
        return bool(right(self, core))

    return draw


def puts_threads_on_absent_cores(_: Any) -> Any:
    return Host._put


def steals_twice(right: Any) -> Any:
    def book_stolen(self: Any, core: Any, absence: Any, now: float) -> None:
        right(self, core, absence, now)
        self.stolen_s[core.index] += 1.0

    return book_stolen


def ends_twice(right: Any) -> Any:
    def completed(self: Clients, task: Any) -> None:
        right(self, task)
        if task.index == 5:
            self._end(task, COMPLETED)

    return completed


def forgets_the_release(_: Any) -> Any:
    return lambda self, task: self._left(task)


def skips_a_step(right: Any) -> Any:
    def step_done(self: Scheduler, task: Any) -> None:
        right(self, task)
        if task.index == 5 and task.pc == 1:
            task.pc += 1

    return step_done


def joins_at_the_first(right: Any) -> Any:
    def branch_ended(self: Scheduler, branch: Any) -> Any:
        parent = branch.parent
        first = len(parent.branches) == len(parent.ops[parent.pc].branches)
        right(self, branch)
        return parent if first else None

    return branch_ended


def ends_unheard(_: Any) -> Any:
    def branch_ended(self: Scheduler, branch: Any) -> Any:
        parent = branch.parent
        parent.branches.remove(branch)
        return None if parent.branches else parent

    return branch_ended


def forgets_a_branch(right: Any) -> Any:
    return lambda self, task, op: right(self, task, op)[task.index == 60 :]


def longest_first(right: Any) -> Any:
    def fork(self: Scheduler, task: Any, op: Any) -> Any:
        branches = right(self, task, op)
        return sorted(branches, key=lambda branch: branch.demands[branch.ops[0].slot])

    return fork


def keeps_the_branch(right: Any) -> Any:
    def joined(self: BranchBooks, now: float, branch: Any) -> None:
        right(self, now, branch)
        self.log.add(now)

    return joined


def works_half(right: Any) -> Any:
    return lambda self, demand_s, rank=0: right(self, demand_s / 2, rank)


def works_more(right: Any) -> Any:
    return lambda self, demand_s, rank=0: right(self, demand_s * 1.01, rank)


def one_thread_more(right: Any) -> Any:
    def init(self: TomcatPolicy, spec: Any, cores: int) -> None:
        right(self, spec, cores)
        self.limit += 1

    return init


def one_permit_more(right: Any) -> Any:
    def init(self: Resource, *args: Any) -> None:
        right(self, *args)
        self.free += 1

    return init


def one_core_more(right: Any) -> Any:
    def init(self: Host, clock: Any, spec: Any, observers: Any) -> None:
        right(self, clock, spec.model_copy(update={"cores": spec.cores + 1}), observers)

    return init


def one_p_more(right: Any) -> Any:
    def init(self: Goroutine, machine: Any, spec: Any) -> None:
        right(self, machine, spec)
        self.ps.append(P(len(self.ps)))
        self.idle_ps.insert(0, self.ps[-1])

    return init


def hands_over_and_frees(right: Any) -> Any:
    def release(self: Resource, task: Any) -> Any:
        heir = right(self, task)
        if heir is not None:
            self._observers.resource(self._clock.now, self.name, -1)
        return heir

    return release


def keeps_to_itself(_: Any) -> Any:
    def release(self: Resource, task: Any) -> None:
        task.held.remove(self)
        self.free += 1
        self._observers.resource(self._clock.now, self.name, -1)

    return release


def idles_beside_a_thread(right: Any) -> Any:
    def refill(self: Host, core: Any) -> None:
        if self.rotating and not self.woken:
            self.idle.add(core.index)
        else:
            right(self, core)

    return refill


def signals_nobody(_: Any) -> Any:
    def enqueue(self: ThreadPool, task: Any) -> None:
        self.submitted += 1
        self.queue.append(task)
        self.observers.queued(self.clock.now, task, "pool")

    return enqueue


def loses_one(right: Any) -> Any:
    return lambda self, task: None if task.index == 60 else right(self, task)


def signals_only_the_first(right: Any) -> Any:
    return lambda self: None if self.total else right(self)


def spares_without_end(right: Any) -> Any:
    def compensate(self: ForkJoin) -> Any:
        self.max_pool_size = 1000
        return right(self)

    return compensate


def newest_for_all(right: Any) -> Any:
    return lambda self, queue, newest=False: right(self, queue, newest=True)


def last_in_first_out(_: Any) -> Any:
    def take(self: ThreadPool) -> Any:
        task = self.queue.pop()
        self.observers.dequeued(self.clock.now, task, "pool")
        if self.queue and self.idle:
            self._signal(self.idle.popleft())
        return task

    return take


def newest_first(right: Any) -> Any:
    def take(self: SingleThread) -> Any:
        if self.queue:
            self.queue.appendleft(self.queue.pop())
        return right(self)

    return take


def last_come_first_served(right: Any) -> Any:
    def release(self: Resource, task: Any) -> Any:
        self.waiting.reverse()
        heir = right(self, task)
        self.waiting.reverse()
        return heir

    return release


def shortest_job_first(right: Any) -> Any:
    def take(self: ThreadPool) -> Any:
        shortest = min(self.queue, key=lambda task: sum(task.demands))
        self.queue.remove(shortest)
        self.queue.appendleft(shortest)
        return right(self)

    return take


def peeks_at_the_first_step(right: Any) -> Any:
    def submit(self: Scheduler, task: Any) -> None:
        if task.demands[0] < 1.0:
            right(self, task)

    return submit


def never_gives_back(right: Any) -> Any:
    def released(self: Ledger, now: float, task: Any) -> None:
        right(self, now, task)
        self.held_log.add(now, task.class_id + 1)

    return released


def forgets_the_wait(_: Any) -> Any:
    def worked(self: Ledger, now: float, task: Any, overhead_s: float, thread: Any) -> None:
        """Neither overhead nor a wait for a core is told apart from computing."""

    return worked


def admits_all(_: Any) -> Any:
    def admits(self: Listener, connection: Any) -> bool:
        self.queue.append(connection)
        return True

    return admits


def accepts_the_next(right: Any) -> Any:
    def accept(self: Network, process: Any) -> Any:
        self.listener.queue.rotate(-1)
        return right(self, process)

    return accept


def accepts_one_more(right: Any) -> Any:
    def accept(self: Network, process: Any) -> Any:
        listen = self.listen
        self.listen = listen.model_copy(update={"max_connections": 4})
        accepted = right(self, process)
        self.listen = listen
        return accepted

    return accept


def reads_in_the_first(right: Any) -> Any:
    def read(self: Network, connection: Any) -> Any:
        connection.process = self.processes[0]
        return right(self, connection)

    return read


def serves_unread(_: Any) -> Any:
    def read(self: Scheduler, connection: Any) -> Any:
        task, connection.request = connection.request, None
        self.submit(task)
        return task

    return read


def has_a_lock_of_its_own(right: Any) -> Any:
    def init(self: GilThread, host: Host, name: str, gil: Gil) -> None:
        own = copy(gil)
        own.waiters = own.waiters.copy()
        right(self, host, name, own)

    return init


def one_token_more(right: Any) -> Any:
    def init(self: AnyioThreads, loop: Any, tokens: int) -> None:
        right(self, loop, tokens)
        self.limit += 1

    return init


def serves_the_last_in_line(right: Any) -> Any:
    def leaves(self: AnyioThreads) -> None:
        self.waiters.rotate(1)
        right(self)

    return leaves


def keeps_the_token_of_some(right: Any) -> Any:
    def give_back(self: AnyioThreads) -> None:
        if self.loop.clock.now < 0.1:
            right(self)

    return give_back


def forgets_the_killed(right: Any) -> Any:
    def abort(self: SyncWorker) -> None:
        self.task = None
        right(self)

    return abort
