"""Numbers as text: the unit fits, and the digits do not promise more than the interval."""

from __future__ import annotations

import pytest

from simsched.report.result_scheduler import Estimate
from simsched.report.units import (
    ScaleChoice,
    bytes_scale,
    count_scale,
    duration_scale,
    format_by_core,
    format_bytes,
    format_count,
    format_duration,
    format_estimate,
    format_percent,
    format_rate,
    key_scale,
    metric_scale,
    percent_scale,
    rate_scale,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.345, "12.3 s"),
        (1.0, "1.00 s"),
        (0.0123, "12.3 ms"),
        (850e-6, "850 us"),
        (3.2e-8, "32.0 ns"),
        (0.9999, "1.00 s"),  # never "1000 ms"
        (9.996e-3, "10.0 ms"),
        (0.0, "0 s"),
        (-0.002, "-2.00 ms"),
        (None, "-"),
        (float("nan"), "-"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (640, "640 B"),
        (65536, "64.0 KiB"),
        (1.5 * 2**30, "1.50 GiB"),
        (1023.9, "1.00 KiB"),
        (None, "-"),
    ],
)
def test_bytes(size: float | None, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (985.3, "985/s"),
        (1200, "1,200/s"),
        (12_345, "12.3k/s"),
        (1.2e6, "1.20M/s"),
        (0.5, "0.500/s"),
    ],
)
def test_rates(rate: float, text: str) -> None:
    assert format_rate(rate) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (99_999, "99,999"), (495_000, "495k"), (1.5, "1.50"), (2e6, "2.00M")],
)
def test_counts(count: float, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.812, "81.2%"), (0.00012, "0.0120%"), (0, "0%")])
def test_percent(fraction: float, text: str) -> None:
    assert format_percent(fraction) == text


@pytest.mark.parametrize(
    ("value", "half", "scale", "text"),
    [
        (0.0421, 0.0012, duration_scale, "42.1 ms ±1.2"),
        (0.0421, 0.004, duration_scale, "42 ms ±4"),
        (0.0421, 0.00004, duration_scale, "42.10 ms ±0.04"),
        (0.412345, 3e-7, duration_scale, "412.3 ms ±<0.1"),
        (0.0123, 0.045, duration_scale, "12 ms ±45"),
        (0.0123, 0.0, duration_scale, "12.3 ms ±0"),
        (0.0, 0.001, duration_scale, "0.0 ms ±1.0"),
        (0.812, 0.004, percent_scale, "81.2% ±0.4"),
        (900.0, 3.0, rate_scale, "900/s ±3"),
        (183 * 2**20, 7 * 2**20, bytes_scale, "183 MiB ±7"),
        (1234.0, 20.0, count_scale, "1,234 ±20"),
    ],
)
def test_the_half_width_decides_how_many_digits_are_shown(
    value: float, half: float, scale: ScaleChoice, text: str
) -> None:
    estimate = Estimate(value=value, ci95=[value - half, value + half])
    assert format_estimate(estimate, scale) == text


def test_of_an_interval_cut_at_zero_the_longer_side_is_shown() -> None:
    assert format_estimate(Estimate(value=0.0, ci95=[0.0, 8e-5]), percent_scale) == "0.000% ±0.008"
    assert format_estimate(Estimate(value=0.01, ci95=[0.0, 0.03]), duration_scale) == "10 ms ±20"


def test_an_estimate_without_an_interval_has_three_digits() -> None:
    assert format_estimate(Estimate(value=0.0123456, ci95=None), duration_scale) == "12.3 ms"


def test_an_estimate_without_a_value_is_a_dash() -> None:
    estimate = Estimate(value=None, ci95=None, reason="too few samples")
    assert format_estimate(estimate, duration_scale) == "-"


def test_the_plus_minus_sign_can_be_ascii() -> None:
    estimate = Estimate(value=0.0421, ci95=[0.0409, 0.0433])
    assert format_estimate(estimate, duration_scale, pm="+-") == "42.1 ms +-1.2"


@pytest.mark.parametrize(
    ("metric", "scale"),
    [
        ("latency.p99", duration_scale),
        ("throughput", rate_scale),
        ("error_rate", percent_scale),
        ("utilization.cpu", percent_scale),
        ("memory.peak", bytes_scale),
    ],
)
def test_an_objective_is_shown_in_the_unit_of_its_metric(metric: str, scale: ScaleChoice) -> None:
    assert metric_scale(metric) is scale


@pytest.mark.parametrize(
    ("key", "scale"),
    [
        ("pinned_s", duration_scale),
        ("stack_bytes", bytes_scale),
        ("goodput_rps", rate_scale),
        ("steals", count_scale),
    ],
)
def test_a_counter_is_shown_in_the_unit_of_its_suffix(key: str, scale: ScaleChoice) -> None:
    assert key_scale(key) is scale


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ([1.5], "1.50 s"),
        ([0.5, 0.0], "500 ms + 0 s"),
        ([0.5] * 5, "2.50 s of 5 cores"),
        ([], "-"),
        (None, "-"),
    ],
)
def test_times_of_a_few_cores_are_told_one_by_one(seconds: list[float] | None, text: str) -> None:
    assert format_by_core(seconds) == text
