"""Connections of every scheduler, of processes, and in memory. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import (
    GO,
    LOOP,
    VIRTUAL,
    Spec,
    exponential,
    request,
    run,
    scenario_of,
    spec_of,
    tomcat,
)

from simsched.observe.checkers import all_checkers
from simsched.sim.engine import Simulation, simulate
from simsched.workload import draw

from .wire import ONE_EACH, Wire, queue_of, serve

KINDS: dict[str, Spec] = {
    "tomcat": tomcat(4),
    "asyncio": LOOP,
    "go": GO,
    "virtual-threads": VIRTUAL,
}
every_kind = pytest.mark.parametrize("scheduler", KINDS.values(), ids=KINDS)


@every_kind
class TestEveryScheduler:
    MIX = (
        {
            "name": "a",
            "steps": [
                {"cpu": exponential("1ms")},
                {"use": "db", "steps": [{"io": exponential("4ms")}]},
                {"cpu": exponential("1ms")},
            ],
        },
    )

    def scenario(self, scheduler: Spec, **more: Any) -> Any:
        return scenario_of(
            self.MIX,
            scheduler,
            cores=2,
            arrivals={"kind": "poisson", "rate": "400/s"},
            resources={"db": 3},
            drain="100s",
            **more,
        )

    def test_has_the_same_results_with_connections_that_limit_nothing(
        self, scheduler: Spec
    ) -> None:
        without = self.scenario(scheduler)
        plain = simulate(without, spec_of(without), draw(without, 0))
        variants: list[dict[str, Any]] = [{"count": 200, "connect": "start"}]
        if scheduler["kind"] != "event_loop":  # which takes its time for accepting
            variants += [{}, ONE_EACH]
        for connections in variants:
            scenario = self.scenario(scheduler, connections=connections)
            record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
            assert record.finish_s.tolist() == plain.finish_s.tolist()
            assert record.parts_s == pytest.approx(plain.parts_s, abs=1e-12)

    def test_runs_in_several_processes(self, scheduler: Spec) -> None:
        """They share cores and permits, and a permit passes from one to another."""
        scenario = self.scenario({**scheduler, "processes": 3}, connections={})
        wire = Wire()
        record = simulate(
            scenario, spec_of(scenario), draw(scenario, 0), observers=[*all_checkers(), wire]
        )
        assert set(record.outcome.tolist()) == {1}
        assert set(wire.process.values()) == {0, 1, 2}

    def test_a_cancelled_request_is_cancelled_in_its_process(self, scheduler: Spec) -> None:
        finished, wire = serve(
            {**scheduler, "processes": 2},
            request("io 10ms"),
            request("io 50ms", timeout="20ms"),
            request("io 50ms", timeout="20ms"),
            connections=ONE_EACH,
            cores=2,
        )
        if scheduler["kind"] != "event_loop":  # where whoever wakes first may take all of them
            assert wire.process["A"] != wire.process["B"]
        assert finished.journal.ends[1:] == [(20, "B timed_out"), (20, "C timed_out")]
        assert {name for _, name in finished.journal.let_go} == {"B", "C"}


class TestProcesses:
    def test_a_connection_stays_with_its_process_however_busy_that_is(self) -> None:
        # Three connections: 0 and 2 of process 0, 1 of process 1. A computes in process 0; C comes
        # there too, and waits although the carrier of process 1 has nothing to do.
        finished, wire = serve(
            {**VIRTUAL, "parallelism": 1, "processes": 2},
            request("cpu 30ms", at=1),
            request("io 40ms", at=2),
            request("cpu 1ms", at=4),
            connections={"count": 3, "connect": "start"},
            cores=2,
        )
        assert wire.used == {"A": 2, "B": 1, "C": 0}
        assert [wire.process[name] for name in "ABC"] == [0, 1, 0]
        assert finished.done == {"A": 31, "B": 42, "C": 32}

    def test_without_a_table_of_connections_each_request_has_a_new_one(self) -> None:
        wire = Wire()
        run(
            {**tomcat(1), "processes": 2},
            *[request("io 1ms", at=t) for t in range(6)],
            watch=[wire],
        )
        assert list(wire.used.values()) == [0, 1, 2, 3, 4, 5]
        assert list(wire.process.values()) == [0, 1, 0, 1, 0, 1]

    def test_add_up_in_memory_and_workers(self) -> None:
        memory = {"base": "10MB", "thread": "1MB", "task": "0B", "connection": "1kB"}
        record = serve(tomcat(2, processes=3, memory=memory), request("io 10ms"), connections={})[
            0
        ].record
        assert record.peak["base"] == 30e6
        assert record.peak["stacks"] == 6e6
        assert record.worker_limit == 6
        assert record.workers_max == 6

    def test_limit_connections_one_by_one(self) -> None:
        # Two processes with one connection each: the third waits.
        three = [request("io 10ms") for _ in range(3)]
        finished, _ = serve({**queue_of(8), "processes": 2}, *three, connections=ONE_EACH, cores=2)
        assert finished.done == {"A": 10, "B": 10, "C": 20}


class TestMemory:
    PRICES = {"base": "0B", "thread": "0B", "task": "100B", "connection": "1kB"}  # noqa: RUF012
    MEMORY = {**PRICES, "gc_factor": 1.0, "young": "0B", "young_task": "0B"}  # noqa: RUF012

    def test_an_idle_connection_costs_as_much_as_a_busy_one(self) -> None:
        finished, _ = serve(
            tomcat(2, memory=self.MEMORY),
            request("io 10ms"),
            request("io 10ms"),
            request("io 10ms", at=50),
        )
        peak = finished.record.peak
        assert (peak["connections"], peak["tasks"]) == (2000, 200)
        series = finished.record.series["memory_bytes"]
        assert series[len(series) // 2] == pytest.approx(2000)  # at 25: both idle

    def test_what_waits_in_the_accept_queue_costs_the_server_nothing(self) -> None:
        server = queue_of(8)
        five = [request("io 10ms", memory="1MB") for _ in range(5)]
        finished, _ = serve({**server, "memory": self.MEMORY}, *five, connections=ONE_EACH)
        assert finished.record.peak["memory_bytes"] == 1e6 + 1000 + 100


def test_a_run_without_connections_has_no_network() -> None:
    scenario = scenario_of([{"name": "a", "steps": [{"cpu": "1ms"}]}], LOOP)
    simulation = Simulation(scenario, spec_of(scenario), draw(scenario, 0))
    assert simulation.network is None
