"""The load that is offered to servers of Python and Node, to their pools, locks and connections."""

from __future__ import annotations

import pytest

from simsched.scenario import Scenario, loads_scenario, offered_load

from .texts import POOL, changed, with_connections, with_scheduler


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
