"""Quantities as people write them: "200us", "64KiB", "500/s", "0.1%".

Text is read as an exact decimal and scaled before it becomes a float, so "200us" is the float
nearest to 0.0002 and :func:`format_duration` gives back a text that parses to the same float.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

MAX_DURATION_S = 1000 * 86_400.0
"""Longest duration accepted anywhere: 1000 days. Beyond that a unit was mistyped."""

MAX_RATE_RPS = 1e9
"""Highest rate accepted anywhere, in requests per second."""

MAX_BYTES = 1 << 60
"""Largest size accepted anywhere: 1 EiB."""

DURATION_UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),  # micro sign
    "μs": Decimal("1e-6"),  # Greek mu, which many keyboards give instead
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
}

SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

RATE_UNITS = {f"/{unit}": DURATION_UNITS[unit] for unit in ("us", "ms", "s", "min", "h")}

_NUMBER_THEN_UNIT = re.compile(
    r"\s*([+-]?(?:[0-9][0-9_]*)?(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)\s*([^\s0-9]*)\s*"
)


class UnitError(ValueError):
    """A text or number that is not the quantity it should be.

    Attributes:
        expected: what would be accepted, as a noun phrase: a duration like "200ms".
        hint: a suggestion for this very value, or "".
    """

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def _split(text: str, expected: str) -> tuple[Decimal, str]:
    match = _NUMBER_THEN_UNIT.fullmatch(text) if len(text) <= 60 else None
    if match is None:
        raise UnitError(expected)
    try:
        return Decimal(match[1]), match[2]
    except InvalidOperation:  # no digits at all
        raise UnitError(expected) from None


def _bare_number_hint(value: object, unit: str) -> str:
    return f'a bare number has no unit: write "{value}{unit}"'


def _unknown_unit(unit: str, units: dict[str, Decimal] | dict[str, int]) -> str:
    names = ", ".join(name for name in units if name.isascii())
    folded = {name.lower(): name for name in units}
    near = folded.get(unit.lower())
    if near is not None:
        return f'unit "{unit}": did you mean "{near}"?'
    return f'unknown unit "{unit}": use one of {names}' if unit else f"add a unit: {names}"


DURATION_EXPECTED = 'a duration with a unit, like "200us", "5ms" or "1.5s"'
SIZE_EXPECTED = 'a size with a unit, like "64KiB" or "512MB"'
RATE_EXPECTED = 'a rate with a unit, like "500/s"'
FRACTION_EXPECTED = 'a percentage, like "0.1%"'


def parse_duration(value: object) -> float:
    """Seconds in a duration text such as "200us" or "1.5h".

    Raises:
        UnitError: not a text, no or unknown unit, negative, not finite or over 1000 days.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnitError(DURATION_EXPECTED, _bare_number_hint(value, "s" if value == 0 else "ms"))
    if not isinstance(value, str):
        raise UnitError(DURATION_EXPECTED)
    number, unit = _split(value, DURATION_EXPECTED)
    if unit not in DURATION_UNITS:
        raise UnitError(DURATION_EXPECTED, _unknown_unit(unit, DURATION_UNITS))
    seconds = float(number * DURATION_UNITS[unit])
    check_duration(seconds)
    return seconds


def check_duration(seconds: float) -> None:
    """Refuse seconds that are negative, not finite or beyond 1000 days, with a UnitError."""
    if not math.isfinite(seconds):
        raise UnitError("a finite duration")
    if seconds < 0:
        raise UnitError("a duration that is not negative")
    if seconds > MAX_DURATION_S:
        raise UnitError("a duration of at most 1000 days")


