"""What a figure of the dashboard is, and the pieces that several figures share.

Figures are plain plotly.js objects. Numbers are rounded to five digits: a page is looked at, the
result document has them all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simsched.report.style import Json, LineStyle, label, line_style
from simsched.report.units import ScaleChoice

MAX_TABLE_ROWS = 60


@dataclass(frozen=True)
class DataTable:
    """The figure's data for those who cannot or will not look at a figure."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure with the sentence that says what to see in it."""

    key: str
    title: str
    finding: str
    data: list[Json]
    layout: Json
    table: DataTable
    height: int = 380

    @property
    def json(self) -> str:
        """Data and layout for plotly.js, safe inside a script element."""
        layout = {**base_layout(), **self.layout, "height": self.height}
        text = json.dumps(
            {"data": rounded(self.data), "layout": rounded(layout)},
            allow_nan=False,
            ensure_ascii=True,
            separators=(",", ":"),
        )
        return script_safe(text)


def script_safe(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def rounded(value: object) -> object:
    """The same structure with floats at five significant digits."""
    if isinstance(value, float):
        short = float(f"{value:.5g}")
        return int(short) if short.is_integer() and abs(short) < 1e9 else short
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def base_layout() -> Json:
    """Room and legend common to all figures."""
    return {
        "margin": {"l": 56, "r": 28, "t": 8, "b": 48},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "itemwidth": 40,
            "traceorder": "normal",
        },
        "hovermode": "closest",
    }


def line_trace(index: int, name: str, x: Sequence[object], y: Sequence[object]) -> Json:
    """A scheduler's line in its own colour, dash and (sparse) markers."""
    style = line_style(index)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(name),
        "legendgroup": f"s{index}",
        "x": list(x),
        "y": list(y),
        "line": {"color": style.colour, "dash": style.dash, "width": 2},
        "marker": {"symbol": style.marker, "size": 8, "color": style.colour, "maxdisplayed": 8},
    }


def band_trace(index: int, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Json:
    """A scheduler's 95 % band, below its line."""
    style: LineStyle = line_style(index)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*low, *reversed(high)],
        "fill": "toself",
        "fillcolor": style.faded(0.16),
        "line": {"width": 0},
        "legendgroup": f"s{index}",
        "showlegend": False,
        "hoverinfo": "skip",
    }


def log_axis(values: Iterable[float], scale: ScaleChoice, title: str) -> Json:
    """A log axis over the positive values, with ticks in units people read."""
    positive = [value for value in values if value > 0]
    low = math.log10(min(positive, default=1e-3))
    high = math.log10(max(positive, default=1.0))
    margin = 0.04 * max(high - low, 0.2)
    low, high = low - margin, high + margin
    shown = [tick for tick in _log_ticks(low, high) if low <= math.log10(tick) <= high]
    return {
        "type": "log",
        "title": {"text": title},
        "range": [low, high],
        "tickmode": "array",
        "tickvals": shown,
        "ticktext": [tick_text(tick, scale) for tick in shown],
    }


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers around 10**low to 10**high: evenly spaced where that is less than a decade."""
    if high - low < 1:
        bottom, top = 10.0**low, 10.0**high
        rough = (top - bottom) / 5
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
        first = math.ceil(bottom / step)
        return [step * i for i in range(first, math.floor(top / step) + 1)]
    steps = (1, 2, 5) if high - low < 3 else (1,)
    exponents = range(math.floor(low), math.ceil(high) + 1)
    return [step * 10.0**exponent for exponent in exponents for step in steps]


def tick_text(value: float, scale: ScaleChoice) -> str:
    """A round number with its unit: "200 us"."""
    size, symbol = scale(value)
    return f"{value / size:,.6g} {symbol}".strip()


def thinned(count: int, most: int = MAX_TABLE_ROWS) -> range:
    """Every k-th index, so that at most `most` remain."""
    return range(0, count, max(1, -(-count // most)))
