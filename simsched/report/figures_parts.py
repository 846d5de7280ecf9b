"""Figures of sums and their parts: latency by what it is spent on, memory by what holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simsched.report.comparison import breakdown_shares
from simsched.report.figure import DataTable, Figure
from simsched.report.findings import at_peak_finding, breakdown_finding
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.style import BREAKDOWN, MEMORY, Json, PartStyle, label
from simsched.report.units import (
    bytes_scale,
    duration_scale,
    format_bytes,
    format_duration,
    format_estimate,
)

TEXT_FROM_SHARE = 0.08
"""Segments from this share of the axis on have room for their percentage."""


def breakdown_figure(result: ResultDocument) -> Figure:
    """Mean latency of each scheduler as 100 %, by part."""
    shares = [breakdown_shares(scheduler) for scheduler in result.schedulers]
    present = [part for part in BREAKDOWN if any(found.get(part) for found in shares)]
    data = [
        {
            **segment(BREAKDOWN[part], [100 * found.get(part, 0.0) for found in shares]),
            "text": [share_text(found.get(part, 0.0)) for found in shares],
            "customdata": [_part_text(s, part) for s in result.schedulers],
            "hovertemplate": "%{x:.3~g}% (%{customdata})",
        }
        for part in present
    ]
    ticks = [
        f"{label(s.name, 18)}<br>{format_duration(s.latency_s.mean.value)}"
        for s in result.schedulers
    ]
    return Figure(
        key="breakdown",
        title="Where the time goes (share of the mean latency)",
        finding=breakdown_finding(result),
        data=data,
        layout=bar_layout(ticks, {"range": [0, 100], "ticksuffix": "%"}),
        table=DataTable(
            ("part", *(s.name for s in result.schedulers)),
            tuple(
                (BREAKDOWN[part].label, *(_part_text(s, part) for s in result.schedulers))
                for part in BREAKDOWN
            ),
            "Means over completed requests; the parts add up to the mean latency.",
        ),
        height=bar_height(len(result.schedulers)),
    )


def share_text(share: float) -> str:
    """What is written into a segment, if it fits."""
    return f"{share:.0%}" if share >= TEXT_FROM_SHARE else ""


def _part_text(scheduler: SchedulerResult, part: str) -> str:
    return format_estimate(getattr(scheduler.breakdown_s, part), duration_scale)


def at_peak_figure(result: ResultDocument) -> Figure:
    """Memory at its peak, by what holds it."""
    held = [_held(scheduler) for scheduler in result.schedulers]
    size, symbol = bytes_scale(max((sum(parts.values()) for parts in held), default=1.0))
    present = [part for part in MEMORY if any(parts[part] for parts in held)]
    data = [
        {
            **segment(MEMORY[part], [parts[part] / size for parts in held]),
            "customdata": [format_bytes(parts[part]) for parts in held],
            "hovertemplate": "%{customdata}",
        }
        for part in present
    ]
    ticks = [
        f"{label(s.name, 18)}<br>{format_bytes(s.memory_bytes.peak.value)}"
        for s in result.schedulers
    ]
    return Figure(
        key="at-peak",
        title="What the memory is made of at its peak",
        finding=at_peak_finding(result),
        data=data,
        layout=bar_layout(ticks, {"title": {"text": f"memory ({symbol})"}}),
        table=DataTable(
            ("part", *(s.name for s in result.schedulers)),
            tuple(
                (MEMORY[part].label, *(format_bytes(parts[part]) for parts in held))
                for part in MEMORY
            ),
        ),
        height=bar_height(len(result.schedulers)),
    )


def _held(scheduler: SchedulerResult) -> Mapping[str, float]:
    memory = scheduler.memory_bytes
    return {"base": memory.base, **memory.at_peak.model_dump()}


def segment(style: PartStyle, values: Sequence[float]) -> Json:
    """One part over all schedulers, which stand at the heights 0, 1, 2, ...

    Names are tick texts and not categories: two names may look the same once shortened.
    """
    return {
        "type": "bar",
        "orientation": "h",
        "name": style.label,
        "x": list(values),
        "y": list(range(len(values))),
        "marker": {
            "color": style.colour,
            "pattern": {
                "shape": style.pattern,
                "fillmode": "overlay",
                "fgcolor": "rgba(255,255,255,0.6)",
                "size": 7,
                "solidity": 0.2,
            },
            "line": {"color": "rgba(128,128,128,0.6)", "width": 0.5},
        },
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
    }


def bar_layout(ticks: Sequence[str], x_axis: Json) -> Json:
    """Stacked bars that lie one below the other."""
    return {
        "barmode": "stack",
        "uniformtext": {"minsize": 10, "mode": "hide"},
        "bargap": 0.35,
        "xaxis": x_axis,
        "yaxis": {
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": list(range(len(ticks))),
            "ticktext": list(ticks),
            "showgrid": False,
        },
    }


def bar_height(count: int) -> int:
    """Height of a figure of so many bars, pixels."""
    return 150 + 62 * count
