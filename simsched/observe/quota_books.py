"""Who used up a CPU quota, and who waited for it: by period.

A quota is nobody's in particular. Whoever is stopped waits until the next period because of all who
have computed in this one: each is to blame by the share of CPU time that it took there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from simsched.observe.stays import Intervals
from simsched.observe.steps import NOBODY

if TYPE_CHECKING:
    from simsched.observe.series import FloatArray
    from simsched.observe.steps import StepNames

STOPPED: Final = -2
"""Instead of a class, in the key of a period: its cores are stopped."""
ROUNDING: Final = 1e-9
"""Of a period: 0.3 s is the end of the third one, though 3 * 0.1 is more than 0.3."""


class QuotaBooks:
    """CPU time and waits by period, and when which cores are stopped."""

    def __init__(self, period_s: float, names: StepNames) -> None:
        self.period_s = period_s
        self.names = names
        self._used_s: dict[int, FloatArray] = {}  # by key and period
        self._waited_s: dict[int, FloatArray] = {}  # by victim and period
        self._since_s: dict[int, float] = {}  # of the cores that are stopped now
        self._stops: list[tuple[float, float]] = []

    def stop(self, now: float, core: int, change: int) -> None:
        """A core is stopped (+1), or goes on (-1)."""
        if change > 0:
            self._since_s[core] = now
        else:
            self._stops.append((self._since_s.pop(core), now))

    def stops(self, since_s: float) -> Intervals:
        """What of this is of interest after ``since_s``: the rest is forgotten."""
        self._stops = [stop for stop in self._stops if stop[1] > since_s]
        all_stops = [*self._stops, *((begun_s, math.inf) for begun_s in self._since_s.values())]
        times = np.array(all_stops, np.float64).reshape(-1, 2)
        periods = (times[:, 0] / self.period_s + ROUNDING).astype(np.intp)
        keys = [self.names.key(STOPPED, str(period)) for period in periods.tolist()]
        n = len(times)
        return Intervals(
            times[:, 0], times[:, 1], np.array(keys, np.int32),
            np.zeros(n, np.int32), np.ones(n, np.float32),
        )  # fmt: skip

    def use(self, holds: Intervals) -> None:
        """What tasks did with a worker; the share of it that they spent on a core counts."""
        self._add(self._used_s, holds)

    def wait(self, waits: Intervals) -> None:
        """Waits for the quota."""
        self._add(self._waited_s, waits)

    def wait_in(self, victim: int, period: int, seconds: float) -> None:
        """A wait that is known to be in this period."""
        by_period = np.zeros(period + 1)
        by_period[period] = seconds
        self._waited_s[victim] = _sum(self._waited_s.get(victim), by_period)

    def _add(self, sums: dict[int, FloatArray], of: Intervals) -> None:
        of = Intervals(*(column[of.weight > 0] for column in of))  # type: ignore[arg-type]
        if not len(of.start_s):
            return
        begin, end = of.start_s / self.period_s, of.end_s / self.period_s
        first = np.floor(begin + ROUNDING)
        n = np.maximum(np.ceil(end - ROUNDING) - first, 1.0).astype(np.intp)
        row = np.repeat(np.arange(len(n)), n)
        period = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
        last = np.append(row[1:] != row[:-1], True)
        until = np.where(last, end[row], period + 1.0)
        since = np.where(np.append(True, last[:-1]), begin[row], period)
        seconds = (until - since) * self.period_s * of.weight[row]
        periods, keys = period.astype(np.intp), of.key[row]
        for key in np.unique(keys).tolist():
            mine = keys == key
            by_period: FloatArray = np.bincount(periods[mine], seconds[mine]).astype(
                np.float64, copy=False
            )
            sums[key] = _sum(sums.get(key), by_period)

    def rows(self) -> dict[tuple[int, int], float]:
        """Seconds by victim and key of the culprit."""
        n = max((len(s) for s in (*self._used_s.values(), *self._waited_s.values())), default=0)
        total_s = np.zeros(n)
        for used_s in self._used_s.values():
            total_s[: len(used_s)] += used_s
        found: dict[tuple[int, int], float] = {}
        for victim, waited_s in sorted(self._waited_s.items()):
            m = len(waited_s)
            rate = np.divide(waited_s, total_s[:m], out=np.zeros(m), where=total_s[:m] > 0)
            found[victim, NOBODY] = float(waited_s[total_s[:m] <= 0].sum())
            for key, used_s in sorted(self._used_s.items()):
                both = min(m, len(used_s))
                found[victim, key] = float(rate[:both] @ used_s[:both])
        return {row: seconds for row, seconds in found.items() if seconds > 0}


def _sum(one: FloatArray | None, other: FloatArray) -> FloatArray:
    if one is None:
        return other
    if len(one) < len(other):
        one, other = other, one
    one = one.copy()
    one[: len(other)] += other
    return one
