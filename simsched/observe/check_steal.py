"""Steal: a virtual core that the hypervisor has taken runs nothing, and the books say so.

From the events alone: a core leaves and comes back in turns, nothing is on it meanwhile, and no
thread is put on it. What counts as stolen of a core is not more than it was away, and how many were
away on average is the same in the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.observe.checker import Checker, differs

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.os_thread import OsThread


class Steal(Checker):
    """Virtual cores that are away. On other hosts it has nothing to say."""

    invariant = "steal"

    def __init__(self) -> None:
        self.away_since_s: dict[int, float] = {}
        self.away_s: dict[int, float] = {}
        self.in_window_s = 0.0
        self.on: dict[int, OsThread] = {}

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        self.duration_s = simulation.scenario.duration_s

    def core_away(self, now: float, core: int, change: int) -> None:
        if (change > 0) == (core in self.away_since_s):
            self.fail("a core to leave and to come back in turns", f"{change:+d} twice")
        if change < 0:
            self._book(core, self.away_since_s.pop(core), now)
            return
        self.away_since_s[core] = now

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        if core in self.away_since_s:
            self.fail(f"core {core} to run nothing while it is away", thread.name)
        self.on[core] = thread

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.on.pop(core, None)
        since_s = self.away_since_s.get(core)
        if since_s is not None and now > since_s:
            self.fail(f"nothing on core {core} since {since_s:.9g}", thread.name)

    def _book(self, core: int, since_s: float, until_s: float) -> None:
        self.away_s[core] = self.away_s.get(core, 0.0) + until_s - since_s
        self.in_window_s += max(0.0, min(until_s, self.duration_s) - since_s)

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        for core, since_s in self.away_since_s.items():
            self._book(core, since_s, max(since_s, record.end_s))
            if core in self.on:
                self.fail(f"nothing on core {core} since {since_s:.9g}", self.on[core].name)
        for core, stolen_s in enumerate(record.stolen_s):
            away_s = self.away_s.get(core, 0.0)
            if stolen_s > away_s + 1e-9:
                self.fail(f"at most {away_s:.9g} s stolen of core {core}", f"{stolen_s:.9g} s")
        if record.stolen_s:
            seen_s = float(record.series["away_cores"].mean()) * self.duration_s
            if differs(self.in_window_s, seen_s, absolute_s=1e-9):
                self.fail(f"cores away for {self.in_window_s:.12g} s", f"{seen_s:.12g} s")
