"""What a scheduler is built on: clock, host, resources, clients and its own random streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simsched.sim.gil_thread import GilThread
from simsched.workload.streams import stream

if TYPE_CHECKING:
    import numpy as np

    from simsched.sim.clients import Clients
    from simsched.sim.clock import Clock
    from simsched.sim.gil import Gil
    from simsched.sim.host import Host
    from simsched.sim.network import Network
    from simsched.sim.observer import Observers
    from simsched.sim.os_thread import OsThread
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
    network: Network | None = None  # if connections are modelled
    cores: int = 0  # as the runtime counts them, which may know of a quota; 0: the host's
    process: int = 0  # which of the server's processes it is the machine of
    prefix: str = ""  # of the names of its threads, where there are several processes
    gil: Gil | None = None  # of this process, if its runtime has one
    pools: dict[str, int] = field(default_factory=dict)  # capacity of a scheduler's own pools

    def __post_init__(self) -> None:
        self.cores = self.cores or len(self.host.cores)

    def thread(self, name: str) -> OsThread:
        """A new, sleeping thread of this process, subject to its interpreter lock if it has one."""
        if self.gil is None:
            return self.host.thread(self.prefix + name)
        return GilThread(self.host, self.prefix + name, self.gil)

    def stream(self, purpose: str) -> np.random.Generator:
        """A random stream of the scheduler's own; the workload's draws are not affected by it."""
        return stream(self.seed, self.replication, f"scheduler:{self.prefix}{purpose}")
