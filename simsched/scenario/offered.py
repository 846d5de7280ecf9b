"""The load a scenario offers, from means alone, before anything is simulated.

Utilisation law: the mean number of units busy is arrival rate x mean holding time, and the
utilisation is that over the units there are. Holding times are those without any queueing, so they
are lower bounds: at 1 or more the thing cannot keep up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from simsched.scenario.arrivals import Closed, Trace, mean_rate_rps, peak_rate_rps
from simsched.scenario.checks import holds_of
from simsched.scenario.deadlocks import LOCK, circular_waits, describe, label
from simsched.scenario.demands import ClassDemand, class_demand, known, mean_of, short_timeout
from simsched.scenario.host import Host
from simsched.scenario.joins import join_deadlocks
from simsched.scenario.memory import GO_FACTOR
from simsched.scenario.model import Scenario
from simsched.scenario.places import (
    PlaceLoad,
    connections_place,
    further_places,
    mixed,
    place_of,
)
from simsched.scenario.specs import (
    GoroutineSpec,
    GthreadSpec,
    SyncWorkersSpec,
    VirtualThreadSpec,
)
from simsched.scenario.units import format_amount

DEFAULT_INTERVAL_S = 5e-3
"""Of ``sys.setswitchinterval``; presets without the lock have it, too."""


class TraceStats(Protocol):
    """What must be known of a replayed trace."""

    @property
    def replayed(self) -> int:
        """Rows that arrive within the duration."""

    @property
    def mean_s(self) -> Mapping[str, float | None]:
        """Mean in seconds of each demand column, over the rows of the classes that use it."""


@dataclass(frozen=True)
class ResourceLoad:
    """Demand on a pool or lock: mean units held without queueing, and the units there are."""

    erlangs: float | None
    capacity: int
    utilization: float | None


@dataclass(frozen=True)
class OfferedLoad:
    """What the requests ask for.

    Attributes:
        rate_rps: mean arrival rate; None for a closed workload, or a trace that was not read.
        peak_rate_rps: highest rate of a ramp, of steps or of bursts; else the mean rate.
        bound_rps: no scheduler can complete more than this for long (asymptotic bounds: cores / CPU
            demand, capacity / holding time and, closed, users / (think time + demand)).
        cpu_cores: cores that the requests' own code keeps busy on average.
        cpu_utilization: that over what the host's cores, or a quota of them, can do at best.
        resources: per resource, and per lock as "lock:NAME".
        classes: mean demands per class.
        schedulers: per scheduler, what it must hold while it serves.
        further: per scheduler, its executors and interpreter locks, where requests use them.
        warnings: sentences about what cannot keep up, can deadlock or has no effect.
    """

    rate_rps: float | None
    peak_rate_rps: float | None
    bound_rps: float | None
    cpu_cores: float | None
    cpu_utilization: float | None
    resources: Mapping[str, ResourceLoad]
    classes: Mapping[str, ClassDemand]
    schedulers: Mapping[str, PlaceLoad]
    warnings: tuple[str, ...]
    further: Mapping[str, tuple[PlaceLoad, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The "offered" part of a result document."""
        return {
            "rate_rps": self.rate_rps,
            "cpu_cores": self.cpu_cores,
            "cpu_utilization": self.cpu_utilization,
            "resources": {name: asdict(load) for name, load in self.resources.items()},
            "classes": {name: demand.to_dict() for name, demand in self.classes.items()},
        }


