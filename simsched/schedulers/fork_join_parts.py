"""What a fork-join pool consists of: its mode, its queues, its workers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.sim.clock import Process
    from simsched.sim.machine import Machine

Item = Any
"""What a pool runs: a task, or whatever else its owner knows how to run."""


@dataclass(frozen=True)
class Mode:
    """What tells one pool from another.

    Attributes:
        fifo: whether the owner of a queue takes its oldest task first (``asyncMode``).
        worker: what its threads are called, and ``spares`` what spare ones are counted as.
        external: submission queues of the threads that are no workers.
    """

    fifo: bool
    worker: str
    spares: str
    external: tuple[str, ...]


VIRTUAL_THREADS = Mode(
    True, "carrier", "spare_carriers", ("acceptor", "timer", "poller", "unblocker")
)
COMMON_POOL = Mode(False, "worker", "spare_workers", ("acceptor", "timer"))


class Owner(Protocol):
    """Who runs what the pool's workers take."""

    def run_on(self, carrier: Carrier, item: Item) -> Process:
        """What a worker does with an item it took from a queue."""


class WorkQueue:
    """A queue of the pool: external, or a worker's own. Thieves take its oldest item."""

    __slots__ = ("items", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: deque[Item] = deque()


class Carrier:
    """A worker of the pool: an OS thread with a queue."""

    __slots__ = (
        "busy", "exits", "local", "name", "nested", "owed_s", "spins", "thread", "token",
    )  # fmt: skip

    def __init__(self, machine: Machine, name: str) -> None:
        self.thread = machine.thread(name)
        self.name = self.thread.name
        self.local = WorkQueue(name)
        self.token: Event | None = None
        self.exits = False
        self.busy = False
        self.spins = False  # idle, but not parked yet
        self.owed_s = 0.0
        self.nested = 0  # tasks it runs while others, below on its stack, wait
