"""What the code of an async task does with its thread: compute, block it, join branches.

Follows ``java.util.concurrent.CompletableFuture`` (``waitingGet``) and ``ForkJoinPool``
(``managedBlock``, ``helpAsyncBlocker``); see :mod:`simsched.schedulers.completable_future` for the
whole.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.io_threads import IoThread
from simsched.sim.clock import IO_DONE, Process
from simsched.sim.task import BLOCKING, CPU, IO, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import ForkJoinSpec
    from simsched.schedulers.fork_join_parts import Carrier
    from simsched.schedulers.thread_per_task import ThreadPerTask
    from simsched.workload.program import Op

BROKEN = 1
"""``Task.stage`` of a task that an exception has ended."""

MOST_NESTED = 100
"""Tasks on one thread's stack, one helping the other. Real stacks are deeper, and overflow, too."""

Asked = Generator[Event, Any, bool]
"""A process that answers with yes or no."""


class ThreadLimitExceeded(Exception):
    """``RejectedExecutionException``: "Thread limit exceeded replacing blocked worker"."""


class FutureCalls(Scheduler):
    """Calls that the code of an async task makes on the thread that runs it."""

    spec: ForkJoinSpec
    executor: ForkJoin | ThreadPerTask

    @abstractmethod
    def run_on(self, carrier: Carrier, item: Task) -> Process:
        """Run an async task on a thread."""

    def _burst(self, carrier: Carrier, task: Task, demand_s: float) -> Process:
        owed_s, carrier.owed_s = carrier.owed_s, 0.0
        wait = carrier.thread.run(owed_s + demand_s, task.index)
        if wait is not None:
            yield wait
        self.worked(self.clock.now, task, owed_s, carrier.thread)

    def _pool_of(self, carrier: Carrier) -> ForkJoin | None:
        """The pool that this thread is a worker of; None if it is none."""
        executor = self.executor
        if isinstance(executor, ForkJoin) and not isinstance(carrier, IoThread):
            return executor
        return None

    def _push(self, carrier: Carrier, task: Task) -> None:
        """Submit an async task from code on this thread."""
        if self._pool_of(carrier) is None:
            self.executor.push_from(carrier, task)
        else:
            self.executor.push_local(carrier, task)

    # -- blocking ----------------------------------------------------------------------------

    def _managed(self, carrier: Carrier) -> ForkJoin | None:
        """``ForkJoinPool.managedBlock``: the pool does without this worker from now on, or throws.

        Returns the pool, to be told when the worker unblocks; None where it does not care.
        """
        pool = self._pool_of(carrier)
        if pool is not None and not pool.compensate():
            raise ThreadLimitExceeded
        return pool

    def _block(self, carrier: Carrier, task: Task, op: Op) -> Process:
        """A call that blocks the thread."""
        clock = self.clock
        pool = self._managed(carrier) if self.spec.managed_block else None
        self.enter(task, BLOCKING if op.code == op_code.BLOCKING else IO)
        carrier.thread.sleep()
        until_s = clock.now + task.demands[op.slot]
        yield clock.event_at(until_s, IO_DONE | task.index)
        if pool is not None:
            pool.unblocks()
        self.enter(task, CPU)

    def _await_permit(self, carrier: Carrier, task: Task, op: Op) -> Process:
        """Block the thread until the task has what it has queued for."""
        pool = None
        if self.spec.managed_block:
            try:
                pool = self._managed(carrier)
            except ThreadLimitExceeded:
                self.resources[op.arg].withdraw(task)
                raise
        self.enter(task, self.resources[op.arg].phase)
        yield from self._sleep(carrier, task, pool)

    def _sleep(self, carrier: Carrier, task: Task, pool: ForkJoin | None) -> Process:
        carrier.thread.sleep()
        task.wake = self.clock.event()
        yield task.wake
        if pool is not None:
            pool.unblocks()
        self.enter(task, CPU)

    # -- branches ----------------------------------------------------------------------------

    def _join(self, carrier: Carrier, task: Task) -> Asked:
        """``allOf(...).join()``; whether the task has left the thread, as it threw.

        A worker first runs what is in its own queue, oldest first, whosever it is. Only then it
        blocks, and the pool compensates.
        """
        clock = self.clock
        pool = self._pool_of(carrier)
        task.worker = carrier
        while pool is not None and task.branches and carrier.nested < MOST_NESTED:
            item = pool.oldest_own(carrier)
            if item is None:
                break
            self.observers.counted("tasks_helped", 1)
            carrier.nested += 1
            yield from self.run_on(carrier, item)
            carrier.nested -= 1
            if clock.settling():
                yield clock.settle()
        if task.branches:
            try:
                pool = self._managed(carrier)
            except ThreadLimitExceeded:
                self._breaks(task)
                task.worker = None
                return True  # its end is told when its branches have ended
            yield from self._sleep(carrier, task, pool)
        else:
            self.enter(task, CPU)
        task.worker = None
        return False

    def _breaks(self, task: Task) -> None:
        """No worker could stand in for the one that wanted to block."""
        self.observers.counted("thread_limit_exceeded", 1)
        task.stage = BROKEN

    def _branch_done(self, carrier: Carrier, branch: Task) -> Task | None:
        """The last one completes ``allOf``; returns its owner if that goes on on this thread."""
        if branch.stage == BROKEN:
            assert branch.parent is not None
            branch.parent.stage = BROKEN  # CompletionException
        owner = self.branch_ended(branch)
        if owner is None:
            return None
        if owner.wake is not None:
            self.clock.wake(owner.wake)
            owner.wake = None
            return None
        if owner.worker is not None:
            return None  # its thread helps somebody, and will look
        self._joined(owner)
        if self.spec.stages == "thenApply":
            return owner
        self._push(carrier, owner)
        return None

    def _joined(self, owner: Task) -> None:
        """The step is complete, unless no other will follow."""
        if not self._over(owner):
            self.step_done(owner)

    def _over(self, task: Task) -> bool:
        """Whether no step follows: its client has given up, or an exception has ended it."""
        return task.cancelled or task.broken or task.stage == BROKEN
