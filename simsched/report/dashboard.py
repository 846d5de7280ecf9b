"""The dashboard: one HTML file that needs no network and asks for none.

plotly.js stands in it once; a Content-Security-Policy forbids every request. All text from the
scenario is escaped by the template, or by `style.label` where plotly would read it as HTML.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from simsched.report.cards import Card, card
from simsched.report.comparison import Comparison
from simsched.report.figure import Figure, script_safe
from simsched.report.figures_blame import blame_figure
from simsched.report.figures_latency import cdf_figure, percentile_figure
from simsched.report.figures_parts import at_peak_figure, breakdown_figure
from simsched.report.figures_time import flow_figure, in_system_figure, load_figure, memory_figure
from simsched.report.figures_validity import replication_figure, warmup_figure
from simsched.report.files import atomic_write
from simsched.report.header import header_lines, overload_banner
from simsched.report.page_tables import (
    activity_table,
    check_table,
    class_table,
    resource_table,
    theory_table,
)
from simsched.report.relative import relative_lines
from simsched.report.result_model import ResultDocument, validate_result
from simsched.report.style import PLOT_CONFIG, THEMES
from simsched.report.symbols import UNICODE

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def write_dashboard(doc: Mapping[str, Any] | ResultDocument, path: Path | str) -> Path:
    """Write the page for a result document; returns its path.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
        OutputError: The file cannot be written. An earlier file stays as it was.
    """
    return atomic_write(Path(path), render_dashboard(doc))


def render_dashboard(doc: Mapping[str, Any] | ResultDocument) -> str:
    """The page as text.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("simsched.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result = validate_result(doc)
    return environment.get_template("dashboard.html.j2").render(_context(result))


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
    from plotly.offline import get_plotlyjs

    comparison = Comparison(result, UNICODE, full=True)
    groups = comparison.groups()
    drawn = figures(result)
    # Markup is only for text of this package or escaped by `script_safe`.
    return {
        "result": result,
        "policy": CONTENT_SECURITY_POLICY,
        "css": Markup(_asset("page.css")),
        "plotly": Markup(get_plotlyjs()),
        "script": Markup(_asset("page.js")),
        "themes": Markup(script_safe(json.dumps(THEMES))),
        "plot_config": Markup(script_safe(json.dumps(PLOT_CONFIG))),
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


def _asset(name: str) -> str:
    return files("simsched.report").joinpath("templates", name).read_text(encoding="utf-8")


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
