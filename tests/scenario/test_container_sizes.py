"""Who sizes itself by what in a container: every preset, as it is built.

A quota of 2.5 of 16 cores. The JVM counts 3 processors, and so does Go from 1.25 on; Python, Node
and Go up to 1.24 count 16, and some sizes are constants. Hyper-threads are processors to everybody,
and so are virtual cores that a hypervisor takes away now and then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from simsched.scenario import Scenario
from simsched.scenario.presets import ORDER
from simsched.sim.engine import Simulation
from simsched.workload import draw

TO_THREAD = [{"offload": "to_thread", "steps": [{"blocking": "1ms"}]}]
CPU = [{"cpu": "1ms"}]


class Sizes(NamedTuple):
    """Processors that a runtime counts, workers that it may have, and threads of its executor."""

    cpus: int
    workers: int
    executor: int | None = None


def built(scheduler: dict[str, Any], host: dict[str, Any]) -> Simulation:
    """That scheduler on that host, not run."""
    offloads = scheduler.get("preset") in EXECUTORS
    request = {"name": "a", "steps": TO_THREAD if offloads else CPU}
    scenario = Scenario.from_dict(
        {
            "scenario": {"name": "container", "duration": "1s"},
            "host": host,
            "workload": {"arrivals": {"kind": "poisson", "rate": "1/s"}, "requests": [request]},
            "schedulers": [scheduler],
        }
    )
    return Simulation(scenario, scenario.schedulers[0], draw(scenario, 0))


def sizes(scheduler: dict[str, Any], host: dict[str, Any]) -> Sizes:
    simulation = built(scheduler, host)
    machine, limit = simulation.machine, simulation.scheduler.worker_limit
    assert limit is not None
    return Sizes(machine.cores, limit, next(iter(machine.pools.values()), None))


EXECUTORS = {
    *("asyncio", "uvicorn", "uvicorn-uvloop", "fastapi-async", "fastapi-def"),
    *("node", "webflux", "netty"),
}
# Of 16 cores without a quota, and with one of 2.5.
PRESETS: dict[str, tuple[Sizes, Sizes]] = {
    # os.cpu_count: min(32, cores + 4) threads, whatever the quota.
    "cpython-threads": (Sizes(16, 20), Sizes(16, 20)),
    "cpython-free-threaded": (Sizes(16, 20), Sizes(16, 20)),
    "asyncio": (Sizes(16, 1, 20), Sizes(16, 1, 20)),
    "uvicorn": (Sizes(16, 1, 20), Sizes(16, 1, 20)),
    "uvicorn-uvloop": (Sizes(16, 1, 20), Sizes(16, 1, 20)),
    "fastapi-async": (Sizes(16, 1, 20), Sizes(16, 1, 20)),
    # AnyIO's limiter: 40, on any machine.
    "fastapi-def": (Sizes(16, 1, 40), Sizes(16, 1, 40)),
    # gunicorn makes as many workers as it is told: 1.
    "gunicorn-sync": (Sizes(16, 1), Sizes(16, 1)),
    "gunicorn-gthread": (Sizes(16, 1), Sizes(16, 1)),
    # libuv: 4 threads, on any machine.
    "node": (Sizes(16, 1, 4), Sizes(16, 1, 4)),
    "go": (Sizes(16, 16), Sizes(3, 3)),
    "go-http": (Sizes(16, 16), Sizes(3, 3)),
    # Constants of Tomcat, and of whoever made the pool.
    "tomcat": (Sizes(16, 200), Sizes(16, 200)),
    "jdk-thread-pool": (Sizes(16, 200), Sizes(16, 200)),
    "jdk-httpserver": (Sizes(16, 200), Sizes(16, 200)),
    # Carriers, one per processor.
    "virtual-threads": (Sizes(16, 16), Sizes(3, 3)),
    "virtual-threads-21": (Sizes(16, 16), Sizes(3, 3)),
    "jdk-httpserver-virtual": (Sizes(16, 16), Sizes(3, 3)),
    # The common pool has one worker less.
    "completable-future": (Sizes(16, 15), Sizes(3, 2)),
    "completable-future-21": (Sizes(16, 15), Sizes(3, 2)),
    # Reactor Netty: max(cores, 4) loops; Netty: 2 x cores; boundedElastic(): 10 x cores.
    "webflux": (Sizes(16, 16, 160), Sizes(3, 4, 30)),
    "netty": (Sizes(16, 32, 160), Sizes(3, 6, 30)),
}


def test_every_preset_is_looked_at() -> None:
    assert set(PRESETS) == set(ORDER)


@pytest.mark.parametrize("preset", PRESETS)
def test_who_sizes_itself_by_the_quota(preset: str) -> None:
    host, container = PRESETS[preset]
    assert sizes({"preset": preset}, {"cores": 16}) == host
    assert sizes({"preset": preset}, {"cores": 16, "cpu_quota": 2.5}) == container


@pytest.mark.parametrize("preset", PRESETS)
def test_hyper_threads_and_virtual_cores_are_processors_to_everybody(preset: str) -> None:
    host, _ = PRESETS[preset]
    assert sizes({"preset": preset}, {"cores": 16, "threads_per_core": 2}) == host
    assert sizes({"preset": preset}, {"cores": 16, "steal": 0.3}) == host


@pytest.mark.parametrize(
    ("go", "quota", "gomaxprocs"),
    [("1.24", 2.5, 16), ("1.25", 2.5, 3), ("1.25", 0.5, 2), ("1.25", 1.0, 2), ("1.26", 40.0, 16)],
)
def test_the_version_of_go_decides(go: str, quota: float, gomaxprocs: int) -> None:
    scheduler = {"preset": "go", "go": go}
    assert sizes(scheduler, {"cores": 16, "cpu_quota": quota}).workers == gomaxprocs


@pytest.mark.parametrize("jdk", [21, 23, 24, 25])
@pytest.mark.parametrize(("quota", "carriers"), [(0.5, 1), (1.0, 1), (1.1, 2), (2.0, 2)])
def test_every_jdk_rounds_the_quota_up(jdk: int, quota: float, carriers: int) -> None:
    """JDK 10 and later: cgroup quota / period, rounded up (cgroupSubsystem_linux.cpp)."""
    scheduler = {"preset": "virtual-threads", "jdk": jdk}
    assert sizes(scheduler, {"cores": 16, "cpu_quota": quota}).workers == carriers


def test_reactor_schedulers_have_one_thread_and_ten_per_processor() -> None:
    """Schedulers.parallel() and boundedElastic(), of a quota of 2.5."""
    simulation = built({"preset": "webflux"}, {"cores": 16, "cpu_quota": 2.5})
    spec: Any = simulation.spec
    assert spec.resolved_pool_size(simulation.machine.cores) == 3
    assert spec.resolved_bounded_elastic_size(simulation.machine.cores) == 30


def test_what_is_set_by_hand_is_not_asked_of_the_container() -> None:
    container = {"cores": 16, "cpu_quota": 2.5}
    assert sizes({"preset": "go", "GOMAXPROCS": 7}, container).workers == 7
    assert sizes({"preset": "virtual-threads", "parallelism": 7}, container).workers == 7
    assert sizes({"preset": "cpython-threads", "max_workers": 7}, container).workers == 7
    assert sizes({"preset": "netty", "ioWorkerCount": 7}, container).workers == 7
