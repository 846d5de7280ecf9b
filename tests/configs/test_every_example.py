"""Every example is a valid scenario that explains itself and runs."""

from __future__ import annotations

import tomllib

import pytest

from simsched import load_scenario
from simsched.report.result_model import validate_result
from simsched.workload import RequestTrace, draw, is_deterministic

from .runs import CONFIGS, NAMES, example

EXPECTED = {
    "await_vs_blocking",
    "blocking_in_async_def",
    "blocking_in_loop",
    "closed_loop",
    "completable_future",
    "container_quota",
    "coroutine_story",
    "cpu_heavy",
    "db_pool",
    "fastapi_sync_cliff",
    "fan_out",
    "file_reads_take_carriers",
    "full_backlog",
    "go_garbage",
    "gil_convoy",
    "io_heavy",
    "mixed",
    "overload",
    "pinning",
    "spring_pool_of_10",
    "stolen_cores",
    "sync_worker_killed",
    "to_thread_against_limiter",
    "trace_replay",
    "webflux",
    "websockets",
    "wsgi_to_asgi",
}

# How much of each is run here: enough for every kind of step and outcome to occur.
BRIEFLY = ("scenario.duration=1s", "scenario.replications=2", "scenario.warmup=0s")


def test_the_examples_are_those_that_are_announced() -> None:
    assert set(NAMES) == EXPECTED


@pytest.mark.parametrize("name", NAMES)
class TestEveryExample:
    def test_is_named_like_its_file(self, name: str) -> None:
        assert load_scenario(CONFIGS / f"{name}.toml").name == name

    def test_opens_with_what_it_shows_and_what_to_look_for(self, name: str) -> None:
        lines = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        comment = " ".join(
            line.lstrip("# ") for line in lines[: lines.index("[scenario]")] if line.startswith("#")
        )
        assert lines[0].startswith("# ")
        assert lines[1] == "#", "one sentence on one line, as `simsched list` shows it"
        assert "hat to look for" in comment or "Look at" in comment

    def test_fits_a_screen(self, name: str) -> None:
        lines = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        assert max(map(len, lines)) <= 100

    def test_states_an_objective(self, name: str) -> None:
        assert load_scenario(CONFIGS / f"{name}.toml").slo

    def test_survives_being_written_and_read(self, name: str) -> None:
        scenario = load_scenario(CONFIGS / f"{name}.toml")
        again = type(scenario).from_dict(tomllib.loads(scenario.to_toml()), scenario.base_dir)
        assert again == scenario

    def test_asks_for_replications_only_where_something_is_random(self, name: str) -> None:
        scenario = load_scenario(CONFIGS / f"{name}.toml")
        assert (scenario.replications == 1) == is_deterministic(scenario)

    def test_runs_and_keeps_the_laws(self, name: str) -> None:
        deterministic = is_deterministic(load_scenario(CONFIGS / f"{name}.toml"))
        result = example(name, *(BRIEFLY[:1] if deterministic else BRIEFLY))
        validate_result(result.document)
        for scheduler, entry in result.schedulers.items():
            broken = [law for law, check in entry["self_check"].items() if not check["ok"]]
            assert not broken, scheduler
            assert entry["counts"]["arrived"] > 0, scheduler


def test_the_main_example_offers_each_runtime_100_000_requests() -> None:
    scenario = load_scenario(CONFIGS / "io_heavy.toml")
    assert [s.preset for s in scenario.schedulers] == ["tomcat", "asyncio", "go", "virtual-threads"]
    traces = [draw(scenario, replication) for replication in range(scenario.replications)]
    assert sum(len(t.arrival_s) for t in traces if isinstance(t, RequestTrace)) >= 100_000
