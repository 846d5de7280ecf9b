"""Whatever the scenario, no scheduler breaks an invariant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simsched.scenario import Scenario, loads_scenario
from simsched.sim.engine import simulate
from simsched.workload import draw, flatten, program

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


def features_of(scenario: Scenario) -> Iterator[str]:
    """What there is in a scenario, in words."""
    yield f"arrivals {scenario.arrivals.kind}"
    yield f"cores {scenario.host.cores}"
    yield f"hz {scenario.host.os.hz}"
    if scenario.host.cpu_quota is not None:
        yield "quota and burst" if scenario.host.cpu_burst_s else "quota"
        yield "quota of hyper-threads" if scenario.host.threads_per_core > 1 else "quota of cores"
    yield f"threads per core {scenario.host.threads_per_core}"
    if scenario.host.steal:
        yield "steal"
        yield f"steal from {scenario.host.threads_per_core} threads per core"
        yield f"steal beside {scenario.host.os.scheduler}"
        yield from ("steal beside a quota" for _ in range(scenario.host.cpu_quota is not None))
    if scenario.host.os.tcp_abort_on_overflow:
        yield "resets"
    if scenario.connections is not None:
        users = "closed" if scenario.arrivals.kind == "closed" else "open"
        yield f"connections {users} {scenario.connections.connect}"
        yield "fresh connections" if not scenario.connections.keep_alive else "kept connections"
    for request in scenario.classes:
        for step in program.every(flatten(request).ops):
            yield f"step {program.OP_NAMES[step.code]} {step.kind or step.arg}".strip()
            yield from ("nested branches" for b in step.branches for op in b if op.branches)
    for spec in scenario.schedulers:
        policy = getattr(spec, "policy", "") or getattr(spec, "loop", "")
        yield f"scheduler {spec.kind} {policy}".strip()
        yield f"processes {spec.kind} {min(spec.processes, 2)}"
        yield f"jdk {getattr(spec, 'jdk', '')}"
        yield f"gil {policy or spec.kind} {getattr(spec, 'gil', None)}"
        yield f"endpoint {getattr(spec, 'endpoint', '')}"
        yield f"backlog {spec.listen.backlog}"


def test_the_scenarios_go_everywhere() -> None:
    found = {feature for seed in range(SEEDS) for feature in features_of(scenario_of(seed))}
    kinds = ("thread_pool", "event_loop", "sync_workers", "gthread", "goroutine")
    java = ("virtual_thread", "fork_join", "reactor")
    wanted = {
        *(f"arrivals {k}" for k in ("poisson", "constant", "bursty", "ramp", "steps", "closed")),
        *(f"cores {n}" for n in (1, 2, 3, 4)),
        *(f"hz {n}" for n in (0, 100, 250, 1000)),
        *(f"scheduler event_loop {loop}" for loop in ("asyncio", "uvloop", "libuv")),
        *(f"scheduler thread_pool {policy}" for policy in ("tomcat", "jdk", "python")),
        *(f"scheduler {kind}" for kind in ("sync_workers", "gthread", "goroutine", "reactor")),
        *(f"processes {kind} {n}" for kind in kinds + java for n in (1, 2)),
        *(f"jdk {n}" for n in (21, 22, 23, 24, 25)),
        *(f"gil {who} {on}" for who in ("python", "gthread", "asyncio") for on in (True, False)),
        *(f"connections closed {when}" for when in ("first_use", "start")),
        *(f"connections open {when}" for when in ("first_use", "start")),
        *(f"step offload {api}" for api in ("to_thread", "run_in_threadpool", "getaddrinfo")),
        *(f"step {step}" for step in ("cpu", "cpu native", "io", "sleep", "parallel")),
        *("fresh connections", "kept connections", "resets", "nested branches"),
        *("endpoint async", "endpoint def", "backlog 0"),
        *("quota", "quota and burst", "quota of cores", "quota of hyper-threads"),
        *("threads per core 1", "threads per core 2"),
        *("steal from 1 threads per core", "steal from 2 threads per core"),
        *("steal beside a quota", "steal beside eevdf", "steal beside wakeup_first"),
    }
    assert wanted - found == set()


@pytest.mark.parametrize(
    "seed",
    [
        251,  # the lock handed over by a thread that is slowed down by its core's other thread
        462,  # the end of a run while a thread waits for the lock in the middle of a burst
    ],
)
def test_what_once_broke_does_not_any_more(seed: int) -> None:
    check(seed)


def test_the_runs_go_where_things_break() -> None:
    wanted = {
        "connections_deferred",
        "connections_refused",
        "connections_reset",
        "dead_connections_accepted",
        "discarded",
        "goroutine_preemptions",
        "handoffs",
        "idle_connections_closed",
        "pinned_calls",
        "preemptions",
        "retries",
        "spare_carriers",
        "spare_workers",
        "steals",
        "tasks_helped",
        "stolen_s",
        "syn_retries",
        "throttled_periods",
        "throttled_s",
        "thread_limit_exceeded",
        "process_died",
        "workers_killed",
    }
    outcomes: set[int] = set()
    counted: set[str] = set()
    for seed in range(2 * SEEDS):
        for record in run_all(scenario_of(seed), checked=False):
            outcomes |= set(record.outcome.tolist())
            counted |= {name for name, n in record.activity.items() if n}
        if wanted <= counted and len(outcomes) == 5:
            break
    assert outcomes == {0, 1, 2, 3, 4}
    assert wanted - counted == set()


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
