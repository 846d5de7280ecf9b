"""A new thread for each async task: what CompletableFuture does where the pool would be too small.

Follows ``CompletableFuture.ThreadPerTaskExecutor`` of JDK 8 to 24: ``new Thread(r).start()``. There
is no queue and no limit; the operating system shares the cores among the threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.carry import book_start
from simsched.schedulers.fork_join_parts import Carrier

if TYPE_CHECKING:
    from simsched.scenario import ForkJoinSpec
    from simsched.schedulers.completable_future import CompletableFuture
    from simsched.sim.clock import Process
    from simsched.sim.machine import Machine
    from simsched.sim.task import Task


class ThreadPerTask:
    """Stands where a fork-join pool would."""

    def __init__(self, owner: CompletableFuture, spec: ForkJoinSpec, machine: Machine) -> None:
        self.owner = owner
        self.machine = machine
        self.create_s = spec.thread_create_s
        self._created = 0

    def push_external(self, name: str, task: Task) -> None:
        """Run the task on a new thread."""
        self._created += 1
        self.machine.observers.threads(self.machine.clock.now, 1)
        carrier = Carrier(self.machine, f"thread-{self._created}")
        self.machine.clock.process(self._work(carrier, task))

    def push_from(self, carrier: Carrier, task: Task) -> None:
        """The same, whoever submits it."""
        self.push_external(carrier.name, task)

    push_local = push_from

    def _work(self, carrier: Carrier, task: Task) -> Process:
        clock, observers = self.machine.clock, self.machine.observers
        wait = carrier.thread.run(self.create_s, task.index)
        if wait is not None:
            yield wait
        book_start(self.owner, carrier.thread, task, self.create_s)
        observers.busy(clock.now, carrier.name, 1)
        yield from self.owner.run_on(carrier, task)
        observers.busy(clock.now, carrier.name, -1)
        observers.threads(clock.now, -1)
        carrier.thread.sleep()
