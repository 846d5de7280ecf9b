"""Presets: they load, say where each constant comes from, and give way to the entry's own keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsched.scenario import (
    EventLoopSpec,
    GoroutineSpec,
    ReactorSpec,
    ScenarioError,
    SchedulerSpec,
    ThreadPoolSpec,
    VirtualThreadSpec,
    load_preset,
    load_scenario,
    loads_scenario,
    preset_names,
    preset_text,
)
from simsched.scenario.specs import SCHEDULER_KINDS

from .texts import VALID

HEAD = VALID[: VALID.index("[[schedulers]]")]


def spec(lines: str) -> SchedulerSpec:
    return loads_scenario(f"{HEAD}[[schedulers]]\n{lines}\n").schedulers[0]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_described_and_valid(name: str) -> None:
    preset = load_preset(name)
    assert 20 <= len(preset.description) <= 53, "one line of `simsched list` in 80 columns"
    assert preset.models
    assert spec(f'preset = "{name}"').name == name


@pytest.mark.parametrize("name", preset_names())
def test_every_constant_of_a_preset_follows_a_comment_that_names_its_source(name: str) -> None:
    body = preset_text(name).split("[scheduler]")[1]
    sources = (
        ".java",
        ".py",
        ".c",
        ".go",
        "JEP ",
        "Measured",
        "Published",
        "General knowledge",
        "JDK",
    )
    comment, after_comment = "", False
    for line in body.splitlines():
        if line.startswith("#"):
            comment = comment + line if after_comment else line
        elif not line.strip():
            comment = ""
        elif "=" in line and not line.startswith("kind"):
            assert any(source in comment for source in sources), (name, line)
        after_comment = line.startswith("#")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_sets_every_knob_so_that_nothing_depends_on_hidden_defaults(name: str) -> None:
    preset = load_preset(name)
    written = dict(preset.scheduler)
    resolved = loads_scenario(f'{HEAD}[[schedulers]]\npreset = "{name}"\n').resolved()
    knobs = set(resolved["schedulers"][0]) - {"preset", "name"}
    assert set(written) == knobs
    prices = {"base", "thread", "task", "connection"}
    assert set(written["memory"]) == prices | {"gc_factor", "young", "young_task"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("thread_pool", "tomcat"),
        ("sync_workers", "gunicorn-sync"),
        ("gthread", "gunicorn-gthread"),
        ("event_loop", "asyncio"),
        ("goroutine", "go"),
        ("virtual_thread", "virtual-threads"),
        ("fork_join", "completable-future"),
        ("reactor", "webflux"),
    ],
)
def test_a_kind_without_a_preset_has_the_constants_of_its_preset(kind: str, name: str) -> None:
    assert set(SCHEDULER_KINDS) >= {kind}
    bare = spec(f'kind = "{kind}"').model_dump(exclude={"name", "preset"})
    assert bare == spec(f'preset = "{name}"').model_dump(exclude={"name", "preset"})


def test_tomcat_is_as_shipped() -> None:
    pool = spec('preset = "tomcat"')
    assert isinstance(pool, ThreadPoolSpec)
    assert (pool.policy, pool.max_threads, pool.min_spare_threads) == ("tomcat", 200, 10)
    assert (pool.max_queue_size, pool.threads_max_idle_time_s) == (2**31 - 1, 60.0)


def test_the_fixed_pool_is_that_of_executors() -> None:
    pool = spec('preset = "jdk-thread-pool"')
    assert isinstance(pool, ThreadPoolSpec)
    assert (pool.policy, pool.core_pool_size, pool.maximum_pool_size) == ("jdk", 200, 200)
    assert (pool.work_queue, pool.rejected_execution_handler) == ("unbounded", "abort")


def test_a_loop_turn_with_one_handle_costs_what_was_measured() -> None:
    loop = spec('preset = "asyncio"')
    assert isinstance(loop, EventLoopSpec)
    assert 1.9e-6 <= loop.iteration_s + loop.handle_s <= 2.1e-6
    assert 6.1e-6 <= loop.task_create_s + 2 * loop.handle_s <= 6.7e-6


@pytest.mark.parametrize(
    ("name", "loops"), [("webflux", {1: 4, 4: 4, 20: 20}), ("netty", {1: 2, 4: 8, 20: 40})]
)
def test_netty_has_two_loops_per_core_and_reactor_netty_one_but_four_at_least(
    name: str, loops: dict[int, int]
) -> None:
    reactor = spec(f'preset = "{name}"')
    assert isinstance(reactor, ReactorSpec)
    assert {cores: reactor.resolved_io_worker_count(cores) for cores in loops} == loops
    fixed = spec(f'preset = "{name}"\nioWorkerCount = 3')
    assert isinstance(fixed, ReactorSpec)
    assert fixed.resolved_io_worker_count(20) == 3


def test_netty_has_no_framework_to_pay_for() -> None:
    plain, framework = spec('preset = "netty"'), spec('preset = "webflux"')
    assert isinstance(plain, ReactorSpec)
    assert isinstance(framework, ReactorSpec)
    assert plain.request_s < framework.request_s / 10
    assert plain.iteration_s == framework.iteration_s


def test_go_has_a_processor_per_core() -> None:
    go = spec('preset = "go"')
    assert isinstance(go, GoroutineSpec)
    assert go.resolved_gomaxprocs(6) == 6


@pytest.mark.parametrize(
    ("lines", "cores", "carriers", "most", "runnable"),
    [
        ("", 4, 4, 256, 2),
        ("", 1, 1, 256, 1),
        ("", 300, 300, 300, 150),
        ("parallelism = 8", 4, 8, 256, 4),
        ("maxPoolSize = 2", 4, 2, 2, 1),
        ("minRunnable = 3", 4, 4, 256, 3),
    ],
)
def test_carriers_are_counted_as_by_the_jdk(
    lines: str, cores: int, carriers: int, most: int, runnable: int
) -> None:
    threads = spec(f'preset = "virtual-threads"\n{lines}')
    assert isinstance(threads, VirtualThreadSpec)
    assert threads.resolved_parallelism(cores) == carriers
    assert threads.resolved_max_pool_size(cores) == most
    assert threads.resolved_min_runnable(cores) == runnable


def test_the_jdk_of_virtual_threads_is_a_knob() -> None:
    older = spec('preset = "virtual-threads"\njdk = 21')
    preset = spec('preset = "virtual-threads-21"')
    assert older.model_dump(exclude={"name", "preset"}) == preset.model_dump(
        exclude={"name", "preset"}
    )


def test_the_entry_wins_over_its_preset_key_by_key() -> None:
    pool = spec('preset = "tomcat"\nmaxThreads = 50\nmemory.base = "1MB"')
    assert isinstance(pool, ThreadPoolSpec)
    assert (pool.max_threads, pool.min_spare_threads) == (50, 10)
    assert (pool.memory.base_bytes, pool.memory.thread_bytes) == (1_000_000, 42 * 1024)


def test_a_preset_may_be_the_user_s_own_file(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(
        '[preset]\ndescription = "ours"\nmodels = "x"\n'
        '[scheduler]\nkind = "goroutine"\nGOMAXPROCS = 3\n'
    )
    path = tmp_path / "s.toml"
    path.write_text(f'{HEAD}[[schedulers]]\npreset = "./ours.toml"\n')
    own = load_scenario(path).schedulers[0]
    assert isinstance(own, GoroutineSpec)
    assert (own.name, own.gomaxprocs) == ("ours", 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read preset"),
        ("a = ", 'preset "ours.toml": '),
        ("[scheduler]\nkind = 'goroutine'\n", "has the tables [preset] and [scheduler]"),
    ],
)
def test_a_wrong_preset_file_is_a_problem_at_the_entry_that_names_it(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "ours.toml").write_text(content)
    path = tmp_path / "s.toml"
    path.write_text(f'{HEAD}[[schedulers]]\npreset = "ours.toml"\n')
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.text == 'preset = "ours.toml"'


def test_there_is_no_such_preset() -> None:
    with pytest.raises(ScenarioError, match='did you mean "tomcat"'):
        load_preset("tomcta")
