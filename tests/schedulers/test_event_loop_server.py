"""A loop as a server: accepting, refusing, several processes. Times are milliseconds."""

from __future__ import annotations

import pytest
from kit import LOOP, Run, Spec, request, run

from simsched.scenario import Scenario
from simsched.schedulers.processes import processes_of
from simsched.sim.engine import Simulation
from simsched.workload import draw

UVLOOP = LOOP | {"loop": "uvloop"}
EACH = {"keep_alive": False}  # a connection for each request


class TestRequestCosts:
    def test_each_request_costs_the_server_something_of_its_own(self) -> None:
        finished = run(LOOP | {"request": "1ms"}, *[request("cpu 2ms")] * 2)
        assert finished.done == {"A": 3, "B": 6}
        assert finished.record.totals["overhead_core_s"] == pytest.approx(2e-3)


class TestAccepting:
    def test_asyncio_takes_the_whole_accept_queue_at_once(self) -> None:
        finished = run(LOOP, *[request("blocking 10ms")] * 4, connections=EACH)
        # Connections first, then requests: all four are read in the second iteration.
        assert finished.done == {"A": 10, "B": 20, "C": 30, "D": 40}

    def test_uvloop_accepts_one_connection_per_iteration(self) -> None:
        long = [request("blocking 100ms"), request("blocking 100ms", at=1)]
        finished = run(UVLOOP, *long, *[request("cpu 1ms", at=2)] * 3, connections=EACH)
        # After A, at 100, B is accepted; it is read at the next poll, when C is accepted, ...
        assert finished.done == {"A": 100, "B": 200, "C": 201, "D": 202, "E": 203}

    @pytest.mark.parametrize(
        ("loop", "done"), [(LOOP, {"E": 23, "F": 24}), (UVLOOP, {"E": 24, "F": 23})]
    )
    def test_libuv_looks_at_a_new_connection_when_it_polls_and_asyncio_at_once(
        self, loop: Spec, done: dict[str, float]
    ) -> None:
        # C and D take the two connections there are, E makes a third one, accepted at 20. D runs
        # until 22. F comes at 21, on the connection that C has left.
        finished = run(
            loop,
            request("cpu 1ms"),
            request("cpu 1ms"),
            request("cpu 10ms", at=10),
            request("cpu 2ms", at=12),
            request("cpu 1ms", at=13),
            request("cpu 1ms", at=21),
            connections={},
        )
        assert finished.done == {"A": 1, "B": 2, "C": 20, "D": 22, **done}

    def test_asyncio_would_have_had_them_all(self) -> None:
        long = [request("blocking 100ms"), request("blocking 100ms", at=1)]
        finished = run(LOOP, *long, *[request("cpu 1ms", at=2)] * 3, connections=EACH)
        assert finished.done == {"A": 100, "B": 200, "C": 201, "D": 202, "E": 203}

    def test_a_frozen_loop_accepts_nobody(self) -> None:
        finished = run(LOOP, request("blocking 50ms"), request("cpu 1ms", at=1), connections=EACH)
        assert finished.done == {"A": 50, "B": 51}
        assert finished.record.parts_s[1, 0] == pytest.approx(49e-3)  # admission

    def test_a_connection_whose_client_has_left_is_not_served(self) -> None:
        finished = run(
            LOOP,
            request("blocking 50ms"),
            request("cpu 1ms", at=1, timeout="10ms"),
            request("cpu 1ms", at=2),
            connections=EACH,
        )
        assert finished.done == {"A": 50, "C": 51}


class TestLimitConcurrency:
    def test_503_from_so_many_tasks_on(self) -> None:
        finished = run(LOOP | {"limit_concurrency": 2}, *[request("io 10ms")] * 3)
        assert finished.outcomes == {"A": "completed", "B": "completed", "C": "rejected"}

    def test_idle_connections_count_and_so_does_the_one_it_comes_on(self) -> None:
        # A's connection stays open; B comes on a second one while A's is busy again with C.
        finished = run(
            LOOP | {"limit_concurrency": 2},
            request("io 5ms"),
            request("io 5ms", at=10),
            request("io 5ms", at=12),
            request("io 5ms", at=20),
            connections={},
        )
        # C's connection was the second of two: refused, and closed. D finds the first one idle.
        outcomes = ["completed", "completed", "rejected", "completed"]
        assert list(finished.outcomes.values()) == outcomes


def crowd(preset: str, seed: int = 1) -> Simulation:
    """40 connections made in one burst to two processes, and a second of requests on them."""
    scenario = Scenario.from_dict(
        {
            "scenario": {"name": "crowd", "duration": "1s", "seed": seed},
            "host": {"cores": 2, "os": {"wakeup_latency": "45us"}},
            "workload": {
                "arrivals": {"kind": "closed", "users": 40, "think": "1ms"},
                "requests": [{"name": "a", "steps": [{"cpu": "0s"}]}],
                "connections": {"connect": "start"},
            },
            "schedulers": [{"preset": preset, "processes": 2}],
        }
    )
    simulation = Simulation(scenario, scenario.schedulers[0], draw(scenario, 0))
    simulation.run()
    return simulation


class TestSeveralProcesses:
    def test_everybody_who_sleeps_is_woken_and_the_loser_has_paid(self) -> None:
        def switches(processes: int) -> float:
            finished: Run = run(
                LOOP | {"processes": processes},
                request("cpu 1ms", at=5),
                cores=4,
                connections=EACH,
            )
            return finished.activity["context_switches"]

        assert [switches(n) for n in (1, 2, 3)] == [1, 2, 3]

    def test_who_fell_asleep_last_is_served_first(self) -> None:
        requests = [request("cpu 1ms", at=at) for at in (5, 10, 20, 30)]
        finished = run(LOOP | {"processes": 3}, *requests, cores=4, connections=EACH)
        names = {name for _, _, _, name in finished.journal.slices}
        assert len(names) == 1

    def test_o30_one_asyncio_worker_takes_a_whole_burst(self) -> None:
        counts = [len(p.connections) for p in processes_of(crowd("uvicorn").scheduler)]
        assert sorted(counts) == [0, 40]  # measured: 100 % and 0 % of the work

    def test_o30_uvloop_workers_share_it_connection_by_connection(self) -> None:
        counts = [len(p.connections) for p in processes_of(crowd("uvicorn-uvloop").scheduler)]
        assert sum(counts) == 40
        assert 0.3 < min(counts) / 40 <= 0.5  # measured: 58 % and 42 % of the work
