"""Discipline and blindness: first come, first served means it, and nobody knows the future."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from simsched.observe.checker import Checker
from simsched.sim.task import LOCK, RESOURCE, Task
from simsched.workload.program import ACQUIRE

if TYPE_CHECKING:
    from collections.abc import Callable


class Discipline(Checker):
    """Queues that promise it are first in, first out; so are those for permits.

    Queues are told by ``queued`` and ``dequeued``, under one name each in each process. The own
    queue of a worker of the common pool has two ends: others take its oldest task. Who
    begins to wait for a permit enters the part ``resource`` or ``lock``; who has given up may leave
    from the middle.
    """

    invariant = "discipline"

    def __init__(self) -> None:
        self.queues: dict[tuple[int, str], deque[Task]] = {}
        self.waiting: dict[str, deque[Task]] = {}

    def queued(self, now: float, task: Task, queue: str) -> None:
        waiting = self.queues.get((task.process, queue))
        if waiting is None:
            waiting = self.queues[task.process, queue] = deque()
        waiting.append(task)

    def dequeued(self, now: float, task: Task, queue: str) -> None:
        waiting = self.queues.get((task.process, queue))
        if not waiting:
            self.fail(f'the head of queue "{queue}", which is empty', "this task", task)
        if waiting[-1] is task and self._is_stack(queue):
            waiting.pop()
            return
        head = waiting.popleft()
        if head is not task:
            self.fail(f'the head of queue "{queue}", request {head.index}', "this task", task)

    def _is_stack(self, queue: str) -> bool:
        """Whether the owner of this queue takes its newest task: workers of the common pool do."""
        owner = queue.rpartition(":")[2]
        return self.simulation.spec.kind == "fork_join" and owner.startswith("worker-")

    def entered(self, now: float, task: Task, phase: int) -> None:
        if phase not in (LOCK, RESOURCE) or task.pc >= len(task.ops):
            return
        op = task.ops[task.pc]
        if op.code != ACQUIRE:
            self.fail("a wait for a permit at an acquiring step", "another step", task)
        self.waiting.setdefault(op.arg, deque()).append(task)

    def resource_waited(self, now: float, name: str, seconds: float) -> None:
        waiting = self.waiting.get(name)
        if not waiting:
            return
        resource = self.simulation.machine.resources[name]
        while waiting and _has_left(waiting[0]) and resource not in waiting[0].held:
            waiting.popleft()
        if waiting:
            head = waiting.popleft()
            if resource not in head.held:
                self.fail("the longest waiting task to get the permit", "another one", head)


def _has_left(task: Task) -> bool:
    """Whether it may have left the middle of a queue: it or its client gave up, or it died."""
    return task.cancelled or task.broken or task.over


class OpaqueDemands:
    """The demands of a task, of which only those can be read whose step has begun."""

    __slots__ = ("_demands", "_refuse", "known")

    def __init__(self, demands: list[float], refuse: Callable[[int], None]) -> None:
        self._demands = demands
        self._refuse = refuse
        self.known: set[int] = set()

    def __len__(self) -> int:
        return len(self._demands)

    def __getitem__(self, slot: int) -> float:
        # Iterating, summing, sorting and slicing all come through here.
        if not isinstance(slot, int) or slot not in self.known:
            self._refuse(slot)
        return self._demands[slot]

    def covered_again(self) -> OpaqueDemands:
        """The same demands for somebody who knows none of them yet."""
        return OpaqueDemands(self._demands, self._refuse)


class Blindness(Checker):
    """No policy reads a demand that lies ahead: real schedulers do not know it.

    The engine needs the length of a step to end it in time, so it may be read from the beginning
    of the step on; a decision taken before cannot have known it. A branch shares the row of its
    request, and may read what its own steps have begun.
    """

    invariant = "blindness"

    def arrived(self, now: float, task: Task) -> None:
        self._cover(task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        self._cover(again)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        demands: object = task.demands
        if isinstance(demands, OpaqueDemands):
            branch.demands = cast("list[float]", demands.covered_again())

    def _cover(self, task: Task) -> None:
        def refuse(slot: int) -> None:
            self.fail("no look at what lies ahead", f"demand {slot} being read", task)

        task.demands = cast("list[float]", OpaqueDemands(task.demands, refuse))

    def step_started(self, now: float, task: Task) -> None:
        slot = task.ops[task.pc].slot
        demands: object = task.demands
        if slot >= 0 and isinstance(demands, OpaqueDemands):
            demands.known.add(slot)
