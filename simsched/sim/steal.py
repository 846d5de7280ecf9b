"""A host whose cores are virtual: now and then the hypervisor takes one away.

A virtual core is a thread of the machine beneath, which gives the physical core to other guests in
turns (KVM: kernel/sched/fair.c of that machine). From inside, a core stands still for some
milliseconds and goes on as if nothing had been; /proc/stat counts what a guest wanted and did not
get as "steal". So it does not make a core slower: it makes some requests wait, and the tail longer.

- **Turns.** Each core is there and away in turns, whatever the guest does with it. Absences are
  exponential with mean ``steal_slice``, and so are the times between them, such that the core is
  away for the share ``steal`` of the time. They are drawn from a stream of their own, core by core:
  all schedulers meet the same ones.
- **The guest does not know.** A thread stays with its core while that is away, and goes on where it
  was. A thread that wakes on an idle core may find that it is away: it waits there until the core
  comes back, even if another core idles. Runnable threads without a core go to those that are
  there.
- **What counts as stolen** is, as in /proc/stat, the time for which an absent core had something to
  run.

What is simpler than in reality: neighbours do not mind what the guest does, while a hypervisor may
favour a guest that has slept; and a core that does a switch or wakes up is not taken before that is
over. A hyper-thread that is away slows the other one of its physical core down, because somebody
else computes there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simsched.sim.clock import DISPATCH, Call, Clock
from simsched.sim.host import Host
from simsched.sim.os_thread import NANOSECOND_S, Core, OsThread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from simsched.scenario import Host as HostSpec
    from simsched.sim.observer import Observers


def turns(rng: np.random.Generator, share: float, mean_s: float) -> Iterator[tuple[float, float]]:
    """When a core is away: (from, until) in seconds, in order, without end.

    Exponential lengths have no memory, so a core that is away at the beginning, as the share
    ``share`` of them are, comes back as if it had just left.
    """
    between_s = mean_s * (1.0 - share) / share
    now = 0.0 if rng.random() < share else float(rng.exponential(between_s))
    while True:
        back_s = now + float(rng.exponential(mean_s))
        yield now, back_s
        now = back_s + float(rng.exponential(between_s))


class Absence:
    """A core that is away."""

    __slots__ = ("frozen", "latency_s", "slice_left_s", "wanted_s")

    def __init__(self) -> None:
        self.frozen: OsThread | None = None  # who goes on when it comes back
        self.latency_s = 0.0  # ... after so much for its wake-up
        self.slice_left_s = math.inf  # ... and with so much of its slice, if it has begun one
        self.wanted_s: float | None = None  # since when the core has something to run

    @property
    def wanted(self) -> bool:
        """Whether the core has something to run."""
        return self.wanted_s is not None


class StealHost(Host):
    """A host with virtual cores."""

    def __init__(self, clock: Clock, spec: HostSpec, observers: Observers) -> None:
        super().__init__(clock, spec, observers)
        self.naps = False
        self.absences: list[Absence | None] = [None] * spec.cores
        self.stolen_s = [0.0] * spec.cores
        self._turns: Sequence[Iterator[tuple[float, float]]] = ()

    def begin(self, turns: Sequence[Iterator[tuple[float, float]]]) -> None:
        """When each core is away, as (from, until), in order."""
        self._turns = turns
        for core in self.cores:
            self._plan(core)

    def _plan(self, core: Core) -> None:
        turn = next(self._turns[core.index], None)
        if turn is not None:
            leaves_s, back_s = turn
            at_s = max(leaves_s, self.clock.now)
            self.clock.call_at(at_s, DISPATCH, self._leaves, (core, back_s))

    def _leaves(self, call: Call) -> None:
        core, back_s = call.arg
        now, thread = self.clock.now, core.thread
        if now >= back_s:
            self._plan(core)  # a switch took longer than all of the absence
            return
        if thread is not None and now < thread.start_s:
            # A switch that has begun is not undone.
            self.clock.call_at(thread.start_s, DISPATCH, self._leaves, call.arg)
            return
        if thread is not None and thread.end_s <= now + NANOSECOND_S:
            # Its burst ends at this instant: look again when its owner has decided what is next.
            self.clock.call_at(max(now, thread.end_s), DISPATCH, self._leaves, call.arg)
            return
        absence = self.absences[core.index] = Absence()
        self.observers.core_away(now, core.index, 1)
        if thread is not None:
            absence.slice_left_s = max(0.0, core.slice_end_s - now)
            self._interrupt(core)
            absence.frozen, absence.wanted_s = thread, now
        self._came_or_went(core)
        self.clock.call_at(back_s, DISPATCH, self._returns, core)

    def _returns(self, call: Call) -> None:
        core: Core = call.arg
        now, absence = self.clock.now, self.absences[core.index]
        assert absence is not None
        self._book_stolen(core, absence, now)
        self.absences[core.index] = None
        self.observers.core_away(now, core.index, -1)
        self._came_or_went(core)
        self._plan(core)
        thread = absence.frozen
        if thread is not None:
            self.observers.core_queue(now, -1)
            self._put(core, thread, absence.latency_s)
            if core.thread is thread and absence.slice_left_s < math.inf:
                core.slice_end_s = thread.start_s + absence.slice_left_s
                if self.woken or self.rotating:
                    self._arm(core, core.slice_end_s)
        elif absence.wanted_s is not None:
            self._refill(core)

    def _came_or_went(self, core: Core) -> None:
        """For whoever shares a physical core with this one."""

    def _book_stolen(self, core: Core, absence: Absence, now: float) -> None:
        """Of this absence, the time for which the core has been wanted counts as stolen."""
        if absence.wanted_s is not None and now > absence.wanted_s:
            stolen_s = now - absence.wanted_s
            self.stolen_s[core.index] += stolen_s
            self.observers.spent("stolen_s", stolen_s)

    # -- what the guest wants of a core that is away ------------------------------------------

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        absence = self.absences[core.index]
        if absence is None:
            super()._put(core, thread, latency_s)
            return
        self.observers.core_queue(self.clock.now, 1)
        absence.frozen, absence.latency_s = thread, latency_s
        absence.slice_left_s = math.inf
        absence.wanted_s = self.clock.now

    def _refill(self, core: Core) -> None:
        absence = self.absences[core.index]
        if absence is not None and (self.woken or self.rotating):
            absence.wanted_s = self.clock.now
            return
        super()._refill(core)

    def kill(self, threads: Sequence[OsThread]) -> None:
        """Their process is gone, and so is what an absent core was to go on with."""
        freed = []
        for core, absence in zip(self.cores, self.absences, strict=True):
            if absence is not None and absence.frozen in threads:
                self._book_stolen(core, absence, self.clock.now)
                absence.frozen = absence.wanted_s = None
                self.observers.core_queue(self.clock.now, -1)
                freed.append(core)
        super().kill(threads)
        for core in freed:
            self._refill(core)

    def queue(self) -> Iterable[OsThread]:
        """The runnable threads without a core, those of absent cores included."""
        frozen = (absence.frozen for absence in self.absences if absence is not None)
        return (*super().queue(), *(thread for thread in frozen if thread is not None))

    def end(self, now: float) -> None:
        """Book what has been stolen until the end of the run."""
        super().end(now)
        for core, absence in zip(self.cores, self.absences, strict=True):
            if absence is not None:
                self._book_stolen(core, absence, now)


def absences_of(host: Host) -> Sequence[Absence | None]:
    """By core, its absence if it is away; nothing where cores are never taken."""
    return host.absences if isinstance(host, StealHost) else ()
