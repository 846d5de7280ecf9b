"""One event loop of a group, as Netty runs it: a thread, its selector, and its queue of tasks.

Follows Netty 4.2 SingleThreadIoEventLoop.java (``run``) and SingleThreadEventExecutor.java
(``runAllTasks``). One iteration:

1. Poll, waiting only if there is no task. Every channel that is ready is handled in turn, and its
   handlers run to the end of what they can do: nothing is preempted.
2. Run the tasks, first come, first served, and those that they add, until none is left, or the
   quantum is over (1 s); the time is looked at every 64 tasks.

A blocking call in a handler freezes this loop with all its channels. The others do not notice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.reactor_threads import Worker
from simsched.schedulers.signals import NEW
from simsched.sim.clock import Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.schedulers.reactor import Reactor
    from simsched.sim.network import Connection

LOOKS_AT_THE_TIME = 64  # SingleThreadEventExecutor.runAllTasks: every so many tasks


class Loop(Worker):
    """A loop and the channels that are registered with it, for life."""

    owner: Reactor

    def __init__(self, owner: Reactor, number: int) -> None:
        # Who waits to be accepted waits for the first loop: that is the place where all begin.
        super().__init__(owner, f"loop-{number}", f"loop:{number}" if number > 1 else "")
        self.ready: deque[Task] = deque()  # readable channels, by whose bytes are on them
        self.tasks: deque[Task | Connection] = deque()  # a connection is one to be registered
        self.accepts = False  # whether the listening socket is registered here
        self.polled_s = 0.0  # when it last looked what has become ready

    # -- what others do to it ----------------------------------------------------------------

    def is_ready(self, task: Task) -> None:
        """Bytes for ``task`` have come on its channel."""
        if self.owner.detailed:
            self.owner.observers.queued(self.owner.clock.now, task, f"{self.name} ready")
        self.ready.append(task)
        self.wake()

    def execute(self, task: Task | Connection) -> None:
        """``EventLoop.execute``: a task for this loop, which wakes up for it."""
        if self.owner.detailed and isinstance(task, Task):
            self.owner.observers.queued(self.owner.clock.now, task, f"{self.name} tasks")
        self.tasks.append(task)
        self.wake()

    def wake(self) -> None:
        """``epoll_wait`` returns, if the loop is in it: the thread needs a core."""
        if self.asleep is not None:
            self.polled_s = self.owner.clock.now
        super().wake()

    # -- what it does ------------------------------------------------------------------------

    def run_forever(self) -> Process:
        """As ``SingleThreadIoEventLoop.run``."""
        owner, thread = self.owner, self.thread
        clock, observers = owner.clock, owner.observers
        iteration_s: float = owner.spec.iteration_s
        while True:
            if clock.settling():
                yield clock.settle()
            if clock.now > self.polled_s:
                observers.stalled(self.polled_s, clock.now)
                self.polled_s = clock.now
            if self.ready or self.tasks or (self.accepts and owner.may_accept()):
                self.owed_s += iteration_s
                yield from self._handle_channels()
                yield from self._run_tasks()
            elif self.owed_s:  # for what no request had a part in
                owed_s, self.owed_s = self.owed_s, 0.0
                wait = thread.run(owed_s)
                if wait is not None:
                    yield wait
                observers.overhead(clock.now, owed_s)
            else:
                thread.sleep()
                self.asleep = asleep = clock.event()
                if self.accepts and owner.network is not None:
                    owner.network.slept(owner)
                yield asleep
                self.polled_s = clock.now
                if owner.network is not None:
                    yield clock.settle()  # of those woken by one connection, the first looks first

    def _handle_channels(self) -> Process:
        """All that the poll has reported, and no more."""
        owner, ready = self.owner, self.ready
        event_s: float = owner.spec.event_s
        reported = len(ready)
        if self.accepts and owner.may_accept():
            self.owed_s += event_s
            owner.accept_some()
        for _ in range(reported):
            task = ready.popleft()
            if owner.detailed:
                owner.observers.dequeued(owner.clock.now, task, f"{self.name} ready")
            self.owed_s += event_s
            if task.stage == NEW and not task.cancelled:
                self.owed_s += owner.spec.request_s
            yield from owner.run(self, task)

    def _run_tasks(self) -> Process:
        owner, tasks, clock = self.owner, self.tasks, self.owner.clock
        event_s: float = owner.spec.event_s
        deadline_s = clock.now + owner.spec.max_task_processing_quantum_s
        run = 0
        while tasks:
            task = tasks.popleft()
            self.owed_s += event_s
            if isinstance(task, Task):
                if owner.detailed:
                    owner.observers.dequeued(clock.now, task, f"{self.name} tasks")
                yield from owner.run(self, task)
            else:
                owner.registered(task)
            run += 1
            if run % LOOKS_AT_THE_TIME == 0 and clock.now >= deadline_s:
                break
