"""Whatever the scenario, no scheduler breaks an invariant."""

from __future__ import annotations

from collections import Counter

import pytest

from simsched.scenario import loads_scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

from .running import bytes_of, check, failure_of, run_all
from .scenarios import main, scenario_of

GROUP = 20
SEEDS = 200
MANY = 3000
SOME = range(0, SEEDS, 10)


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_every_scheduler_keeps_every_invariant(first: int) -> None:
    for seed in range(first, first + GROUP):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, MANY, 10 * GROUP))
def test_so_it_does_in_many_more(first: int) -> None:
    for seed in range(first, first + 10 * GROUP):
        check(seed)


@pytest.mark.parametrize("seed", SOME)
def test_the_same_seed_gives_the_same_bytes_watched_or_not(seed: int) -> None:
    records = [
        [bytes_of(r) for r in run_all(scenario_of(seed), checked=c)] for c in (False, False, True)
    ]
    assert records[0] == records[1]
    assert records[0] == records[2]


@pytest.mark.parametrize("seed", SOME)
def test_a_scenario_survives_its_toml(seed: int) -> None:
    scenario = scenario_of(seed)
    assert loads_scenario(scenario.to_toml()) == scenario


def test_another_seed_gives_another_scenario() -> None:
    texts = {scenario_of(seed).to_toml() for seed in range(SEEDS)}
    assert len(texts) == SEEDS


def test_the_scenarios_go_everywhere() -> None:
    found: Counter[str] = Counter()
    for seed in range(SEEDS):
        scenario = scenario_of(seed)
        found[f"arrivals {scenario.arrivals.kind}"] += 1
        found[f"cores {scenario.host.cores}"] += 1
        found[f"hz {scenario.host.os.hz}"] += 1
        for spec in scenario.schedulers:
            found[f"scheduler {spec.kind} {getattr(spec, 'policy', '')}"] += 1
            found[f"jdk {getattr(spec, 'jdk', '')}"] += 1
    wanted = {
        *(f"arrivals {k}" for k in ("poisson", "constant", "bursty", "ramp", "steps", "closed")),
        *(f"cores {n}" for n in (1, 2, 3, 4)),
        *(f"hz {n}" for n in (0, 100, 250, 1000)),
        *(f"scheduler {k}" for k in ("event_loop ", "goroutine ", "virtual_thread ")),
        *(f"scheduler thread_pool {policy}" for policy in ("tomcat", "jdk")),
        *(f"jdk {n}" for n in (21, 22, 23, 24, 25)),
    }
    assert wanted <= set(found)


def test_the_runs_go_where_things_break() -> None:
    outcomes: set[int] = set()
    counted: set[str] = set()
    for seed in range(SEEDS // 2):
        for record in run_all(scenario_of(seed), checked=False):
            outcomes |= set(record.outcome.tolist())
            counted |= {name for name, n in record.activity.items() if n}
    assert outcomes == {0, 1, 2, 3, 4}
    assert {
        "discarded",
        "goroutine_preemptions",
        "handoffs",
        "pinned_calls",
        "preemptions",
        "retries",
        "spare_carriers",
        "steals",
        "thread_limit_exceeded",
    } <= counted


class TestReport:
    def test_a_failure_says_how_to_see_it_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "simsched.schedulers.base.Scheduler.release", lambda self, task, op: None
        )
        seed = next(s for s in range(SEEDS) if scenario_of(s).resources and failure_of(s))
        message = failure_of(seed)
        assert message is not None
        assert message.endswith(f"to reproduce: python -m tests.fuzz.scenarios {seed}")

    def test_the_command_shows_the_scenario_and_runs_it(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["3"]) == 0
        shown = capsys.readouterr().out
        text, verdict = shown.rsplit("\n", 2)[0], shown.splitlines()[-1]
        assert loads_scenario(text) == scenario_of(3)
        assert verdict == "seed 3: every checker is content"

    def test_a_range_of_seeds_can_be_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["3", "6"]) == 0
        assert capsys.readouterr().out == "0 failures: []\n"


def test_another_workload_seed_gives_another_run() -> None:
    scenario = scenario_of(1)
    spec = scenario.schedulers[0]
    first, second = (simulate(scenario, spec, draw(scenario, r), r) for r in (0, 1))
    assert bytes_of(first) != bytes_of(second)
