"""What a scheduler is built on: clock, host, resources, clients and its own random streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simsched.workload.streams import stream

if TYPE_CHECKING:
    import numpy as np

    from simsched.sim.clients import Clients
    from simsched.sim.clock import Clock
    from simsched.sim.host import Host
    from simsched.sim.observer import Observers
    from simsched.sim.resources import Resource


@dataclass(slots=True)
class Machine:
    """One simulated machine with one scheduler on it, for one replication."""

    clock: Clock
    host: Host
    observers: Observers
    resources: dict[str, Resource]
    clients: Clients
    seed: int
    replication: int

    @property
    def cores(self) -> int:
        """Number of cores of the host."""
        return len(self.host.cores)

    def stream(self, purpose: str) -> np.random.Generator:
        """A random stream of the scheduler's own; the workload's draws are not affected by it."""
        return stream(self.seed, self.replication, f"scheduler:{purpose}")
