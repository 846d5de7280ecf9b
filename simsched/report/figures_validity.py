"""Figures that let a reader judge the run itself: its warm-up and the spread of replications."""

from __future__ import annotations

from simsched.report.figure import DataTable, Figure, line_trace, log_axis, thinned
from simsched.report.figures_time import time_axis
from simsched.report.findings import replication_finding, warmup_finding
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.style import NEUTRAL, Json, label, line_style
from simsched.report.units import duration_scale, format_duration, format_estimate

HIGHEST_RATIO = 3.0
"""Requests in system are drawn up to this multiple of their mean after the warm-up."""

JITTER = 0.5
"""Width over which a scheduler's replications are spread so that none hides another."""


def warmup_figure(result: ResultDocument) -> Figure:
    """Requests in system from the start, over their mean after the cut, with the cut marked."""
    data, shapes, columns = [], [], []
    for index, scheduler in enumerate(result.schedulers):
        times, relative = _relative_level(result, index)
        columns.append(relative)
        trace = line_trace(index, scheduler.name, times, relative)
        trace["line"]["width"] = 1.6
        trace["hovertemplate"] = "%{y:.3~g} of the mean after the cut, at %{x:.4~g} s"
        data.append(trace)
        if scheduler.warmup.cut_s > 0:
            shapes.append(_cut_line(index, scheduler.warmup.cut_s))
    times = result.schedulers[0].series.time_s
    table = DataTable(
        ("time (s)", *(s.name for s in result.schedulers)),
        tuple(
            (f"{times[i]:.4g}", *(f"{c[i]:.3g}" if i < len(c) else "-" for c in columns))
            for i in thinned(len(times))
        ),
        "Requests in system over their mean after the cut.",
    )
    return Figure(
        key="warmup",
        title="Warm-up: requests in system against their later mean",
        finding=warmup_finding(result),
        data=data,
        layout={
            "xaxis": time_axis(result),
            "yaxis": {
                "title": {"text": "relative to later mean"},
                "range": [0, HIGHEST_RATIO],
            },
            "shapes": [*shapes, _mean_line()],
        },
        table=table,
    )


def _relative_level(result: ResultDocument, index: int) -> tuple[list[float], list[float]]:
    scheduler = result.schedulers[index]
    series, cut = scheduler.series, scheduler.warmup.cut_s
    later = [y for t, y in zip(series.time_s, series.in_system, strict=True) if t >= cut]
    mean = sum(later) / len(later) if later else 0.0
    return series.time_s, [y / mean if mean > 0 else 0.0 for y in series.in_system]


def _cut_line(index: int, cut_s: float) -> Json:
    style = line_style(index)
    return {
        "type": "line",
        "x0": cut_s,
        "x1": cut_s,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": style.colour, "dash": style.dash, "width": 1.5},
    }


def _mean_line() -> Json:
    line = {"color": NEUTRAL, "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}


def replication_figure(result: ResultDocument) -> Figure:
    """p99 of every replication as a point, the pooled estimate and its interval as a bar."""
    data: list[Json] = []
    every: list[float] = []
    unknown = []
    for index, scheduler in enumerate(result.schedulers):
        values = _known_p99(scheduler)
        every += values
        if values:
            data.append(_points(index, scheduler.name, values))
        else:
            unknown.append(_unknown(index))
        pooled = scheduler.latency_s.p99
        if pooled.value is not None and pooled.ci95 is not None:
            every += [max(pooled.ci95[0], pooled.value / 100), pooled.ci95[1]]
            text = format_estimate(pooled, duration_scale)
            data.append(_pooled(index, pooled.value, pooled.ci95, text))
    names = [label(s.name, 18) for s in result.schedulers]
    return Figure(
        key="replications",
        title="p99 of each replication",
        finding=replication_finding(result),
        data=data,
        layout={
            "xaxis": log_axis(every, duration_scale, "p99 latency"),
            "yaxis": {
                "range": [len(names) - 0.4, -0.6],
                "tickmode": "array",
                "tickvals": list(range(len(names))),
                "ticktext": names,
                "showgrid": False,
                "zeroline": False,
            },
            "annotations": unknown,
        },
        table=_replication_table(result),
        height=110 + 64 * len(names),
    )


def _known_p99(scheduler: SchedulerResult) -> list[float]:
    return [v for v in scheduler.per_replication.get("latency_p99_s", []) if v is not None]


def _points(index: int, name: str, values: list[float]) -> Json:
    style = line_style(index)
    count = len(values)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(name),
        "x": values,
        "y": [index + JITTER * ((i + 0.5) / count - 0.5) for i in range(count)],
        "marker": {"symbol": style.marker, "size": 9, "color": style.colour},
        "customdata": [[f"replication {i + 1}", format_duration(v)] for i, v in enumerate(values)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}",
        "showlegend": False,
    }


def _unknown(index: int) -> Json:
    """A word where there are no points: an empty row could be an error of the page."""
    return {"y": index, "xref": "paper", "x": 0.5, "text": "not known", "showarrow": False}


def _pooled(index: int, value: float, ci95: list[float], text: str) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "pooled, with 95% interval",
        "x": [value],
        "y": [index],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [ci95[1] - value],
            "arrayminus": [value - ci95[0]],
            "color": NEUTRAL,
            "thickness": 2,
            "width": 10,
        },
        "marker": {"symbol": "line-ns-open", "size": 26, "color": NEUTRAL, "line": {"width": 2}},
        "customdata": [text],
        "hovertemplate": "pooled: %{customdata}",
        "showlegend": False,
    }


def _replication_table(result: ResultDocument) -> DataTable:
    rows = [
        (
            f"{i + 1}",
            *(
                format_duration(values[i]) if i < len(values) else "-"
                for s in result.schedulers
                for values in [s.per_replication.get("latency_p99_s", [])]
            ),
        )
        for i in range(result.replications)
    ]
    headers = ("replication", *(s.name for s in result.schedulers))
    return DataTable(headers, tuple(rows), "p99 latency of completed requests.")
