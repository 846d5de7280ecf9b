"""What each kind of scheduler must hold while it serves requests, from means alone.

- thread pool: a thread for the whole request, so Little's law gives threads = rate x time;
- event loop: the loop, for CPU and for every blocking call;
- goroutines: a processor (P), for CPU;
- virtual threads: a carrier, for CPU and for whatever pins it without a substitute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simsched.scenario.demands import ClassDemand, known
from simsched.scenario.specs import (
    EventLoopSpec,
    GoroutineSpec,
    SchedulerSpec,
    ThreadPoolSpec,
    VirtualThreadSpec,
)


@dataclass(frozen=True)
class PlaceLoad:
    """Demand on the places of one scheduler.

    Attributes:
        unit: what is held, in the plural: "threads", "loops", "processors", "carriers".
        demand_s: mean seconds that a request holds one.
        offered: mean number held without queueing; None where the rate or a mean is unknown.
        available: how many there are.
        utilization: offered / available.
        limit_rps: rate at which all of them are busy; None if a request holds none.
    """

    unit: str
    demand_s: float | None
    offered: float | None
    available: int
    utilization: float | None
    limit_rps: float | None


def mixed(mix: Sequence[ClassDemand], of: Callable[[ClassDemand], float]) -> float:
    """Mean over all requests of a demand per class; nan if a mean that matters is unknown."""
    return sum(demand.share * of(demand) for demand in mix)


def place_of(
    spec: SchedulerSpec, mix: Sequence[ClassDemand], cores: int, rate_rps: float | None
) -> PlaceLoad:
    """Demand on the places of a scheduler.

    Args:
        spec: the scheduler.
        mix: demands of every class.
        cores: cores of the host.
        rate_rps: rate of all requests together, or None.
    """
    if isinstance(spec, ThreadPoolSpec):
        unit, available, demand = "threads", thread_limit(spec), mixed(mix, lambda d: d.total_s)
    elif isinstance(spec, EventLoopSpec):
        unit, available = "loops", 1
        demand = mixed(mix, lambda d: d.cpu_s + d.all_blocking_s)
    elif isinstance(spec, GoroutineSpec):
        unit, available = "processors", spec.resolved_gomaxprocs(cores)
        demand = mixed(mix, lambda d: d.cpu_s)
    else:
        unit, available = "carriers", spec.resolved_parallelism(cores)
        demand = mixed(mix, lambda d: d.cpu_s + pinned_s(spec, d))
    mean = known(demand)
    offered = None if rate_rps is None or mean is None else rate_rps * mean
    return PlaceLoad(
        unit=unit,
        demand_s=mean,
        offered=offered,
        available=available,
        utilization=None if offered is None else offered / available,
        limit_rps=available / mean if mean else None,
    )


def thread_limit(spec: ThreadPoolSpec) -> int:
    """Most threads the pool ever has; an unbounded queue never lets a JDK pool pass its core."""
    if spec.policy == "tomcat":
        return spec.max_threads
    if spec.work_queue == "unbounded":
        return max(spec.core_pool_size, 1)
    return spec.maximum_pool_size


def pinned_s(spec: VirtualThreadSpec, demand: ClassDemand) -> float:
    """Mean seconds that a request pins its carrier without the pool adding a substitute.

    File reads pin (with compensation only before JDK 23), native calls pin, and before JDK 24 so
    does waiting in or inside synchronized (JEP 444, JEP 491, JDK-8329593).
    """
    pinned = demand.blocking_s.get("native", 0.0)
    if spec.jdk >= 23:
        pinned += demand.blocking_s.get("file", 0.0)
    if spec.jdk < 24:
        pinned += demand.blocking_s.get("synchronized", 0.0) + demand.monitor_wait_s
    return pinned
