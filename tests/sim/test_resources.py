"""Pools and locks: permits, the queue before them, and the hand-off. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import GO, LOOP, VIRTUAL, Run, hold, request, run, tomcat

EVERY = pytest.mark.parametrize(
    "spec", [tomcat(8), LOOP, GO, VIRTUAL], ids=["pool", "loop", "go", "virtual"]
)


def use(inside: str, at: float = 0.0, **more: Any) -> Any:
    return request([hold("use", "db", inside)], at, **more)


def waits(finished: Run, part: str) -> list[float]:
    from simsched.observe.record import PARTS

    return [round(x * 1e3, 6) for x in finished.record.parts_s[:, PARTS.index(part)]]


@EVERY
def test_a_pool_of_two_serves_two_at_a_time_first_come_first_served(spec: dict[str, Any]) -> None:
    finished = run(
        spec,
        use("io 10ms"),
        use("io 4ms", at=1),
        use("io 10ms", at=2),
        use("io 3ms", at=3),
        resources={"db": 2},
        cores=4,
    )
    # B gives its permit to C at 5; A gives its own to D at 10.
    assert finished.done == {"A": 10, "B": 5, "C": 15, "D": 13}
    assert waits(finished, "resource") == [0, 0, 3, 7]


@EVERY
def test_a_permit_is_handed_to_the_longest_waiting_and_nobody_barges_in(
    spec: dict[str, Any],
) -> None:
    finished = run(
        spec,
        # A wants the permit a second time at once, but B has waited longer.
        request([hold("use", "db", "io 5ms"), hold("use", "db", "io 5ms")]),
        use("io 5ms", at=1),
        resources={"db": 1},
        cores=4,
    )
    assert finished.done == {"A": 15, "B": 10}


@EVERY
def test_a_lock_lets_one_in_at_a_time(spec: dict[str, Any]) -> None:
    inside = [hold("lock", "m", "io 10ms")]
    finished = run(spec, request(inside), request(inside, at=1), request(inside, at=2), cores=4)
    assert finished.done == {"A": 10, "B": 20, "C": 30}
    assert waits(finished, "lock") == [0, 9, 18]


@EVERY
def test_different_locks_do_not_meet(spec: dict[str, Any]) -> None:
    finished = run(
        spec,
        request([hold("lock", "m", "io 10ms")]),
        request([hold("lock", "n", "io 10ms")]),
        cores=4,
    )
    assert finished.done == {"A": 10, "B": 10}


@EVERY
def test_what_is_held_is_given_back_when_the_holder_gives_up(spec: dict[str, Any]) -> None:
    # A is cancelled at 6 while it holds the permit. A coroutine, a goroutine and a virtual thread
    # let go of it then; a thread only when its call returns.
    finished = run(
        spec,
        use("io 20ms", timeout="6ms"),
        use("io 5ms", at=1),
        resources={"db": 1},
        cores=4,
    )
    assert finished.outcomes == {"A": "timed_out", "B": "completed"}
    assert finished.done["B"] == (25 if spec["kind"] == "thread_pool" else 11)


@EVERY
def test_who_gives_up_waiting_leaves_the_queue(spec: dict[str, Any]) -> None:
    finished = run(
        spec,
        use("io 20ms"),
        use("io 5ms", at=1, timeout="6ms"),
        use("io 5ms", at=2),
        resources={"db": 1},
        cores=4,
    )
    assert finished.outcomes["B"] == "timed_out"
    # On a thread pool B's thread waits on: it is granted the permit at 20 and gives it right back.
    assert finished.done == {"A": 20, "C": 25}


@EVERY
def test_use_of_a_resource_is_measured(spec: dict[str, Any]) -> None:
    finished = run(
        spec, use("io 10ms"), use("io 10ms"), request("io 19ms", at=1), resources={"db": 1}, cores=4
    )
    use_of_db = finished.record.waits["db"]
    assert use_of_db["acquisitions"] == 2
    assert use_of_db["wait_s_mean"] == pytest.approx(0.005)
    # One permit for all of the arrival window of 2 ms.
    assert use_of_db["utilization"] == pytest.approx(1.0)