def parse_size(value: object) -> int:
    """Bytes in a size text such as "64KiB" or "1.5GB" (kB = 1000 bytes, KiB = 1024).

    Raises:
        UnitError: not a text, no or unknown unit, negative, over 1 EiB or a fraction of a byte.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnitError(SIZE_EXPECTED, _bare_number_hint(value, "B"))
    if not isinstance(value, str):
        raise UnitError(SIZE_EXPECTED)
    number, unit = _split(value, SIZE_EXPECTED)
    if unit not in SIZE_UNITS:
        raise UnitError(SIZE_EXPECTED, _unknown_unit(unit, SIZE_UNITS))
    size = number * SIZE_UNITS[unit]
    if size < 0:
        raise UnitError("a size that is not negative")
    if size > MAX_BYTES:
        raise UnitError("a size of at most 1 EiB")
    if size != size.to_integral_value():
        raise UnitError("a whole number of bytes")
    return int(size)


def parse_rate(value: object) -> float:
    """Requests per second in a rate text such as "500/s", "2/ms" or "90/min".

    Raises:
        UnitError: not a text, no or unknown unit, negative, not finite or over 1e9/s.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnitError(RATE_EXPECTED, _bare_number_hint(value, "/s"))
    if not isinstance(value, str):
        raise UnitError(RATE_EXPECTED)
    number, unit = _split(value, RATE_EXPECTED)
    if unit not in RATE_UNITS:
        raise UnitError(RATE_EXPECTED, _unknown_unit(unit, RATE_UNITS))
    rate = float(number / RATE_UNITS[unit])
    check_rate(rate)
    return rate


def check_rate(rate_rps: float) -> None:
    """Refuse a rate that is negative, not finite or over 1e9 per second, with a UnitError."""
    if not math.isfinite(rate_rps):
        raise UnitError("a finite rate")
    if rate_rps < 0:
        raise UnitError("a rate that is not negative")
    if rate_rps > MAX_RATE_RPS:
        raise UnitError("a rate of at most 1e9/s")


def parse_fraction(value: object) -> float:
    """The fraction in a percentage text: "0.1%" is 0.001.

    Raises:
        UnitError: not a text, no percent sign, or outside 0 % to 100 %.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise UnitError(FRACTION_EXPECTED, _bare_number_hint(value, "%"))
    if not isinstance(value, str):
        raise UnitError(FRACTION_EXPECTED)
    number, unit = _split(value, FRACTION_EXPECTED)
    if unit != "%":
        raise UnitError(FRACTION_EXPECTED)
    if not 0 <= number <= 100:
        raise UnitError("a percentage between 0% and 100%")
    return float(number / 100)


def _plain(number: Decimal) -> str:
    """Digits without an exponent, unless that takes too many of them."""
    text = format(number, "f")
    if len(text) > 25:
        return f"{number.normalize():e}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_duration(seconds: float) -> str:
    """Shortest text in s, ms, us or ns whose number is >= 1, exact: it parses to the same float."""
    if seconds == 0:
        return "0s"
    exact = Decimal(repr(seconds))
    for unit in ("s", "ms", "us", "ns"):
        number = exact / DURATION_UNITS[unit]
        if number >= 1:
            return f"{_plain(number)}{unit}"
    return f"{_plain(exact / DURATION_UNITS['ns'])}ns"


def format_size(size_bytes: int) -> str:
    """Text in the largest unit that divides the size exactly; binary units win ties."""
    best = f"{size_bytes}B"
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if size_bytes and size_bytes % SIZE_UNITS[unit] == 0:
            text = f"{size_bytes // SIZE_UNITS[unit]}{unit}"
            if len(text) < len(best):
                best = text
    return best


def format_amount(amount: float) -> str:
    """A plain number for people, to three digits and never as a power of ten: 1,003, 27.4."""
    return f"{amount:,.0f}" if abs(amount) >= 99.95 else f"{amount:.3g}"


def format_rate(rate_rps: float) -> str:
    """Requests per second as text, exact: it parses to the same float."""
    return f"{_plain(Decimal(repr(rate_rps)))}/s"


def format_fraction(fraction: float) -> str:
    """A fraction as a percentage text, exact: it parses to the same float."""
    return f"{_plain(Decimal(repr(fraction)) * 100)}%"
