"""One sentence per figure: what the data show, for those who read before they look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from simsched.report.comparison import PARTS, breakdown_shares
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import Estimate
from simsched.report.units import (
    ScaleChoice,
    bytes_scale,
    duration_scale,
    format_count,
    format_duration,
    format_estimate,
    format_percent,
)

WAITING = ("admission", "run_queue", "resource", "lock", "gil")
STEADY_DRIFT = 0.25
"""A last tenth of the run that lies this much above the middle counts as growth in a sentence."""


def percentile_finding(result: ResultDocument) -> str:
    """Who has the lowest and the highest p99, where the intervals tell them apart."""
    sentence = _ranking(result, "p99", lambda s: s.latency_s.p99, duration_scale)
    overloaded = _names(s for s in result.schedulers if s.verdict == "OVERLOADED")
    if overloaded:
        sentence += f" {overloaded}: overloaded, so the curve depends on the length of the run."
    return sentence


def _ranking(
    result: ResultDocument,
    metric: str,
    of: Callable[[SchedulerResult], Estimate],
    scale: ScaleChoice,
) -> str:
    known = [
        (estimate.value, scheduler.name, estimate)
        for scheduler in result.schedulers
        if scheduler.verdict != "OVERLOADED"
        for estimate in [of(scheduler)]
        if estimate.value is not None
    ]
    if not known:
        return f"No scheduler has a {metric} that could be measured."
    known.sort(key=lambda entry: entry[0])
    (_, best, low), (_, worst, high) = known[0], known[-1]
    if len(known) == 1:
        return f"{best} has a {metric} of {format_estimate(low, scale)}."
    values = f"{format_estimate(low, scale)} against {format_estimate(high, scale)}"
    if low.ci95 is None or high.ci95 is None:
        return f"{metric} is {values} ({best}, {worst}), without intervals to judge by."
    if low.ci95[1] >= high.ci95[0]:
        return f"The run cannot tell the {metric} of {best} and {worst} apart ({values})."
    return f"{best} has the lowest {metric} and {worst} the highest: {values}."


def _names(schedulers: Iterable[SchedulerResult]) -> str:
    return ", ".join(scheduler.name for scheduler in schedulers)


def cdf_finding(result: ResultDocument) -> str:
    """The times within which half and nine tenths of the requests are answered."""
    parts = []
    for scheduler in result.schedulers:
        half, most = scheduler.latency_s.p50.value, scheduler.latency_s.p90.value
        if half is None:
            continue
        text = f"{scheduler.name} answers half of its requests within {format_duration(half)}"
        parts.append(text if most is None else f"{text} and 90% within {format_duration(most)}")
    return "; ".join(parts) + "." if parts else "No latency could be measured."


def breakdown_finding(result: ResultDocument) -> str:
    """The largest part of each scheduler's mean latency, and how much of it is waiting."""
    parts = []
    for scheduler in result.schedulers:
        shares = breakdown_shares(scheduler)
        if not shares:
            continue
        largest = max(shares, key=lambda part: shares[part])
        waiting = sum(shares.get(part, 0.0) for part in WAITING)
        parts.append(
            f"{scheduler.name}: mostly {PARTS[largest]} ({shares[largest]:.0%}), "
            f"{waiting:.0%} waiting in line"
        )
    return "; ".join(parts) + "." if parts else "No time could be attributed."


def load_finding(result: ResultDocument) -> str:
    """Which scheduler keeps the cores busiest and how long its queue is."""
    known = [s for s in result.schedulers if s.utilization.cpu.value is not None]
    if not known:
        return "CPU use is not known."
    busiest = max(known, key=lambda s: s.utilization.cpu.value or 0.0)
    longest = max(known, key=_longest_queue)
    return (
        f"{busiest.name} keeps the cores busiest "
        f"({format_percent(busiest.utilization.cpu.value)}); the longest queue is "
        f"{longest.name}'s ({format_count(round(_longest_queue(longest)))} waiting)."
    )


def _longest_queue(scheduler: SchedulerResult) -> float:
    return max(scheduler.series.queued, default=0.0)


def in_system_finding(result: ResultDocument) -> str:
    """Which schedulers let requests pile up until the end."""
    growing, level = [], []
    for scheduler in result.schedulers:
        values = scheduler.series.in_system
        if len(values) < 10:
            continue
        middle, end = _mean(values[len(values) // 2 :][:10]), _mean(values[-10:])
        if end > middle * (1 + STEADY_DRIFT):
            growing.append(f"{scheduler.name} from {middle:,.0f} to {end:,.0f}")
        else:
            level.append(scheduler.name)
    sentences = []
    if growing:
        sentences.append(f"Growing in the second half of the run: {'; '.join(growing)}.")
    if level:
        sentences.append(f"Not growing: {', '.join(level)}.")
    return " ".join(sentences) or "The series are too short to say."


def flow_finding(result: ResultDocument) -> str:
    """Who completes fewer requests than arrive."""
    short = []
    for scheduler in result.schedulers:
        lost = scheduler.counts.arrived - scheduler.counts.completed
        if lost:
            short.append(f"{scheduler.name} {format_percent(lost / scheduler.counts.arrived)}")
    if not short:
        return "Every scheduler completes all requests that arrive."
    return f"Share of arrivals without an answer: {', '.join(short)}."


def memory_finding(result: ResultDocument) -> str:
    """Who needs least and most memory at the peak."""
    known = [s for s in result.schedulers if s.memory_bytes.peak.value is not None]
    known.sort(key=lambda s: s.memory_bytes.peak.value or 0.0)
    if not known:
        return "Memory is not known."
    texts = [f"{s.name} {format_estimate(s.memory_bytes.peak, bytes_scale)}" for s in known]
    return f"Peaks from lowest to highest: {', '.join(texts)}."


def at_peak_finding(result: ResultDocument) -> str:
    """What most of the memory above the idle process is at the peak."""
    parts = []
    for scheduler in result.schedulers:
        held = scheduler.memory_bytes.at_peak.model_dump()
        total = sum(held.values())
        if total > 0:
            largest = max(held, key=lambda part: held[part])
            parts.append(f"{scheduler.name}: {largest} ({held[largest] / total:.0%})")
    if not parts:
        return "Nothing was held above the idle process."
    return f"Most of what is held above the idle process: {'; '.join(parts)}."


def warmup_finding(result: ResultDocument) -> str:
    """How much was removed, and where no steady state was found."""
    cuts = [f"{s.name} {format_duration(s.warmup.cut_s)}" for s in result.schedulers]
    sentence = f"Removed as warm-up: {', '.join(cuts)}."
    unsteady = [s.name for s in result.schedulers if s.warmup.steady is False]
    if unsteady:
        sentence += f" No steady state was found for {', '.join(unsteady)}."
    return sentence


def replication_finding(result: ResultDocument) -> str:
    """How far the replications' p99 lie apart."""
    parts = []
    for scheduler in result.schedulers:
        values = [v for v in scheduler.per_replication.get("latency_p99_s", []) if v is not None]
        if values:
            spread = f"{format_duration(min(values))} to {format_duration(max(values))}"
            parts.append(f"{scheduler.name} {spread}")
        else:
            parts.append(f"{scheduler.name} unknown")
    return f"p99 of single replications: {', '.join(parts)}."


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
