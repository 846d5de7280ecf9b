"""The dashboard: one HTML file that needs no network and asks for none.

plotly.js stands in it once; a Content-Security-Policy forbids every request. All text from the
scenario is escaped by the template, or by `style.label` where plotly would read it as HTML.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched.report.cards import Card, card
from simsched.report.comparison import Comparison
from simsched.report.figure import Figure
from simsched.report.figures_blame import blame_figure
from simsched.report.figures_latency import cdf_figure, percentile_figure
from simsched.report.figures_parts import at_peak_figure, breakdown_figure
from simsched.report.figures_time import flow_figure, in_system_figure, load_figure, memory_figure
from simsched.report.figures_validity import replication_figure, warmup_figure
from simsched.report.files import atomic_write
from simsched.report.header import header_lines, overload_banner
from simsched.report.page import CONTENT_SECURITY_POLICY, page_context, template
from simsched.report.page_tables import (
    activity_table,
    check_table,
    class_table,
    resource_table,
    theory_table,
)
from simsched.report.relative import relative_lines
from simsched.report.result_model import ResultDocument, validate_result
from simsched.report.symbols import UNICODE
from simsched.report.timeline_page import drawn_timelines

if TYPE_CHECKING:
    from simsched.observe.timeline import Timeline

__all__ = ["CONTENT_SECURITY_POLICY", "figures", "render_dashboard", "write_dashboard"]


def write_dashboard(
    doc: Mapping[str, Any] | ResultDocument, path: Path | str, timelines: Sequence[Timeline] = ()
) -> Path:
    """Write the page for a result document; returns its path.

    Args:
        doc: The result document.
        path: Where to.
        timelines: What is shown moment by moment, one per scheduler; it may be left out.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
        OutputError: The file cannot be written. An earlier file stays as it was.
    """
    return atomic_write(Path(path), render_dashboard(doc, timelines))


def render_dashboard(
    doc: Mapping[str, Any] | ResultDocument, timelines: Sequence[Timeline] = ()
) -> str:
    """The page as text.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
    """
    result = validate_result(doc)
    drawn = {"timelines": drawn_timelines(timelines)}
    return template("dashboard.html.j2").render(page_context() | _context(result) | drawn)


def figures(result: ResultDocument) -> dict[str, Figure]:
    """All figures of the page by their key, in the page's order."""
    made = [
        percentile_figure(result),
        cdf_figure(result),
        breakdown_figure(result),
        blame_figure(result),
        load_figure(result),
        in_system_figure(result),
        flow_figure(result),
        memory_figure(result),
        at_peak_figure(result),
        warmup_figure(result),
        replication_figure(result),
    ]
    return {figure.key: figure for figure in made}


def _context(result: ResultDocument) -> dict[str, Any]:
    from markupsafe import Markup

    comparison = Comparison(result, UNICODE, full=True)
    groups = comparison.groups()
    drawn = figures(result)
    # Markup is only for text of this package or escaped by `script_safe`.
    return {
        "result": result,
        "header": header_lines(result),
        "banner": overload_banner(result),
        "cards": _cards(result),
        "figures": drawn,
        "figure_json": {key: Markup(figure.json) for key, figure in drawn.items()},
        "groups": groups,
        "notes": comparison.notes,
        "symbols": UNICODE,
        "relative": relative_lines(result),
        "tables": {
            "checks": check_table(result),
            "theory": theory_table(result),
            "classes": class_table(result),
            "resources": resource_table(result),
            "activity": activity_table(result),
        },
        "command": shlex.join(result.command),
        "config": config_text(result.config),
    }


def _cards(result: ResultDocument) -> list[Card]:
    return [card(index, scheduler) for index, scheduler in enumerate(result.schedulers)]


def config_text(config: Mapping[str, Any]) -> str:
    """The resolved configuration as TOML, which has no null: such keys are left out."""
    import tomli_w

    return tomli_w.dumps(_without_null(config))


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_null(item) for item in value if item is not None]
    return value
