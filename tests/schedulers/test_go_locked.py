"""Goroutines locked to an OS thread, and calls into C. By hand, in ms: a wake-up takes 1."""

from __future__ import annotations

from typing import Any

import pytest
from kit import GO, request, run, scenario_of

from simsched.scenario import ScenarioError

ONE_P: dict[str, Any] = GO | {"GOMAXPROCS": 1}
LOCKED = ONE_P | {"LockOSThread": ["A"]}
SLOW_WAKE_UP = {"wakeup_latency": "1ms"}


class TestLocked:
    STEPS = "cpu 1ms, io 5ms, cpu 1ms"

    def test_each_turn_is_a_switch_of_threads_where_others_just_go_on(self) -> None:
        plain = run(ONE_P, request(self.STEPS), cores=2, os=SLOW_WAKE_UP)
        # M1 is woken until 1, runs A until 2, and is woken again at 7.
        assert plain.done == {"A": 9}
        locked = run(LOCKED, request(self.STEPS), cores=2, os=SLOW_WAKE_UP)
        # At 2 the P goes to M2, which is there at 3 and polls. It is woken at 7 and finds A at 8,
        # gives the P to M1 and wakes it, which takes until 9.
        assert locked.done == {"A": 10}
        assert locked.activity["locked_switches"] == 1
        assert locked.activity["threads_created"] == 2

    def test_each_has_a_thread_of_its_own_while_it_waits(self) -> None:
        arrivals = [request("cpu 1ms, io 50ms, cpu 1ms", at=at) for at in range(5)]
        spec = ONE_P | {"LockOSThread": list("ABCDE")}
        assert run(ONE_P, *arrivals).activity["threads_created"] == 1
        assert run(spec, *arrivals).activity["threads_created"] == 6

    def test_one_that_is_preempted_lets_others_on_the_p_and_comes_back_on_its_thread(self) -> None:
        # B's turn comes when A is preempted, 10-20 ms from its start, and the P is handed over.
        finished = run(LOCKED, request("cpu 30ms"), request("cpu 1ms", at=1), cores=2)
        assert 11 <= finished.done["B"] <= 21
        assert finished.done["A"] == 31
        assert finished.activity["locked_switches"] == 1

    def test_other_classes_are_not_locked(self) -> None:
        finished = run(LOCKED, request("cpu 1ms"), request(self.STEPS, at=20))
        assert "locked_switches" not in finished.activity
        assert finished.done == {"A": 1, "B": 27}

    def test_a_thread_whose_goroutine_has_ended_runs_others_again(self) -> None:
        arrivals = [request("cpu 1ms"), request("cpu 1ms", at=5)]
        spec = ONE_P | {"LockOSThread": ["A", "B"]}
        finished = run(spec, *arrivals)
        assert finished.done == {"A": 1, "B": 6}
        assert finished.activity["threads_created"] == 1

    def test_one_whose_client_gives_up_unlocks_as_well(self) -> None:
        finished = run(LOCKED, request("io 50ms, cpu 1ms", timeout="10ms"), request("cpu 1ms", 20))
        assert finished.outcomes == {"A": "timed_out", "B": "completed"}
        assert finished.done["B"] == 21

    def test_one_in_a_system_call_comes_back_to_its_thread(self) -> None:
        # B and C get the P while A is in the call. At 30 it is free again, and A's to take.
        arrivals = [request("blocking file 30ms, cpu 1ms")] + [
            request("cpu 1ms", at=at) for at in (1, 2)
        ]
        finished = run(LOCKED, *arrivals, cores=2)
        assert finished.done["A"] == 31
        assert finished.done["C"] <= 23

    def test_a_class_that_does_not_exist_is_refused(self) -> None:
        classes = [{"name": "render", "steps": [{"cpu": "1ms"}]}]
        with pytest.raises(ScenarioError, match='there is no class "rendr"'):
            scenario_of(classes, GO | {"LockOSThread": ["rendr"]})


class TestCallsIntoC:
    def test_each_costs_something_before_it_begins(self) -> None:
        spec = ONE_P | {"cgo": "1ms"}
        assert run(spec, request("blocking native 5ms, cpu 1ms")).done == {"A": 7}
        assert run(spec, request("blocking file 5ms, cpu 1ms")).done == {"A": 6}

    def test_they_lose_their_p_as_system_calls_do(self) -> None:
        arrivals = [request("blocking native 30ms"), request("cpu 1ms", at=1)]
        finished = run(ONE_P | {"cgo": "0s"}, *arrivals, cores=2)
        assert finished.activity["handoffs"] == 1
        assert finished.done["B"] < 22
