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

from typing import TYPE_CHECKING

from simsched.sim.bandwidth import QuotaHost
from simsched.sim.clock import Clock
from simsched.sim.eevdf import EevdfHost
from simsched.sim.host import Host
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread

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
        thread.pace = 1.0 if sibling.thread is None else self.shared_pace
        super()._put(core, thread, latency_s)
        if core.thread is thread:
            self._change_pace(sibling, self.shared_pace)

    def _take_off(self, core: Core, thread: OsThread) -> None:
        super()._take_off(core, thread)
        self._change_pace(self.siblings[core.index], 1.0)

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


class SmtQuotaHost(SmtHost, QuotaHost):
    """A host with hyper-threads and a CPU quota, which counts time and not work."""


class EevdfQuotaHost(QuotaHost, EevdfHost):
    """EEVDF within a CPU quota."""


class EevdfSmtHost(SmtHost, EevdfHost):
    """EEVDF on hyper-threads."""


class EevdfSmtQuotaHost(SmtHost, QuotaHost, EevdfHost):
    """All three."""


def host_of(clock: Clock, spec: HostSpec, observers: Observers) -> Host:
    """A host as specified. One without a quota or hyper-threads knows nothing of them."""
    smt, quota = spec.threads_per_core > 1, spec.cpu_quota is not None
    kinds: tuple[type[Host], ...] = (Host, QuotaHost, SmtHost, SmtQuotaHost)
    if spec.os.scheduler == "eevdf":
        kinds = (EevdfHost, EevdfQuotaHost, EevdfSmtHost, EevdfSmtQuotaHost)
    kind = kinds[2 * smt + quota]
    return kind(clock, spec, observers)