def offered_load(
    scenario: Scenario,
    trace_stats: TraceStats | None = None,
    class_shares: Mapping[str, float] | None = None,
) -> OfferedLoad:
    """Offered load of a scenario.

    Args:
        scenario: the scenario.
        trace_stats: for replayed arrivals; without it, what depends on the trace is None.
        class_shares: share of each class in a trace that names classes; else the weights count.
    """
    rate = mean_rate_rps(scenario.arrivals, scenario.duration_s)
    if isinstance(scenario.arrivals, Trace) and trace_stats is not None:
        rate = trace_stats.replayed / scenario.duration_s
    peak = peak_rate_rps(scenario.arrivals, scenario.duration_s) or rate
    mix = _mix(scenario, rate, trace_stats.mean_s if trace_stats else {}, class_shares)
    demands = list(mix.values())
    cpu_s = mixed(demands, lambda demand: demand.cpu_s)
    host = scenario.host
    cpu_cores = None if rate is None else known(rate * cpu_s)
    units = {name: resource.capacity for name, resource in scenario.resources.items()}
    units |= {key: 1 for demand in demands for key in demand.holding_s if key.startswith(LOCK)}
    holding = {key: _held(demands, key) for key in units}
    resources = {key: _load(rate, holding[key], count) for key, count in units.items()}
    seen = {s.name: s.visible_cpus(host) for s in scenario.schedulers}
    places = {s.name: place_of(s, demands, seen[s.name], rate) for s in scenario.schedulers}
    further = {s.name: further_places(s, demands, seen[s.name], rate) for s in scenario.schedulers}
    for spec in scenario.schedulers:
        if scenario.connections is not None:
            limits_of = [p.limit_rps or math.inf for p in (places[spec.name], *further[spec.name])]
            further[spec.name] += tuple(
                place
                for place in connections_place(spec, demands, rate)
                if (place.limit_rps or math.inf) < min(limits_of)  # else they are not what is short
            )
    limits = [host.capacity_cores / cpu_s if cpu_s else math.inf]
    limits += [count / holding[key] for key, count in units.items() if holding[key]]
    limits += _population_bound(scenario, demands)
    served_s = mixed(demands, lambda demand: demand.total_s)
    count = scenario.connections.count if scenario.connections is not None else None
    clients = _load(rate, served_s, count) if count is not None else None
    if count is not None and served_s:
        limits.append(count / served_s)
    limits = [limit for limit in limits if math.isfinite(limit)]
    stretch = peak / rate if rate and peak else 1.0
    return OfferedLoad(
        rate_rps=rate,
        peak_rate_rps=peak,
        bound_rps=min(limits, default=None),
        cpu_cores=cpu_cores,
        cpu_utilization=None if cpu_cores is None else cpu_cores / host.capacity_cores,
        resources=resources,
        classes=mix,
        schedulers=places,
        further=further,
        warnings=(
            *_overload(_limit_of(host), "cores", cpu_cores, host.capacity_cores, stretch),
            *(_client_overload(clients, stretch) if clients is not None else ()),
            *(w for k, r in resources.items() for w in _pool_overload(k, r, stretch)),
            *(w for n, p in places.items() for w in _place_overload(n, p, stretch)),
            *(w for n, ps in further.items() for p in ps for w in _place_overload(n, p, stretch)),
            *_no_effect(scenario, mix),
            *_pool_deadlocks(scenario),
            *_pinned_deadlocks(scenario),
            *join_deadlocks(scenario),
        ),
    )


def _mix(
    scenario: Scenario,
    rate: float | None,
    columns: Mapping[str, float | None],
    shares: Mapping[str, float] | None,
) -> dict[str, ClassDemand]:
    total = sum(request.weight for request in scenario.classes)
    return {
        request.name: class_demand(
            request,
            request.weight / total if shares is None else shares.get(request.name, 0.0),
            rate,
            columns,
        )
        for request in scenario.classes
    }


def _held(demands: Sequence[ClassDemand], key: str) -> float:
    return mixed(demands, lambda demand: demand.holding_s.get(key, 0.0))


def _load(rate: float | None, mean_s: float, capacity: int) -> ResourceLoad:
    erlangs = None if rate is None else known(rate * mean_s)
    return ResourceLoad(erlangs, capacity, None if erlangs is None else erlangs / capacity)


def _population_bound(scenario: Scenario, demands: Sequence[ClassDemand]) -> list[float]:
    """Closed workloads: users / (think time + demand), the light-load asymptote."""
    if not isinstance(scenario.arrivals, Closed):
        return []
    cycle = mean_of(scenario.arrivals.think, {}) + mixed(demands, lambda demand: demand.total_s)
    return [scenario.arrivals.users / cycle] if cycle else []


def _overload(
    who: str, unit: str, offered: float | None, available: float, stretch: float
) -> Iterator[str]:
    """The sentence for more work than places, on average or only at the peak rate."""
    if offered is None:
        return
    if offered >= available:
        work = f"offered {format_amount(offered)} {unit} of work, {_plain(available)} available"
        yield f"{who}: {work}: it cannot keep up"
    elif offered * stretch >= available:
        yield (
            f"{who}: at the peak rate {format_amount(offered * stretch)} {unit} of work, "
            f"{_plain(available)} available: a backlog builds up until the rate falls"
        )


