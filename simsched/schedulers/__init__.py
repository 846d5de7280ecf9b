"""The schedulers. Each file opens with why the model is so and which real source it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsched.schedulers.base import Scheduler

if TYPE_CHECKING:
    from simsched.sim.machine import Machine


def scheduler_class(kind: str) -> type[Scheduler]:
    """The scheduler of this kind.

    Raises:
        KeyError: If there is none.
    """
    from simsched.schedulers.event_loop import EventLoop
    from simsched.schedulers.goroutine import Goroutine
    from simsched.schedulers.thread_pool import ThreadPool
    from simsched.schedulers.virtual_thread import VirtualThread

    built_in: tuple[type[Scheduler], ...] = (ThreadPool, EventLoop, Goroutine, VirtualThread)
    for scheduler in built_in:
        if scheduler.kind == kind:
            return scheduler
    raise KeyError(kind)


def build(machine: Machine, spec: Any) -> Scheduler:
    """The scheduler that a spec describes, on a machine."""
    return scheduler_class(spec.kind)(machine, spec)
