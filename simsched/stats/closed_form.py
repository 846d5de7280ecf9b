"""Which closed form, if any, applies to a scenario and a scheduler.

A formula beside a simulated number is worth something only where its assumptions hold, so the
answer is None far more often than not. What no formula knows are the runtimes' own costs
(switches, hand-offs, timer rounding); every answer says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simsched.stats import theory
from simsched.stats.assumptions import assumptions_hold
from simsched.stats.demand import Demand, shares, split, what

if TYPE_CHECKING:
    from simsched.scenario import Scenario, SchedulerSpec, ThreadPoolSpec

NO_OVERHEAD: Final = "the costs of the runtime and the kernel are not in the formula"
MOST_PLACES: Final = 100_000
"""A queue of more places than this never fills: it counts as unlimited."""
NEGLIGIBLE: Final = 1e-4
"""Probability below which a limit counts as never reached."""


@dataclass(frozen=True)
class TheoryLine:
    """What queueing theory says of one scheduler in one scenario."""

    model: str
    """Name of the model in Kendall's notation."""
    mean_latency_s: float
    mean_wait_s: float
    """Mean time a request waits for a server, in all its visits."""
    assumptions: str
    """What the formula takes for granted, as a sentence."""
    exact: bool
    """Whether the formula is exact for the model as stated, or itself an approximation."""


def closed_form(scenario: Scenario, spec: SchedulerSpec) -> TheoryLine | None:
    """The closed form that holds for this scenario on this scheduler, or None.

    Asked of the scenario: a steady study, Poisson arrivals or a closed population, no timeouts and
    no retries. Asked of the work: one station where requests queue (the cores, the loop, the
    carriers, the threads of a pool, one resource), everything else pure delay. Unstable queues
    have no mean and get None.
    """
    if not assumptions_hold(scenario, spec):
        return None
    line = (
        _delays_in_a_pool(scenario, spec)
        or _one_resource(scenario, spec)
        or _cpu_station(scenario, spec)
    )
    return line if line is not None and math.isfinite(line.mean_latency_s) else None


def _cpu_station(scenario: Scenario, spec: SchedulerSpec) -> TheoryLine | None:
    """Requests queue for cores, Ps, carriers or the loop; waiting for I/O holds none of them."""
    cores = scenario.host.cores
    served, delayed = {"cpu"}, {"io", "sleep"}
    if spec.kind == "event_loop":
        servers, where = 1, "one loop"
        served = {"cpu", "blocking"}
    elif spec.kind == "goroutine":
        servers = min(spec.resolved_gomaxprocs(cores), cores)
        where = f"{servers} P" if servers == 1 else f"{servers} Ps"
    elif spec.kind == "virtual_thread":
        servers = min(spec.resolved_parallelism(cores), cores)
        where = f"{servers} carrier" + "s" * (servers > 1)
    else:
        servers, where = cores, f"{cores} core" + "s" * (cores > 1)
        delayed = {"io", "sleep", "blocking"}
    demand = split(shares(scenario.classes), served, delayed)
    if demand is None:
        return None
    if demand.visits_mean > 0 and any(
        _has_empty_visit([what(step) for step in c.steps], served) for c in scenario.classes
    ):
        return None
    if spec.kind == "thread_pool":
        pool = _pool_suits(scenario, spec, demand)
        if pool is None:
            return None
        servers = min(servers, pool)
    if scenario.arrivals.kind == "closed":
        return _closed_station(scenario, demand, servers, where)
    return _open_station(scenario, spec, demand, servers, where)


def _has_empty_visit(steps: list[str], served: set[str]) -> bool:
    """Whether a request needs a turn at the station without having any work for it.

    Before its first wait, between two waits, and after its last one it needs the turn to go on: a
    visit of no length that queues all the same, and that no product form knows.
    """
    waits = [step not in served for step in ["arrival", *steps, "answer"]]
    return any(waits[i] and waits[i + 1] for i in range(len(waits) - 1))


