"""The page of a trace: Gantt charts of requests and threads, scheduler by scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched.report.figure import Figure
from simsched.report.figures_timeline import timeline_figures
from simsched.report.files import atomic_write
from simsched.report.page import page_context, template

if TYPE_CHECKING:
    from markupsafe import Markup

    from simsched.observe.timeline import Timeline
    from simsched.study.tracing import Trace


@dataclass(frozen=True)
class Drawn:
    """A figure with its data as they stand in the page."""

    figure: Figure
    json: Markup


def drawn_timelines(timelines: Sequence[Timeline]) -> list[tuple[Drawn, Drawn]]:
    """For each scheduler, the figures of its requests and of its threads."""
    return [(_drawn(one), _drawn(two)) for one, two in timeline_figures(timelines)]


def _drawn(figure: Figure) -> Drawn:
    from markupsafe import Markup

    return Drawn(figure, Markup(figure.json))  # escaped by `script_safe`


def write_page(trace: Trace, path: Path) -> Path:
    """Write the page; returns its path.

    Raises:
        OutputError: the file cannot be written. An earlier file stays as it was.
    """
    return atomic_write(path, render_page(trace))


def render_page(trace: Trace) -> str:
    """The page as text."""
    context = page_context() | {
        "name": trace.scenario.name,
        "facts": _facts(trace),
        "cut": trace.about()["completeness"] if trace.cut else "",
        "schedulers": list(
            zip(
                [timeline.scheduler for timeline in trace.timelines],
                drawn_timelines(trace.timelines),
                strict=True,
            )
        ),
    }
    return template("timeline.html.j2").render(context)


def _facts(trace: Trace) -> list[tuple[str, Any]]:
    about = trace.about()
    return [
        ("window", f"{about['from_s']:.9g} s to {about['to_s']:.9g} s of simulated time"),
        ("requests", max((len(line.requests) for line in trace.timelines), default=0)),
        ("replication", f"{trace.replication} (counted from 0), seed {about['seed']}"),
        ("written by", about["generator"]),
    ]
