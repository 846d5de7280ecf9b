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
    from simsched.schedulers.completable_future import CompletableFuture
    from simsched.schedulers.event_loop import EventLoop
    from simsched.schedulers.goroutine import Goroutine
    from simsched.schedulers.gthread import Gthread
    from simsched.schedulers.reactor import Reactor
    from simsched.schedulers.sync_workers import SyncWorker
    from simsched.schedulers.thread_pool import ThreadPool
    from simsched.schedulers.virtual_thread import VirtualThread

    built_in: tuple[type[Scheduler], ...] = (
        ThreadPool,
        SyncWorker,
        Gthread,
        EventLoop,
        Goroutine,
        VirtualThread,
        CompletableFuture,
        Reactor,
    )
    for scheduler in built_in:
        if scheduler.kind == kind:
            return scheduler
    raise KeyError(kind)


def build(machine: Machine, spec: Any) -> Scheduler:
    """The scheduler that a spec describes, on a machine, as often as it says."""
    from simsched.schedulers.processes import ProcessGroup, processes_of

    each = scheduler_class(spec.kind)
    scheduler = each(machine, spec) if spec.processes == 1 else ProcessGroup(machine, spec, each)
    if machine.network is not None:
        machine.network.serve(scheduler, processes_of(scheduler))
    return scheduler


def needs_network(spec: Any) -> bool:
    """Whether a scheduler cannot be told of requests but by way of connections."""
    return spec.processes > 1 or scheduler_class(spec.kind).listens