def _open_station(
    scenario: Scenario, spec: SchedulerSpec, demand: Demand, servers: int, where: str
) -> TheoryLine | None:
    arrivals = scenario.arrivals
    assert arrivals.kind == "poisson"
    rate = arrivals.rate_rps * demand.visits_mean
    text = f"Poisson arrivals, {{}} on {where}"
    if demand.delay_s > 0:
        text += ", waiting for I/O and timers holds no server"
    text += f"; {NO_OVERHEAD}"
    if rate == 0:
        free = "Poisson arrivals, no request ever waits for another"
        return TheoryLine("M/G/inf", demand.delay_s, 0.0, f"{free}; {NO_OVERHEAD}", True)
    service_s = demand.exponential_s()
    if service_s is not None:
        wait = demand.visits_mean * theory.mmc_wait(rate, service_s, servers)
        latency = wait + demand.visits_mean * service_s + demand.delay_s
        kind = "equal exponential demands"
        # Stealing and netpoll order are not instant, so Go's Ps are a c-server queue nearly.
        exact = spec.kind != "goroutine"
        return TheoryLine(f"M/M/{servers}", latency, wait, text.format(kind), exact)
    single = demand.single_visit()
    if single is None:
        return None
    share = demand.visits_mean
    if spec.kind == "thread_pool":
        # Time slices well below the demand make one core share itself among all its threads.
        if servers > 1 or scenario.host.slice_s > single.mean_s / 4 or _limits(scenario, spec):
            return None
        wait = theory.mg1_ps_sojourn(rate, single.mean_s) - single.mean_s
        name, exact = "M/G/1-PS", False
        kind = "any demand, the core shared in slices far shorter than it"
    elif spec.kind == "goroutine":
        return None
    elif servers == 1:
        wait = theory.mg1_wait(rate, *single)
        name, exact, kind = "M/G/1", True, "any demand, first come first served"
    else:
        wait = theory.allen_cunneen_wait(rate, single.mean_s, servers, 1.0, single.cv2)
        name, exact = f"M/G/{servers}", False
        kind = "any demand, first come first served (Allen-Cunneen approximation)"
    latency = share * (wait + single.mean_s) + demand.delay_s
    return TheoryLine(name, latency, share * wait, text.format(kind), exact)


def _closed_station(
    scenario: Scenario, demand: Demand, servers: int, where: str
) -> TheoryLine | None:
    """One station and delays with a fixed population: product form, so only means matter."""
    arrivals = scenario.arrivals
    assert arrivals.kind == "closed"
    think_s = arrivals.think.mean_s
    if think_s is None or arrivals.users > MOST_PLACES:
        return None
    service_s = demand.exponential_s()
    if demand.visits_mean == 0 or service_s is None:
        return None
    total_s = demand.visits_mean * service_s
    _, response = theory.repairman(arrivals.users, think_s + demand.delay_s, total_s, servers)
    model = f"M/M/{servers}//{arrivals.users}"
    text = (
        f"{arrivals.users} users in a closed loop, equal exponential demands on {where}, "
        f"thinking and I/O hold no server; {NO_OVERHEAD}"
    )
    wait = max(response - total_s, 0.0)
    return TheoryLine(model, response + demand.delay_s, wait, text, True)


def _pool(spec: ThreadPoolSpec) -> tuple[int, int | None] | None:
    """(threads, places in all or None for unlimited) of a pool that acts as a plain c-server queue.

    A JDK pool with a bounded queue grows beyond its core size only when the queue is full, and
    some handlers neither queue nor drop the newcomer: those are other queues. So is a pool whose
    threads share an interpreter lock, or one that has still to start its threads.
    """
    if spec.policy == "python":
        return None
    if spec.policy == "tomcat":
        threads, queue = spec.max_threads, spec.max_queue_size
    elif spec.work_queue == "unbounded":
        return max(spec.core_pool_size, 1), None
    elif spec.rejected_execution_handler not in ("abort", "discard"):
        return None
    elif spec.work_queue == "synchronous":
        threads, queue = spec.maximum_pool_size, 0
    else:
        threads, queue = spec.core_pool_size, int(spec.work_queue)
        if spec.core_pool_size != spec.maximum_pool_size:
            return None
    return threads, None if queue > MOST_PLACES else threads + queue


def _pool_suits(scenario: Scenario, spec: ThreadPoolSpec, demand: Demand) -> int | None:
    """The threads of a pool that may stand before the cores without changing the queue, or None."""
    pool = _pool(spec)
    if pool is None:
        return None
    threads, places = pool
    if scenario.arrivals.kind == "closed":
        assert scenario.arrivals.kind == "closed"
        return threads if scenario.arrivals.users <= threads else None
    only_cpu = demand.delay_s == 0 and demand.visits_mean == 1
    if only_cpu and places is None and demand.exponential_s() is not None:
        return threads  # waiting for a thread or for a core: one queue either way
    return None if _limits(scenario, spec) else threads


