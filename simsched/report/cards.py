"""One scheduler at a glance: the card that opens the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

from simsched.report.comparison import short_rule
from simsched.report.result_model import SchedulerResult
from simsched.report.result_scheduler import Estimate
from simsched.report.style import LineStyle, line_style
from simsched.report.symbols import UNICODE
from simsched.report.units import (
    ScaleChoice,
    bytes_scale,
    duration_scale,
    format_estimate,
    format_percent,
    metric_scale,
    percent_scale,
    rate_scale,
)

# Stroke patterns of an SVG line for plotly's names of dashes.
STROKES = {
    "solid": "none",
    "dash": "6 3",
    "dashdot": "6 3 1 3",
    "longdash": "10 3",
    "longdashdot": "10 3 1 3",
}


@dataclass(frozen=True)
class Fact:
    """A number with its name, and why it is missing or only a bound."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Objective:
    """One objective with what was observed."""

    state: str
    sign: str
    rule: str
    observed: str
    remark: str


@dataclass(frozen=True)
class Card:
    """What the page shows of a scheduler before any figure."""

    scheduler: SchedulerResult
    style: LineStyle
    stroke: str
    facts: tuple[Fact, ...]
    objectives: tuple[Objective, ...]


def card(index: int, scheduler: SchedulerResult) -> Card:
    """The card of the scheduler that is number `index` of the result."""
    style = line_style(index)
    latency, use = scheduler.latency_s, scheduler.utilization
    counts = scheduler.counts
    facts = (
        _fact("p99 latency", latency.p99, duration_scale),
        _fact("median", latency.p50, duration_scale),
        _fact("throughput", scheduler.throughput_rps, rate_scale),
        Fact("errors", format_percent(counts.error_rate), _errors(scheduler)),
        _fact("cpu", use.cpu, percent_scale),
        _fact("memory peak", scheduler.memory_bytes.peak, bytes_scale),
    )
    objectives = tuple(
        Objective(
            slo.state,
            UNICODE.state(slo.state),
            short_rule(slo.rule),
            format_estimate(slo.observed, metric_scale(slo.metric)),
            slo.observed.reason or "",
        )
        for slo in scheduler.slo
    )
    return Card(scheduler, style, STROKES[style.dash], facts, objectives)


def _fact(label: str, estimate: Estimate, scale: ScaleChoice) -> Fact:
    return Fact(label, format_estimate(estimate, scale), estimate.reason or "")


def _errors(scheduler: SchedulerResult) -> str:
    counts = scheduler.counts
    parts = {
        "rejected": counts.rejected,
        "timed out": counts.timed_out,
        "failed": counts.failed,
        "unfinished": counts.unfinished,
    }
    return ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
