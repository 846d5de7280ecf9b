"""Go behind a listening socket: an accepting goroutine, and one per connection. By hand, in ms."""

from __future__ import annotations

from typing import Any

from kit import GO, request, run

ONE_P = GO | {"GOMAXPROCS": 1, "ingress": "accept", "accept": "0s"}
NEW: dict[str, Any] = {"keep_alive": False}
KEPT: dict[str, Any] = {"keep_alive": True}


def test_all_that_wait_are_accepted_before_one_is_served_and_the_last_is_served_first() -> None:
    # B, C and D connect while A computes. When A ends the accepting goroutine gets the P: of the
    # three it starts, D's is in runnext, B's and C's in the ring.
    arrivals = [request("cpu 5ms")] + [request("cpu 1ms", at=at) for at in (1, 2, 3)]
    assert run(ONE_P, *arrivals, connections=NEW).done == {"A": 5, "D": 6, "B": 7, "C": 8}


def test_accepting_takes_its_time_and_so_does_finding_that_nobody_waits() -> None:
    # From 0 to 1: A is accepted. From 1 to 2: accept says EAGAIN. Then A's goroutine runs.
    assert run(ONE_P | {"accept": "1ms"}, request("cpu 1ms"), connections=NEW).done == {"A": 3}


def test_the_goroutine_of_a_connection_is_started_once_and_each_request_starts_another() -> None:
    # A: its connection's goroutine (1), that of startBackgroundRead (1), and 1 of its own.
    spec = ONE_P | {"create": "1ms"}
    one_each = [request("cpu 1ms"), request("cpu 1ms", at=10)]
    assert run(spec, *one_each, connections=NEW).done == {"A": 3, "B": 13}
    assert run(spec, *one_each, connections=KEPT).done == {"A": 3, "B": 12}


def test_requests_of_a_connection_come_one_after_the_other() -> None:
    # Two Ps, but all three requests are on one connection.
    spec = ONE_P | {"GOMAXPROCS": 2}
    arrivals = [request("cpu 1ms, io 5ms, cpu 1ms") for _ in range(3)]
    finished = run(spec, *arrivals, cores=2, connections={"count": 1})
    assert finished.done == {"A": 7, "B": 14, "C": 21}


def test_a_kept_connection_needs_no_accept() -> None:
    spec = ONE_P | {"accept": "1ms"}
    finished = run(spec, request("cpu 1ms"), request("cpu 1ms", at=10), connections=KEPT)
    assert finished.done == {"A": 3, "B": 11}


def test_a_connection_opened_in_advance_waits_for_its_request_in_its_goroutine() -> None:
    spec = ONE_P | {"accept": "1ms", "create": "1ms"}
    wires = {"count": 1, "connect": "start"}
    # Accepted and read in vain until 3; at 5 the request starts a goroutine and takes 1.
    assert run(spec, request("cpu 1ms", at=5), connections=wires).done == {"A": 7}


def test_a_request_that_comes_before_the_first_read_is_found_by_it() -> None:
    # The connection is accepted from 0 to 2. Its goroutine then finds the request of 1.5.
    spec = ONE_P | {"accept": "1ms", "create": "1ms"}
    wires = {"count": 1, "connect": "start"}
    assert run(spec, request("cpu 1ms", at=1.5), connections=wires).done == {"A": 5}


def test_where_connections_are_not_modelled_each_request_is_on_one_that_is_open() -> None:
    arrivals = [request("cpu 5ms")] + [request("cpu 1ms", at=at) for at in (1, 2, 3)]
    direct = run(ONE_P | {"ingress": "direct"}, *arrivals)
    assert run(ONE_P, *arrivals).done == direct.done == {"A": 5, "D": 6, "C": 7, "B": 8}


def test_one_that_may_have_no_more_connections_leaves_the_others_in_the_accept_queue() -> None:
    spec = ONE_P | {"listen": {"max_connections": 1}}
    arrivals = [request("io 5ms"), request("cpu 1ms", at=1)]
    assert run(spec, *arrivals, connections=NEW).done == {"A": 5, "B": 6}


def test_a_process_that_dies_resets_its_connections_and_those_that_wait_for_it() -> None:
    spec = ONE_P | {"GOMAXPROCS": 2, "maxThreads": 1}
    arrivals = [request("cpu 5ms"), request("cpu 5ms", at=1), request("cpu 1ms", at=20)]
    finished = run(spec, *arrivals, cores=2, connections=NEW)
    assert set(finished.outcomes.values()) == {"failed"}


def test_a_process_dies_of_its_threads_where_connections_are_not_modelled_too() -> None:
    spec = ONE_P | {"GOMAXPROCS": 2, "maxThreads": 1}
    finished = run(spec, request("cpu 5ms"), request("cpu 5ms", at=1), cores=2)
    assert set(finished.outcomes.values()) == {"failed"}
