"""Overrides: what ``path=value`` reaches, how values are read, and how mistakes are shown."""

from __future__ import annotations

import pytest

from simsched.scenario import (
    GoroutineSpec,
    IoStep,
    Poisson,
    Scenario,
    ThreadPoolSpec,
    UseStep,
    loads_scenario,
)

from .texts import VALID, only_problem, problems, underlined


def load(*overrides: str) -> Scenario:
    return loads_scenario(VALID, overrides)


def tomcat(scenario: Scenario) -> ThreadPoolSpec:
    spec = scenario.schedulers[0]
    assert isinstance(spec, ThreadPoolSpec)
    return spec


@pytest.mark.parametrize(
    "override",
    [
        "schedulers.0.maxThreads=64",
        "schedulers[0].maxThreads=64",
        "schedulers.tomcat.maxThreads=64",
        'schedulers."tomcat".maxThreads=64',
        "schedulers.tomcat.maxThreads = 64",
        "schedulers.tomcat.maxThreads=0x40",
    ],
)
def test_a_list_entry_is_reached_by_index_or_name(override: str) -> None:
    assert tomcat(load(override)).max_threads == 64


def test_a_value_is_toml_and_a_bare_word_is_text() -> None:
    assert load("scenario.duration=5s").duration_s == 5.0
    assert load('scenario.duration="5s"').duration_s == 5.0
    assert load("scenario.name=a=b").name == "a=b"
    assert load("scenario.seed=7").seed == 7
    assert load("host.os.wakeup_preemption=false").host.os.wakeup_preemption is False
    arrivals = load("workload.arrivals.rate=800/s").arrivals
    assert isinstance(arrivals, Poisson)
    assert arrivals.rate_rps == 800.0


def test_a_table_that_is_not_written_is_made() -> None:
    scenario = load("host.os.hz=1000", "schedulers.go.memory.base=1MB", "slo.p99=100ms")
    assert scenario.host.os.hz == 1000
    assert scenario.schedulers[1].memory.base_bytes == 1_000_000
    assert scenario.slo[0].text == "latency.p99 < 100ms"


def test_steps_are_reached_by_their_name() -> None:
    assert (
        load("workload.requests.page.steps.render.cpu=3ms").classes[0].steps[0]
        != (load().classes[0].steps[0])
    )


def test_nested_steps_and_distributions_are_reached() -> None:
    step = load("workload.requests.0.steps.1.steps.0.io.cv=2.5").classes[0].steps[1]
    assert isinstance(step, UseStep)
    inner = step.steps[0]
    assert isinstance(inner, IoStep)
    assert getattr(inner.demand, "cv", None) == 2.5


def test_a_whole_table_may_be_set() -> None:
    scenario = load("resources.cache={capacity = 3}", "schedulers.1={preset = 'asyncio'}")
    assert scenario.resources["cache"].capacity == 3
    assert scenario.schedulers[1].name == "asyncio"


def test_the_last_override_wins() -> None:
    assert load("resources.db.capacity=3", "resources.db.capacity=4").resources["db"].capacity == 4


def test_a_smaller_maximum_lowers_the_minimum_of_the_preset_as_tomcat_does() -> None:
    assert tomcat(load("schedulers.tomcat.maxThreads=4")).min_spare_threads == 4


@pytest.mark.parametrize(
    ("override", "under", "message", "hint"),
    [
        ("host.coers=3", "coers", 'no "coers" in host', 'did you mean "cores"?'),
        ("hots.cores=3", "hots", 'no "hots"', 'did you mean "host"?'),
        ("resources.bd.capacity=3", "bd", 'no "bd" in resources', 'did you mean "db"?'),
        ("schedulers.tomcta.maxThreads=3", "tomcta", "no entry called", 'mean "tomcat"?'),
        ("schedulers.7.maxThreads=3", "7", "entries 0 to 1", ""),
        ("schedulers.0.maxThread=3", "maxThread", 'no "maxThread"', 'mean "maxThreads"?'),
        ("schedulers.go.maxQueueSize=3", "schedulers.go.maxQueueSize", "unknown key", ""),
        ("slo.p98=3ms", "p98", 'no "p98" in slo', 'did you mean "p99"?'),
        ("scenario.name.x=1", "x", "scenario.name is a value", ""),
        ("scenario.duration=", "", "the value is missing", ""),
        ("scenario.duration", "scenario.duration", "path=value", ""),
        ("=5", "=5", "path=value", ""),
        (".a=5", ".", "cannot read this path", ""),
        ("a..b=5", ".", "cannot read this path", ""),
        ("", "", "path=value", ""),
        ('scenario.name="x', '"x', "not valid TOML", ""),
        ("scenario.seed=1\nname=2", "1\nname=2", "not valid TOML", ""),
        ("schedulers.0.maxThreads=eight", "eight", 'an integer >= 1, got "eight"', ""),
        ("schedulers.0.maxThreads=nan", "nan", "an integer >= 1", ""),
        ("workload.arrivals.rate=800", "800", "expected a rate", 'write "800/s"'),
        ("scenario.warmup=10s", "10s", "shorter than duration", ""),
    ],
)
def test_mistakes_are_shown_in_the_override(
    override: str, under: str, message: str, hint: str
) -> None:
    problem = only_problem(VALID, [override])
    assert problem.file == "--set"
    assert problem.text == override
    assert message in problem.message
    assert hint in problem.hint
    assert underlined(problem) == under
    assert problem.render().startswith("--set: ")


def test_all_wrong_overrides_are_reported_beside_the_file_s_own_problems() -> None:
    broken = VALID.replace("cores = 4", "cores = 0")
    found = problems(broken, ["host.coers=1", "resources.bd.capacity=1", "scenario.seed=x"])
    assert [p.file for p in found] == ["shop.toml", "--set", "--set", "--set"]


def test_choosing_schedulers_by_name_and_adding_presets() -> None:
    scenario = loads_scenario(VALID, schedulers=["go", "asyncio", "tomcat"])
    assert [s.name for s in scenario.schedulers] == ["go", "asyncio", "tomcat"]


def test_overrides_see_the_chosen_schedulers() -> None:
    spec = loads_scenario(VALID, ["schedulers.go.GOMAXPROCS=2"], ["go"]).schedulers[0]
    assert isinstance(spec, GoroutineSpec)
    assert spec.gomaxprocs == 2


def test_an_unknown_scheduler_is_no_scheduler_and_no_preset() -> None:
    (problem,) = problems(VALID, schedulers=["gp"])
    assert (problem.file, problem.hint) == ("--scheduler", 'did you mean "go"?')


def test_problems_of_chosen_schedulers_are_placed_where_they_are_written() -> None:
    text = VALID + "maxThreads = 0\n"
    (problem,) = problems(text, schedulers=["asyncio", "go"])
    assert (problem.line, underlined(problem)) == (27, "0")


def test_a_loaded_scenario_can_be_changed_again() -> None:
    scenario = load("scenario.seed=3").with_overrides(["resources.db.capacity=5"])
    assert (scenario.seed, scenario.resources["db"].capacity) == (3, 5)
