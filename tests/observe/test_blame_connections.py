"""Waits for a connection: at the client, for a place in the accept queue, or to be accepted."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, Spec, request, run, tomcat

from simsched.observe.record import PARTS

from .blames import blame_of, blamed, step


def fresh(**more: Any) -> dict[str, Any]:
    """Each request comes on a connection of its own."""
    return {"connections": {"keep_alive": False}, **more}


def accepts(scheduler: Spec, most: int, **listen: Any) -> Spec:
    return {**scheduler, "listen": {"max_connections": most, **listen}}


def test_who_waits_at_the_client_waits_for_those_on_the_connections() -> None:
    """One connection, on which A is from 0 to 50 ms. B comes at 10: the loop has nothing to do."""
    found = blamed(
        LOOP, request([step("50ms", "query", "io")]), request("cpu 1ms", at=10),
        connections={"count": 1},
    )  # fmt: skip
    assert found == {("connections", "B", "A query"): 40.0}


def test_who_may_not_be_accepted_waits_for_those_who_were() -> None:
    """Two threads, two connections: A's until 50 ms, B's until 31. C comes at 11 ms."""
    found = blamed(
        accepts(tomcat(3), 2),
        request("io 50ms"), request("io 30ms", at=1), request("cpu 1ms", at=11),
        **fresh(cores=2),
    )  # fmt: skip
    assert found == {("connections", "C", "A io"): 10.0, ("connections", "C", "B io"): 10.0}


def test_a_connection_is_held_by_who_waits_for_a_thread_as_well() -> None:
    """One thread, two connections: A is served until 40 ms and B waits. C comes at 10 ms.

    It is accepted at 40 ms, and then waits for the thread, which B has until 50 ms.
    """
    found = blamed(
        accepts(tomcat(1), 2),
        request("io 40ms"), request("io 10ms"), request("cpu 1ms", at=10),
        **fresh(),
    )  # fmt: skip
    assert found == {
        ("threads", "B", "A io"): 40.0,
        ("connections", "C", "A io"): 15.0,
        ("connections", "C", "B waiting to run"): 15.0,
        ("threads", "C", "B io"): 10.0,
    }


def test_a_connection_that_is_kept_alive_for_nobody_is_nobodys() -> None:
    """One connection at a time. A's, done at 20 ms, is kept open for 30 ms more. B has its own."""
    found = blamed(
        accepts(tomcat(2), 1, keep_alive="30ms"),
        request("io 20ms"), request("cpu 1ms", at=10),
        connections={"keep_alive": True}, cores=2,
    )  # fmt: skip
    assert found == {("connections", "B", "A io"): 10.0, ("connections", "B", "nobody"): 30.0}


def test_a_loop_that_does_not_come_to_accept_is_what_is_waited_for() -> None:
    """No limit: A freezes the loop until 50 ms, and B, from 10 ms on, waits for the loop."""
    found = blamed(LOOP, request("blocking 50ms"), request("cpu 1ms", at=10), **fresh())
    assert found == {("loop", "B", "A blocking"): 40.0}


def test_a_dropped_syn_waits_for_a_connection_most_of_the_time_because_of_nobody() -> None:
    """The accept queue has one place, B's. C's SYN of 20 ms is dropped, and repeated after 1 s.

    Until 50 ms A has the loop and a connection, then B for 1 ms.
    """
    found = blamed(
        {**LOOP, "listen": {"backlog": 0}},
        request("blocking 50ms"), request("cpu 1ms", at=10), request("cpu 1ms", at=20),
        **fresh(),
    )  # fmt: skip
    assert found == {
        ("loop", "B", "A blocking"): 40.0,
        ("connections", "C", "A blocking"): 30.0,
        ("connections", "C", "B cpu"): 1.0,
        ("connections", "C", "nobody"): 969.0,
    }


def test_a_back_off_is_no_wait_for_a_connection() -> None:
    """A has the connection until 50 ms. B gives up at 20, tries again at 30, and waits until 50."""
    retries = {"max": 1, "backoff": "10ms"}
    record = run(
        accepts(tomcat(2), 1),
        request("io 50ms"), request("cpu 1ms", at=10, timeout="10ms", retries=retries),
        **fresh(cores=2),
    ).record  # fmt: skip
    found = blame_of(record)
    # The second attempt gives up at 40 ms.
    assert found == {("connections", "B", "A io"): 20.0}
    assert record.parts_s[1, PARTS.index("admission")] == pytest.approx(30e-3)


@pytest.mark.parametrize("scheduler", [tomcat(2), LOOP], ids=["threads", "loop"])
def test_waits_for_connections_and_for_workers_add_up_to_the_admission(scheduler: Spec) -> None:
    work = [request("cpu 3ms, io 4ms, cpu 1ms", at=float(i)) for i in range(12)]
    for wires in ({"count": 3}, {"keep_alive": False}):
        spec = accepts(scheduler, 3, backlog=20, keep_alive="2ms")
        record = run(spec, *work, connections=wires, cores=2).record
        told = sum(row.seconds for row in record.blame)
        assert any(row.cause == "connections" for row in record.blame)
        assert told == pytest.approx(record.parts_s[:, :2].sum(), rel=1e-9)
