"""The accept queue of a server, full or not, and clients that do not wait for it.

Servers here are thread pools without costs. With ``max_connections`` of 1 one connection is served
at a time, and the next ones wait in the accept queue: everything else is arithmetic. Times are
milliseconds.
"""

from __future__ import annotations

import pytest
from kit import letter, request, tomcat

from simsched.sim.listener import syn_schedule_s

from .wire import OLD_KERNEL, ONE_EACH, part, queue_of, serve


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
