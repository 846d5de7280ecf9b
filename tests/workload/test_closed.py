"""The closed workload: drawn chunk by chunk, the same however it is asked for."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import stats

from simsched.workload import MAX_REQUESTS, ClosedTrace, TooManyRequests, draw
from simsched.workload.base import CHUNK

from .scenarios import exponential, request_class, scenario

TAIL = 3.4e-6

GET = request_class("get", {"cpu": exponential("1ms")}, {"io": exponential("20ms")}, weight=3)
PUT = request_class("put", {"cpu": {"dist": "gamma", "mean": "2ms", "cv": 0.5}})
SCAN = request_class("scan", {"cpu": exponential("50ms")}, weight=2)


def closed(
    *classes: dict[str, Any], users: int = 50, think: Any = None, replication: int = 0
) -> ClosedTrace:
    arrivals = {"kind": "closed", "users": users, "think": think or exponential("1s")}
    drawn = draw(scenario(*(classes or (GET, PUT)), arrivals=arrivals), replication)
    assert isinstance(drawn, ClosedTrace)
    return drawn


def request(drawn: ClosedTrace, i: int) -> tuple[int, list[float], float]:
    return drawn.class_id_of(i), drawn.demand_row(i), drawn.think_s(i)


class TestUsers:
    def test_without_thinking_all_users_start_at_once(self) -> None:
        drawn = closed(users=7, think="0s")
        assert drawn.users == 7
        assert drawn.start_s.tolist() == [0.0] * 7
        assert drawn.think_s(3) == 0.0

    def test_the_first_requests_come_after_a_think_time(self) -> None:
        assert closed(users=4, think="3s").start_s.tolist() == [3.0] * 4
        start_s = closed(users=5000).start_s
        assert stats.kstest(start_s, stats.expon().cdf).pvalue > 2 * TAIL

    def test_think_times_are_the_distribution_asked_for(self) -> None:
        drawn = closed()
        think_s = [drawn.think_s(i) for i in range(2 * CHUNK)]
        assert stats.kstest(think_s, stats.expon().cdf).pvalue > 2 * TAIL


class TestRequests:
    AT = (0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 17, 40 * CHUNK)

    def test_a_request_is_the_same_in_whatever_order_requests_are_asked_for(self) -> None:
        first, second = closed(), closed()
        forwards = {i: request(first, i) for i in self.AT}
        backwards = {i: request(second, i) for i in reversed(self.AT)}
        assert forwards == backwards

    def test_a_request_is_the_same_after_its_chunk_was_dropped(self) -> None:
        drawn = closed()
        before = [request(drawn, i) for i in range(20)]
        for chunk in range(1, 20):
            drawn.ensure(chunk * CHUNK)
        assert [request(drawn, i) for i in range(20)] == before

    def test_replications_and_chunks_differ(self) -> None:
        first = closed()
        assert request(first, 5) != request(closed(replication=1), 5)
        for i in range(20):
            now, later = request(first, i), request(first, i + CHUNK)
            assert now[1] != later[1]
            assert now[2] != later[2]
        now_and_later = [[first.class_id_of(i + k) for i in range(100)] for k in (0, CHUNK)]
        assert now_and_later[0] != now_and_later[1]

    def test_the_demand_row_is_the_callers_own_and_has_the_slots_of_its_class(self) -> None:
        drawn = closed()
        for i in range(100):
            row = drawn.demand_row(i)
            assert len(row) == drawn.programs[drawn.class_id_of(i)].slots
            assert {type(x) for x in row} == {float}
            row[0] = -1.0
            assert drawn.demand_row(i)[0] >= 0

    def test_classes_come_by_weight(self) -> None:
        drawn = closed()
        n = 5 * CHUNK
        gets = sum(drawn.class_id_of(i) == 0 for i in range(n))
        assert abs(gets / n - 0.75) < 4.5 * np.sqrt(0.75 * 0.25 / n)

    def test_adding_a_class_changes_no_draw_of_the_others_at_the_same_number(self) -> None:
        two, three = closed(GET, PUT), closed(GET, PUT, SCAN)
        both = [i for i in range(1000) if two.class_id_of(i) == three.class_id_of(i)]
        assert len(both) > 250
        assert all(request(two, i) == request(three, i) for i in both)
        assert two.start_s.tolist() == three.start_s.tolist()

    def test_a_trace_sent_to_another_process_is_the_same(self) -> None:
        drawn = closed()
        copy = pickle.loads(pickle.dumps(drawn))
        assert [request(copy, i) for i in self.AT] == [request(drawn, i) for i in self.AT]


class TestLimits:
    def test_memory_stays_bounded_however_many_requests_are_issued(self) -> None:
        drawn = closed()
        tracemalloc.start()
        try:
            drawn.ensure(0)
            one = tracemalloc.get_traced_memory()[0]
            for chunk in range(40):
                drawn.ensure(chunk * CHUNK)
            many = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert many < 10 * one

    def test_a_run_without_end_is_stopped(self) -> None:
        with pytest.raises(TooManyRequests, match="closed"):
            closed().ensure(MAX_REQUESTS)

    def test_the_offered_load_is_that_of_a_sample_of_requests(self) -> None:
        drawn = closed()
        offered = drawn.offered()
        assert offered["requests"] == CHUNK
        assert offered["duration_s"] is None
        rows = [drawn.demand_row(i) for i in range(CHUNK)]
        assert offered["busy_s"] == pytest.approx(sum(map(sum, rows)))
