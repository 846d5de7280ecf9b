"""Offloads, branches, repeats, connections and the servers of Python and Node, as TOML."""

from __future__ import annotations

import pytest

from simsched.scenario import Connections, Listen, Scenario, loads_scenario, offered_load

from .texts import VALID, changed, only_problem, problems, underlined

STEP = '{ cpu = "2ms", name = "render" },'
POOL = 'preset = "tomcat"'
RATE = 'kind = "poisson"\nrate = "500/s"'


def with_step(step: str) -> str:
    """The valid text with one more step."""
    return changed(STEP, f"{STEP}\n  {step},")


def with_scheduler(body: str) -> str:
    """The valid text with another scheduler in place of the first."""
    return changed(POOL, body)


def with_connections(body: str, arrivals: str = RATE) -> str:
    """The valid text with a table of connections."""
    return changed(RATE, f"{arrivals}\n\n[workload.connections]\n{body}")


class TestSteps:
    @pytest.mark.parametrize(
        ("step", "under", "message"),
        [
            (
                '{ offload = "to_thrad", steps = [{ cpu = "1ms" }] }',
                '"to_thrad"',
                'expected one of "to_thread", "run_in_threadpool", "getaddrinfo"',
            ),
            ('{ offload = "to_thread" }', "{", 'missing key "steps"'),
            ('{ offload = "to_thread", steps = [] }', "[]", "at least one entry"),
            ('{ parallel = [[{ cpu = "1ms" }]] }', "[[", "expected 2 to 64 branches, got 1"),
            ('{ parallel = [[{ cpu = "1ms" }], []] }', "[]", "at least one entry"),
            ('{ parallel = [[{ cpu = "1ms" }], [{ coffee = "1ms" }]] }', "{ c", "does nothing"),
            ('{ parallel = [{ cpu = "1ms" }, { cpu = "1ms" }] }', "{", "expected an array"),
            ('{ repeat = 0, steps = [{ cpu = "1ms" }] }', "0", "an integer >= 1 and <= 10000"),
            ('{ repeat = 10_001, steps = [{ cpu = "1ms" }] }', "10_001", "an integer >= 1"),
            ('{ cpu = "1ms", releases_gil = 1 }', "1", "expected true or false"),
        ],
    )
    def test_a_bad_step_is_pointed_at(self, step: str, under: str, message: str) -> None:
        problem = problems(with_step(step))[0]
        assert message in problem.message
        assert underlined(problem).startswith(under)

    def test_branches_are_at_most_64(self) -> None:
        text = with_step("{ parallel = [" + '[{ cpu = "1ms" }], ' * 65 + "] }")
        assert only_problem(text).message.endswith("expected 2 to 64 branches, got 65")

    @pytest.mark.parametrize(
        "between",
        [
            "{}",
            "{{ repeat = 2, steps = [{}] }}",
            '{{ use = "db", steps = [{}] }}',
            '{{ parallel = [[{{ cpu = "1ms" }}], [{}]] }}',
        ],
    )
    def test_an_offload_inside_an_offload_is_refused(self, between: str) -> None:
        inner = '{ offload = "getaddrinfo", steps = [{ io = "1ms" }] }'
        text = with_step(f'{{ offload = "to_thread", steps = [{between.format(inner)}] }}')
        problem = only_problem(text)
        assert '"getaddrinfo" inside "to_thread"' in problem.message
        assert underlined(problem) == '"getaddrinfo"'
        assert problem.hint

    def test_two_offloads_after_one_another_are_fine(self) -> None:
        step = '{ offload = "to_thread", steps = [{ io = "1ms" }] }'
        loads_scenario(with_step(f"{step}, {step}"))

    def test_repeats_that_make_too_many_operations_are_pointed_at(self) -> None:
        inner = '{ repeat = 1000, steps = [{ cpu = "1us" }] }'
        problem = only_problem(with_step(f"{{ repeat = 101, steps = [{inner}] }}"))
        # 101 x 1000 in the repeats, and render, use, io and release beside them.
        assert "101,004 operations, more than 100,000" in problem.message
        assert underlined(problem) == "101"

    def test_a_column_in_a_branch_needs_a_trace(self) -> None:
        step = '{ parallel = [[{ cpu = "1ms" }], [{ io = { column = "x" } }]] }'
        problem = only_problem(with_step(step))
        assert 'column "x" needs a trace' in problem.message
        assert underlined(problem) == '{ column = "x" }'


