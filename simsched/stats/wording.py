"""Numbers in sentences."""

from __future__ import annotations


def number(value: float) -> str:
    """Three significant digits without an exponent: 1234, 12.3, 0.0123."""
    size = abs(value)
    if size == 0 or size >= 100:
        return f"{value:.0f}"
    if size < 1e-4:
        return f"{value:.2g}"
    text = f"{value:#.3g}"
    return text.rstrip("0").rstrip(".") if "e" not in text else f"{value:.0f}"


def percent(share: float) -> str:
    """A share as "12 %"; small ones keep their digits."""
    value = 100 * share
    if 0 < value < 0.005:
        return "under 0.01 %"
    return f"{value:.0f} %" if value >= 10 else f"{number(round(value, 2))} %"


def duration(seconds: float) -> str:
    """A duration with the unit that suits it: 1.5 s, 812 ms, 40 us."""
    if seconds >= 1 or seconds == 0:
        return f"{number(seconds)} s"
    if seconds >= 1e-3:
        return f"{number(seconds * 1e3)} ms"
    return f"{number(seconds * 1e6)} us"


def size(size_bytes: float) -> str:
    """A size with a binary unit: 512 B, 1.5 MiB."""
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{number(value)} {units[0]}"
