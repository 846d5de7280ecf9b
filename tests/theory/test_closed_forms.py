"""Simulated means lie inside the 99.9 % interval about what queueing theory says.

Intervals are over independent replications with fixed seeds; none of them is set by hand. Every
load is moderate, so that a start from empty is forgotten in the first fifth of a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import (
    GO,
    LOOP,
    RUN_TO_END,
    VIRTUAL,
    Spec,
    exponential,
    hold,
    replicate,
    scenario_of,
    tomcat,
)

from simsched.observe.record import REJECTED, RunRecord
from simsched.stats import theory

from .recursions import mean_latency_s, over, settled, throughput_rps

S = 0.01  # mean service, seconds
ROUND_ROBIN = {"wakeup_preemption": False}


def simulate(
    spec: Spec,
    *steps: dict[str, Any],
    rate: float,
    requests: int = 2000,
    replications: int = 12,
    **more: Any,
) -> list[RunRecord]:
    """Poisson arrivals of one class; `requests` of them in each replication, on average."""
    scenario = scenario_of(
        [{"name": "a", "steps": list(steps)}],
        spec,
        arrivals={"kind": "poisson", "rate": f"{rate}/s"},
        duration=f"{requests / rate!r}s",
        drain="1000s",
        **more,
    )
    return replicate(scenario, replications)


CPU = {"cpu": exponential("10ms")}


class TestOneServer:
    @pytest.mark.parametrize("spec", [LOOP, VIRTUAL, GO], ids=["loop", "virtual", "go"])
    def test_m_m_1(self, spec: Spec) -> None:
        records = simulate(spec, CPU, rate=60, requests=1500)
        assert theory.mmc_sojourn(60, S) in over(records, mean_latency_s)

    def test_m_m_1_wait_quantiles(self) -> None:
        # P(T > t) = exp(-(mu - lambda) t): the median and the 95 % quantile of the latency.
        records = simulate(LOOP, CPU, rate=50)
        for p in (0.5, 0.95):
            exact = theory.mmc_sojourn_quantile(p, 50, S, 1)

            def quantile(record: RunRecord, p: float = p) -> float:
                return float(np.quantile((record.finish_s - record.arrival_s)[settled(record)], p))

            assert exact in over(records, quantile)

    @pytest.mark.parametrize(
        ("demand", "variance"),
        [
            ("10ms", 0.0),
            ({"dist": "uniform", "low": "0ms", "high": "20ms"}, S**2 / 3),
            ({"dist": "hyperexponential", "mean": "10ms", "cv": 2.0}, 4 * S**2),
            ({"dist": "lognormal", "mean": "10ms", "cv": 1.5}, 2.25 * S**2),
        ],
    )
    def test_m_g_1_pollaczek_khinchine(self, demand: Any, variance: float) -> None:
        records = simulate(LOOP, {"cpu": demand}, rate=50)
        assert theory.mg1_sojourn(50, S, variance) in over(records, mean_latency_s)

    def test_m_m_1_ps_has_the_mean_of_m_m_1_at_any_slice(self) -> None:
        records = simulate(
            tomcat(500), CPU, rate=60, requests=1200, os={**ROUND_ROBIN, "time_slice": "4ms"}
        )
        assert theory.mg1_ps_sojourn(60, S) in over(records, mean_latency_s)


class TestManyServers:
    @pytest.mark.parametrize(
        "spec", [VIRTUAL, GO, tomcat(4)], ids=["virtual", "go", "threads = cores"]
    )
    def test_m_m_c(self, spec: Spec) -> None:
        records = simulate(spec, CPU, rate=280, cores=4, os=RUN_TO_END)
        assert theory.mmc_sojourn(280, S, 4) in over(records, mean_latency_s)

    def test_m_m_c_with_threads_that_only_wait(self) -> None:
        records = simulate(tomcat(5), {"blocking": exponential("10ms")}, rate=350)
        assert theory.mmc_sojourn(350, S, 5) in over(records, mean_latency_s)

    def test_m_g_infinity_never_waits(self) -> None:
        # A loop whose requests only await: as many servers as requests.
        records = simulate(LOOP, {"io": {"dist": "gamma", "mean": "10ms", "cv": 2.0}}, rate=500)
        assert S in over(records, mean_latency_s)
        assert 500 * S in over(records, lambda r: float(r.series["in_system"][200:].mean()))

    def test_m_m_c_before_a_connection_pool(self) -> None:
        step = hold("use", "db", [{"io": exponential("10ms")}])
        records = simulate(LOOP, step, rate=220, resources={"db": 3})
        assert theory.mmc_sojourn(220, S, 3) in over(records, mean_latency_s)

    def test_two_pools_in_a_row_are_two_queues(self) -> None:
        # Burke: what leaves an M/M/c is Poisson.
        first = hold("use", "db", [{"io": exponential("10ms")}])
        second = hold("use", "api", [{"io": exponential("3ms")}])
        pools = {"db": 3, "api": 1}
        records = simulate(LOOP, first, second, rate=200, resources=pools)
        expected = theory.mmc_sojourn(200, S, 3) + theory.mmc_sojourn(200, 0.003)
        assert expected in over(records, mean_latency_s)


class TestLoss:
    @pytest.mark.parametrize(("servers", "places"), [(1, 1), (2, 2), (2, 5), (4, 6)])
    def test_m_m_c_k(self, servers: int, places: int) -> None:
        rate = 100.0 * servers  # as much as all servers can do: a good part is lost
        pool = tomcat(servers, maxQueueSize=places - servers)
        records = simulate(pool, {"io": exponential("10ms")}, rate=rate)
        lost, latency_s = theory.mmck(rate, S, servers, places)

        def share_lost(record: RunRecord) -> float:
            return float((record.outcome[settled(record)] == REJECTED).mean())

        assert lost in over(records, share_lost)
        assert latency_s in over(records, mean_latency_s)

    def test_erlang_b_does_not_depend_on_the_distribution(self) -> None:
        pool = tomcat(3, maxQueueSize=0)
        demand = {"dist": "hyperexponential", "mean": "10ms", "cv": 2.0}
        records = simulate(pool, {"io": demand}, rate=300)

        def share_lost(record: RunRecord) -> float:
            return float((record.outcome[settled(record)] == REJECTED).mean())

        assert theory.erlang_b(3, 3.0) in over(records, share_lost)


class TestClosed:
    @pytest.mark.parametrize(
        ("spec", "cores"), [(LOOP, 1), (VIRTUAL, 2), (GO, 2), (tomcat(20), 1)],
        ids=["loop", "virtual", "go", "pool"],
    )  # fmt: skip
    def test_machine_repairman(self, spec: Spec, cores: int) -> None:
        users, think_s = 10 * cores, 0.08
        scenario = scenario_of(
            [{"name": "a", "steps": [CPU]}],
            spec,
            cores=cores,
            os={**ROUND_ROBIN, "time_slice": "20ms"},
            arrivals={"kind": "closed", "users": users, "think": exponential("80ms")},
            duration="12s",
            drain="1000s",
        )
        records = replicate(scenario, 12)
        rate, response_s = theory.repairman(users, think_s, S, cores)
        assert rate in over(records, throughput_rps)
        assert response_s in over(records, mean_latency_s)


@pytest.mark.slow
class TestLong:
    """The same with many more requests: intervals of about 1 %."""

    @pytest.mark.parametrize("spec", [LOOP, VIRTUAL, GO], ids=["loop", "virtual", "go"])
    @pytest.mark.parametrize("load", [0.5, 0.8])
    def test_m_m_1(self, spec: Spec, load: float) -> None:
        records = simulate(spec, CPU, rate=100 * load, requests=10_000, replications=20)
        assert theory.mmc_sojourn(100 * load, S) in over(records, mean_latency_s)

    @pytest.mark.parametrize("spec", [VIRTUAL, GO, tomcat(8)], ids=["virtual", "go", "pool"])
    def test_m_m_8(self, spec: Spec) -> None:
        records = simulate(
            spec, CPU, rate=640, cores=8, requests=10_000, replications=20, os=RUN_TO_END
        )
        assert theory.mmc_sojourn(640, S, 8) in over(records, mean_latency_s)

    def test_processor_sharing_treats_short_and_long_alike(self) -> None:
        # M/G/1-PS: a request of length x takes x / (1 - rho), whatever the others are. First come
        # first served, the short ones would take ten times as long.
        classes = [
            {"name": "short", "weight": 9, "steps": [{"cpu": "5ms"}]},
            {"name": "long", "weight": 1, "steps": [{"cpu": "55ms"}]},
        ]
        scenario = scenario_of(
            classes,
            tomcat(1000),
            os={**ROUND_ROBIN, "time_slice": "0.1ms"},
            arrivals={"kind": "poisson", "rate": "50/s"},
            duration="60s",
            drain="1000s",
        )
        records = replicate(scenario, 12)
        for class_id, demand_s in enumerate((0.005, 0.055)):

            def latency(record: RunRecord, class_id: int = class_id) -> float:
                mine = settled(record) & (record.class_id == class_id)
                return float((record.finish_s - record.arrival_s)[mine].mean())

            assert demand_s / (1 - 0.5) in over(records, latency)
