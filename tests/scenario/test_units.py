"""Quantities: what may be written, what it means, and that writing it back loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsched.scenario import units
from simsched.scenario.units import UnitError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200us", 0.0002),
        ("200µs", 0.0002),
        ("200μs", 0.0002),
        ("1.5ms", 0.0015),
        ("3ns", 3e-9),
        ("2 s", 2.0),
        ("1.5min", 90.0),
        ("2h", 7200.0),
        ("1e3ms", 1.0),
        ("1_000ms", 1.0),
        (".5s", 0.5),
        ("0s", 0.0),
        ("24000h", 86_400_000.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "ms", "-1ms", "nan s", "inf s", "infs", "1", "1 sec", "5sm", "1ms2", "1.2.3s"),
        *("--1s", "24001h", "1e999s", "1e9999999999s", "0x10s", "٣ms", "1e400s", "9" * 100 + "s"),
        *(True, None),
    ],
)
def test_what_is_not_a_duration(text: object) -> None:
    with pytest.raises(UnitError):
        units.parse_duration(text)


@pytest.mark.parametrize("number", [5, 0, 0.5])
def test_a_bare_number_is_no_duration_and_the_hint_shows_a_unit(number: float) -> None:
    with pytest.raises(UnitError) as caught:
        units.parse_duration(number)
    assert f'write "{number}' in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1B", 1),
        ("64KiB", 65_536),
        ("64kB", 64_000),
        ("1.5MiB", 1_572_864),
        ("46.9MB", 46_900_000),
        ("2GiB", 2_147_483_648),
        ("0B", 0),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["64", "64KB ", "64kib", "-1B", "0.3B", "1e30GiB", 64, 1.5, None])
def test_what_is_not_a_size(text: object) -> None:
    with pytest.raises(UnitError):
        units.parse_size(text)


def test_a_wrong_case_of_a_unit_is_corrected() -> None:
    with pytest.raises(UnitError) as caught:
        units.parse_size("64kib")
    assert caught.value.hint == 'unit "kib": did you mean "KiB"?'


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500/s", 500.0), ("2/ms", 2000.0), ("90/min", 1.5), ("3600/h", 1.0), ("0/s", 0.0)],
)
def test_rates(text: str, rate: float) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["500", "500/x", "-1/s", "2e9/s", "nan/s", 500, "500 per s"])
def test_what_is_not_a_rate(text: object) -> None:
    with pytest.raises(UnitError):
        units.parse_rate(text)


@pytest.mark.parametrize(("text", "share"), [("0.1%", 0.001), ("0%", 0.0), ("100%", 1.0)])
def test_percentages(text: str, share: float) -> None:
    assert units.parse_fraction(text) == share


@pytest.mark.parametrize("text", ["0.1", "101%", "-1%", 0.1, "%"])
def test_what_is_not_a_percentage(text: object) -> None:
    with pytest.raises(UnitError):
        units.parse_fraction(text)


@given(st.floats(min_value=0, max_value=units.MAX_DURATION_S))
def test_a_written_duration_is_read_back_exactly(seconds: float) -> None:
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=units.MAX_RATE_RPS))
def test_a_written_rate_is_read_back_exactly(rate: float) -> None:
    assert units.parse_rate(units.format_rate(rate)) == rate


@given(st.integers(min_value=0, max_value=units.MAX_BYTES))
def test_a_written_size_is_read_back_exactly(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


@given(st.floats(min_value=0, max_value=1))
def test_a_written_percentage_is_read_back_exactly(share: float) -> None:
    assert units.parse_fraction(units.format_fraction(share)) == share


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0002, "200us"), (1.5e-6, "1.5us"), (60.0, "60s"), (0.0, "0s"), (7e-7, "700ns")],
)
def test_durations_are_written_in_a_readable_unit(seconds: float, text: str) -> None:
    assert units.format_duration(seconds) == text
