"""How a reactive pipeline comes from one thread to another: signals, and where they are received.

On which thread a pipeline goes on is told in :mod:`simsched.schedulers.pipelines`, which runs them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from simsched.schedulers.base import Scheduler
from simsched.schedulers.bounded_elastic import BoundedElastic, ElasticThread
from simsched.schedulers.reactor_threads import Parallel, SingleThread
from simsched.sim.clock import Call, Process
from simsched.sim.task import RUN_QUEUE, Task
from simsched.workload import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsched.scenario import ReactorSpec
    from simsched.schedulers.reactor_loop import Loop
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op

# What a pipeline is at: it has come and is to be read; waits in the queue of a thread or a loop; is
# run by one; waits for an answer or a delay, for a permit, for its branches; is done, and only its
# response is to be written; has ended with an error.
NEW, QUEUED, RUNS, AWAITS, ASKS, JOINS, WRITES, BROKEN = range(8)


class Channel:
    """Where a pipeline belongs: the loop of its channel, and the thread it has been given to."""

    __slots__ = ("elastic", "loop", "place", "thread")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.elastic: ElasticThread | None = None
        self.place = ""  # the last one that observers were told of
        self.thread = 0  # ... and of which thread there


def loop_of(task: Task) -> Loop:
    """The loop of its channel."""
    channel = task.worker
    assert isinstance(channel, Channel)
    return channel.loop


class Signals(Scheduler):
    """Pipelines that wait, and the threads of Reactor's schedulers."""

    def __init__(self, machine: Machine, spec: ReactorSpec) -> None:
        super().__init__(machine, spec)
        cores = machine.cores
        codes = {
            op.code for c in machine.clients.trace.programs for op in program.every(c.ops)
        }  # what no request uses is not there
        self.elastic: BoundedElastic | None = None
        self.parallel: Parallel | None = None
        if program.OFFLOAD in codes:
            self.elastic = BoundedElastic(
                self,
                spec.resolved_bounded_elastic_size(cores),
                spec.default_bounded_elastic_queue_size,
                spec.bounded_elastic_ttl_s,
            )
        if program.SLEEP in codes or (self.elastic and spec.publish_on == "parallel"):
            self.parallel = Parallel(self, spec.resolved_pool_size(cores))

    def single_threads(self) -> Iterator[SingleThread]:
        """The threads of Reactor's schedulers that there are."""
        if self.elastic is not None:
            yield from (*self.elastic.busy, *self.elastic.idle)
        if self.parallel is not None:
            yield from self.parallel.threads

    @abstractmethod
    def run_job(self, worker: SingleThread, task: Task) -> Process:
        """What a thread of Reactor's schedulers does with a task that it has taken."""

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Inside an offload there is one thread, which does one thing after the other."""
        return program.threads_inline(ops)

    # -- where a pipeline goes on ------------------------------------------------------------

    def goes_to(self, task: Task, place: str, thread: int = 0) -> None:
        """The task is about to queue, or to run, there, if it is said, on this thread only."""
        channel = task.worker
        assert isinstance(channel, Channel)
        if channel.place != place:
            self.observers.moved(self.clock.now, task, place)
        elif channel.thread == thread:
            return
        channel.place, channel.thread = place, thread
        if thread:
            self.observers.bound(self.clock.now, task, place, thread)

    def execute(self, task: Task, stage: int = QUEUED) -> None:
        """A task for the loop of its channel: the pipeline goes on there, or comes to its end."""
        loop = loop_of(task)
        self.goes_to(task, loop.place)
        task.stage = stage
        self.enter(task, RUN_QUEUE)
        loop.execute(task)

    def give_to_parallel(self, task: Task) -> None:
        """The pipeline goes on on a thread of ``parallel()``."""
        assert self.parallel is not None
        thread = self.parallel.pick()
        self.goes_to(task, thread.place, thread.number)
        task.stage = QUEUED
        self.enter(task, RUN_QUEUE)
        thread.put(task)

    def offload(self, task: Task) -> None:
        """``subscribeOn(Schedulers.boundedElastic())``."""
        channel = task.worker
        assert isinstance(channel, Channel)
        assert self.elastic is not None
        picked = self.elastic.pick()
        self.goes_to(task, picked.place, picked.number)
        task.stage = QUEUED
        self.enter(task, RUN_QUEUE)
        channel.elastic = picked if self.elastic.schedule(task, picked) else None
        if channel.elastic is None:  # RejectedExecutionException, which is an onError
            task.stage = BROKEN

    def answered(self, call: Call) -> None:
        """The channel of a client has become readable."""
        task: Task = call.arg
        task.wait = None
        self.step_done(task)
        task.stage = QUEUED
        self.enter(task, RUN_QUEUE)
        loop_of(task).is_ready(task)

    def delay_over(self, call: Call) -> None:
        """``Mono.delay`` fires."""
        task: Task = call.arg
        task.wait = None
        self.step_done(task)
        self.give_to_parallel(task)

    def granted(self, heir: Task) -> None:
        """A pool hands a connection over: that is a signal, unless a thread blocks for it."""
        if heir.wake is not None:
            super().granted(heir)
            return
        self.step_done(heir)
        self.execute(heir)

    def cancel(self, task: Task) -> None:
        """Its channel is closed, or the pipeline it is a branch of has been cancelled."""
        if self.cancel_branches(task):
            return
        channel = task.worker
        if not isinstance(channel, Channel):
            return
        if task.wait is not None:
            task.wait.cancel()
            task.wait = None
        elif task.stage == ASKS:
            if not self.resources[task.ops[task.pc].arg].withdraw(task):
                return
        elif channel.elastic is not None and channel.place == BoundedElastic.PLACE:
            if task.stage != QUEUED:
                channel.elastic.forget()
                return
            channel.elastic.take_back(task)
        else:
            return
        self.execute(task)
