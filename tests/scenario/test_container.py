"""CPU quotas and hyper-threads in a scenario: who sees what, what it offers, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from simsched.scenario import (
    EventLoopSpec,
    GoroutineSpec,
    Host,
    Scenario,
    ScenarioError,
    ThreadPoolSpec,
    VirtualThreadSpec,
    offered_load,
)
from simsched.sim.engine import Simulation
from simsched.workload import draw


def scenario(host: dict[str, Any], *schedulers: dict[str, Any], rate: str = "100/s") -> Scenario:
    return Scenario.from_dict(
        {
            "scenario": {"name": "container", "duration": "1s"},
            "host": host,
            "workload": {
                "arrivals": {"kind": "poisson", "rate": rate},
                "requests": [{"name": "a", "steps": [{"cpu": "10ms"}]}],
            },
            "schedulers": list(schedulers) or [{"kind": "goroutine"}],
        }
    )


def host(cores: int, quota: float | None) -> Host:
    return Host.model_validate(
        {"cores": cores} if quota is None else {"cores": cores, "cpu_quota": quota}
    )


CASES = [
    # cores, quota: Go 1.25, Go 1.24, the JVM, Python
    (16, None, 16, 16, 16, 16),
    (16, 0.5, 2, 16, 1, 16),
    (16, 1.0, 2, 16, 1, 16),
    (16, 2.0, 2, 16, 2, 16),
    (16, 2.5, 3, 16, 3, 16),
    (16, 40.0, 16, 16, 16, 16),
    (1, 0.5, 1, 1, 1, 1),
    (2, 0.5, 2, 2, 1, 2),
]


@pytest.mark.parametrize(("cores", "quota", "go", "old_go", "jvm", "python"), CASES)
def test_who_takes_how_many_cores_for_its_own(
    cores: int, quota: float | None, go: int, old_go: int, jvm: int, python: int
) -> None:
    """Go from 1.25 on and the JVM round a quota up, Go not below 2; nobody else looks at it."""
    machine = host(cores, quota)
    assert GoroutineSpec(go="1.25").visible_cpus(machine) == go
    assert GoroutineSpec(go="1.24").visible_cpus(machine) == old_go
    assert VirtualThreadSpec().visible_cpus(machine) == jvm
    assert ThreadPoolSpec(policy="python").visible_cpus(machine) == python
    assert EventLoopSpec().visible_cpus(machine) == python


def test_runtimes_are_as_big_as_what_they_see() -> None:
    container = scenario(
        {"cores": 16, "cpu_quota": 2.5},
        {"kind": "goroutine"},
        {"kind": "goroutine", "go": "1.24", "name": "old"},
        {"kind": "goroutine", "GOMAXPROCS": 5, "name": "set"},
        {"kind": "virtual_thread"},
        {"kind": "thread_pool", "policy": "python"},
    )
    trace = draw(container, 0)
    limits = {
        spec.name: Simulation(container, spec, trace).scheduler.worker_limit
        for spec in container.schedulers
    }
    assert limits["goroutine"] == 3
    assert limits["old"] == 16
    assert limits["set"] == 5
    assert limits["thread_pool"] == 20  # min(32, 16 + 4)
    load = offered_load(container)
    assert load.schedulers["goroutine"].available == 3
    assert load.schedulers["virtual_thread"].available == 3
    assert load.schedulers["thread_pool"].available == 20


class TestOfferedLoad:
    def test_it_is_compared_with_the_quota(self) -> None:
        load = offered_load(scenario({"cores": 16, "cpu_quota": 2.0}, rate="150/s"))
        assert load.cpu_cores == pytest.approx(1.5)
        assert load.cpu_utilization == pytest.approx(0.75)
        assert load.bound_rps == pytest.approx(200)

    def test_more_work_than_quota_cannot_be_done(self) -> None:
        load = offered_load(scenario({"cores": 16, "cpu_quota": 1.5}, rate="160/s"))
        assert load.warnings == (
            "cpu quota: offered 1.6 cores of work, 1.5 available: it cannot keep up",
        )

    def test_a_quota_beyond_the_cores_is_none(self) -> None:
        load = offered_load(scenario({"cores": 2, "cpu_quota": 8.0}))
        assert load.cpu_utilization == pytest.approx(0.5)

    @pytest.mark.parametrize(
        ("quota", "capacity"),
        [
            (None, 4.96),  # 8 x 0.62
            (4.0, 4.0),  # each on a physical core of its own
            (6.0, 4.48),  # 2 of the 6 share: they add 0.24 each
            (2.0, 2.0),
        ],
    )
    def test_hyper_threads_add_a_quarter(self, quota: float | None, capacity: float) -> None:
        machine: dict[str, Any] = {"cores": 8, "threads_per_core": 2}
        machine |= {} if quota is None else {"cpu_quota": quota}
        assert Host.model_validate(machine).capacity_cores == pytest.approx(capacity)


class TestRefused:
    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"cores": 3, "threads_per_core": 2}, "3 cores cannot be 2 to a physical one"),
            ({"cores": 4, "threads_per_core": 3}, "an integer >= 1 and <= 2"),
            ({"cores": 4, "sibling_speed": 0.4}, "a number >= 0.5 and <= 1"),
            ({"cores": 4, "cpu_quota": 0}, "a number > 0"),
            ({"cores": 4, "cpu_quota": "200ms"}, "a number > 0"),
            ({"cores": 4, "cpu_quota": 1.0, "cpu_burst": "200ms"}, "more than the quota"),
            ({"cores": 4, "cpu_burst": "1ms"}, "more than the quota"),
        ],
    )
    def test_with_the_reason(self, table: dict[str, Any], message: str) -> None:
        with pytest.raises(ScenarioError, match=message):
            scenario(table)

    def test_a_version_of_go_that_there_is_not(self) -> None:
        with pytest.raises(ScenarioError, match="go"):
            scenario({"cores": 4}, {"kind": "goroutine", "go": "2.0"})
