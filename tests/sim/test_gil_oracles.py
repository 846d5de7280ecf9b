"""What was measured of the interpreter lock: echoes beside busy threads, and speed by threads."""

from __future__ import annotations

from typing import Any

import pytest
from kit import request, run
from published.gil_tables import Guest
from published.rows import WITHIN


def speed(k: int, **knobs: Any) -> float:
    """Seconds of computing done in a second on 4 cores, by as many Python threads as said.

    Each has 120 ms to compute, in time slices of 1 ms, so that they are all done together.
    """
    python = {"kind": "thread_pool", "policy": "python", "max_workers": k, **knobs}
    free = {"thread_create": "0s", "dispatch": "0s"}
    requests = [request("cpu 120ms") for _ in range(k)]
    finished = run({**python, **free}, *requests, cores=4, os={"time_slice": "1ms"})
    return k * 120 / max(finished.done.values())


class TestOracles:
    @pytest.mark.parametrize(("interval", "measured"), [(5, 6.83), (1, 2.27)])
    def test_o12_an_echo_of_1_ms_takes_an_interval_more_beside_a_busy_thread(
        self, interval: int, measured: float
    ) -> None:
        """Measured: 6.83 and 2.27 ms, of which scheduling noise is a part."""
        echo = Guest(1, interval / 1e3, 1e-3).echo(5.0)
        assert echo.p50_s * 1e3 == pytest.approx(measured, rel=WITHIN)
        assert interval + 1 < echo.p50_s * 1e3 < interval + 2

    def test_o12_there_are_110_to_160_echoes_a_second(self) -> None:
        """Measured, one run and another. None is faster than its interval and its answer."""
        rate = Guest(1, 5e-3, 1e-3).echo(5.0).rate
        assert 110 * (1 - WITHIN) < rate < 160 * (1 + WITHIN)
        assert rate < 1 / 6e-3

    @pytest.mark.xfail(
        strict=True,
        reason="485 predicted, 355 measured: one echo in five is 2 to 5 ms late; what that is not, "
        "and what it may be, is told in tests/published/gil_tables.py",
    )
    def test_o12_there_are_355_echoes_a_second_with_an_interval_of_1_ms(self) -> None:
        measured = 355
        assert Guest(1, 1e-3, 1e-3).echo(5.0).rate == pytest.approx(measured, rel=WITHIN)

    @pytest.mark.parametrize("k", [1, 2, 4, 8])
    def test_o13_busy_threads_run_at_the_speed_of_one_core(self, k: int) -> None:
        assert speed(k) == pytest.approx(1)

    @pytest.mark.parametrize("factor", [1.05, 1.4])
    @pytest.mark.parametrize("k", [1, 2, 3, 4, 6, 8])
    def test_o13_without_the_lock_at_that_of_all_cores_less_what_the_code_is_slower(
        self, k: int, factor: float
    ) -> None:
        assert speed(k, gil=False, cpu_factor=factor) == pytest.approx(min(k, 4) / factor)
