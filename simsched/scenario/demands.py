"""Mean demands of a request class: what one request asks of each thing, without any queueing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simsched.scenario.deadlocks import LOCK
from simsched.scenario.distributions import Column, Dist
from simsched.scenario.steps import BlockingStep, CpuStep, LockStep, RequestClass, UseStep
from simsched.scenario.units import format_duration


@dataclass
class ClassDemand:
    """Mean seconds per request of one class; nan where a mean is not known yet.

    Attributes:
        share: fraction of all requests that are of this class.
        rate_rps: requests per second of this class, or None.
        cpu_s: CPU time.
        wait_s: waiting that suspends a coroutine: io and sleep.
        blocking_s: waiting in blocking calls, by kind.
        monitor_wait_s: io, sleep and socket waits inside a synchronized lock, part of the above;
            they pin the carrier of a virtual thread before JDK 24.
        holding_s: time each resource, or "lock:NAME", is held.
    """

    share: float
    rate_rps: float | None
    cpu_s: float = 0.0
    wait_s: float = 0.0
    blocking_s: dict[str, float] = field(default_factory=dict)
    monitor_wait_s: float = 0.0
    holding_s: dict[str, float] = field(default_factory=dict)

    @property
    def all_blocking_s(self) -> float:
        """Blocking calls of every kind."""
        return sum(self.blocking_s.values())

    @property
    def total_s(self) -> float:
        """Least mean latency: every demand, one after the other."""
        return self.cpu_s + self.wait_s + self.all_blocking_s

    def to_dict(self) -> dict[str, Any]:
        """The class's part of "offered" in a result document; None where a mean is unknown."""
        return {
            "share": known(self.share),
            "rate_rps": self.rate_rps,
            "cpu_s": known(self.cpu_s),
            "wait_s": known(self.wait_s),
            "blocking_s": known(self.all_blocking_s),
            "total_s": known(self.total_s),
            "holding_s": {key: known(value) for key, value in self.holding_s.items()},
        }


def known(value: float) -> float | None:
    """The value, or None for nan, which stands for "not known"."""
    return None if math.isnan(value) else value


def mean_of(dist: Dist, columns: Mapping[str, float | None]) -> float:
    """Mean of a distribution in seconds; nan for a file of samples, or a column not given."""
    mean = columns.get(dist.column) if isinstance(dist, Column) else dist.mean_s
    return math.nan if mean is None else mean


def class_demand(
    request: RequestClass,
    share: float,
    rate_rps: float | None,
    columns: Mapping[str, float | None],
) -> ClassDemand:
    """Mean demands of a class.

    Args:
        request: the class.
        share: its fraction of all requests.
        rate_rps: rate of all requests together, or None.
        columns: mean of each column of the trace, in seconds.
    """
    rate = None if rate_rps is None or math.isnan(share) else rate_rps * share
    demand = ClassDemand(share=share, rate_rps=rate)
    for step in request.steps:
        _add(demand, step, columns, monitor=False)
    return demand


def _add(
    demand: ClassDemand, step: Any, columns: Mapping[str, float | None], *, monitor: bool
) -> float:
    """Add a step to the demand; returns its duration. ``monitor``: inside a synchronized lock."""
    if isinstance(step, (UseStep, LockStep)):
        inside = monitor or (isinstance(step, LockStep) and step.kind == "synchronized")
        held = sum(_add(demand, inner, columns, monitor=inside) for inner in step.steps)
        key = step.resource if isinstance(step, UseStep) else LOCK + step.lock
        demand.holding_s[key] = demand.holding_s.get(key, 0.0) + held
        return held
    mean = mean_of(step.demand, columns)
    if isinstance(step, CpuStep):
        demand.cpu_s += mean
        return mean
    if isinstance(step, BlockingStep):
        demand.blocking_s[step.kind] = demand.blocking_s.get(step.kind, 0.0) + mean
        suspends = step.kind == "socket"
    else:
        demand.wait_s += mean
        suspends = True
    if monitor and suspends:
        demand.monitor_wait_s += mean
    return mean


def short_timeout(request: RequestClass, demand: ClassDemand) -> str | None:
    """The sentence for a timeout below the least mean latency, if it is."""
    if request.timeout_s is None or not demand.total_s > request.timeout_s:
        return None
    timeout, total = format_duration(request.timeout_s), f"{demand.total_s * 1000:.3g}ms"
    return (
        f'class "{request.name}": the timeout of {timeout} is shorter than the {total} that a '
        "request takes on average without any queueing"
    )
