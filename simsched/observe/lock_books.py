"""Whether the threads of one process have computed more than one core could, with one lock.

An interpreter lock is held by one thread at a time. So from the moment at which somebody begins a
step of Python code until nobody is at one, the steps that end demand no more CPU than time passes.
Native code that gives the lock away does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.workload.program import CPU

if TYPE_CHECKING:
    from simsched.sim.task import Task


class LockBooks:
    """The Python code that one process has run since its interpreter was idle."""

    __slots__ = ("done_s", "open", "since_s")

    def __init__(self) -> None:
        self.open: set[Task] = set()  # at a step of Python code
        self.since_s = 0.0  # since when there has been one
        self.done_s = 0.0  # demands of the steps that have ended since then

    def started(self, now: float, task: Task) -> None:
        """A task begins a step."""
        op = task.ops[task.pc]
        if op.code != CPU or op.kind == "native":
            return
        if not self.open:
            self.since_s = now
            self.done_s = 0.0
        self.open.add(task)

    def ended(self, now: float, task: Task) -> float:
        """A task ends a step; returns by how much more was done than one at a time could have."""
        if task not in self.open:
            return 0.0
        self.open.remove(task)
        self.done_s += task.demands[task.ops[task.pc].slot]
        return self.done_s - (now - self.since_s)

    def left(self, task: Task) -> None:
        """A task has ended, wherever it was."""
        self.open.discard(task)
