"""Reactive pipelines: what a request does on whatever thread a signal reaches it.

A pipeline runs on a thread until it waits for something, and goes on where that is signalled:

- the answer of an ``io`` step is read by the loop of the request's channel (Reactor Netty keeps a
  client's connections on the loop that calls), and the pipeline goes on there;
- a ``sleep`` (``Mono.delay``) ends on a thread of ``Schedulers.parallel()``;
- an ``offload`` (``subscribeOn(Schedulers.boundedElastic())``) is done by one thread of that
  scheduler, which blocks in every wait inside; what follows goes on *there*, unless the pipeline
  says ``publishOn``;
- who has waited for a permit of a pool goes on on the loop of its channel.

Whatever the thread, a ``blocking`` step blocks it, with everything that waits for the same thread.
The branches of a ``parallel`` step (``Mono.zip``, ``flatMap``) are subscribed to one after the
other on the thread that comes to it: what they compute is computed there, and only their waits
overlap. The last one that ends carries on with what follows.

A response is written on the loop of its channel; from any other thread, by a task for that loop.

A client that gives up closes its channel. Who waits is then told on its loop; who runs goes on to
its next wait; a call that blocks a thread goes on to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsched.schedulers.carry import carry
from simsched.schedulers.reactor_threads import SingleThread, Worker
from simsched.schedulers.signals import (
    ASKS,
    AWAITS,
    BROKEN,
    JOINS,
    RUNS,
    WRITES,
    Channel,
    Signals,
    loop_of,
)
from simsched.sim.clock import IO_DONE, Process
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program

if TYPE_CHECKING:
    from collections.abc import Generator

    from simpy.events import Event

    from simsched.workload.program import Op

SUSPENDS = frozenset({program.IO, program.SLEEP, program.OFFLOAD, program.FORK})


class Pipelines(Signals):
    """Pipelines on the threads that run them."""

    def run_job(self, worker: SingleThread, task: Task) -> Process:
        channel = task.worker
        assert isinstance(channel, Channel)
        if channel.elastic is worker and not task.cancelled:
            yield from self._offloaded(worker, task)
            if self.spec.publish_on == "parallel" and not task.cancelled:
                channel.elastic = None
                self.give_to_parallel(task)
                return
        yield from self.run(worker, task)

    def _offloaded(self, worker: SingleThread, task: Task) -> Process:
        """The steps of an offload, from its first to its RETURN."""
        task.stage = RUNS
        self.step_done(task)
        end = task.pc
        while task.ops[end].code != program.RETURN:
            end += 1
        owed_s, worker.owed_s = worker.owed_s, 0.0
        yield from carry(self, worker.thread, task, owed_s, end)
        if task.pc == end and not task.cancelled:
            if self.detailed:
                self.observers.step_started(self.clock.now, task)
            self.step_done(task)

    # -- a pipeline runs ---------------------------------------------------------------------

    def run(self, worker: Worker, task: Task) -> Process:
        """Run a pipeline on a thread until it waits for a signal, or has ended.

        A branch that ends may signal the pipeline it belongs to, which then goes on here.
        """
        running: Task | None = task
        while running is not None:
            running = yield from self._until_it_waits(worker, running)

    def _until_it_waits(self, worker: Worker, task: Task) -> Generator[Event, Any, Task | None]:
        """The result is whose pipeline goes on on this thread now, if one does."""
        clock, thread, observers = self.clock, worker.thread, self.observers
        detailed = self.detailed
        self.goes_to(task, worker.place, worker.number)
        self.entered(clock.now, task, CPU)
        task.thread = thread
        if task.cancelled or task.broken or task.stage == BROKEN:
            # It waited, and hears of it now: no step more.
            task.pc = len(task.ops)
        if task.stage < WRITES:
            task.stage = RUNS
        ops = task.ops
        while True:
            op = ops[task.pc] if task.pc < len(ops) else None
            if op is not None and op.code == program.CPU:
                if detailed:
                    observers.step_started(clock.now, task)
                owed_s, worker.owed_s = worker.owed_s, 0.0
                wait = thread.run(owed_s + task.demands[op.slot], task.index)
                if wait is not None:
                    yield wait
                self.worked(clock.now, task, owed_s, thread)
                self.step_done(task)
                continue
            if worker.owed_s or thread.core is None:
                # What comes now can be seen by others: first spend what is owed.
                owed_s, worker.owed_s = worker.owed_s, 0.0
                wait = thread.run(owed_s, task.index)
                if wait is not None:
                    yield wait
                self.worked(clock.now, task, owed_s, thread)
            if op is None or (task.cancelled and op.code in SUSPENDS):
                return self._end(worker, task)
            if detailed:
                observers.step_started(clock.now, task)
            if op.code == program.BLOCKING:
                observers.entered(clock.now, task, BLOCKING)
                thread.sleep()
                yield clock.event_at(clock.now + task.demands[op.slot], IO_DONE | task.index)
                self.entered(clock.now, task, CPU)
            elif op.code == program.FORK:
                yield from self._subscribe(worker, task, op)
                return None
            elif not self._passes(worker, task, op):
                return self._end(worker, task) if task.stage == BROKEN else None
            self.step_done(task)

    def _passes(self, worker: Worker, task: Task, op: Op) -> bool:
        """A step that takes no time on this thread; False if the pipeline now waits, or is over."""
        if op.code == program.RELEASE:
            heir = self.release(task, op)
            if heir is not None:
                self.granted(heir)
            return True
        if op.code == program.ACQUIRE:
            resource = self.resources[op.arg]
            self.goes_to(task, loop_of(task).place)  # if it waits
            if resource.acquire(task):
                self.goes_to(task, worker.place, worker.number)
                return True
            if task.cancelled or task.broken:  # the subscription is over as soon as it is made
                resource.withdraw(task)
                task.pc, task.stage = len(task.ops), BROKEN
            else:
                task.stage = ASKS
                self.enter(task, resource.phase)
        elif op.code == program.OFFLOAD:
            self.offload(task)
        else:
            task.stage = AWAITS
            self.goes_to(task, loop_of(task).place)
            self.enter(task, IO)
            done = self.delay_over if op.code == program.SLEEP else self.answered
            self.after(task.demands[op.slot], task, done)
        return False

    def _subscribe(self, worker: Worker, task: Task, op: Op) -> Process:
        """``Mono.zip``: subscribe to one branch after the other."""
        task.stage = JOINS
        self.goes_to(task, loop_of(task).place)
        branches = self.fork(task, op)
        for branch in branches:
            branch.worker = Channel(loop_of(task))
            self.goes_to(branch, worker.place, worker.number)
            self.enter(branch, RUN_QUEUE)
        for branch in branches:
            yield from self.run(worker, branch)

    # -- the end -----------------------------------------------------------------------------

    def _end(self, worker: Worker, task: Task) -> Task | None:
        """The pipeline is over; returns the one that its end signals on this thread."""
        broken = task.broken or task.stage == BROKEN
        if task.parent is None and worker is not loop_of(task) and not task.cancelled:
            self.execute(task, BROKEN if broken else WRITES)
            return None
        if task.cancelled or broken:
            for heir in self.drop_held(task):
                self.granted(heir)
        if task.parent is not None:
            return self._branch_over(task, task.parent, broken=broken)
        if broken and not task.broken and not task.cancelled:  # by a scheduler of Reactor
            self.clients.rejected(task)
        else:
            self.ends(task)
        return None

    def _branch_over(self, branch: Task, parent: Task, *, broken: bool) -> Task | None:
        if broken and not branch.cancelled:  # the error goes on, and the others are cancelled
            branch.cancelled = True
            parent.stage = BROKEN
            for other in parent.branches.copy():
                if other is not branch and not other.cancelled:
                    other.cancelled = True
                    self.cancel(other)
        if self.branch_ended(branch) is None:
            return None
        if not parent.cancelled and parent.stage != BROKEN:
            self.step_done(parent)
        return parent
