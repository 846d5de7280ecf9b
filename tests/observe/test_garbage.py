"""What a garbage collector leaves unused: room beside live bytes, and the room of new objects."""

from __future__ import annotations

from typing import Any

import pytest
from kit import Request, parallel, request, run, tomcat

from simsched.observe.record import RunRecord

NOTHING: dict[str, Any] = {
    "base": "0B",
    "thread": "0B",
    "task": "0B",
    "connection": "0B",
    "gc_factor": 1.0,
    "young": "0B",
    "young_task": "0B",
}


def serve(*requests: Request, **memory: Any) -> RunRecord:
    """On two threads, with no other prices than these."""
    return run(tomcat(2, memory={**NOTHING, **memory}), *requests, cores=2).record


LATE = request("io 1ms", at=1000)


def between(record: RunRecord) -> float:
    """Memory at 500 ms: all is done, and the last request is still to come."""
    series = record.series["memory_bytes"]
    return round(float(series[len(series) // 2]), 3)  # a mean over a bin


class TestTheFactor:
    def test_is_of_what_requests_hold(self) -> None:
        two = [request("io 10ms", memory="1MB") for _ in range(2)]
        record = serve(*two, gc_factor=2.5)
        assert (record.peak["requests"], record.peak["garbage"]) == (2e6, 3e6)
        assert record.peak["memory_bytes"] == 5e6

    def test_is_not_of_tasks_threads_and_connections_whose_prices_were_measured(self) -> None:
        record = serve(request("io 10ms"), gc_factor=9.0, thread="1MB", task="1MB")
        assert record.peak["garbage"] == 0.0
        assert record.peak["memory_bytes"] == 3e6

    def test_room_is_given_back_with_what_it_was_for(self) -> None:
        assert between(serve(request("io 10ms", memory="1MB"), LATE, gc_factor=2.0)) == 0.0

    def test_of_an_odd_size_is_whole_bytes(self) -> None:
        record = serve(request("io 10ms", memory="333B"), gc_factor=1.1)
        assert record.peak["garbage"] == 33.0


class TestTheRoomOfNewObjects:
    THREE = tuple(request("io 1ms", at=at) for at in (0, 10, 20))

    def test_grows_with_each_task_and_stays(self) -> None:
        record = serve(*self.THREE, LATE, young="1MB", young_task="1kB")
        assert between(record) == 3000.0
        assert record.peak["garbage"] == 4000.0

    def test_grows_with_what_a_request_holds(self) -> None:
        record = serve(request("io 1ms", memory="4kB"), LATE, young="1MB", young_task="1kB")
        assert record.peak["memory_bytes"] == 4000.0 + 5000.0
        assert between(record) == 5000.0

    def test_is_full_at_last(self) -> None:
        assert between(serve(*self.THREE, LATE, young="2500B", young_task="1kB")) == 2500.0

    def test_is_one_per_process(self) -> None:
        prices = {**NOTHING, "young": "1250B", "young_task": "1kB"}
        record = run(tomcat(2, memory=prices, processes=2), *self.THREE, cores=2).record
        assert record.peak["garbage"] == 2500.0

    def test_a_branch_is_a_task(self) -> None:
        go = {"kind": "goroutine", "memory": {**NOTHING, "young": "1MB", "young_task": "1kB"}}
        record = run(go, request([parallel("io 1ms", "io 2ms")])).record
        assert record.peak["garbage"] == 3000.0

    @pytest.mark.parametrize(
        ("more", "attempts"), [({}, 1), ({"retries": {"max": 1, "backoff": "1ms"}}, 2)]
    )
    def test_an_attempt_that_is_given_up_is_one_task_however_long_it_goes_on(
        self, more: dict[str, Any], attempts: int
    ) -> None:
        given_up = request("blocking 50ms", timeout="10ms", **more)
        record = serve(given_up, LATE, young="1MB", young_task="1kB")
        assert between(record) == attempts * 1000.0
