"""All requests of a trace in order are what it says of each of them."""

from __future__ import annotations

from typing import Any

from kit import LOOP, exponential, scenario_of

from simsched.workload import RequestTrace, draw
from simsched.workload.base import CHUNK

CLASSES: list[dict[str, Any]] = [
    {"name": "a", "weight": 3, "steps": [{"cpu": exponential("1ms")}]},
    {"name": "b", "steps": [{"cpu": "1ms"}, {"io": exponential("2ms")}, {"cpu": "3ms"}]},
]


def drawn(rate: str) -> RequestTrace:
    trace = draw(scenario_of(CLASSES, LOOP, arrivals={"kind": "poisson", "rate": rate}), 0)
    assert isinstance(trace, RequestTrace)
    return trace


def test_requests_come_one_by_one_with_arrival_class_and_demands() -> None:
    trace = drawn("10000/s")
    assert len(trace) > 2 * CHUNK  # more than one block, and a broken one
    assert list(trace.requests()) == [
        (float(trace.arrival_s[i]), trace.class_id_of(i), trace.demand_row(i))
        for i in range(len(trace))
    ]


def test_demands_are_the_callers_own() -> None:
    trace = drawn("100/s")
    for _, _, demands in trace.requests():
        demands.clear()
    assert all(trace.demand_row(i) for i in range(len(trace)))