def _limit_of(host: Host) -> str:
    """What there is no more CPU time than: the host, or the container on it."""
    return "host" if host.quota_cores == host.cores else "cpu quota"


def _plain(count: float) -> str:
    """A number of places: only a quota of cores may be no whole one."""
    return f"{count:,g}" if count % 1 else f"{count:,.0f}"


def _pool_overload(key: str, load: ResourceLoad, stretch: float) -> Iterator[str]:
    unit = "holders" if key.startswith(LOCK) else "units"
    yield from _overload(label(key), unit, load.erlangs, load.capacity, stretch)


def _client_overload(load: ResourceLoad, stretch: float) -> Iterator[str]:
    unit = "client connections"
    yield from _overload("clients", unit, load.erlangs, load.capacity, stretch)


def _place_overload(name: str, place: PlaceLoad, stretch: float) -> Iterator[str]:
    yield from _overload(f'scheduler "{name}"', place.unit, place.offered, place.available, stretch)


def _no_effect(scenario: Scenario, mix: Mapping[str, ClassDemand]) -> Iterator[str]:
    used = {key for demand in mix.values() for key in demand.holding_s}
    for name in scenario.resources:
        if name not in used:
            yield f"{label(name)}: no request uses it"
    for request in scenario.classes:
        sentence = short_timeout(request, mix[request.name])
        if sentence is not None:
            yield sentence
    yield from _unseen_connections(scenario)
    for spec in scenario.schedulers:
        interval_s = getattr(spec, "switch_interval_s", DEFAULT_INTERVAL_S)
        if interval_s != DEFAULT_INTERVAL_S and not getattr(spec, "gil", True):
            yield (
                f'scheduler "{spec.name}": switch_interval has no effect without the interpreter '
                "lock"
            )
        if isinstance(spec, GoroutineSpec) and spec.gc and spec.memory.gc_factor != GO_FACTOR:
            yield (
                f'scheduler "{spec.name}": memory.gc_factor has no effect beside a table gc, whose '
                "GOGC says how far the heap grows"
            )


def _unseen_connections(scenario: Scenario) -> Iterator[str]:
    """Limits on connections where no connections are modelled."""
    if scenario.connections is not None:
        return
    for spec in scenario.schedulers:
        # A preset brings its server's limits along; only a user's own are worth a warning.
        alone = spec.processes == 1 and not isinstance(spec, (SyncWorkersSpec, GthreadSpec))
        if alone and spec.preset is None and "listen" in spec.model_fields_set:
            yield (
                f'scheduler "{spec.name}": listen has no effect, because no connections are '
                "modelled: add a table [workload.connections]"
            )


def _pool_deadlocks(scenario: Scenario) -> Iterator[str]:
    """Circular waits that need every unit of a pool to be taken, so they are possible, not sure."""
    holds = [hold for i, c in enumerate(scenario.classes) for hold in holds_of(c, i)]
    capacities = {name: resource.capacity for name, resource in scenario.resources.items()}
    for cycle in circular_waits(holds, capacities, exclusive_only=False):
        yield f"can deadlock when full: {describe(cycle)}"


def _pinned_deadlocks(scenario: Scenario) -> Iterator[str]:
    """Carriers that wait for something whose holder needs a carrier to give it back.

    Before JDK 24 a virtual thread that waits inside a synchronized lock keeps its carrier, and so
    do those that wait for that lock. If the holder of what it waits for has left its carrier, and
    every carrier waits like this, nothing moves again (github.com/brettwooldridge/HikariCP/2151).
    """
    holds = [hold for i, c in enumerate(scenario.classes) for hold in holds_of(c, i)]
    monitors = {hold.key for hold in holds if hold.lock_kind == "synchronized"}
    pinned = {h.key: h for h in holds if h.key not in monitors and monitors & {*h.held}}
    free = {h.key: h for h in holds if not monitors & {*h.held}}
    for spec in scenario.schedulers:
        if not isinstance(spec, VirtualThreadSpec) or spec.jdk >= 24:
            continue
        for key in sorted(pinned.keys() & free.keys()):
            yield (
                f'scheduler "{spec.name}": on JDK {spec.jdk}, class "{pinned[key].class_name}" '
                f"waits for {label(key)} inside a synchronized lock and keeps its carrier, while "
                f'class "{free[key].class_name}" needs a carrier to give it back: when all '
                "carriers wait, nothing moves again"
            )
