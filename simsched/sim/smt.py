"""A host whose cores are hyper-threads: two of them share a physical core.

Of two busy hyper-threads of a physical core each computes at ``sibling_speed``, and together they
do about 1.2 times as much as one alone (Intel: up to 30 % more on server benchmarks). A burst under
way is stretched at the moment at which the other thread of its physical core gets something to run,
and speeds up at the moment at which that sleeps again.

The kernel wakes threads on physical cores that idle altogether, before it lets two share one. It
moves no thread that runs already, nor does it here: two threads that share a physical core go on
doing so even if another one falls idle. Switches and wake-ups take as long as ever.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from simsched.sim.bandwidth import QuotaHost
from simsched.sim.clock import Clock
from simsched.sim.eevdf import EevdfHost
from simsched.sim.host import Host
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread
from simsched.sim.steal import StealHost, turns
from simsched.workload.streams import stream

if TYPE_CHECKING:
    from simsched.scenario import Host as HostSpec
    from simsched.sim.observer import Observers


class SmtHost(Host):
    """A host with hyper-threads. Cores i and i + n / 2 of n are those of one physical core."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        super().__init__(clock, spec, observers)
        self.naps = False
        self.shared_pace = spec.slowest_pace
        n, half = len(self.cores), len(self.cores) // 2
        self.siblings = [self.cores[(i + half) % n] for i in range(n)]

    def _idle_core(self, thread: OsThread) -> Core:
        core, idle, siblings = thread.last_core, self.idle, self.siblings
        if core is not None and core.index in idle and siblings[core.index].index in idle:
            return core
        whole = [i for i in idle if siblings[i].index in idle]
        return self.cores[min(whole)] if whole else super()._idle_core(thread)

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        sibling = self.siblings[core.index]
        thread.pace = self.shared_pace if self._computes(sibling) else 1.0
        super()._put(core, thread, latency_s)
        if core.thread is thread:
            self._change_pace(sibling, self.shared_pace)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        super()._take_off(core, thread)
        if not self._computes(core):
            self._change_pace(self.siblings[core.index], 1.0)

    def _computes(self, core: Core) -> bool:
        """Whether anybody computes there."""
        return core.thread is not None

    def _change_pace(self, core: Core, pace: float) -> None:
        """What the thread on this core still has to do takes longer from now on, or less long."""
        thread = core.thread
        if thread is None or thread.pace == pace:
            return
        from_s = max(self.clock.now, thread.start_s)
        left_s = (thread.end_s - from_s) / thread.pace
        thread.pace = pace
        if left_s <= NANOSECOND_S:
            return  # its burst ends at this instant
        assert thread.event is not None
        thread.end_s = from_s + left_s * pace
        thread.event = self.clock.move(thread.event, thread.end_s, thread.rank)


class SmtStealHost(SmtHost, StealHost):
    """Virtual cores that are hyper-threads: who takes one away computes on its physical core."""

    def _computes(self, core: Core) -> bool:
        return core.thread is not None or self.absences[core.index] is not None

    def _came_or_went(self, core: Core) -> None:
        pace = self.shared_pace if self._computes(core) else 1.0
        self._change_pace(self.siblings[core.index], pace)


@cache
def _combined(parts: tuple[type[Host], ...]) -> type[Host]:
    """A host with all of these traits; the first is asked first."""
    if len(parts) == 1:
        return parts[0]
    name = "".join(part.__name__.removesuffix("Host") for part in parts) + "Host"
    return cast("type[Host]", type(name, parts, {"__doc__": "Several traits of a host."}))


def host_of(
    clock: Clock, spec: HostSpec, observers: Observers, seed: int = 0, replication: int = 0
) -> Host:
    """A host as specified. One without a quota, hyper-threads or theft knows nothing of them.

    ``seed`` and ``replication`` decide when the hypervisor takes which core away.
    """
    traits: list[type[Host]] = []
    if spec.steal:
        traits.append(SmtStealHost if spec.threads_per_core > 1 else StealHost)
    elif spec.threads_per_core > 1:
        traits.append(SmtHost)
    if spec.cpu_quota is not None:
        traits.append(QuotaHost)
    if spec.os.scheduler == "eevdf":
        traits.append(EevdfHost)
    host = _combined(tuple(traits or [Host]))(clock, spec, observers)
    if isinstance(host, StealHost):
        streams = (stream(seed, replication, f"host:steal:{i}") for i in range(spec.cores))
        host.begin([turns(rng, spec.steal, spec.steal_slice_s) for rng in streams])
    return host
