"""Numbers as people read them: a fitting unit, and no more digits than the evidence carries.

With a confidence interval, the last digit shown is the first digit that the half-width makes
uncertain (two digits where the half-width starts with 1), within 2 to `digits` significant
digits. Without one, three significant digits are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from simsched.report.result_scheduler import Estimate

Scale = tuple[float, str]
"""Size of a unit in base units, and its symbol."""

ScaleChoice = Callable[[float], Scale]

NO_VALUE = "-"
FEW_CORES = 4
"""So many are told of one by one."""

_DURATIONS: tuple[Scale, ...] = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_BYTES: tuple[Scale, ...] = (
    (2.0**40, "TiB"),
    (2.0**30, "GiB"),
    (2.0**20, "MiB"),
    (2.0**10, "KiB"),
    (1.0, "B"),
)
_RATES: tuple[Scale, ...] = ((1e9, "G/s"), (1e6, "M/s"), (1e4, "k/s"), (1.0, "/s"))
_COUNTS: tuple[Scale, ...] = ((1e9, "G"), (1e6, "M"), (1e5, "k"), (1.0, ""))

_GLUED = {symbol for _, symbol in _RATES + _COUNTS} | {"%"}
"""Symbols that follow the number without a space."""


def _choice(scales: Sequence[Scale]) -> ScaleChoice:
    def choose(value: float) -> Scale:
        # 999.6 ms would be rounded to 1000 ms: it is 1.00 s.
        rounded = abs(value) * 1.0005
        return next((scale for scale in scales if rounded >= scale[0]), scales[-1])

    return choose


def _thousands(scale: Scale) -> Scale:
    """The symbol tells the factor; the threshold to use it may lie higher (10k/s, not 1k/s)."""
    factor = {"k/s": 1e3, "k": 1e3}.get(scale[1], scale[0])
    return factor, scale[1]


_choose_rate = _choice(_RATES)
_choose_count = _choice(_COUNTS)

duration_scale: ScaleChoice = _choice(_DURATIONS)
bytes_scale: ScaleChoice = _choice(_BYTES)


def rate_scale(value: float) -> Scale:
    """Unit for a rate in 1/s: thousands from 10,000/s on."""
    return _thousands(_choose_rate(value))


def count_scale(value: float) -> Scale:
    """Unit for a plain number: thousands from 100,000 on."""
    return _thousands(_choose_count(value))


def percent_scale(_value: float) -> Scale:
    """A fraction is shown in percent, whatever its size."""
    return 0.01, "%"


def _decimals(value: float, half_width: float | None, digits: int) -> int:
    """Decimals to show of a scaled value."""
    if half_width is None:
        return max(0, 2 - _exponent(value)) if value else 0
    exponent = _exponent(half_width)
    wanted = -exponent + (1 if half_width / 10.0**exponent < 2 else 0)
    if value:
        fewest, most = 1 - _exponent(value), digits - 1 - _exponent(value)
        wanted = min(max(wanted, fewest), most)
    return max(0, wanted)


def _exponent(value: float) -> int:
    """Exponent of the first digit, after rounding to three: 9.996 counts as 10.0."""
    return math.floor(math.log10(float(f"{abs(value):.2e}")))


def _join(number: str, symbol: str) -> str:
    return f"{number}{symbol}" if symbol in _GLUED else f"{number} {symbol}"


def format_number(
    value: float | None,
    scale: ScaleChoice,
    half_width: float | None = None,
    *,
    pm: str = "±",
    digits: int = 4,
) -> str:
    """A value in the unit `scale` chooses, with its half-width after it where there is one.

    Args:
        value: In base units; None is shown as "-".
        scale: One of the `*_scale` functions.
        half_width: Half of the 95 % interval, in base units.
        pm: The plus-minus sign; "+-" where the terminal has none.
        digits: Most significant digits shown of a value with a half-width.
    """
    if value is None or not math.isfinite(value):
        return NO_VALUE
    size, symbol = scale(value or half_width or 1.0)
    scaled = value / size
    half = half_width / size if half_width else None
    decimals = _decimals(scaled, half, digits)
    text = _join(f"{scaled:,.{decimals}f}", symbol)
    if half_width is None:
        return text
    if half is None:
        return f"{text} {pm}0"
    least = 10.0**-decimals
    shown = f"{half:,.{decimals}f}" if half >= least / 2 else f"<{least:.{decimals}f}"
    return f"{text} {pm}{shown}"


def format_duration(seconds: float | None) -> str:
    """Seconds as "850 us", "12.3 ms" or "4.20 s"; None as "-"."""
    return format_number(seconds, duration_scale)


def format_bytes(size: float | None) -> str:
    """Bytes as "640 B", "64.0 KiB", "1.50 GiB"; None as "-"."""
    return format_number(size, bytes_scale)


def format_rate(per_second: float | None) -> str:
    """A rate as "985/s" or "12.5k/s"; None as "-"."""
    return format_number(per_second, rate_scale)


def format_percent(fraction: float | None) -> str:
    """A fraction as "81.2%"; None as "-"."""
    return format_number(fraction, percent_scale)


def format_count(count: float | None) -> str:
    """A count as "1,234" or "495k"; None as "-"."""
    if count is not None and abs(count) < 1e5 and float(count).is_integer():
        return f"{int(count):,}"
    return format_number(count, count_scale)


def half_width(value: float | None, ci95: Sequence[float] | None) -> float | None:
    """Half-width of an interval about a value, or None where there is none.

    An interval that is cut at zero is not symmetric: then it is the longer side.
    """
    if ci95 is None or value is None:
        return None
    return max(ci95[1] - value, value - ci95[0])


def format_estimate(
    estimate: Estimate, scale: ScaleChoice, *, pm: str = "±", digits: int = 4
) -> str:
    """An estimate with its half-width: "42.1 ms ±1.2"; "-" where the value is null."""
    half = half_width(estimate.value, estimate.ci95)
    return format_number(estimate.value, scale, half, pm=pm, digits=digits)


def metric_scale(metric: str) -> ScaleChoice:
    """The unit of an objective's metric, as "latency.p99" or "memory.peak"."""
    family = metric.split(".")[0]
    if family in ("latency", "queueing_delay"):
        return duration_scale
    if family == "memory":
        return bytes_scale
    if family in ("throughput", "goodput"):
        return rate_scale
    if family in ("error_rate", "utilization"):
        return percent_scale
    return count_scale


def key_scale(key: str) -> ScaleChoice:
    """The unit that the suffix of a key names: `pinned_s`, `memory_bytes`, `throughput_rps`."""
    for suffix, scale in (
        ("_s", duration_scale),
        ("_bytes", bytes_scale),
        ("_rps", rate_scale),
        ("_rate", percent_scale),
        ("_fraction", percent_scale),
    ):
        if key.endswith(suffix):
            return scale
    return count_scale


def format_by_core(seconds: Sequence[float] | None) -> str:
    """Times of some cores, one by one, or all together where the cores are many."""
    if not seconds:
        return NO_VALUE
    if len(seconds) > FEW_CORES:
        return f"{format_duration(sum(seconds))} of {len(seconds)} cores"
    return " + ".join(format_duration(s) for s in seconds)
