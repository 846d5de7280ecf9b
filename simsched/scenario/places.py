"""What each kind of scheduler must hold while it serves requests, from means alone.

- thread pool, gthread: a thread for the whole request, so Little's law gives threads = rate x time;
- sync workers: a process for the whole request, or until it is killed;
- event loop: the loop, for CPU and for every blocking call that is not offloaded; and a thread of
  an executor for what is, a whole request if the endpoint is a plain function;
- reactor: one of several loops, in the same way, and threads of boundedElastic();
- goroutines: a processor (P), for CPU, and for the garbage that they make;
- virtual threads: a carrier, for CPU and for whatever pins it without a substitute;
- fork-join: a worker, for CPU and for whatever blocks it without a substitute. Where stages run on
  the threads of an asynchronous client, those count, too.

Where threads share an interpreter lock, all CPU time of a process that is not native code holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simsched.scenario.demands import ClassDemand, known
from simsched.scenario.specs import (
    EventLoopSpec,
    ForkJoinSpec,
    GoroutineSpec,
    GthreadSpec,
    ReactorSpec,
    SchedulerSpec,
    SyncWorkersSpec,
    ThreadPoolSpec,
    VirtualThreadSpec,
)


@dataclass(frozen=True)
class PlaceLoad:
    """Demand on the places of one scheduler.

    Attributes:
        unit: what is held, in the plural: "threads", "workers", "loops", "processors", "carriers";
            "cores" where each task has a thread of its own; beside them "limiter tokens",
            "executor threads", "elastic threads", "interpreter locks", "connections".
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
    if isinstance(spec, (ThreadPoolSpec, GthreadSpec)):
        unit, available = "threads", thread_limit(spec, cores)
        demand = mixed(mix, lambda d: _in_turn_s(spec, d))
    elif isinstance(spec, SyncWorkersSpec):
        unit, available = "workers", 1
        demand = mixed(mix, lambda d: _until_killed_s(spec, d))
    elif isinstance(spec, EventLoopSpec):
        unit, available = "loops", 1
        demand = mixed(mix, lambda d: on_loop_s(spec, d))
    elif isinstance(spec, ReactorSpec):
        unit, available = "loops", spec.resolved_io_worker_count(cores)
        demand = mixed(mix, lambda d: on_loop_s(spec, d))
    elif isinstance(spec, GoroutineSpec):
        unit, available = "processors", spec.resolved_gomaxprocs(cores)
        demand = mixed(mix, lambda d: _in_go_s(spec, d))
    elif isinstance(spec, ForkJoinSpec):
        unit, available = _async_workers(spec, cores)
        demand = mixed(mix, lambda d: d.cpu_s + blocked_s(spec, cores, d))
    else:
        unit, available = "carriers", spec.resolved_parallelism(cores)
        demand = mixed(mix, lambda d: d.cpu_s + pinned_s(spec, d))
    return _load(unit, demand, available * spec.processes, rate_rps)


def further_places(
    spec: SchedulerSpec, mix: Sequence[ClassDemand], cores: int, rate_rps: float | None
) -> tuple[PlaceLoad, ...]:
    """Demand on what a scheduler has beside its places: executors and interpreter locks.

    Only what requests use; the arguments are those of :func:`place_of`.
    """
    found: list[tuple[str, float, int]] = []
    if isinstance(spec, EventLoopSpec):
        found += _executors(spec, mix, cores)
    if isinstance(spec, ReactorSpec):
        offloaded = mixed(mix, lambda d: sum(d.offload_s.values()))
        found.append(("elastic threads", offloaded, spec.resolved_bounded_elastic_size(cores)))
    threads = not isinstance(spec, EventLoopSpec) or bool(found)
    if getattr(spec, "gil", False) and threads:
        found.append(("interpreter locks", mixed(mix, lambda d: _locked_s(spec, d)), 1))
    return tuple(
        _load(unit, demand, available * spec.processes, rate_rps)
        for unit, demand, available in found
        if demand
    )


def connections_place(
    spec: SchedulerSpec, mix: Sequence[ClassDemand], rate_rps: float | None
) -> tuple[PlaceLoad, ...]:
    """Demand on the connections that a server has open, if there is a most of them.

    A request needs one for as long as it is served; idle ones come on top. The arguments are those
    of :func:`place_of`.
    """
    most = spec.listen.max_connections
    if most is None:
        return ()
    in_turn = isinstance(spec, (ThreadPoolSpec, GthreadSpec))
    served = mixed(mix, lambda d: _in_turn_s(spec, d) if in_turn else d.total_s)
    return (_load("connections", served, most * spec.processes, rate_rps),)


