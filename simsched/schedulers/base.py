"""What all schedulers share: the small vocabulary in which they tell what they do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from simsched.sim.clock import IO_DONE, Call
from simsched.sim.task import CPU, OVERHEAD, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsched.sim.machine import Machine
    from simsched.workload.program import Op


class Scheduler(ABC):
    """A scheduler maps tasks to workers; the host maps workers to cores.

    It is told of tasks through :meth:`submit` and :meth:`cancel`, and answers through
    ``self.clients`` with exactly one of ``completed``, ``rejected``, ``failed`` or (for a cancelled
    task) ``abandoned`` for each task submitted.
    """

    kind: ClassVar[str]

    def __init__(self, machine: Machine, spec: Any) -> None:
        self.machine = machine
        self.spec = spec
        self.clock = machine.clock
        self.host = machine.host
        self.observers = machine.observers
        self.resources = machine.resources
        self.clients = machine.clients
        self.detailed = machine.observers.detailed
        self.entered = machine.observers.entered  # bound once: the most frequent events of all
        self.worked = machine.observers.worked

    @abstractmethod
    def start(self) -> None:
        """Create the workers that exist before the first request."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """A request arrives."""

    @abstractmethod
    def cancel(self, task: Task) -> None:
        """The client has given up on ``task``: stop it where the real runtime would."""

    def expect(self, arrival_s: float, index: int) -> bool:
        """The next request will arrive then.

        A scheduler that looks for requests by itself returns True, and calls
        ``clients.send_next()`` when it looks, once it is ``arrival_s`` or later.
        """
        return False

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:  # noqa: B027
        """Tell all that has happened before ``priority``'s turn at ``until_s``.

        It is asked of a scheduler before somebody looks at a task from outside: a client that
        gives up, or the end of the run. Only those that notice things late have to answer.
        """

    def end(self, now: float) -> None:  # noqa: B027 - most have nothing to add
        """The run is over: tell the observers of what is still under way."""

    @property
    @abstractmethod
    def worker_limit(self) -> int | None:
        """Most workers there can be at once; None if nothing limits them."""

    def held_phases(self) -> frozenset[int]:
        """Parts of the breakdown during which a task keeps a worker busy."""
        return frozenset({CPU, OVERHEAD})

    # -- vocabulary --------------------------------------------------------------------------

    def enter(self, task: Task, phase: int) -> None:
        """The task's time belongs to another part of the breakdown from now on."""
        self.entered(self.clock.now, task, phase)

    def step_done(self, task: Task) -> None:
        """The step the task stands at is complete."""
        if self.detailed:
            self.observers.step_ended(self.clock.now, task)
        task.pc += 1

    def after(self, delay_s: float, task: Task, function: Callable[[Call], None]) -> None:
        """Have ``function`` called with the task when its I/O or timer completes."""
        clock = self.clock
        index = task.index
        task.wait = clock.call_at(clock.now + delay_s, IO_DONE | index, function, task)

    def release(self, task: Task, op: Op) -> Task | None:
        """Give a permit back; returns the task it passes to."""
        return self.resources[op.arg].release(task)

    def drop_held(self, task: Task) -> list[Task]:
        """Give everything back that a cancelled task holds; returns the tasks it passes to."""
        heirs = []
        while task.held:
            heir = task.held[-1].release(task)
            if heir is not None:
                heirs.append(heir)
        return heirs
