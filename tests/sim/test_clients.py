"""Clients: patience, retries, and users who think. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, RUN_TO_END, jdk, request, run, scenario_of, spec_of, tomcat

from simsched.observe.record import PARTS
from simsched.sim.clients import Standstill
from simsched.sim.engine import simulate
from simsched.workload import draw

NO_QUEUE = jdk(1, 1, "synchronous")  # one at a time, everyone else is refused


def test_a_request_that_is_done_in_time_ignores_its_timeout() -> None:
    finished = run(LOOP, request("io 5ms", timeout="6ms"))
    assert finished.journal.ends == [(5, "A completed")]
    assert finished.record.end_s == pytest.approx(0.005)  # nothing is left to wait for


def test_a_client_gives_up_when_its_patience_ends() -> None:
    finished = run(LOOP, request("io 50ms", at=10, timeout="6ms"))
    assert finished.journal.ends == [(16, "A timed_out")]


def test_who_is_done_at_the_last_moment_is_done() -> None:
    # Work that ends comes before timers.
    assert run(LOOP, request("cpu 6ms", timeout="6ms")).journal.ends == [(6, "A completed")]


def test_retries_wait_longer_each_time() -> None:
    finished = run(
        LOOP,
        request("io 50ms", timeout="5ms", retries={"max": 3, "backoff": "10ms", "factor": 2.0}),
    )
    # Attempts at 0, 5 + 10, 20 + 20 and 45 + 40, each given up after 5.
    assert finished.journal.ends == [(90, "A timed_out")]
    assert finished.record.attempts.tolist() == [4]
    assert [t for t, _ in finished.journal.let_go] == [5, 20, 45, 90]


def test_a_rejected_request_is_tried_again() -> None:
    finished = run(
        NO_QUEUE,
        request("io 25ms"),
        request("io 4ms", at=1, retries={"max": 5, "backoff": "10ms", "factor": 1.0}),
        os=RUN_TO_END,
    )
    # Refused at 1, 11 and 21, accepted at 31.
    assert finished.done == {"A": 25, "B": 35}
    assert finished.record.attempts.tolist() == [1, 4]
    latency = finished.record.finish_s[1] - 1e-3
    assert finished.record.parts_s[1].sum() == pytest.approx(latency)


def test_who_has_no_retries_left_is_rejected() -> None:
    finished = run(
        NO_QUEUE,
        request("io 25ms"),
        request("io 4ms", at=1, retries={"max": 1, "backoff": "10ms"}),
        os=RUN_TO_END,
    )
    assert finished.journal.ends == [(11, "B rejected"), (25, "A completed")]


def test_jitter_spreads_the_back_off_around_its_length() -> None:
    retries = {"max": 1, "backoff": "10ms", "jitter": 0.5}
    many = [request("io 50ms", timeout="5ms", retries=retries) for _ in range(40)]
    finished = run(LOOP, *many, cores=1)
    resent = [t - 5 for t, _ in finished.journal.ends]
    backoffs = [t - 5 for t in resent]
    assert 5 <= min(backoffs) < 7
    assert 13 < max(backoffs) <= 15


def test_the_same_work_is_asked_for_again() -> None:
    finished = run(
        tomcat(1),
        request("cpu 8ms, cpu 8ms"),
        request("cpu 3ms", at=1, timeout="10ms", retries={"max": 1, "backoff": "9ms"}),
    )
    # The thread meets the first attempt of B, long given up, at 16 and drops it at once.
    assert finished.done == {"A": 16, "B": 23}
    assert finished.journal.let_go == [(16, "B")]


def test_work_after_the_client_gave_up_is_in_nobodys_latency_but_on_the_core() -> None:
    finished = run(tomcat(2), request("cpu 20ms", timeout="5ms"), request("cpu 1ms", at=10))
    record = finished.record
    assert finished.journal.ends[0] == (5.0, "A timed_out")
    assert record.parts_s[0, PARTS.index("cpu")] == pytest.approx(0.005)
    assert record.totals["late_cpu_s"] == pytest.approx(0.015)
    assert record.totals["busy_core_s"] == pytest.approx(0.021)


def closed(users: int, think: Any, steps: str = "10ms", duration: str = "100ms") -> Any:
    return scenario_of(
        [{"name": "a", "steps": [{"cpu": steps}]}],
        LOOP,
        arrivals={"kind": "closed", "users": users, "think": think},
        duration=duration,
        drain="10s",
    )


def test_a_user_sends_the_next_request_when_the_last_has_ended() -> None:
    scenario = closed(1, "0s", duration="95ms")
    record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
    assert record.arrival_s == pytest.approx([0.01 * i for i in range(10)])
    assert record.finish_s == pytest.approx([0.01 * i for i in range(1, 11)])


def test_users_think_first_and_between_requests() -> None:
    scenario = closed(1, "30ms")
    record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
    assert record.arrival_s == pytest.approx([0.03, 0.07])  # the next would be at 0.11


def test_no_more_requests_are_in_flight_than_there_are_users() -> None:
    scenario = closed(5, "0s")
    record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
    # After the start, five requests take turns on the loop: each waits for the other four.
    latency = record.finish_s - record.arrival_s
    assert latency[:10] == pytest.approx([0.01, 0.02, 0.03, 0.04] + [0.05] * 6)
    assert max(record.series["in_system"]) == pytest.approx(5)


def test_a_request_that_is_not_done_at_the_end_counts_as_unfinished() -> None:
    scenario = scenario_of(
        [{"name": "a", "steps": [{"io": "1s"}]}],
        LOOP,
        arrivals={"kind": "constant", "rate": "100/s"},
        duration="100ms",
        drain="50ms",
    )
    record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
    assert set(record.outcome.tolist()) == {0}
    assert record.end_s == pytest.approx(0.15)
    in_flight_s = record.parts_s.sum(axis=1)
    assert in_flight_s == pytest.approx(record.end_s - record.arrival_s)


def test_users_who_are_refused_at_once_and_ask_at_once_are_told_to_think() -> None:
    scenario = scenario_of(
        [{"name": "a", "steps": [{"cpu": "1ms"}]}],
        NO_QUEUE,
        arrivals={"kind": "closed", "users": 3},
    )
    with pytest.raises(Standstill, match="Give the closed workload a think time"):
        simulate(scenario, spec_of(scenario), draw(scenario, 0))
