"""Connections that carry more than one request: which one, how long, opened when, and by users.

Times are milliseconds, and the servers are thread pools without costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import VIRTUAL, Spec, exponential, request, scenario_of, spec_of, tomcat

from simsched.observe.checkers import all_checkers
from simsched.observe.record import RunRecord
from simsched.sim.engine import simulate
from simsched.workload import draw

from .wire import ONE_EACH, Wire, part, queue_of, serve


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
