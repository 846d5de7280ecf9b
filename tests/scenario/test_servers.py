"""Connections and the servers of Python and Node, as TOML."""

from __future__ import annotations

import pytest

from simsched.scenario import Connections, Listen, Scenario, loads_scenario

from .texts import (
    POOL,
    STEP,
    VALID,
    changed,
    only_problem,
    underlined,
    with_connections,
    with_scheduler,
)


class TestConnections:
    def test_none_are_modelled_without_the_table(self) -> None:
        assert loads_scenario(VALID).connections is None

    def test_defaults(self) -> None:
        made = loads_scenario(with_connections("keep_alive = true")).connections
        assert made == Connections(keep_alive=True, count=None, connect="first_use")

    def test_an_override_makes_the_table(self) -> None:
        made = loads_scenario(VALID, ["workload.connections.count=100"]).connections
        assert made is not None
        assert made.count == 100

    @pytest.mark.parametrize(
        ("body", "under", "message"),
        [
            ("cuont = 3", "cuont", 'unknown key "cuont"'),
            ("count = 0", "0", "an integer >= 1"),
            ('connect = "begin"', '"begin"', 'expected one of "first_use", "start"'),
            ('connect = "start"', '"start"', "needs a count"),
            ('connect_interval = "1ms"', '"1ms"', "has no effect"),
        ],
    )
    def test_mistakes(self, body: str, under: str, message: str) -> None:
        problem = only_problem(with_connections(body))
        assert message in problem.message
        assert underlined(problem) == under

    def test_users_of_a_closed_workload_have_one_each(self) -> None:
        closed = 'kind = "closed"\nusers = 5'
        loads_scenario(with_connections('connect = "start"', closed))
        problem = only_problem(with_connections("count = 5", closed))
        assert "each user has one connection" in problem.message
        assert underlined(problem) == "5"


class TestSchedulers:
    @pytest.mark.parametrize(
        ("body", "under", "message"),
        [
            ('kind = "event_loop"\nUV_THREADPOOL_SIZE = 8', "8", 'a knob of loop "libuv"'),
            ('kind = "event_loop"\nloop = "libuv"\ntotal_tokens = 8', "8", "a knob of loop"),
            ('kind = "event_loop"\nloop = "libuv"\nendpoint = "def"', '"def"', "a knob of loop"),
            ('kind = "event_loop"\nloop = "libuv"\ngil = true', "true", "no interpreter lock"),
            ('kind = "event_loop"\nsync_dependencies = 2', "2", "has no effect"),
            ('kind = "event_loop"\nloop = "epoll"', '"epoll"', 'expected one of "asyncio"'),
            ('kind = "thread_pool"\ngil = true', "true", 'a knob of policy "python"'),
            ('kind = "thread_pool"\npolicy = "python"\nmaxThreads = 2', "2", 'policy "tomcat"'),
            ('kind = "gthread"\nthreads = 0', "0", "an integer >= 1"),
            ('kind = "gthread"\nprocesses = 0', "0", "an integer >= 1"),
            ('kind = "sync_workers"\nlisten = { keep_alive = "2s" }', '"2s"', "has no effect"),
            ('kind = "gthread"\nlisten = { backlog = -1 }', "-1", "an integer >= 0"),
            ('kind = "gthread"\nlisten = { backlg = 1 }', "backlg", 'unknown key "backlg"'),
        ],
    )
    def test_mistakes(self, body: str, under: str, message: str) -> None:
        problem = only_problem(with_scheduler(body))
        assert message in problem.message
        assert underlined(problem) == under

    def test_a_table_that_sets_one_limit_keeps_the_others_of_its_kind(self) -> None:
        body = 'kind = "gthread"\nlisten = { backlog = 64 }'
        listen = loads_scenario(with_scheduler(body)).schedulers[0].listen
        assert listen == Listen(backlog=64, max_connections=1000, keep_alive_s=2.0)

    @pytest.mark.parametrize(
        ("body", "preset"),
        [
            ('kind = "thread_pool"\npolicy = "python"', "cpython-threads"),
            ('kind = "event_loop"\nloop = "libuv"', "node"),
            ('kind = "thread_pool"\ncorePoolSize = 2\npolicy = "jdk"\nmaximumPoolSize = 2',
             "jdk-thread-pool"),
            ('kind = "thread_pool"', "tomcat"),
        ],
    )  # fmt: skip
    def test_a_bare_kind_has_the_memory_and_the_socket_of_its_preset(
        self, body: str, preset: str
    ) -> None:
        bare = loads_scenario(with_scheduler(body)).schedulers[0]
        made = loads_scenario(with_scheduler(f'preset = "{preset}"')).schedulers[0]
        assert bare.listen == made.listen
        assert bare.memory == made.memory
        assert not {"listen", "memory"} & bare.model_fields_set
        part = body + '\nmemory = { base = "7MB" }\nlisten = { backlog = 7 }'
        partly = loads_scenario(with_scheduler(part)).schedulers[0]
        assert partly.memory == made.memory.model_copy(update={"base_bytes": 7_000_000})
        assert partly.listen == made.listen.model_copy(update={"backlog": 7})

    def test_the_lock_follows_the_runtime(self) -> None:
        def gil(body: str) -> object:
            return getattr(loads_scenario(with_scheduler(body)).schedulers[0], "gil", None)

        assert gil('kind = "event_loop"') is True
        assert gil('kind = "event_loop"\nloop = "libuv"') is False
        assert gil('kind = "thread_pool"') is False
        assert gil('kind = "thread_pool"\npolicy = "python"') is True
        assert gil('kind = "thread_pool"\npolicy = "python"\ngil = false') is False

    def test_pools_of_python_have_32_threads_at_most_by_default(self) -> None:
        spec = loads_scenario(with_scheduler('kind = "event_loop"')).schedulers[0]
        assert spec.kind == "event_loop"
        assert [spec.resolved_max_workers(cores) for cores in (1, 28, 64)] == [5, 32, 32]

    def test_processes_can_be_overridden(self) -> None:
        made = loads_scenario(VALID, ["schedulers.go.processes=4"])
        assert [s.processes for s in made.schedulers] == [1, 4]


BODIES = [
    'kind = "event_loop"\nloop = "libuv"',
    'kind = "event_loop"\nendpoint = "def"\nmax_workers = 3',
    'kind = "thread_pool"\npolicy = "python"\nprocesses = 2',
    'kind = "sync_workers"',
    'kind = "gthread"\nlisten = { keep_alive = "0s" }',
]


@pytest.mark.parametrize("body", BODIES)
def test_the_resolved_scenario_is_the_same_scenario(body: str) -> None:
    step = '{ offload = "to_thread", steps = [{ cpu = "1ms", releases_gil = true }] }'
    both = f'{{ parallel = [[{step}], [{{ repeat = 3, steps = [{{ io = "1ms" }}] }}]] }}'
    text = changed(POOL, body, changed(STEP, f"{STEP}\n{both},", with_connections("count = 9")))
    made = loads_scenario(text)
    assert Scenario.from_dict(made.resolved()) == made
    assert loads_scenario(made.to_toml()) == made
