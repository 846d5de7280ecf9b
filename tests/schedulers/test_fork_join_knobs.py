"""CompletableFuture: its knobs, their mistakes, and what is known before anything is run."""

from __future__ import annotations

from typing import Any

import pytest
from kit import exponential, hold, parallel, replicate, request, run, scenario_of

from simsched.scenario import ForkJoinSpec, ScenarioError, loads_scenario
from simsched.scenario.offered import OfferedLoad, offered_load

from .futures import futures

# Values of each knob, and what else has to be so for it to matter. Three cores, so two workers.
KNOBS: dict[str, tuple[Any, dict[str, Any]]] = {
    "jdk": (21, {"parallelism": 1}),
    "parallelism": (3, {}),
    "maximumSpares": (0, {"managedBlock": True}),
    "minRunnable": (2, {"managedBlock": True}),
    "keepAlive": ("1ms", {"io": "async", "sleep": "delayed"}),
    "io": ("async", {}),
    "sleep": ("delayed", {}),
    "stages": ("thenApply", {"io": "async"}),
    "allOf": ("then", {}),
    "managedBlock": (True, {}),
    "io_threads": (2, {"io": "async", "stages": "thenApply"}),
    "task": ("100us", {}),
    "steal": ("100us", {}),
    "thread_create": ("1ms", {}),
}


class TestSizes:
    @pytest.mark.parametrize(
        ("jdk", "parallelism", "cores", "workers"),
        [
            (25, "auto", 1, 1),
            (25, "auto", 2, 1),
            (25, "auto", 8, 7),
            (25, 0, 8, 2),
            (25, 3, 8, 3),
            (24, "auto", 1, None),
            (24, "auto", 2, None),
            (24, "auto", 3, 2),
            (24, 0, 8, None),
            (24, 1, 8, None),
            (24, 2, 2, 2),
        ],
    )
    def test_the_pool_is_sized_as_by_the_jdk(
        self, jdk: int, parallelism: int | str, cores: int, workers: int | None
    ) -> None:
        spec = ForkJoinSpec.model_validate({"jdk": jdk, "parallelism": parallelism})
        found = None if spec.thread_per_task(cores) else spec.resolved_parallelism(cores)
        assert found == workers

    def test_a_container_quota_counts_rounded_up(self) -> None:
        text = """
            scenario = { name = "quota", duration = "1s" }
            host = { cores = 16, cpu_quota = 3.5 }
            [workload]
            arrivals = { kind = "poisson", rate = "1/s" }
            [[workload.requests]]
            name = "a"
            steps = [{ cpu = "1ms" }]
            [[schedulers]]
            preset = "completable-future"
        """
        scenario = loads_scenario(text)
        spec = scenario.schedulers[0]
        assert isinstance(spec, ForkJoinSpec)
        assert spec.resolved_parallelism(spec.visible_cpus(scenario.host)) == 3


class TestKnobs:
    busy = (
        {"cpu": exponential("1ms")},
        {"io": exponential("5ms")},
        {"sleep": "2ms"},
        hold("use", "db", [{"blocking": exponential("2ms"), "kind": "file"}]),
        parallel([{"cpu": exponential("1ms")}], [{"io": exponential("3ms")}]),
        {"cpu": exponential("1ms")},
    )

    def outcome(self, knobs: dict[str, Any]) -> tuple[bytes, str]:
        scenario = scenario_of(
            [{"name": "a", "steps": list(self.busy)}],
            futures(**knobs),
            cores=3,
            arrivals={"kind": "poisson", "rate": "300/s"},
            resources={"db": 3},
            duration="300ms",
        )
        (record,) = replicate(scenario, 1)
        return record.finish_s.tobytes(), repr(record.activity)

    @pytest.mark.parametrize("knob", KNOBS)
    def test_trap_02_every_knob_changes_something(self, knob: str) -> None:
        value, where = KNOBS[knob]
        assert self.outcome(where) != self.outcome({**where, knob: value})

    def test_trap_02_no_knob_is_left_out(self) -> None:
        fields = {info.alias or name for name, info in ForkJoinSpec.model_fields.items()}
        common = {"kind", "name", "preset", "memory", "listen", "processes", "cpu_factor"}
        assert fields - common == set(KNOBS)


class TestMistakes:
    def spec(self, **knobs: Any) -> str:
        with pytest.raises(ScenarioError) as caught:
            run(futures(**knobs), request("cpu 1ms"))
        return str(caught.value)

    def test_a_stage_needs_something_to_follow(self) -> None:
        assert "thenApply" in self.spec(stages="thenApply")

    def test_the_minimum_of_active_workers_is_one_of_the_workers(self) -> None:
        assert "minRunnable (3) is above parallelism (2)" in self.spec(parallelism=2, minRunnable=3)


class TestForesight:
    """What is known of a scenario before it is run."""

    steps = (
        {"cpu": "1ms"}, {"io": "40ms"}, {"sleep": "10ms"}, {"blocking": "9ms"},
        parallel("io 1ms", "io 1ms"),
    )  # fmt: skip

    def load(self, *, cores: int = 8, **knobs: Any) -> OfferedLoad:
        arrivals = {"kind": "poisson", "rate": "100/s"}
        steps = [{"name": "a", "steps": list(self.steps)}]
        return offered_load(scenario_of(steps, futures(**knobs), cores=cores, arrivals=arrivals))

    @pytest.mark.parametrize(
        ("knobs", "unit", "held_ms", "available"),
        [
            ({}, "workers", 1 + 40 + 10 + 9 + 2, 7),
            ({"sleep": "delayed"}, "workers", 1 + 40 + 9 + 2, 7),
            ({"io": "async"}, "workers", 1 + 10 + 9, 7),
            ({"managedBlock": True}, "workers", 1, 7),
            ({"io": "async", "stages": "thenApply", "io_threads": 2}, "threads", 1 + 10 + 9, 9),
            ({"jdk": 21, "parallelism": 1}, "cores", 1, 8),
        ],
    )
    def test_a_request_holds_what_it_blocks(
        self, knobs: dict[str, Any], unit: str, held_ms: float, available: int
    ) -> None:
        place = self.load(**knobs).schedulers["fork_join"]
        assert place.unit == unit
        assert place.demand_s == pytest.approx(held_ms * 1e-3)
        assert place.available == available

    def test_a_join_on_the_clients_thread_is_warned_of(self) -> None:
        def warned(**knobs: Any) -> bool:
            return any("nothing moves again" in w for w in self.load(**knobs).warnings)

        assert warned(io="async", stages="thenApply")
        assert not warned(io="async", stages="thenApply", allOf="then")
        assert not warned(io="async")
        assert not warned()
