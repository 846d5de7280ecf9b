"""Several processes of one server: the same runtime N times, behind one listening socket.

That is what ``gunicorn --workers``, ``uvicorn --workers`` and Node's cluster do, because one
interpreter lock or one loop uses one core only. The processes share the cores, the accept queue,
and what is outside of them (the scenario's resources and locks); nothing else. A connection belongs
to the process that accepted it (:mod:`simsched.sim.network`), and so do its requests, however busy
that process is and however idle its neighbours are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from simsched.schedulers.base import Scheduler

if TYPE_CHECKING:
    from simsched.sim.machine import Machine
    from simsched.sim.task import Task
    from simsched.workload.program import Op


class ProcessGroup(Scheduler):
    """N schedulers, each with threads, queues and an interpreter lock of its own."""

    def __init__(self, machine: Machine, spec: Any, each: type[Scheduler]) -> None:
        super().__init__(machine, spec)
        self.children = tuple(
            each(replace(machine, process=i, prefix=f"p{i}:"), spec) for i in range(spec.processes)
        )

    @property
    def worker_limit(self) -> int | None:
        limits = [child.worker_limit for child in self.children]
        return None if None in limits else sum(limit or 0 for limit in limits)

    def held_phases(self) -> frozenset[int]:
        return self.children[0].held_phases()

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return self.children[0].adapt(ops)

    def start(self) -> None:
        for child in self.children:
            child.start()

    def submit(self, task: Task) -> NoReturn:
        raise AssertionError("requests come to a process by way of its connections")

    def cancel(self, task: Task) -> None:
        self.children[task.process].cancel(task)

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:
        for child in self.children:
            child.catch_up(until_s, priority)

    def end(self, now: float) -> None:
        for child in self.children:
            child.end(now)


def processes_of(scheduler: Scheduler) -> tuple[Scheduler, ...]:
    """The processes of a server: the children of a group, or the scheduler itself."""
    return scheduler.children if isinstance(scheduler, ProcessGroup) else (scheduler,)
