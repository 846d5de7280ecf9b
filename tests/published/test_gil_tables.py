"""Echo beside busy Python threads: where the model has to agree with what was measured."""

from __future__ import annotations

import pytest

from .gil_tables import AT_ONCE, MEASURED, Guest

WITHIN = 0.15


@pytest.mark.parametrize("interval", [5, 1])
def test_without_busy_threads_the_lock_costs_nothing(interval: int) -> None:
    echo = Guest(0, interval / 1e3, 1e-3).echo(5.0)
    rate, p50_ms, _ = MEASURED[interval, 0]
    assert echo.rate == pytest.approx(rate, rel=WITHIN)
    assert echo.p50_s * 1e3 == pytest.approx(p50_ms, rel=WITHIN)


@pytest.mark.parametrize("interval", [5, 1])
def test_beside_one_busy_thread_the_median_is_one_interval_longer(interval: int) -> None:
    echo = Guest(1, interval / 1e3, 1e-3).echo(5.0)
    assert echo.p50_s * 1e3 == pytest.approx(MEASURED[interval, 1][1], rel=WITHIN)


@pytest.mark.parametrize("interval", [5, 1])
def test_more_busy_threads_lengthen_the_tail(interval: int) -> None:
    one, three = (Guest(busy, interval / 1e3, 1e-3).echo(10.0) for busy in (1, 3))
    assert three.rate < one.rate
    assert three.p99_s > 3 * one.p99_s


def test_calls_that_do_not_block_lose_the_lock_seldom_and_then_for_an_interval() -> None:
    echo = Guest(1, 5e-3, None).echo(20.0)
    _, p50_ms, p99_ms = AT_ONCE[1]
    assert echo.p50_s * 1e3 == pytest.approx(p50_ms, rel=WITHIN)
    assert echo.p99_s * 1e3 == pytest.approx(p99_ms, rel=WITHIN)
