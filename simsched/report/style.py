"""Looks of the dashboard's figures: the same colour, dash and marker for a scheduler everywhere.

Colours are Okabe and Ito's, chosen to be told apart by colour-blind readers; a scheduler also has
its own dash and marker, and a waiting part its own hatching, so that colour is never the only sign.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from simsched.report.symbols import clean

Json = dict[str, Any]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("solid", "dash", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
NEUTRAL = "#858585"
"""Grey with a contrast of at least 3:1 on the light and on the dark page."""

TOO_FEW = "dot"
"""Dash kept for points with too few samples behind them."""


@dataclass(frozen=True)
class LineStyle:
    """How one scheduler is drawn."""

    colour: str
    dash: str
    marker: str

    def faded(self, alpha: float) -> str:
        """The colour, mostly transparent."""
        red, green, blue = (int(self.colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},{alpha})"


def line_style(index: int) -> LineStyle:
    """Style of the scheduler at `index`; 210 pass before one repeats."""
    return LineStyle(
        COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)], MARKERS[index % len(MARKERS)]
    )


@dataclass(frozen=True)
class PartStyle:
    """How one part of a stacked bar is drawn."""

    label: str
    colour: str
    pattern: str = ""


# Work is drawn plain, waiting hatched.
BREAKDOWN = {
    "admission": PartStyle("waiting for admission", "#882255", "/"),
    "run_queue": PartStyle("waiting in the run queue", "#CC6677", "\\"),
    "gil": PartStyle("waiting for the interpreter lock", "#AA4499", "x"),
    "lock": PartStyle("waiting for a lock", "#DDCC77", "/"),
    "resource": PartStyle("waiting for a resource", "#999933", "\\"),
    "cpu": PartStyle("cpu", "#117733"),
    "io": PartStyle("io", "#88CCEE"),
    "blocking": PartStyle("blocking call", "#44AA99"),
    "join": PartStyle("parallel branches", "#332288"),
    "overhead": PartStyle("scheduling overhead", "#888888"),
}

MEMORY = {
    "base": PartStyle("idle process", "#888888"),
    "stacks": PartStyle("thread stacks", "#332288"),
    "tasks": PartStyle("tasks", "#88CCEE"),
    "requests": PartStyle("requests in flight", "#CC6677", "/"),
    "connections": PartStyle("connections", "#DDCC77", "\\"),
    "garbage": PartStyle("left by the collector", "#999933", "x"),
}


def label(name: str, longest: int = 32) -> str:
    """A name as plotly may show it: no pseudo-HTML (a link would be live), no endless legend."""
    text = clean(name)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return html.escape(text, quote=False)


def _theme(text: str, grid: str, line: str, panel: str) -> Json:
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zerolinecolor": grid,
        "tickcolor": line,
        "automargin": True,
        "ticks": "outside",
        "ticklen": 4,
        "title": {"standoff": 8, "font": {"size": 13}},
    }
    return {
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": text, "size": 13, "family": "system-ui, sans-serif"},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": panel, "bordercolor": line, "font": {"color": text}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": text},
        }
    }


THEMES = {
    "light": _theme("#1c2128", "#e3e6ea", "#6b7480", "#ffffff"),
    "dark": _theme("#e4e7eb", "#333a44", "#939daa", "#20252c"),
}

PLOT_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    # From plotly 7 on the default is a button that uploads the chart.
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
}