class TestDeadlocks:
    ONE = "capacity = 1"

    def one_connection(self, step: str) -> str:
        return changed("capacity = 20", self.ONE, with_step(step))

    def test_two_branches_may_use_the_same_thing(self) -> None:
        use = '{ use = "db", steps = [{ io = "1ms" }] }'
        loads_scenario(self.one_connection(f"{{ parallel = [[{use}], [{use}]] }}"))

    def test_a_branch_that_takes_what_is_held_around_it_waits_for_itself(self) -> None:
        use = '{ use = "db", steps = [{ io = "1ms" }] }'
        inside = f'{{ parallel = [[{use}], [{{ cpu = "1ms" }}]] }}'
        problem = only_problem(self.one_connection(f'{{ use = "db", steps = [{inside}] }}'))
        assert 'takes resource "db" while it already holds it' in problem.message
        assert underlined(problem) == '"db"'

    @pytest.mark.parametrize(
        "around", ['{{ offload = "to_thread", steps = [{}] }}', "{{ repeat = 2, steps = [{}] }}"]
    )
    def test_so_does_an_offloaded_or_repeated_step(self, around: str) -> None:
        inside = around.format('{ use = "db", steps = [{ io = "1ms" }] }')
        problem = only_problem(with_step(f'{{ use = "db", steps = [{inside}] }}'))
        assert "while it already holds it" in problem.message

    def test_branches_that_take_two_locks_in_opposite_order_can_deadlock(self) -> None:
        def both(first: str, second: str) -> str:
            inner = f'{{ lock = "{second}", steps = [{{ cpu = "1ms" }}] }}'
            return f'[{{ lock = "{first}", steps = [{inner}] }}]'

        crossed = f"{{ parallel = [{both('a', 'b')}, {both('b', 'a')}] }}"
        assert "possible deadlock" in only_problem(with_step(crossed)).message

    def test_an_unknown_resource_in_a_branch_is_pointed_at(self) -> None:
        step = '{ parallel = [[{ cpu = "1ms" }], [{ use = "bd", steps = [{ io = "1ms" }] }]] }'
        problem = only_problem(with_step(step))
        assert (problem.message.split(": ")[-1], problem.hint) == (
            'unknown resource "bd"',
            'did you mean "db"?',
        )
        assert underlined(problem) == '"bd"'


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


class TestOfferedLoad:
    """400 requests/s; a request computes 1 ms, then waits for 5 ms beside 2 ms of native code."""

    STEPS = (
        {"cpu": "1ms"},
        {
            "parallel": [
                [{"io": "5ms"}],
                [{"offload": "to_thread", "steps": [{"cpu": "2ms", "releases_gil": True}]}],
            ]
        },
        {"repeat": 4, "steps": [{"use": "db", "steps": [{"io": "1ms"}]}]},
    )

    def load(self, **spec: object) -> tuple[object, dict[str, tuple[object, int]]]:
        made = offered_load(
            Scenario.from_dict(
                {
                    "scenario": {"name": "t", "duration": "10s"},
                    "host": {"cores": 4},
                    "workload": {
                        "arrivals": {"kind": "poisson", "rate": "400/s"},
                        "requests": [{"name": "a", "steps": list(self.STEPS)}],
                    },
                    "resources": {"db": {"capacity": 20}},
                    "schedulers": [{"name": "it", **spec}],
                }
            )
        )
        places = [made.schedulers["it"], *made.further["it"]]
        return made, {p.unit: (pytest.approx(p.offered), p.available) for p in places}

    def test_of_branches_the_longest_counts_for_time_and_all_count_for_cpu(self) -> None:
        made, _ = self.load(kind="goroutine")
        demand = made.classes["a"]  # type: ignore[attr-defined]
        assert demand.total_s == pytest.approx(0.001 + 0.005 + 0.004)
        assert demand.cpu_s == pytest.approx(0.003)
        assert demand.holding_s == {"db": pytest.approx(0.004)}

    def test_a_loop_is_not_held_by_what_is_offloaded(self) -> None:
        _, places = self.load(kind="event_loop", processes=2)
        assert places == {
            "loops": (0.4, 2),
            "executor threads": (0.8, 2 * 8),
            "interpreter locks": (0.4, 2),
        }

    def test_a_plain_function_holds_a_token_of_the_limiter_throughout(self) -> None:
        _, places = self.load(kind="event_loop", endpoint="def", request="1ms")
        assert places == {
            "loops": (0.4, 1),
            "limiter tokens": (400 * 0.012, 40),
            "interpreter locks": (0.8, 1),
        }

    def test_node_has_a_pool_of_threads_and_no_lock(self) -> None:
        _, places = self.load(kind="event_loop", loop="libuv")
        assert places == {"loops": (0.4, 1), "pool threads": (0.8, 4)}

    def test_a_reactor_holds_one_of_several_loops_and_elastic_threads_for_what_is_offloaded(
        self,
    ) -> None:
        _, places = self.load(kind="reactor", request="0s", processes=2)
        assert places == {"loops": (0.4, 2 * 4), "elastic threads": (0.8, 2 * 40)}

    def test_sync_workers_hold_a_process_and_run_branches_in_turn(self) -> None:
        _, places = self.load(kind="sync_workers", processes=8, request="0s")
        assert places == {"workers": (400 * 0.012, 8)}

    def test_threads_are_those_of_all_processes_and_each_has_its_lock(self) -> None:
        _, places = self.load(kind="gthread", processes=2, threads=4, request="0s", cpu_factor=2)
        assert places == {
            "threads": (400 * 0.015, 8),
            "interpreter locks": (0.8, 2),
        }

    def test_more_python_code_than_one_core_can_run_is_a_warning(self) -> None:
        made, _ = self.load(kind="gthread", threads=99, request="2ms")
        assert made.warnings == (  # type: ignore[attr-defined]
            'scheduler "it": offered 1.2 interpreter locks of work, 1 available: it cannot keep up',
        )


