"""The engine is worth its keep: faster than SimPy by hand, at any load, in bounded memory.

The limits are promises, not measurements; `python -m tests.benchmarks.engine_speed` prints those.
"""

from __future__ import annotations

import pytest

from .engine_speed import beside_simpy, bytes_per_request, overload

pytestmark = pytest.mark.benchmark


def test_an_event_loop_is_half_as_fast_again_as_one_simpy_process_per_request() -> None:
    assert beside_simpy().ratio >= 1.5


def test_a_request_costs_at_most_half_as_much_again_under_overload() -> None:
    assert overload().ratio <= 1.5


@pytest.mark.parametrize("rho", [0.8, 2.0])
def test_a_simulated_request_takes_less_than_a_kilobyte(rho: float) -> None:
    assert bytes_per_request(rho) <= 1024
