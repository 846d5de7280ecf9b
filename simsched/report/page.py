"""What every page has: plotly.js once, its style and script, and a policy that forbids requests."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from simsched.report.figure import script_safe
from simsched.report.style import PLOT_CONFIG, THEMES

if TYPE_CHECKING:
    from jinja2 import Template

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def template(name: str) -> Template:
    """A template of this package; it escapes all text that is put into it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("simsched.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def page_context() -> dict[str, Any]:
    """What the templates of all pages need."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    # Markup is only for text of this package or escaped by `script_safe`.
    return {
        "policy": CONTENT_SECURITY_POLICY,
        "css": Markup(_asset("page.css")),
        "plotly": Markup(get_plotlyjs()),
        "script": Markup(_asset("page.js")),
        "themes": Markup(script_safe(json.dumps(THEMES))),
        "plot_config": Markup(script_safe(json.dumps(PLOT_CONFIG))),
    }


def _asset(name: str) -> str:
    return files("simsched.report").joinpath("templates", name).read_text(encoding="utf-8")
