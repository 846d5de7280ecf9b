"""How much better or worse than the first scheduler, said only where the evidence carries it."""

from __future__ import annotations

from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import Estimate
from simsched.report.units import ScaleChoice, bytes_scale, duration_scale, format_number


def relative_lines(result: ResultDocument) -> list[tuple[str, str]]:
    """Name and sentence of every scheduler but the first, which is the baseline.

    A factor is stated where the two 95 % intervals do not overlap. Overlapping intervals are no
    proof of equality, so then the sentence says that the run cannot tell them apart. Latencies of
    an overloaded scheduler depend on the length of the run and are not compared.
    """
    baseline, *others = result.schedulers
    return [(other.name, _sentence(baseline, other)) for other in others]


def _sentence(baseline: SchedulerResult, other: SchedulerResult) -> str:
    latency = _latency(baseline, other)
    memory = _factor(
        "memory peak", baseline.memory_bytes.peak, other.memory_bytes.peak, bytes_scale
    )
    return f"{latency}; {memory}"


def _latency(baseline: SchedulerResult, other: SchedulerResult) -> str:
    overloaded = [s.name for s in (baseline, other) if s.verdict == "OVERLOADED"]
    if overloaded:
        return f"latency not compared ({' and '.join(overloaded)} overloaded)"
    return _factor("p99", baseline.latency_s.p99, other.latency_s.p99, duration_scale)


def _factor(label: str, baseline: Estimate, other: Estimate, scale: ScaleChoice) -> str:
    if baseline.value is None or other.value is None:
        return f"{label} unknown"
    if baseline.ci95 is None or other.ci95 is None:
        return f"{label} without an interval, not compared"
    if min(baseline.value, other.value) <= 0:
        return f"{label} not comparable"
    apart = other.ci95[1] < baseline.ci95[0] or baseline.ci95[1] < other.ci95[0]
    if not apart:
        return f"{label} indistinguishable"
    lower = other.value < baseline.value
    factor = baseline.value / other.value if lower else other.value / baseline.value
    values = f"{format_number(other.value, scale)} against {format_number(baseline.value, scale)}"
    return f"{label} {_times(factor)} {'lower' if lower else 'higher'} ({values})"


def _times(factor: float) -> str:
    """The factor as "12x", "2.1x" or "1.04x": enough digits to differ from 1."""
    if factor >= 9.95:
        return f"{factor:,.0f}x"
    if factor >= 1.1:
        return f"{factor:.1f}x"
    return f"{factor:.2f}x" if factor >= 1.01 else f"{factor:.3f}x"
