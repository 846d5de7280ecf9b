"""Connections: the accept queue, keep-alive, and processes that share them. Times are milliseconds.

Servers here are thread pools without costs. With ``max_connections`` of 1 one connection is served
at a time, and the next ones wait in the accept queue: everything else is arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import (
    GO,
    LOOP,
    VIRTUAL,
    Request,
    Run,
    Spec,
    exponential,
    letter,
    ms,
    request,
    run,
    scenario_of,
    spec_of,
    tomcat,
)

from simsched.observe.checkers import all_checkers
from simsched.observe.record import PARTS, RunRecord
from simsched.sim.engine import Simulation, simulate
from simsched.sim.listener import syn_schedule_s
from simsched.sim.network import Connection
from simsched.sim.observer import Observer
from simsched.sim.task import Task
from simsched.workload import draw

OLD_KERNEL = {"tcp_syn_linear_timeouts": 0}  # before Linux 6.5
ONE_EACH = {"keep_alive": False}  # a connection per request


class Wire(Observer):
    """Writes down who reads which request from which connection, and which ones there are."""

    def __init__(self) -> None:
        self.read: list[tuple[float, str, int]] = []  # when, request, connection
        self.process: dict[str, int] = {}  # who has read it
        self.accepted: list[tuple[float, int]] = []
        self.closed: list[tuple[float, int]] = []

    def served(self, now: float, task: Task, change: int) -> None:
        if change > 0:
            assert task.connection is not None
            self.read.append((ms(now), letter(task.index), task.connection.id))
            self.process[letter(task.index)] = task.process

    def connection(self, now: float, connection: Connection, event: str) -> None:
        if event == "accepted":
            self.accepted.append((ms(now), connection.id))
        elif event == "closed":
            self.closed.append((ms(now), connection.id))

    @property
    def used(self) -> dict[str, int]:
        """The connection on which each request came."""
        return {name: connection for _, name, connection in self.read}


def serve(
    scheduler: Spec, *requests: Request, connections: dict[str, Any] | None = None, **machine: Any
) -> tuple[Run, Wire]:
    """A run that the checkers watch, and what was on the wire."""
    wire = Wire()
    watch = [*all_checkers(), wire]
    connections = {} if connections is None else connections
    return run(scheduler, *requests, connections=connections, watch=watch, **machine), wire


def queue_of(backlog: int, **listen: Any) -> Spec:
    """A server that has one connection at a time, and this backlog."""
    return tomcat(1, listen={"backlog": backlog, "max_connections": 1, **listen})


def part(finished: Run, name: str, request_index: int) -> float:
    return ms(finished.record.parts_s[request_index, PARTS.index(name)])


class TestAFullAcceptQueue:
    @pytest.mark.parametrize(
        ("drained_ms", "kernel", "connected_ms"),
        [
            (2500, {}, 3000),
            (2500, OLD_KERNEL, 3000),
            (3500, {}, 4000),
            (3500, OLD_KERNEL, 7000),
        ],
    )
    def test_o29_is_noticed_at_the_next_retry(
        self, drained_ms: int, kernel: dict[str, int], connected_ms: int
    ) -> None:
        """Oracle O29. A SYN is sent again after 1, 2, 3, 4, ... s; by old kernels after 1, 3, 7."""
        holder = request(f"io {drained_ms}ms")
        nine = [request("io 1ms") for _ in range(9)]
        finished, _ = serve(
            queue_of(8), holder, *nine, request("io 1ms"), connections=ONE_EACH, os=kernel
        )
        # One is with the server, and listen(8) holds nine, which are served as soon as it is free.
        assert finished.activity["accept_queue_max"] == 9
        assert finished.done["J"] == drained_ms + 9
        assert finished.done["K"] == connected_ms + 1
        assert part(finished, "admission", 10) == connected_ms

    def test_holds_one_more_than_the_backlog_says(self) -> None:
        ten = [request("io 10ms") for _ in range(10)]
        finished, _ = serve(queue_of(8), *ten, connections=ONE_EACH)
        assert "syn_retries" not in finished.activity
        assert finished.done == {letter(i): 10 * (i + 1) for i in range(10)}

    def test_is_no_longer_than_somaxconn(self) -> None:
        ten = [request("io 10ms") for _ in range(10)]
        finished, _ = serve(queue_of(8), *ten, connections=ONE_EACH, os={"somaxconn": 3})
        assert finished.activity["accept_queue_max"] == 4
        assert finished.activity["syn_retries"] == 5

    def test_shows_as_a_comb_of_latencies_one_second_apart(self) -> None:
        # A burst of eight, 10 ms each. The server has one and the queue two. At 1000 the other five
        # come again, of which three find room, and two more at 2000.
        eight = [request("io 10ms") for _ in range(8)]
        finished, _ = serve(queue_of(1), *eight, connections=ONE_EACH)
        assert list(finished.done.values()) == [10, 20, 30, 1010, 1020, 1030, 2010, 2020]
        assert finished.activity["syn_retries"] == 5 + 2

    @pytest.mark.parametrize(("kernel", "end_s", "retries"), [({}, 131, 10), (OLD_KERNEL, 127, 6)])
    def test_fails_a_connection_in_the_end(
        self, kernel: dict[str, int], end_s: int, retries: int
    ) -> None:
        finished, _ = serve(
            queue_of(0),
            request("io 300s"),
            request("io 1ms"),
            request("io 1ms"),
            connections=ONE_EACH,
            os=kernel,
        )
        assert finished.journal.ends[0] == (1000.0 * end_s, "C failed")
        assert finished.activity["syn_retries"] == 1 + retries
        assert finished.activity["connections_timed_out"] == 1

    def test_refuses_at_once_if_the_kernel_is_told_to_abort(self) -> None:
        finished, _ = serve(
            queue_of(0),
            *[request("io 10ms") for _ in range(3)],
            connections=ONE_EACH,
            os={"tcp_abort_on_overflow": True},
        )
        assert finished.journal.ends == [(0, "C failed"), (10, "A completed"), (20, "B completed")]
        assert finished.activity["connections_refused"] == 1

    def test_is_first_in_first_out(self) -> None:
        requests = [request("io 10ms", at=t) for t in range(5)]
        _, wire = serve(queue_of(8), *requests, connections=ONE_EACH)
        assert wire.read == [(10 * i, letter(i), i) for i in range(5)]


def test_the_retries_of_a_syn_are_those_of_linux() -> None:
    assert syn_schedule_s(6, 4) == ([1, 2, 3, 4, 5, 7, 11, 19, 35, 67], 131)
    assert syn_schedule_s(6, 0) == ([1, 3, 7, 15, 31, 63], 127)


class TestAnImpatientClient:
    def test_leaves_a_dead_connection_in_the_accept_queue(self) -> None:
        finished, wire = serve(
            queue_of(8),
            request("io 100ms"),
            request("io 10ms", timeout="30ms"),
            request("io 10ms", at=50),
            connections=ONE_EACH,
        )
        assert finished.journal.ends == [
            (30, "B timed_out"),
            (100, "A completed"),
            (110, "C completed"),
        ]
        assert finished.journal.let_go == [(30, "B")]  # the server has never heard of it
        assert wire.accepted == [(0, 0), (100, 1), (100, 2)]
        assert finished.activity["dead_connections_accepted"] == 1

    def test_takes_the_place_of_others_while_it_is_dead(self) -> None:
        # The queue holds one. B's dead connection keeps C out, and C comes back after a second.
        finished, _ = serve(
            queue_of(0),
            request("io 100ms"),
            request("io 10ms", timeout="30ms"),
            request("io 10ms", at=50),
            connections=ONE_EACH,
        )
        assert finished.done == {"A": 100, "C": 1060}

    def test_stops_trying_to_connect(self) -> None:
        finished, _ = serve(
            queue_of(0),
            request("io 5s"),
            request("io 1ms"),
            request("io 1ms", timeout="1500ms"),
            connections=ONE_EACH,
        )
        assert finished.journal.ends[0] == (1500.0, "C timed_out")
        assert finished.activity["syn_retries"] == 2  # at 0 and at 1000

    def test_comes_back_on_another_connection(self) -> None:
        retries = {"max": 1, "backoff": "100ms"}
        finished, wire = serve(
            queue_of(8),
            request("io 50ms"),
            request("io 10ms", timeout="30ms", retries=retries),
            connections=ONE_EACH,
        )
        # Given up at 30, before it was accepted; sent again at 130.
        assert wire.read == [(0, "A", 0), (130, "B", 2)]
        assert finished.done == {"A": 50, "B": 140}

    def test_frees_its_connection_before_the_server_notices(self) -> None:
        # One connection for all clients. A is given up at 20, but its thread is held until 100.
        finished, wire = serve(
            tomcat(2),
            request("io 100ms", timeout="20ms"),
            request("io 10ms", at=10),
            connections={"count": 1},
        )
        assert finished.done == {"B": 30}
        assert wire.read == [(0, "A", 0), (20, "B", 1)]
        assert wire.closed == [(100, 0)]

    def test_leaves_the_line_for_a_connection(self) -> None:
        finished, wire = serve(
            tomcat(2),
            request("io 100ms"),
            request("io 10ms", at=10, timeout="20ms"),
            request("io 10ms", at=20),
            connections={"count": 1},
        )
        assert finished.journal.let_go == [(30, "B")]
        assert wire.read == [(0, "A", 0), (100, "C", 0)]


class TestKeepAlive:
    def test_the_connection_used_last_is_used_next(self) -> None:
        finished, wire = serve(
            tomcat(2),
            request("io 10ms"),
            request("io 3ms", at=1),
            request("io 10ms", at=20),
            request("io 1ms", at=22),
        )
        # B was answered at 4 and A at 10: so C goes on A's connection, and D on what is left.
        assert wire.used == {"A": 0, "B": 1, "C": 0, "D": 1}
        assert finished.activity["connections_opened"] == 2

    def test_without_it_each_request_has_a_connection_of_its_own(self) -> None:
        requests = [request("io 1ms", at=10 * i) for i in range(4)]
        _, wire = serve(tomcat(2), *requests, connections=ONE_EACH)
        assert list(wire.used.values()) == [0, 1, 2, 3]
        assert wire.closed == [(10 * i + 1, i) for i in range(4)]

    def test_a_limited_number_of_connections_is_waited_for_in_line(self) -> None:
        finished, wire = serve(
            tomcat(4),
            request("io 10ms"),
            request("io 5ms", at=2),
            request("io 5ms", at=3),
            connections={"count": 1},
        )
        assert finished.done == {"A": 10, "B": 15, "C": 20}
        assert part(finished, "admission", 1) == 8
        assert part(finished, "admission", 2) == 12
        assert set(wire.used.values()) == {0}

    def test_the_server_closes_what_is_idle_for_too_long(self) -> None:
        finished, wire = serve(
            tomcat(2, listen={"keep_alive": "50ms"}),
            request("io 10ms"),
            request("io 1ms", at=50),
            request("io 1ms", at=200),
        )
        assert wire.used == {"A": 0, "B": 0, "C": 1}
        assert wire.closed[0] == (101.0, 0)
        assert finished.activity["idle_connections_closed"] >= 1

    def test_a_keep_alive_of_nothing_closes_after_each_response(self) -> None:
        requests = [request("io 1ms", at=10 * i) for i in range(3)]
        _, wire = serve(tomcat(2, listen={"keep_alive": "0s"}), *requests)
        assert list(wire.used.values()) == [0, 1, 2]

    def test_each_hundredth_response_closes_the_connection(self) -> None:
        # maxKeepAliveRequests of Tomcat.
        requests = [request("io 1ms", at=10 * i) for i in range(250)]
        _, wire = serve(tomcat(2, listen={"max_requests": 100}), *requests)
        assert [c for _, _, c in wire.read] == [0] * 100 + [1] * 100 + [2] * 50
        assert [c for _, c in wire.closed] == [0, 1]

    def test_an_idle_connection_keeps_others_out(self) -> None:
        # The one place is taken by A's idle connection until the server closes it, 50 after 10.
        finished, wire = serve(
            queue_of(8, keep_alive="50ms"), request("io 10ms"), request("io 1ms", at=5)
        )
        assert finished.done == {"A": 10, "B": 61}
        assert wire.accepted == [(0, 0), (60, 1)]

    def test_a_refused_request_loses_its_connection(self) -> None:
        _, wire = serve(tomcat(1, maxQueueSize=0), request("io 10ms"), request("io 10ms", at=1))
        assert wire.closed == [(1, 1)]


class TestConnectionsOpenedInAdvance:
    def test_come_in_one_burst_before_the_first_request(self) -> None:
        _, wire = serve(
            tomcat(4),
            request("io 10ms", at=5),
            connections={"count": 3, "connect": "start"},
        )
        assert wire.accepted == [(0, 0), (0, 1), (0, 2)]
        assert wire.used == {"A": 2}  # the one that was there last

    def test_may_come_one_after_the_other(self) -> None:
        _, wire = serve(
            tomcat(4),
            request("io 10ms", at=5),
            connections={"count": 3, "connect": "start", "connect_interval": "2ms"},
        )
        assert wire.accepted == [(0, 0), (2, 1), (4, 2)]

    def test_a_request_before_all_are_open_waits_for_its_turn(self) -> None:
        # B comes while A has the only connection there is so far.
        finished, wire = serve(
            tomcat(4),
            request("io 10ms", at=1),
            request("io 10ms", at=2),
            connections={"count": 2, "connect": "start", "connect_interval": "5ms"},
        )
        assert wire.accepted == [(0, 0), (5, 1)]
        assert wire.used == {"A": 0, "B": 1}
        assert finished.done == {"A": 11, "B": 15}

    def test_may_find_the_queue_full(self) -> None:
        # One place and a queue of one: the third connection gets in after a second. A is sent on
        # the second one, and so has to wait until B on the first one is done.
        finished, wire = serve(
            queue_of(0, max_requests=1),
            request("io 10ms", at=5),
            request("io 10ms", at=6),
            request("io 10ms", at=1500),
            connections={"count": 3, "connect": "start"},
        )
        assert wire.accepted == [(0, 0), (16, 1), (1000, 2)]
        assert wire.used == {"A": 1, "B": 0, "C": 2}
        assert finished.done == {"A": 26, "B": 16, "C": 1510}
        assert finished.activity["syn_retries"] == 1


class TestUsers:
    @staticmethod
    def closed(users: int, scheduler: Spec, duration: str, think: Any, **connections: Any) -> Any:
        return scenario_of(
            [{"name": "a", "steps": [{"io": "100ms"}]}],
            scheduler,
            arrivals={"kind": "closed", "users": users, "think": think},
            connections=connections,
            duration=duration,
            drain="0s",
        )

    @staticmethod
    def watched(scenario: Any) -> tuple[RunRecord, Wire]:
        wire = Wire()
        watch = [*all_checkers(), wire]
        return simulate(scenario, spec_of(scenario), draw(scenario, 0), observers=watch), wire

    def test_keep_one_connection_each(self) -> None:
        record, wire = self.watched(self.closed(3, VIRTUAL, "2s", exponential("50ms")))
        assert len(record) > 30
        assert record.activity["connections_opened"] == 3
        users: dict[int, set[int]] = {}
        for i, (_, _, connection) in enumerate(wire.read):
            users.setdefault(connection, set()).add(i)
        assert len(users) == 3

    def test_may_connect_before_they_think(self) -> None:
        record, wire = self.watched(self.closed(3, VIRTUAL, "1s", "300ms", connect="start"))
        assert wire.accepted == [(0, 0), (0, 1), (0, 2)]
        assert record.arrival_s[0] == pytest.approx(0.3)

    def test_send_when_their_connection_has_its_turn(self) -> None:
        _, wire = self.watched(
            self.closed(3, VIRTUAL, "50ms", "0s", connect="start", connect_interval="7ms")
        )
        assert wire.accepted == [(0, 0), (7, 1), (14, 2)]
        assert [(at_ms, connection) for at_ms, _, connection in wire.read] == wire.accepted

    def test_o3_plateau_of_a_connection_limit(self) -> None:
        """Oracle O3, a hundredth of it: 8192 connections / (2.0 s of thinking + 0.1 s) = 3.9k/s.

        82 users hold all connections; the server never closes one, so the others never get in.
        """
        server = {**VIRTUAL, "listen": {"backlog": 100, "max_connections": 82}}
        record, wire = self.watched(self.closed(200, server, "64s", "2s"))
        assert record.activity["connections_opened"] == 82
        assert len(set(wire.used.values())) == 82
        done = np.count_nonzero(record.outcome == 1)
        assert done == 82 * 30  # thirty rounds of 2.1 s
        assert record.activity["syn_retries"] > 17  # 82 + 101 of 200 are in the server or its queue


KINDS: dict[str, Spec] = {
    "tomcat": tomcat(4),
    "asyncio": LOOP,
    "go": GO,
    "virtual-threads": VIRTUAL,
}
every_kind = pytest.mark.parametrize("scheduler", KINDS.values(), ids=KINDS)


@every_kind
class TestEveryScheduler:
    MIX = (
        {
            "name": "a",
            "steps": [
                {"cpu": exponential("1ms")},
                {"use": "db", "steps": [{"io": exponential("4ms")}]},
                {"cpu": exponential("1ms")},
            ],
        },
    )

    def scenario(self, scheduler: Spec, **more: Any) -> Any:
        return scenario_of(
            self.MIX,
            scheduler,
            cores=2,
            arrivals={"kind": "poisson", "rate": "400/s"},
            resources={"db": 3},
            drain="100s",
            **more,
        )

    def test_has_the_same_results_with_connections_that_limit_nothing(
        self, scheduler: Spec
    ) -> None:
        without = self.scenario(scheduler)
        plain = simulate(without, spec_of(without), draw(without, 0))
        variants: list[dict[str, Any]] = [{"count": 200, "connect": "start"}]
        if scheduler["kind"] != "event_loop":  # which takes its time for accepting
            variants += [{}, ONE_EACH]
        for connections in variants:
            scenario = self.scenario(scheduler, connections=connections)
            record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
            assert record.finish_s.tolist() == plain.finish_s.tolist()
            assert record.parts_s == pytest.approx(plain.parts_s, abs=1e-12)

    def test_runs_in_several_processes(self, scheduler: Spec) -> None:
        """They share cores and permits, and a permit passes from one to another."""
        scenario = self.scenario({**scheduler, "processes": 3}, connections={})
        wire = Wire()
        record = simulate(
            scenario, spec_of(scenario), draw(scenario, 0), observers=[*all_checkers(), wire]
        )
        assert set(record.outcome.tolist()) == {1}
        assert set(wire.process.values()) == {0, 1, 2}

    def test_a_cancelled_request_is_cancelled_in_its_process(self, scheduler: Spec) -> None:
        finished, wire = serve(
            {**scheduler, "processes": 2},
            request("io 10ms"),
            request("io 50ms", timeout="20ms"),
            request("io 50ms", timeout="20ms"),
            connections=ONE_EACH,
            cores=2,
        )
        if scheduler["kind"] != "event_loop":  # where whoever wakes first may take all of them
            assert wire.process["A"] != wire.process["B"]
        assert finished.journal.ends[1:] == [(20, "B timed_out"), (20, "C timed_out")]
        assert {name for _, name in finished.journal.let_go} == {"B", "C"}


class TestProcesses:
    def test_a_connection_stays_with_its_process_however_busy_that_is(self) -> None:
        # Three connections: 0 and 2 of process 0, 1 of process 1. A computes in process 0; C comes
        # there too, and waits although the carrier of process 1 has nothing to do.
        finished, wire = serve(
            {**VIRTUAL, "parallelism": 1, "processes": 2},
            request("cpu 30ms", at=1),
            request("io 40ms", at=2),
            request("cpu 1ms", at=4),
            connections={"count": 3, "connect": "start"},
            cores=2,
        )
        assert wire.used == {"A": 2, "B": 1, "C": 0}
        assert [wire.process[name] for name in "ABC"] == [0, 1, 0]
        assert finished.done == {"A": 31, "B": 42, "C": 32}

    def test_without_a_table_of_connections_each_request_has_a_new_one(self) -> None:
        wire = Wire()
        run(
            {**tomcat(1), "processes": 2},
            *[request("io 1ms", at=t) for t in range(6)],
            watch=[wire],
        )
        assert list(wire.used.values()) == [0, 1, 2, 3, 4, 5]
        assert list(wire.process.values()) == [0, 1, 0, 1, 0, 1]

    def test_add_up_in_memory_and_workers(self) -> None:
        memory = {"base": "10MB", "thread": "1MB", "task": "0B", "connection": "1kB"}
        record = serve(tomcat(2, processes=3, memory=memory), request("io 10ms"), connections={})[
            0
        ].record
        assert record.peak["base"] == 30e6
        assert record.peak["stacks"] == 6e6
        assert record.worker_limit == 6
        assert record.workers_max == 6

    def test_limit_connections_one_by_one(self) -> None:
        # Two processes with one connection each: the third waits.
        three = [request("io 10ms") for _ in range(3)]
        finished, _ = serve({**queue_of(8), "processes": 2}, *three, connections=ONE_EACH, cores=2)
        assert finished.done == {"A": 10, "B": 10, "C": 20}


class TestMemory:
    MEMORY = {"base": "0B", "thread": "0B", "task": "100B", "connection": "1kB"}  # noqa: RUF012

    def test_an_idle_connection_costs_as_much_as_a_busy_one(self) -> None:
        finished, _ = serve(
            tomcat(2, memory=self.MEMORY),
            request("io 10ms"),
            request("io 10ms"),
            request("io 10ms", at=50),
        )
        peak = finished.record.peak
        assert (peak["connections"], peak["tasks"]) == (2000, 200)
        series = finished.record.series["memory_bytes"]
        assert series[len(series) // 2] == pytest.approx(2000)  # at 25: both idle

    def test_what_waits_in_the_accept_queue_costs_the_server_nothing(self) -> None:
        server = queue_of(8)
        five = [request("io 10ms", memory="1MB") for _ in range(5)]
        finished, _ = serve({**server, "memory": self.MEMORY}, *five, connections=ONE_EACH)
        assert finished.record.peak["memory_bytes"] == 1e6 + 1000 + 100


def test_a_run_without_connections_has_no_network() -> None:
    scenario = scenario_of([{"name": "a", "steps": [{"cpu": "1ms"}]}], LOOP)
    simulation = Simulation(scenario, spec_of(scenario), draw(scenario, 0))
    assert simulation.network is None
