"""CompletableFuture: a request is a chain of async tasks on the common pool.

Follows ``java.util.concurrent.CompletableFuture`` of JDK 17 to 25 without an executor of its own,
and the common pool of ``ForkJoinPool`` (:mod:`simsched.schedulers.fork_join` has the pool's rules).

- A request is a ``supplyAsync`` by a thread that is no worker: it goes to an external submission
  queue. A worker runs it until it ends, or until it waits for a future without blocking.
- The pool has one worker fewer than there are cores. Where that is one only, JDKs before 25 start
  a thread per task instead (:mod:`simsched.schedulers.thread_per_task`).
- Whatever blocks keeps its worker, and the pool *does not compensate*: JDBC, ``Thread.sleep``, a
  blocking HTTP client, a lock. Two things announce that they block: ``ForkJoinPool.managedBlock``,
  and ``join`` on a worker.
- With an asynchronous client the worker goes on with another task. A thread of the client completes
  the future (:mod:`simsched.schedulers.io_threads`). A ``delayedExecutor`` submits what follows a
  delay.
- A ``parallel`` step is a ``supplyAsync`` per branch. From a worker they go to its own queue, which
  it takes newest first and others steal oldest first. Then ``allOf(...).join()``, which helps and
  waits, or ``allOf(...).thenApply``, which nobody waits for.
- Time-outs (``orTimeout``) and ``cancel`` complete a future, and interrupt nobody. A task finds out
  between its steps, and drops the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.fork_join_parts import COMMON_POOL
from simsched.schedulers.future_calls import BROKEN, Asked, FutureCalls, ThreadLimitExceeded
from simsched.schedulers.io_threads import IoThread
from simsched.schedulers.service_thread import ServiceThread
from simsched.schedulers.thread_per_task import ThreadPerTask
from simsched.sim.clock import Call, Process
from simsched.sim.task import (
    BLOCKING,
    CPU,
    IO,
    LOCK,
    OVERHEAD,
    RESOURCE,
    RUN_QUEUE,
    Task,
)
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from collections.abc import Generator

    from simsched.scenario import ForkJoinSpec
    from simsched.schedulers.fork_join_parts import Carrier
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op


class CompletableFuture(FutureCalls):
    """Async tasks, what runs them, and what completes futures from outside."""

    kind: ClassVar[str] = "fork_join"

    def __init__(self, machine: Machine, spec: ForkJoinSpec) -> None:
        super().__init__(machine, spec)
        self.pool: ForkJoin | None = None
        if spec.thread_per_task(machine.cores):
            self.executor = ThreadPerTask(self, spec, machine)
        else:
            self.executor = self.pool = ForkJoin(self, spec, machine, COMMON_POOL)
        n_io = spec.io_threads if spec.io == "async" else 0
        self.io_threads = [IoThread(self, f"io-{i + 1}") for i in range(n_io)]
        self.delayer = ServiceThread(machine, "delayer", spec.task_s, self._delay_is_over)

    @property
    def worker_limit(self) -> int | None:
        if self.pool is None:
            return None
        stages = sum(thread.runs_stages for thread in self.io_threads)
        managed = self.spec.managed_block  # then whoever blocks does not take a worker's place
        return stages + (self.pool.max_pool_size if managed else self.pool.parallelism)

    def held_phases(self) -> frozenset[int]:
        held = {CPU, BLOCKING, LOCK, OVERHEAD}
        return frozenset(held | {IO, RESOURCE} if self.spec.io == "blocking" else held)

    def start(self) -> None:
        self.delayer.start()
        for thread in self.io_threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """``supplyAsync`` by the thread that has accepted the request."""
        self.enter(task, RUN_QUEUE)
        self.executor.push_external("acceptor", task)

    def cancel(self, task: Task) -> None:
        """Nobody is interrupted: tasks notice between their steps. So will the branches."""
        self.cancel_branches(task)

    # -- completions -------------------------------------------------------------------------

    def _io_done(self, call: Call) -> None:
        self._answered(call.arg)

    def _answered(self, task: Task) -> None:
        self.runs_again(task)
        self.io_threads[task.index % len(self.io_threads)].notify(task)

    def granted(self, heir: Task) -> None:
        """Another process gives a permit: it tells so through the network."""
        if heir.wake is not None:
            super().granted(heir)
        else:
            self._answered(heir)

    def _delay_ends(self, call: Call) -> None:
        task: Task = call.arg
        self.runs_again(task)
        self.delayer.notify(task)

    def _delay_is_over(self, task: Task) -> None:
        self.executor.push_external("timer", task)

    def _grant(self, heir: Task | None, carrier: Carrier) -> None:
        """Pass a permit on: a thread wakes, or the future of a permit is complete.

        A client's pool hands over to the executor, lest who gives back runs the heir's code.
        """
        if heir is None:
            return
        if heir.wake is not None:
            self.clock.wake(heir.wake)
            heir.wake = None
            return
        self.runs_again(heir)
        self._push(carrier, heir)

    # -- on a thread -------------------------------------------------------------------------

    def run_on(self, carrier: Carrier, item: Task) -> Process:
        """Run an async task, and then those that its end completes, as far as they run here."""
        task: Task | None = item
        while task is not None:
            task = yield from self._run(carrier, task)

    def _run(self, carrier: Carrier, task: Task) -> Generator[Any, Any, Task | None]:
        task.thread = carrier.thread
        carrier.owed_s += self.spec.task_s
        self.enter(task, CPU)
        try:
            left = yield from self._steps(carrier, task)
        except ThreadLimitExceeded:
            self._breaks(task)
            left = False
        if left:
            return None
        if carrier.owed_s or carrier.thread.core is None:
            yield from self._burst(carrier, task, 0.0)
        return self._finish(carrier, task)

    def _steps(self, carrier: Carrier, task: Task) -> Asked:
        """Run what there is to run; whether the task has left the thread before its end."""
        clock, ops = self.clock, task.ops
        while task.pc < len(ops) and not self._over(task):
            op = ops[task.pc]
            if self.detailed:
                self.observers.step_started(clock.now, task)
            if op.code != op_code.CPU and (carrier.owed_s or carrier.thread.core is None):
                yield from self._burst(carrier, task, 0.0)
            if op.code == op_code.CPU:
                yield from self._burst(carrier, task, task.demands[op.slot])
            elif op.code == op_code.RELEASE:
                self._grant(self.release(task, op), carrier)
            elif op.code == op_code.ACQUIRE:
                resource = self.resources[op.arg]
                if not resource.acquire(task):
                    if task.broken:
                        return False
                    if self._is_future(op):
                        self.enter(task, resource.phase)
                        return True
                    yield from self._await_permit(carrier, task, op)
                    if task.failed():
                        return False
            elif op.code == op_code.FORK:
                for branch in self.fork(task, op):
                    self._push(carrier, branch)
                if self.spec.all_of == "then" or (yield from self._join(carrier, task)):
                    return True
                self._joined(task)
                continue
            elif self._is_future(op):
                self.enter(task, IO)
                done = self._io_done if op.code == op_code.IO else self._delay_ends
                self.after(task.demands[op.slot], task, done)
                return True
            else:
                yield from self._block(carrier, task, op)
            self.step_done(task)
        return False

    def _is_future(self, op: Op) -> bool:
        """Whether waiting at this step holds no thread."""
        if op.code == op_code.SLEEP:
            return self.spec.sleep == "delayed"
        if op.code == op_code.ACQUIRE and self.resources[op.arg].phase == LOCK:
            return False
        return op.code != op_code.BLOCKING and self.spec.io == "async"

    def _finish(self, carrier: Carrier, task: Task) -> Task | None:
        """The task has ended; returns another one that goes on on this thread."""
        if self._over(task):
            for heir in self.drop_held(task):
                self._grant(heir, carrier)
        if task.parent is not None:
            return self._branch_done(carrier, task)
        if task.stage == BROKEN and not task.cancelled:
            self.clients.failed(task)
        else:
            self.ends(task)
        return None
