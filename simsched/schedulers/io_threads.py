"""The threads of an asynchronous client, which complete the futures that it has given out.

A selector thread of ``java.net.http.HttpClient``, an event loop of Netty. What follows a future as
``thenApply`` runs there, and whatever it does keeps the thread from completing others.
``HttpClientImpl.sendAsync`` therefore hands its completions to the common pool
(``whenCompleteAsync``), as ``thenApplyAsync`` does with any client.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.fork_join_parts import Carrier

if TYPE_CHECKING:
    from simsched.schedulers.completable_future import CompletableFuture
    from simsched.sim.clock import Process
    from simsched.sim.task import Task


class IoThread(Carrier):
    """Completes futures in the order in which their answers come."""

    __slots__ = ("answers", "owner", "runs_stages")

    def __init__(self, owner: CompletableFuture, name: str) -> None:
        super().__init__(owner.machine, name)
        self.owner = owner
        self.runs_stages = owner.spec.stages == "thenApply"
        self.answers: deque[Task] = deque()

    def start(self) -> None:
        """Begin to wait for answers. Who runs stages counts as a worker."""
        if self.runs_stages:
            self.owner.observers.threads(self.owner.clock.now, 1)
        self.owner.clock.process(self._serve())

    def notify(self, task: Task) -> None:
        """The answer that ``task`` waits for has come."""
        self.answers.append(task)
        if self.token is not None:
            token, self.token = self.token, None
            self.thread.wake_with(token)

    def _serve(self) -> Process:
        owner = self.owner
        clock, observers = owner.clock, owner.observers
        while True:
            if not self.answers:
                self._at_work(False)
                self.thread.sleep()
                self.token = token = clock.event()
                yield token
            if self.runs_stages:
                self._at_work(True)
                yield from owner.run_on(self, self.answers.popleft())
                continue
            cost_s = owner.spec.task_s
            wait = self.thread.run(cost_s)
            if wait is not None:
                yield wait
            if cost_s:
                observers.overhead(clock.now, cost_s)
            owner.executor.push_from(self, self.answers.popleft())

    def _at_work(self, busy: bool) -> None:
        if busy != self.busy:
            self.busy = busy
            self.owner.observers.busy(self.owner.clock.now, self.name, 1 if busy else -1)
