"""Mean demands of a request class: what one request asks of each thing, without any queueing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simsched.scenario.deadlocks import LOCK
from simsched.scenario.distributions import Column, Dist
from simsched.scenario.steps import (
    BlockingStep,
    CpuStep,
    LockStep,
    OffloadStep,
    ParallelStep,
    RepeatStep,
    RequestClass,
    SleepStep,
    UseStep,
)
from simsched.scenario.units import format_duration


@dataclass
class ClassDemand:
    """Mean seconds per request of one class; nan where a mean is not known yet.

    Attributes:
        share: fraction of all requests that are of this class.
        rate_rps: requests per second of this class, or None.
        cpu_s: CPU time.
        wait_s: waiting that suspends a coroutine: io and sleep.
        sleep_s: timers, part of wait_s.
        blocking_s: waiting in blocking calls, by kind.
        monitor_wait_s: io, sleep and socket waits inside a synchronized lock, part of the above;
            they pin the carrier of a virtual thread before JDK 24.
        holding_s: time each resource, or "lock:NAME", is held.
        total_s: least mean latency: demands one after the other, of branches the longest.
        in_turn_s: the same where branches run one after the other, as on a plain thread.
        native_cpu_s: CPU time without the interpreter lock, part of cpu_s.
        offload_s: time on a thread of an executor, by the call that brings the work there.
        offload_cpu_s: CPU time there, part of cpu_s.
        offload_blocking_s: blocking calls there, part of blocking_s.
    """

    share: float
    rate_rps: float | None
    cpu_s: float = 0.0
    wait_s: float = 0.0
    blocking_s: dict[str, float] = field(default_factory=dict)
    monitor_wait_s: float = 0.0
    holding_s: dict[str, float] = field(default_factory=dict)
    total_s: float = 0.0
    native_cpu_s: float = 0.0
    offload_s: dict[str, float] = field(default_factory=dict)
    offload_cpu_s: float = 0.0
    offload_blocking_s: float = 0.0
    sleep_s: float = 0.0

    @property
    def all_blocking_s(self) -> float:
        """Blocking calls of every kind."""
        return sum(self.blocking_s.values())

    @property
    def in_turn_s(self) -> float:
        """Every demand, one after the other."""
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
    demand.total_s = _Adder(demand, columns).row(request.steps)
    return demand


@dataclass
class _Adder:
    """Adds steps to a demand.

    ``times``: how often they run; ``monitor``: inside a synchronized lock; ``api``: the call that
    has offloaded them, or "".
    """

    demand: ClassDemand
    columns: Mapping[str, float | None]
    times: int = 1
    monitor: bool = False
    api: str = ""

    def row(self, steps: Iterable[Any]) -> float:
        """Add steps that follow one another; returns how long one round of them takes."""
        return sum(map(self.add, steps), 0.0)

    def add(self, step: Any) -> float:
        """Add one step; returns how long it takes."""
        if isinstance(step, (UseStep, LockStep)):
            monitor = isinstance(step, LockStep) and step.kind == "synchronized"
            held = replace(self, monitor=self.monitor or monitor).row(step.steps)
            key = step.resource if isinstance(step, UseStep) else LOCK + step.lock
            self._count(self.demand.holding_s, key, held)
            return held
        if isinstance(step, RepeatStep):
            return step.times * replace(self, times=self.times * step.times).row(step.steps)
        if isinstance(step, ParallelStep):
            branches = [self.row(branch) for branch in step.branches]
            # On a thread the branches run in turn; max() would lose a mean that is not known.
            return sum(branches) if self.api else max(branches, key=_nan_is_most)
        if isinstance(step, OffloadStep):
            taken = replace(self, api=step.api).row(step.steps)
            self._count(self.demand.offload_s, step.api, taken)
            return taken
        mean = mean_of(step.demand, self.columns)
        self._leaf(step, self.times * mean)
        return mean

    def _leaf(self, step: Any, mean: float) -> None:
        demand, suspends = self.demand, True
        if isinstance(step, CpuStep):
            demand.cpu_s += mean
            suspends = False
            if step.releases_gil:
                demand.native_cpu_s += mean
            if self.api:
                demand.offload_cpu_s += mean
        elif isinstance(step, BlockingStep):
            demand.blocking_s[step.kind] = demand.blocking_s.get(step.kind, 0.0) + mean
            suspends = step.kind == "socket"
            if self.api:
                demand.offload_blocking_s += mean
        else:
            demand.wait_s += mean
            if isinstance(step, SleepStep):
                demand.sleep_s += mean
        if self.monitor and suspends:
            demand.monitor_wait_s += mean

    def _count(self, totals: dict[str, float], key: str, taken: float) -> None:
        totals[key] = totals.get(key, 0.0) + self.times * taken


def _nan_is_most(value: float) -> float:
    return math.inf if math.isnan(value) else value


def short_timeout(request: RequestClass, demand: ClassDemand) -> str | None:
    """The sentence for a timeout below the least mean latency, if it is."""
    if request.timeout_s is None or not demand.total_s > request.timeout_s:
        return None
    timeout, total = format_duration(request.timeout_s), f"{demand.total_s * 1000:.3g}ms"
    return (
        f'class "{request.name}": the timeout of {timeout} is shorter than the {total} that a '
        "request takes on average without any queueing"
    )
