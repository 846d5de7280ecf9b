"""The page of a validation: predicted and measured distributions, one over the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched.reality.compare import Comparison, Demand, reason
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
            ("constants", validation.calibration or "of the presets"),
            ("cases", len(validation.comparisons)),
        ],
        "demands": [_demand_row(demand) for demand in validation.demands if demand.cases],
        "headers": ("case", "load", *ERRORS, "measured spread of p99", "most likely because"),
        "rows": [_row(c, validation.noise) for c in validation.comparisons],
        "skipped": validation.skipped,
        "figures": [(figure, Markup(figure.json)) for figure in figures],
        "left_out": len(validation.comparisons) - len(shown),
    }
    return template("validation.html.j2").render(context)


def worst_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The cases by the largest of their errors of p50, p95 and p99."""
    return sorted(
        comparisons, key=lambda c: -max(abs(c.errors[key]) for key in ("p50", "p95", "p99"))
    )


def percent(error: float) -> str:
    """A relative error as it stands in tables."""
    return f"{error:+.1%}"


def _demand_row(demand: Demand) -> tuple[str, ...]:
    verdict = "kept" if demand.kept else "missed"
    return demand.what, f"{demand.limit:.0%}", f"{demand.found:.1%}", str(demand.cases), verdict


def _row(comparison: Comparison, noise: dict[str, dict[str, float]]) -> tuple[str, ...]:
    spread = noise.get(comparison.id.split("__rep", 1)[0], {}).get("p99")
    return (
        comparison.id,
        f"{comparison.load:.2f}",
        *(percent(comparison.errors[key]) for key in ERRORS),
        "" if spread is None else f"±{spread:.1%}",
        reason(comparison, noise),
    )


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
