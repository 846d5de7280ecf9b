"""How requests get into Python's runtimes: readers, timers and pullers. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, Spec, hold, request, run, scenario_of

from simsched.observe.checkers import all_checkers
from simsched.scenario import ScenarioError

SLACK = {"timer_slack": "50us"}
READS: Spec = LOOP | {"ingress": "reader"}
POOL: Spec = {
    "kind": "thread_pool",
    "policy": "python",
    "gil": False,
    "max_workers": 2,
    "thread_create": "0s",
    "dispatch": "0s",
}


class TestReaderOfALoop:
    # A holds the lock that B waits for. When A has ended, at 8, B goes on, while D's request (there
    # since 4) and C's answer (since 4.5) are reported by the poll. B ends at 11; E comes at 10.
    REQUESTS = (
        request([hold("lock", "m", "io 1ms, cpu 7ms")]),
        request([hold("lock", "m", "cpu 3ms")]),
        request("io 4.5ms, cpu 1ms"),
        request("cpu 1ms", at=4),
        request("cpu 1ms", at=10),
    )

    def test_its_callback_reads_what_has_come_since_the_poll(self) -> None:
        # The reader's handle runs after B and before C's: it finds D and E.
        finished = run(READS, *self.REQUESTS)
        assert finished.done == {"A": 8, "B": 11, "D": 12, "E": 13, "C": 14}

    def test_with_a_connection_each_the_late_one_is_seen_by_the_next_poll(self) -> None:
        finished = run(LOOP, *self.REQUESTS)
        assert finished.done == {"A": 8, "B": 11, "D": 12, "C": 13, "E": 14}

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def test_a_read_costs_once_and_a_task_for_each(self, loop: str) -> None:
        costly = READS | {"loop": loop, "read": "1ms", "submit": "100us"}
        finished = run(costly, request("cpu 1ms"), request("cpu 1ms"))
        assert finished.done == pytest.approx({"A": 2.2, "B": 3.2})

    def test_one_handle_stands_for_all_that_are_there(self) -> None:
        # Two turns of 100 us; three handles of 10 us: the reader's, and a step of each.
        costly = READS | {"iteration": "100us", "handle": "10us"}
        finished = run(costly, request("cpu 1ms"), request("cpu 1ms"))
        assert finished.done["B"] == pytest.approx(2.23)


class TestTimersOfALoop:
    TIMED: Spec = LOOP | {"ingress": "timer"}

    def test_a_timer_at_the_time_of_the_request_makes_it(self) -> None:
        assert run(self.TIMED, request("cpu 1ms", at=3), os=SLACK).done == {"A": 4.05}

    def test_so_does_one_for_a_request_with_a_deadline(self) -> None:
        patient = request("cpu 1ms", at=3, timeout="1s")
        assert run(self.TIMED, patient, os=SLACK).done == {"A": 4.05}

    def test_one_callback_makes_all_that_are_due(self) -> None:
        # A: slack, the turn of its timer, the turn of its step. B and C are due when A ends: one
        # turn makes them both, and the next one runs them both.
        finished = run(
            self.TIMED | {"iteration": "100us"},
            *[request("cpu 1ms", at=at) for at in (1, 1.5, 2)],
            os=SLACK,
        )
        assert finished.done == pytest.approx({"A": 2.25, "B": 3.45, "C": 4.45})


class TestWaits:
    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def test_a_poll_that_a_timer_ends_is_late_by_the_slack(self, loop: str) -> None:
        finished = run(LOOP | {"loop": loop}, request("sleep 10ms"), os=SLACK)
        assert finished.done == {"A": 10.05}

    def test_one_that_io_ends_is_not(self) -> None:
        assert run(LOOP, request("io 10ms"), os=SLACK).done == {"A": 10}

    def test_a_busy_loop_looks_at_its_timers_itself(self) -> None:
        finished = run(LOOP, request("sleep 10ms"), request("cpu 10.01ms"), os=SLACK)
        assert finished.done["A"] == 10.01

    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking"])
    @pytest.mark.parametrize("scheduler", [LOOP, POOL | {"max_workers": 1}])
    def test_a_wait_of_no_length_does_not_give_way(self, scheduler: Spec, wait: str) -> None:
        finished = run(scheduler, request(f"cpu 1ms, {wait} 0ms, cpu 1ms"), request("cpu 1ms"))
        assert finished.done == {"A": 2, "B": 3}


class TestThreads:
    def test_a_reader_thread_hands_over_one_after_the_other(self) -> None:
        reading = POOL | {"ingress": "reader", "read": "1ms", "submit": "500us"}
        finished = run(reading, request("cpu 1ms"), request("cpu 1ms"), cores=4)
        assert finished.done == {"A": 2.5, "B": 3}

    def test_pullers_sleep_until_the_next_arrival_is_due_and_late_ones_do_not(self) -> None:
        # Both threads sleep until 1, and wake late. C comes while both are busy. D finds a thread
        # that has slept since 3.05.
        finished = run(
            POOL | {"ingress": "puller"},
            *[request("cpu 2ms", at=at) for at in (1, 1, 2, 4)],
            cores=4,
            os=SLACK,
        )
        assert finished.done == {"A": 3.05, "B": 3.05, "C": 5.05, "D": 6.05}


class TestChecks:
    @pytest.mark.parametrize("timeout", [{}, {"timeout": "8ms"}])
    @pytest.mark.parametrize(
        "scheduler",
        [
            *[READS | {"loop": loop, "read": "10us"} for loop in ("asyncio", "uvloop", "libuv")],
            LOOP | {"ingress": "timer"},
            *[POOL | {"gil": True, "ingress": way} for way in ("reader", "puller")],
        ],
    )
    def test_every_checker_agrees(self, scheduler: Spec, timeout: dict[str, str]) -> None:
        waits = ("io 2ms", "sleep 3ms", "blocking 1ms", "sleep 0ms")
        requests = [
            request(f"cpu 1ms, {waits[i % 4]}, cpu 2ms", at=2.3 * i, **timeout) for i in range(40)
        ]
        run(scheduler, *requests, os=SLACK, watch=all_checkers())


class TestRefusals:
    @pytest.mark.parametrize(
        "scheduler",
        [
            LOOP | {"ingress": "puller"},
            LOOP | {"loop": "uvloop", "ingress": "timer"},
            {"kind": "thread_pool", "policy": "tomcat", "ingress": "puller"},
            POOL | {"ingress": "timer"},
            {"kind": "goroutine", "ingress": "puller"},
            {"kind": "virtual_thread", "ingress": "timer"},
        ],
    )
    def test_a_way_that_a_runtime_does_not_have(self, scheduler: dict[str, Any]) -> None:
        with pytest.raises(ScenarioError, match="requests do not get in that way"):
            scenario_of([{"name": "a", "steps": [{"cpu": "1ms"}]}], scheduler)
