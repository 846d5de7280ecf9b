"""How requests get into a Go process, and how late its polls end, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from kit import GO, request, run

ONE_P = GO | {"GOMAXPROCS": 1}


class TestPolls:
    def done(self, steps: str, at: float = 0.0, **spec: Any) -> float:
        return run(GO | spec, request(steps, at=at), cores=1).done["A"]

    def test_a_wait_is_cut_to_whole_milliseconds_and_goes_on_for_at_least_one(self) -> None:
        # 10 of the 10.3 ms, then one more.
        assert self.done("sleep 10.3ms", poll_resolution="1ms") == 11.0

    def test_a_whole_number_of_milliseconds_ends_on_time(self) -> None:
        assert self.done("sleep 10ms", poll_resolution="1ms") == 10.0

    def test_without_a_resolution_it_is_exact(self) -> None:
        assert self.done("sleep 10.3ms") == 10.3

    def test_a_poll_that_times_out_is_late_by_the_slack_of_timers(self) -> None:
        finished = run(GO, request("sleep 2ms"), cores=1, os={"timer_slack": "50us"})
        assert finished.done["A"] == 2.05

    def test_what_comes_from_the_network_is_not(self) -> None:
        finished = run(GO, request("io 2ms"), cores=1, os={"timer_slack": "50us"})
        assert finished.done["A"] == 2.0


class TestReader:
    SPEC = ONE_P | {"ingress": "reader"}

    def test_of_a_batch_the_last_one_runs_first(self) -> None:
        # While X computes, three arrive. The reader says `go` for each: the last is in runnext.
        arrivals = [request("cpu 5ms")] + [request("cpu 1ms", at=at) for at in (1, 2, 3)]
        assert run(self.SPEC, *arrivals, cores=1).done == {"A": 5, "D": 6, "B": 7, "C": 8}

    def test_each_on_a_connection_of_its_own_the_latest_event_runs_first_too(self) -> None:
        arrivals = [request("cpu 5ms")] + [request("cpu 1ms", at=at) for at in (1, 2, 3)]
        assert run(ONE_P, *arrivals, cores=1).done == {"A": 5, "D": 6, "C": 7, "B": 8}

    def test_reading_and_handing_over_take_their_time(self) -> None:
        # Read and hand over until 1.5, then read nothing until 2.5; only then does A run.
        spec = self.SPEC | {"read": "1ms", "submit": "500us"}
        assert run(spec, request("cpu 1ms"), cores=1).done == {"A": 3.5}


class TestTimer:
    SPEC = ONE_P | {"ingress": "timer"}

    def test_a_request_that_is_due_while_its_p_computes_comes_later(self) -> None:
        arrivals = (request("cpu 5ms"), request("cpu 1ms", at=2))
        assert run(self.SPEC, *arrivals, cores=1).done == {"A": 5, "B": 6}

    def test_on_an_idle_process_it_is_as_late_as_the_poll(self) -> None:
        spec = self.SPEC | {"poll_resolution": "1ms"}
        assert run(spec, request("cpu 1ms", at=2.3), cores=1).done == {"A": 4.0}


class TestMonitor:
    def test_waking_it_costs_whoever_leaves_the_idle_state(self) -> None:
        spec = GO | {"sysmon": "100us"}
        assert run(spec, request("cpu 1ms", at=50), cores=1).done["A"] == pytest.approx(51.1)
