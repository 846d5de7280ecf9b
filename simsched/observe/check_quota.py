"""Quota: a container never uses more CPU time than its periods give it.

Two rules, told from the cores alone. Since the beginning of the run, all cores together have not
been busy for longer than the quotas of the periods that have begun, plus the burst that may be
saved. And in one period they are not busy for longer than its quota, plus the burst, plus what each
core may have kept from before: the slice it was in the middle of, if it was busy when the period
began or a hypervisor had taken it away, and a millisecond if it was not.

A core stops between bursts and not in the middle of a switch, so each may be late by the length of
one switch and what has been rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simsched.observe.checker import Checker

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.os_thread import OsThread

KEPT_S = 1e-3
ROUNDING_S = 1e-6


class CpuQuota(Checker):
    """Core time within the quota. Without one it has nothing to say."""

    invariant = "cpu quota"

    def __init__(self) -> None:
        self.on_s: dict[int, float] = {}
        self.away_s: dict[int, float] = {}  # cores that a hypervisor has, since when
        self.used_s: list[float] = []  # by period
        self.carried_s: list[float] = []  # at the beginning of each
        self.quota_s: float | None = None

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        host = simulation.scenario.host
        if host.cpu_quota is None:
            return
        self.cores = host.cores
        self.period_s = host.cpu_period_s
        self.burst_s = host.cpu_burst_s
        self.quota_s = host.cpu_quota * host.cpu_period_s
        self.slice_s = host.os.bandwidth_slice_s
        exit_s = simulation.host.exit_cost_s(math.inf)
        self.late_s = host.cores * (host.os.switch_cost_s + exit_s + ROUNDING_S)

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        if self.quota_s is not None:
            self.on_s[core] = now

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        if self.quota_s is not None:
            self._book(self.on_s.pop(core), now)

    def core_away(self, now: float, core: int, change: int) -> None:
        """A core that a hypervisor takes away keeps its slice, even into the next period."""
        if self.quota_s is None:
            return
        if change > 0:
            self.away_s[core] = now
            return
        period = int(now / self.period_s)
        if period > int(self.away_s.pop(core) / self.period_s):
            self._begin(period)
            self.carried_s[period] += max(0.0, self.slice_s - KEPT_S)

    def _book(self, on_s: float, off_s: float) -> None:
        """Add a stay on a core to the periods that it is in."""
        period = int(on_s / self.period_s)
        while on_s < off_s:
            end_s = min(off_s, max((period + 1) * self.period_s, on_s))
            self._begin(period)
            self.used_s[period] += end_s - on_s
            if end_s < off_s:
                self._begin(period + 1)
                self.carried_s[period + 1] += max(0.0, self.slice_s - KEPT_S)
            on_s, period = end_s, period + 1

    def _begin(self, period: int) -> None:
        while len(self.used_s) <= period:
            self.used_s.append(0.0)
            self.carried_s.append(self.cores * KEPT_S if self.carried_s else 0.0)

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        if self.quota_s is None:
            return
        for on_s in self.on_s.values():
            self._book(on_s, record.end_s)
        sum_s = 0.0
        for period, (used_s, carried_s) in enumerate(zip(self.used_s, self.carried_s, strict=True)):
            sum_s += used_s
            given_s = (period + 1) * self.quota_s + self.late_s
            most_s = self.quota_s + self.burst_s + carried_s + self.late_s
            where = f"period {period}"
            if sum_s > given_s:
                self.fail(f"{given_s:.9g} s of CPU at most so far", f"{sum_s:.9g} s", where=where)
            if used_s > most_s:
                self.fail(f"{most_s:.9g} s of CPU at most", f"{used_s:.9g} s", where=where)