def _limits(scenario: Scenario, spec: ThreadPoolSpec) -> bool:
    """Whether the number of threads (or places) is ever felt.

    Bound: the number in delays is Poisson (normal tail), the number at the cores is taken with the
    tail rho^n of one fast server, which is longer than that of several.
    """
    arrivals = scenario.arrivals
    pool = _pool(spec)
    if pool is None or arrivals.kind != "poisson":
        return True
    demand = split(shares(scenario.classes), {"cpu"}, {"io", "sleep", "blocking"})
    if demand is None:
        return True
    work = demand.work()
    if work is None:
        return True
    cores = scenario.host.cores
    rho = arrivals.rate_rps * work.mean_s / cores
    if rho >= 1:
        return True
    away = arrivals.rate_rps * demand.delay_s
    queue = cores + (math.log(NEGLIGIBLE) / math.log(rho) if rho > 0 else 0)
    return away + 4 * math.sqrt(away) + queue > pool[0]


def _delays_in_a_pool(scenario: Scenario, spec: SchedulerSpec) -> TheoryLine | None:
    """A thread pool whose requests only wait: the threads are the servers, the cores idle."""
    if spec.kind != "thread_pool":
        return None
    demand = split(shares(scenario.classes), {"io", "sleep", "blocking"}, set())
    pool = _pool(spec)
    if demand is None or pool is None:
        return None
    threads, places = pool
    return _servers(scenario, demand, threads, places, f"{threads} threads held while waiting")


def _one_resource(scenario: Scenario, spec: SchedulerSpec) -> TheoryLine | None:
    """Requests that only wait while they hold one resource: its permits are the servers."""
    if len(scenario.classes) != 1 or scenario.arrivals.kind != "poisson":
        return None
    steps = scenario.classes[0].steps
    if len(steps) != 1 or what(steps[0]) != "use":
        return None
    use = steps[0]
    inner = getattr(use, "steps", ())
    name = str(getattr(use, "resource", ""))
    demand = split([(1.0, inner)], {"io", "sleep"}, set())
    resource = scenario.resources[name]
    capacity = resource.capacity
    if demand is None or resource.timeout_s is not None or resource.max_waiting is not None:
        return None
    if spec.kind == "thread_pool":
        # Threads and permits in a row: with an unlimited queue the fewer of them are the servers.
        pool = _pool(spec)
        if pool is None or pool[1] is not None:
            return None
        capacity = min(capacity, pool[0])
    return _servers(scenario, demand, capacity, None, f"{capacity} permits of {name}")


def _servers(
    scenario: Scenario, demand: Demand, servers: int, places: int | None, where: str
) -> TheoryLine | None:
    """A FIFO queue before `servers` servers, each request one visit."""
    arrivals = scenario.arrivals
    if arrivals.kind == "closed":
        return _closed_station(scenario, demand, servers, where) if places is None else None
    assert arrivals.kind == "poisson"
    rate = arrivals.rate_rps
    service = demand.single_visit()
    if service is None or service.mean_s == 0:
        return None
    exponential = demand.exponential_s() is not None
    kind = "exponential" if exponential else "any"
    text = f"Poisson arrivals, {kind} waits on {where}; {NO_OVERHEAD}"
    if places is not None:
        if not exponential and places > servers:
            return None
        # Without a queue the loss formula needs no more than the mean of the service.
        _, latency = theory.mmck(rate, service.mean_s, servers, places)
        wait = max(latency - service.mean_s, 0.0)
        letter = "M" if exponential else "G"
        return TheoryLine(f"M/{letter}/{servers}/{places}", latency, wait, text, True)
    if exponential:
        wait = theory.mmc_wait(rate, service.mean_s, servers)
        return TheoryLine(f"M/M/{servers}", wait + service.mean_s, wait, text, True)
    wait = theory.allen_cunneen_wait(rate, service.mean_s, servers, 1.0, service.cv2)
    exact = servers == 1
    text = text if exact else text.replace(";", " (Allen-Cunneen approximation);", 1)
    return TheoryLine(f"M/G/{servers}", wait + service.mean_s, wait, text, exact)
