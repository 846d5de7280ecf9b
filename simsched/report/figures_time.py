"""Figures over simulated time: load, queues, flow of requests and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from simsched.report.figure import DataTable, Figure, line_trace, log_axis, thinned
from simsched.report.findings import (
    flow_finding,
    in_system_finding,
    load_finding,
    memory_finding,
)
from simsched.report.result_model import ResultDocument
from simsched.report.result_scheduler import Series
from simsched.report.style import NEUTRAL, Json
from simsched.report.units import ScaleChoice, bytes_scale, count_scale

Pick = Callable[[Series], list[float]]

LOG_FROM_RATIO = 30.0
"""Typical values of two schedulers this far apart are drawn on a log axis."""

LOG_FLOOR = 0.1
"""Counts below it are drawn at it on a log axis, which has no zero."""


def time_axis(result: ResultDocument) -> Json:
    """The whole run, and nothing beyond it."""
    return {"title": {"text": "simulated time (s)"}, "range": [0, result.duration_s]}


def load_figure(result: ResultDocument) -> Figure:
    """Busy cores above, requests waiting for a worker or a core below, over the same time."""
    traces = _lines(result, lambda s: s.busy_cores, hover="%{y:.3~f} cores busy")
    queue_axis, floor = _count_axis(result, lambda s: s.queued, "waiting")
    for trace in _lines(result, lambda s: s.queued, hover="%{y:.4~g} waiting", floor=floor):
        traces.append({**trace, "yaxis": "y2", "showlegend": False})
    cores = _core_count(result)
    top = max([cores, *(max(s.series.busy_cores, default=0.0) for s in result.schedulers)])
    layout: Json = {
        "xaxis": {**time_axis(result), "anchor": "y2"},
        "yaxis": {
            "title": {"text": "busy cores"},
            "domain": [0.56, 1],
            "range": [0, 1.08 * top or 1],
        },
        "yaxis2": {**queue_axis, "domain": [0, 0.44]},
        "shapes": [],
    }
    if cores:
        layout["shapes"] = [_level(cores)]
        layout["annotations"] = [_level_text(cores, f"{cores:g} core{'' if cores == 1 else 's'}")]
    return Figure(
        key="load",
        title="Busy cores and queue length over time",
        finding=load_finding(result),
        data=traces,
        layout=layout,
        table=_time_table(
            result, [("busy cores", lambda s: s.busy_cores), ("waiting", lambda s: s.queued)]
        ),
        height=520,
    )


def _core_count(result: ResultDocument) -> float:
    cores = result.config.get("host", {}).get("cores")
    return float(cores) if isinstance(cores, int | float) else 0.0


def _level(value: float) -> Json:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"},
    }


def _level_text(value: float, text: str) -> Json:
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": value,
        "yanchor": "bottom",
        "showarrow": False,
        "text": text,
    }


def in_system_figure(result: ResultDocument) -> Figure:
    """Requests in the system, where overload shows first."""
    axis, floor = _count_axis(result, lambda s: s.in_system, "requests in system")
    return Figure(
        key="in-system",
        title="Requests in the system over time",
        finding=in_system_finding(result),
        data=_lines(result, lambda s: s.in_system, "%{y:.4~g} in system", floor),
        layout={"xaxis": time_axis(result), "yaxis": axis},
        table=_time_table(result, [("in system", lambda s: s.in_system)]),
    )


def flow_figure(result: ResultDocument) -> Figure:
    """Arrivals, the same for all, and each scheduler's completions."""
    first = result.schedulers[0].series
    arrivals = {
        "type": "scatter",
        "mode": "lines",
        "name": "arrivals",
        "x": first.time_s,
        "y": first.arrivals_rps,
        "line": {"color": NEUTRAL, "width": 5},
        "opacity": 0.45,
        "hovertemplate": "%{y:.4~g} arrivals per second",
    }
    completions = _lines(result, lambda s: s.completions_rps, "%{y:.4~g} completed per second")
    return Figure(
        key="flow",
        title="Arrivals and completions over time",
        finding=flow_finding(result),
        data=[arrivals, *completions],
        layout={
            "xaxis": time_axis(result),
            "yaxis": {"title": {"text": "requests per second"}, "rangemode": "tozero"},
        },
        table=_time_table(
            result,
            [
                ("arrivals/s", lambda s: s.arrivals_rps),
                ("completions/s", lambda s: s.completions_rps),
            ],
        ),
    )


def memory_figure(result: ResultDocument) -> Figure:
    """Memory of the process over time."""
    typical = [_typical(s.series.memory_bytes) for s in result.schedulers]
    highest = max((max(s.series.memory_bytes, default=0.0) for s in result.schedulers), default=1.0)
    size, symbol = bytes_scale(highest)
    if _far_apart(typical):
        values = [v for s in result.schedulers for v in s.series.memory_bytes]
        axis = log_axis([v / size for v in values], _unit(symbol), "memory")
    else:
        axis = {"title": {"text": f"memory ({symbol})"}, "rangemode": "tozero"}
    return Figure(
        key="memory",
        title="Memory over time",
        finding=memory_finding(result),
        data=_lines(result, lambda s: [v / size for v in s.memory_bytes], f"%{{y:.4~g}} {symbol}"),
        layout={"xaxis": time_axis(result), "yaxis": axis},
        table=_time_table(
            result, [(f"memory ({symbol})", lambda s: [v / size for v in s.memory_bytes])]
        ),
    )


def _unit(symbol: str) -> ScaleChoice:
    return lambda _value: (1.0, symbol)


def _lines(
    result: ResultDocument, pick: Pick, hover: str, floor: float | None = None
) -> list[Json]:
    traces = []
    for index, scheduler in enumerate(result.schedulers):
        values = pick(scheduler.series)
        drawn = values if floor is None else [max(floor, value) for value in values]
        trace = line_trace(index, scheduler.name, scheduler.series.time_s, drawn)
        trace["line"]["width"] = 1.6
        traces.append({**trace, "hovertemplate": f"{hover} at %{{x:.4~g}} s"})
    return traces


def _count_axis(result: ResultDocument, pick: Pick, title: str) -> tuple[Json, float | None]:
    """The axis for a count of requests, and the floor it needs if it is logarithmic."""
    if not _far_apart([_typical(pick(s.series)) for s in result.schedulers]):
        return {"title": {"text": title}, "rangemode": "tozero"}, None
    values = [max(LOG_FLOOR, v) for s in result.schedulers for v in pick(s.series)]
    axis = log_axis(values, count_scale, title)
    axis["ticktext"] = [
        f"≤ {text}" if math.isclose(value, LOG_FLOOR) else text
        for value, text in zip(axis["tickvals"], axis["ticktext"], strict=True)
    ]
    return axis, LOG_FLOOR


def _typical(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _far_apart(typical: Sequence[float]) -> bool:
    counted = [max(value, LOG_FLOOR) for value in typical]
    return bool(counted) and max(counted) > LOG_FROM_RATIO * min(counted)


def _time_table(result: ResultDocument, columns: Sequence[tuple[str, Pick]]) -> DataTable:
    schedulers = result.schedulers
    headers = [f"{s.name}: {name}" for name, _ in columns for s in schedulers]
    series = [pick(s.series) for _, pick in columns for s in schedulers]
    times = schedulers[0].series.time_s
    rows = [
        (f"{times[i]:.4g}", *(f"{values[i]:,.4g}" if i < len(values) else "-" for values in series))
        for i in thinned(len(times))
    ]
    remark = "" if len(rows) == len(times) else "A selection of the bins; all are in result.json."
    return DataTable(("time (s)", *headers), tuple(rows), remark)