@pytest.mark.parametrize(("gil", "warned"), [("true", 0), ("false", 1)])
def test_an_interval_of_a_lock_that_is_not_there_is_a_warning(gil: str, warned: int) -> None:
    body = f'kind = "gthread"\nname = "it"\ngil = {gil}\nswitch_interval = "1ms"'
    load = offered_load(loads_scenario(with_scheduler(body)))
    sentence = 'scheduler "it": switch_interval has no effect without the interpreter lock'
    assert [w for w in load.warnings if "switch_interval" in w] == [sentence] * warned
    free = offered_load(loads_scenario(with_scheduler('preset = "cpython-free-threaded"')))
    assert not [w for w in free.warnings if "switch_interval" in w]


def test_a_limit_of_connections_is_one_of_requests_where_nothing_else_is_shorter() -> None:
    """A connection is needed as long as its request is served; Tomcat's threads are fewer."""
    body = 'kind = "event_loop"\nname = "it"\nprocesses = 2\nlisten = { max_connections = 1 }'
    made = loads_scenario(changed(POOL, body, with_connections("keep_alive = false")))
    load = offered_load(made)
    (connections,) = (p for p in load.further["it"] if p.unit == "connections")
    served_s = sum(d.share * d.total_s for d in load.classes.values())
    assert connections.available == 2
    assert connections.limit_rps == pytest.approx(2 / served_s)
    usual = offered_load(loads_scenario(with_connections("keep_alive = false")))
    assert not usual.further["tomcat"]
    unseen = offered_load(loads_scenario(with_scheduler(body)))
    assert "connections" not in [p.unit for p in unseen.further["it"]]


def test_clients_with_few_connections_cannot_send_more_than_these_carry() -> None:
    """One request at a time on each, and none is shorter than its demands."""
    load = offered_load(loads_scenario(with_connections("count = 1")))
    served_s = sum(d.share * d.total_s for d in load.classes.values())
    assert 500 * served_s > 1
    assert load.bound_rps == pytest.approx(1 / served_s)
    assert [w for w in load.warnings if w.startswith("clients: offered ")]
    many = offered_load(loads_scenario(with_connections("count = 100_000")))
    assert not [w for w in many.warnings if "clients" in w]


def test_limits_on_connections_that_are_not_modelled_are_a_warning() -> None:
    body = 'kind = "event_loop"\nlisten = { backlog = 64 }'
    load = offered_load(loads_scenario(with_scheduler(body)))
    assert [w for w in load.warnings if "listen has no effect" in w]
    seen = changed(POOL, body, with_connections("count = 9"))
    assert not [w for w in offered_load(loads_scenario(seen)).warnings if "listen" in w]