def _load(unit: str, demand: float, available: int, rate_rps: float | None) -> PlaceLoad:
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


def _cpu_s(spec: SchedulerSpec, cpu_s: float) -> float:
    """CPU time as this build of the runtime takes it."""
    factor = spec.cpu_factor
    return cpu_s * factor


def _in_turn_s(spec: SchedulerSpec, demand: ClassDemand) -> float:
    """Time of a request on one thread, with what the server adds."""
    server_s: float = getattr(spec, "request_s", 0.0)
    return server_s + _cpu_s(spec, demand.cpu_s) + demand.wait_s + demand.all_blocking_s


def _in_go_s(spec: GoroutineSpec, demand: ClassDemand) -> float:
    """Mean seconds that a request needs a P, with the garbage that it makes."""
    collects_s = 0.0 if spec.gc is None else spec.gc.request_s
    return spec.request_s + _cpu_s(spec, demand.cpu_s) + collects_s


def _until_killed_s(spec: SyncWorkersSpec, demand: ClassDemand) -> float:
    """Time for which a request has its worker, which the arbiter kills after ``timeout_s``.

    The least there can be: until the kill comes, and a successor is up, more time passes.
    """
    taken = _in_turn_s(spec, demand)
    return spec.timeout_s if 0 < spec.timeout_s < taken else taken


def on_loop_s(spec: EventLoopSpec | ReactorSpec, demand: ClassDemand) -> float:
    """Mean seconds that a request keeps its loop from everything else.

    Of a reactor it is the most it can be: what follows an offload or a delay runs elsewhere.
    """
    if isinstance(spec, EventLoopSpec) and spec.endpoint == "def":
        return spec.request_s
    blocking = demand.all_blocking_s - demand.offload_blocking_s
    return spec.request_s + _cpu_s(spec, demand.cpu_s - demand.offload_cpu_s) + blocking


def _locked_s(spec: SchedulerSpec, demand: ClassDemand) -> float:
    """Mean seconds that a request needs the interpreter lock."""
    server_s: float = getattr(spec, "request_s", 0.0)
    return server_s + _cpu_s(spec, demand.cpu_s - demand.native_cpu_s)


def _executors(
    spec: EventLoopSpec, mix: Sequence[ClassDemand], cores: int
) -> list[tuple[str, float, int]]:
    """Unit, mean seconds per request and number of the threads beside a loop."""

    def offloaded(*apis: str) -> float:
        return mixed(mix, lambda d: sum(d.offload_s.get(api, 0.0) for api in apis))

    if spec.loop == "libuv":
        used = offloaded("to_thread", "run_in_threadpool", "getaddrinfo")
        executors = [("pool threads", used, spec.uv_threadpool_size)]
    else:
        default = ("executor threads", offloaded("to_thread", "getaddrinfo"))
        tokens = offloaded("run_in_threadpool")
        if spec.endpoint == "def":
            # A whole request is one offload: what it would offload itself runs in place.
            default = ("executor threads", 0.0)
            tokens = mixed(mix, lambda d: _in_turn_s(spec, d) - spec.request_s)
        executors = [
            ("limiter tokens", tokens, spec.total_tokens),
            (*default, spec.resolved_max_workers(cores)),
        ]
    return [executor for executor in executors if executor[1]]


def thread_limit(spec: ThreadPoolSpec | GthreadSpec, cores: int) -> int:
    """Most threads of a process; an unbounded queue never lets a JDK pool pass its core."""
    if isinstance(spec, GthreadSpec):
        return spec.threads
    if spec.policy == "python":
        return spec.resolved_max_workers(cores)
    if spec.policy == "tomcat":
        return spec.max_threads
    if spec.work_queue == "unbounded":
        return max(spec.core_pool_size, 1)
    return spec.maximum_pool_size


def _async_workers(spec: ForkJoinSpec, cores: int) -> tuple[str, int]:
    """What runs async tasks, and how many there are."""
    if spec.thread_per_task(cores):
        return "cores", cores
    workers = spec.resolved_parallelism(cores)
    if spec.io == "async" and spec.stages == "thenApply":
        return "threads", workers + spec.io_threads
    return "workers", workers


def blocked_s(spec: ForkJoinSpec, cores: int, demand: ClassDemand) -> float:
    """Mean seconds for which a request blocks its worker without the pool adding a substitute.

    Where each task has a thread of its own, nobody else waits for that thread.
    """
    if spec.thread_per_task(cores) or spec.managed_block:
        return 0.0
    blocked = demand.all_blocking_s
    if spec.io == "blocking":
        blocked += demand.wait_s - demand.sleep_s
    if spec.sleep == "blocking":
        blocked += demand.sleep_s
    return blocked


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
