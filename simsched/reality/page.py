"""The page of a validation: predicted and measured distributions, one over the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched.reality.cases import trace_of
from simsched.reality.compare import Comparison
from simsched.reality.phases import PHASES
from simsched.reality.reasons import reason
from simsched.report.figure import DataTable, Figure, line_trace, log_axis
from simsched.report.files import atomic_write
from simsched.report.page import page_context, template
from simsched.report.units import duration_scale

if TYPE_CHECKING:
    from simsched.reality.replay import Validation

MOST_FIGURES = 24
ERRORS = ("p50", "p95", "p99", "throughput", "cpu")


def write_page(validation: Validation, path: Path) -> Path:
    """Write the page; returns its path.

    Raises:
        OutputError: the file cannot be written. An earlier file stays as it was.
    """
    return atomic_write(path, render_page(validation))


def render_page(validation: Validation) -> str:
    """The page as text."""
    from markupsafe import Markup

    shown = worst_first(validation.comparisons)[:MOST_FIGURES]
    figures = [cdf_figure(comparison, validation.noise) for comparison in shown]
    context = page_context() | {
        "name": validation.folder.name or "validation",
        "facts": [
            ("measurements", str(validation.folder)),
            ("constants", _constants(validation)),
            ("cases", str(len(validation.comparisons))),
        ],
        "interrupted": validation.interrupted,
        "demands": _demands(validation),
        "runtimes": _runtimes(validation),
        "cases": _cases(validation),
        "noise": _noise(validation),
        "phases": _phases(validation),
        "skipped": validation.skipped,
        "figures": [(figure, Markup(figure.json)) for figure in figures],
        "left_out": len(validation.comparisons) - len(shown),
    }
    return template("validation.html.j2").render(context)


def _constants(found: Validation) -> str:
    if found.calibration is None:
        return "of the presets"
    return f"{found.calibration} (sha256 {(found.calibration_sha256 or '')[:12]})"


def worst_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The cases by the largest of their errors of p50, p95 and p99."""
    return sorted(
        comparisons, key=lambda c: -max(abs(c.errors[key]) for key in ("p50", "p95", "p99"))
    )


def percent(error: float) -> str:
    """A relative error as it stands in tables: with a sign, unless it is nothing."""
    text = f"{error:+.1%}"
    return "0.0%" if text in ("+0.0%", "-0.0%") else text


def _breakable(case_id: str) -> str:
    """An id that may go on in the next line between its parts."""
    return case_id.replace("__", "__\u200b")


def _demands(found: Validation) -> DataTable:
    rows = tuple(
        (
            demand.what,
            f"{demand.limit:.0%}",
            f"{demand.found:.1%}",
            str(demand.cases),
            "kept" if demand.kept else "missed",
        )
        for demand in found.demands
        if demand.cases
    )
    remark = "Load is the offered CPU load of the trace alone; in process: up to 0.9"
    return DataTable(("demand", "limit", "found", "cases", "verdict"), rows, remark)


def _runtimes(found: Validation) -> DataTable:
    rows = tuple(
        (
            row.runtime,
            row.load,
            str(row.cases),
            *(f"{row.median[key]:.1%}" for key in ERRORS),
            *(f"{row.worst[key]:.0%}" for key in ("p50", "p99")),
            ", ".join(row.missed) or "-",
        )
        for row in found.runtimes
    )
    headers = ("runtime", "load", "cases", *ERRORS, "worst p50", "worst p99", "missed")
    return DataTable(headers, rows)


def _cases(found: Validation) -> DataTable:
    headers = (
        "case",
        "load",
        *ERRORS,
        "±p99 measured",
        "most likely because",
        "within 1 ms",
        "within 5 %",
        "memory",
    )
    return DataTable(headers, tuple(_row(c, found.noise) for c in found.comparisons))


def _row(comparison: Comparison, noise: dict[str, dict[str, float]]) -> tuple[str, ...]:
    spread = noise.get(trace_of(comparison.id), {}).get("p99")
    return (
        _breakable(comparison.id),
        f"{comparison.load:.2f}" + (", saturated" if comparison.saturated else ""),
        *(percent(comparison.errors[key]) for key in ERRORS),
        "" if spread is None else f"±{spread:.1%}",
        reason(comparison, noise),
        f"{comparison.within_1_ms:.0%}",
        f"{comparison.within_5_percent:.0%}",
        f"{comparison.memory['error']:+.0%}" if comparison.memory else "",
    )


def _noise(found: Validation) -> DataTable:
    rows = tuple(
        (_breakable(name), f"{spread['runs']:.0f}", *(f"±{spread[key]:.1%}" for key in ERRORS))
        for name, spread in found.noise.items()
    )
    remark = "Half the range over repetitions of one trace, over their median"
    return DataTable(("trace", "runs", *ERRORS), rows, remark)


def _phases(found: Validation) -> DataTable:
    rows = tuple(
        (
            _breakable(c.id),
            *(
                f"{c.phases['predicted'][key] * 1e6:,.0f} ({c.phases['measured'][key] * 1e6:,.0f})"
                for key in PHASES
            ),
        )
        for c in found.comparisons
        if c.phases
    )
    return DataTable(("case", *PHASES), rows)


def cdf_figure(comparison: Comparison, noise: dict[str, dict[str, float]]) -> Figure:
    """Both distributions of latency of one case."""
    levels = comparison.ladder["level"]
    measured, predicted = comparison.ladder["measured_s"], comparison.ladder["predicted_s"]
    share = [100.0 * level for level in levels]
    layout: dict[str, Any] = {
        "xaxis": log_axis([*measured, *predicted], duration_scale, "latency"),
        "yaxis": {"title": {"text": "share of requests, %"}, "range": [0, 100]},
    }
    errors = ", ".join(f"{key} {percent(comparison.errors[key])}" for key in ERRORS)
    rows = tuple(
        (f"{100 * q:g} %", f"{m * 1e3:.4g} ms", f"{p * 1e3:.4g} ms", percent(p / m - 1.0))
        for q, m, p in zip(levels, measured, predicted, strict=True)
    )
    return Figure(
        key=f"case-{comparison.id.replace('_', '-')}",
        title=comparison.id,
        finding=f"{errors}. Most likely: {reason(comparison, noise)}.",
        data=[
            line_trace(0, "measured", measured, share),
            line_trace(1, "predicted", predicted, share),
        ],
        layout=layout,
        table=DataTable(("share", "measured", "predicted", "error"), rows),
        height=300,
    )
