"""Figures of the latency distribution."""

from __future__ import annotations

import math

from simsched.report.comparison import short_rule
from simsched.report.figure import DataTable, Figure, band_trace, line_trace, log_axis
from simsched.report.findings import cdf_finding, percentile_finding
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import SloResult
from simsched.report.style import NEUTRAL, TOO_FEW, Json, label, line_style
from simsched.report.units import duration_scale, format_duration, format_number, half_width

TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
BODY_TICKS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Where little of the tail is known, the body of the distribution has the room."""

BODY_UP_TO = 0.98
TABLE_PERCENTILES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
CDF_TICKS = (0, 25, 50, 75, 90, 100)
MAX_SLO_LINES = 4


def percent_text(p: float) -> str:
    """A fraction as the name of its percentile: 0.999 is "99.9%"."""
    return f"{100 * p:.6g}%"


def tail_position(p: float) -> float:
    """Where p stands on the axis that spreads the tail: one request in this many is slower."""
    return 1 / (1 - p)


def percentile_figure(result: ResultDocument) -> Figure:
    """Latency by percentile, both axes logarithmic, as HdrHistogram's plotter draws it."""
    data: list[Json] = []
    for index, scheduler in enumerate(result.schedulers):
        data += _percentile_traces(index, scheduler)
    values = _known_values(result)
    rules = _percentile_rules(result)
    y_axis = log_axis([*values, *(rule.limit for rule in rules)], duration_scale, "latency")
    last = max((p for s in result.schedulers for p in _known(s)), default=0.99)
    shown = [p for p in (TICKS if last > BODY_UP_TO else BODY_TICKS) if p <= last]
    return Figure(
        key="percentiles",
        title="Latency by percentile",
        finding=percentile_finding(result),
        data=data,
        layout={
            "xaxis": {
                "type": "log",
                "title": {"text": "percentile of requests"},
                "range": [0, max(0.3, math.log10(tail_position(last))) * 1.02],
                "tickmode": "array",
                "tickvals": [tail_position(p) for p in shown],
                "ticktext": [percent_text(p) for p in shown],
            },
            "yaxis": y_axis,
            **_slo_marks(rules),
        },
        table=_percentile_table(result),
        height=440,
    )


def _known(scheduler: SchedulerResult) -> list[float]:
    curve = scheduler.percentiles
    return [p for p, y in zip(curve.p, curve.latency_s, strict=True) if y is not None and y > 0]


def _known_values(result: ResultDocument) -> list[float]:
    return [y for s in result.schedulers for y in s.percentiles.latency_s if y is not None]


def _percentile_traces(index: int, scheduler: SchedulerResult) -> list[Json]:
    curve = scheduler.percentiles
    points = [
        (tail_position(p), p, y, ci, enough)
        for p, y, ci, enough in zip(curve.p, curve.latency_s, curve.ci95, curve.enough, strict=True)
        if y is not None and y > 0
    ]
    x = [point[0] for point in points]
    trusted = [point[4] for point in points]
    # The dotted line starts at the last trusted point, so that the curve has no gap.
    faint = [not ok or not all(trusted[i : i + 2]) for i, ok in enumerate(trusted)]
    hover = [
        [percent_text(p), format_number(y, duration_scale, half_width(y, ci))]
        for _, p, y, ci, _ in points
    ]
    banded = [(at, ci) for at, _, _, ci, ok in points if ci is not None and ok and ci[0] > 0]
    line = {
        **line_trace(index, scheduler.name, x, [p[2] if p[4] else None for p in points]),
        "customdata": hover,
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}",
    }
    traces = [line]
    if banded:
        lows, highs = [ci[0] for _, ci in banded], [ci[1] for _, ci in banded]
        traces.insert(0, band_trace(index, [at for at, _ in banded], lows, highs))
    if any(faint):
        traces.append(
            {
                **line,
                "mode": "lines",
                "y": [p[2] if keep else None for p, keep in zip(points, faint, strict=True)],
                "line": {"color": line_style(index).faded(0.6), "dash": TOO_FEW, "width": 2},
                "showlegend": False,
                "hovertemplate": "%{customdata[0]}: %{customdata[1]} (too few samples)",
            }
        )
    return traces


def _percentile_rules(result: ResultDocument) -> list[SloResult]:
    """The objectives that are limits on a percentile, each once."""
    rules = {
        slo.rule: slo
        for scheduler in result.schedulers
        for slo in scheduler.slo
        if slo.metric.removeprefix("latency.") in QUANTILES
        and slo.metric.startswith("latency.")
        and slo.limit > 0
    }
    return list(rules.values())[:MAX_SLO_LINES]


def _slo_marks(rules: list[SloResult]) -> Json:
    """A line per objective. On a log axis a shape takes the value, an annotation its logarithm."""
    shapes = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": rule.limit,
            "y1": rule.limit,
            "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        }
        for rule in rules
    ]
    annotations = [
        {
            "xref": "paper",
            "x": 0,
            "xanchor": "left",
            "y": math.log10(rule.limit),
            "yanchor": "bottom",
            "showarrow": False,
            "text": label(short_rule(rule.rule)),
        }
        for rule in rules
    ]
    return {"shapes": shapes, "annotations": annotations}


def _percentile_table(result: ResultDocument) -> DataTable:
    rows = []
    for wanted in TABLE_PERCENTILES:
        cells = [_nearest(scheduler, wanted) for scheduler in result.schedulers]
        rows.append((percent_text(wanted), *cells))
    return DataTable(
        ("percentile", *(s.name for s in result.schedulers)),
        tuple(rows),
        "Values at the point of the curve nearest to each percentile; (few) marks points with too "
        "few samples. The whole curve is in result.json.",
    )


def _nearest(scheduler: SchedulerResult, wanted: float) -> str:
    curve = scheduler.percentiles
    if not curve.p:
        return "-"
    gaps = [abs(math.log10((1 - p) / (1 - wanted))) for p in curve.p]
    i = gaps.index(min(gaps))
    text = format_duration(curve.latency_s[i])
    return text if curve.enough[i] or curve.latency_s[i] is None else f"{text} (few)"


def cdf_figure(result: ResultDocument) -> Figure:
    """Share of requests answered within a time."""
    data = []
    for index, scheduler in enumerate(result.schedulers):
        curve = scheduler.percentiles
        points = [
            (y, 100 * p)
            for p, y, enough in zip(curve.p, curve.latency_s, curve.enough, strict=True)
            if y is not None and y > 0 and enough
        ]
        x, y = [point[0] for point in points], [point[1] for point in points]
        trace = line_trace(index, scheduler.name, x, y)
        trace["customdata"] = [format_duration(value) for value in x]
        trace["hovertemplate"] = "%{y:.4~g}% within %{customdata}"
        data.append(trace)
    return Figure(
        key="cdf",
        title="Requests answered within a time",
        finding=cdf_finding(result),
        data=data,
        layout={
            "xaxis": log_axis(_known_values(result), duration_scale, "latency"),
            "yaxis": {
                "title": {"text": "requests answered"},
                "range": [0, 102],
                "tickmode": "array",
                "tickvals": list(CDF_TICKS),
                "ticktext": [f"{tick}%" for tick in CDF_TICKS],
            },
        },
        table=_percentile_table(result),
    )
