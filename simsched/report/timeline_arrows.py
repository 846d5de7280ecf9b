"""Arrows of a Gantt chart: what led from one thread to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from simsched.report.style import Json, label
from simsched.report.trace_events import request_name, wake_name

if TYPE_CHECKING:
    from simsched.observe.timeline import Timeline, Wake
    from simsched.report.timeline_rows import Axis

MAX_ARROWS = 120
"""Of one figure. More of them would hide what they are about, and none is drawn."""

EDGE = 0.42
"""How far from the middle of its row a thread's bars end, in rows: there an arrow has its tip."""

COLOUR = "#777777"
LEGEND = "leads to another thread"


def arrows_of(timeline: Timeline, rows: Mapping[str, int], axis: Axis) -> list[Wake]:
    """Those that lead from one of the drawn threads to another, in the time that is drawn.

    Why a thread goes on with what it did before, the requests of the timeline show.
    """
    return [
        wake
        for wake in timeline.wakes
        if wake.from_worker != wake.to_worker
        and {wake.from_worker, wake.to_worker} <= rows.keys()
        and axis.zero_s <= wake.from_s
        and wake.to_s <= axis.end_s
    ]


def arrows_trace(arrows: Sequence[Wake], rows: Mapping[str, int], axis: Axis) -> Json:
    """All arrows as one line with gaps, so that the legend switches them on and off."""
    x: list[float | None] = []
    y: list[float | None] = []
    hovers: list[str] = []
    for wake in arrows:
        x += [axis.at(wake.from_s), axis.at(wake.to_s), None]
        from_row, to_row = rows[wake.from_worker], rows[wake.to_worker]
        y += [from_row, to_row - math.copysign(EDGE, to_row - from_row), None]
        hovers += [_hover(wake, axis)] * 3
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": LEGEND,
        "x": x,
        "y": y,
        "customdata": hovers,
        "hovertemplate": "%{customdata}<extra></extra>",
        "line": {"color": COLOUR, "width": 1.5},
        "marker": {
            "color": COLOUR,
            "symbol": "arrow",
            "angleref": "previous",
            "size": [0, 10, 0] * len(arrows),
            "line": {"width": 0},
        },
    }


def arrow_row(wake: Wake, axis: Axis) -> tuple[str, str, str, str, str, str]:
    """An arrow among the entries of a thread: thread, request, what, step, from, to."""
    threads = f"{wake.from_worker} to {wake.to_worker}"
    called = request_name(wake.request)
    return threads, called, wake_name(wake), "-", axis.text(wake.from_s), axis.text(wake.to_s)


def _hover(wake: Wake, axis: Axis) -> str:
    threads, called, what, _, from_, to = arrow_row(wake, axis)
    return f"{label(f'{called} {what}', 80)}<br>{label(threads, 80)}<br>{from_} to {to}"
