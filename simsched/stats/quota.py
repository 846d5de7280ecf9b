"""A CPU quota in words: how much it is, how often it runs out, and who uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simsched.observe.record import RunRecord
from simsched.stats.window import columns
from simsched.stats.wording import duration, number, percent

if TYPE_CHECKING:
    from simsched.scenario import Host


class Quota(NamedTuple):
    """A CPU quota: cores' worth, and the period for which it is given."""

    cores: float
    period_s: float


def quota_of(host: Host) -> Quota | None:
    """The CPU quota of a host that has one which can bind."""
    if host.cpu_quota is None or host.cpu_quota >= host.cores:
        return None
    return Quota(host.cpu_quota, host.cpu_period_s)


def cores_of(quota: Quota) -> str:
    """As "2 cores"."""
    return f"{number(quota.cores)} core" + "s" * (quota.cores != 1)


def of_periods(share: float, quota: Quota) -> str:
    """As "95 % of its periods of 100 ms"."""
    return f"{percent(share)} of its periods of {duration(quota.period_s)}"


def throttled_share(records: Sequence[RunRecord], quota: Quota | None) -> float:
    """Share of the quota's periods in which anything was stopped."""
    if quota is None:
        return 0.0
    throttled = sum(record.activity.get("throttled_periods", 0.0) for record in records)
    return throttled / sum(record.end_s / quota.period_s for record in records)


def most_of_it(records: Sequence[RunRecord], names: Sequence[str]) -> str:
    """Which of several request classes takes most of the CPU time."""
    if len(names) < 2:
        return ""
    used_s = np.zeros(len(names))
    for record in records:
        of_each = record.parts_s[:, columns(("cpu",))].sum(axis=1)
        if len(record.branch_cpu_s):
            of_each = of_each + record.branch_cpu_s
        used_s += np.bincount(record.class_id, of_each, minlength=len(names))
    if not used_s.any():
        return ""
    most = int(np.argmax(used_s))
    return f"; {percent(used_s[most] / used_s.sum())} of the CPU time is {names[most]}'s"
