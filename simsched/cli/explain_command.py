"""`simsched explain`: what a scheduler, preset, step, metric or verdict is."""

from __future__ import annotations

from typing import Annotated

import typer

from simsched.cli import complete

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched explain                  all topics",
        "  simsched explain tomcat           a preset: values, sources, overload",
        "  simsched explain policy:tomcat    where a name has several meanings",
        "  simsched explain BACKLOGGED       a verdict",
        "  simsched explain maxThreads       a knob, wherever it is",
        "  simsched explain go --json        for tools",
    )
)


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A preset, scheduler, step, metric, verdict, ... or the key of a knob.",
            autocompletion=complete.topic_names,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain a scheduler, preset, step, metric or verdict.

    What it is, what the real system does, its knobs with units and
    defaults, what happens in overload, and where that is known from.
    """
    from simsched.cli.console import stdout_console, write_json

    if name is None:
        _list(as_json)
        return
    from simsched.explain import UnknownTopic, explain, to_dict

    try:
        page = explain(name)
    except UnknownTopic as error:
        raise _problem(error.name, error.hint) from None
    if as_json:
        write_json(to_dict(page))
        return
    from simsched.cli.explain_view import render

    render(stdout_console(), page)


def _list(as_json: bool) -> None:
    from simsched.cli.console import stdout_console, write_json
    from simsched.explain import topics
    from simsched.explain.topics import full_name

    if as_json:
        listed = [{"name": full_name(t), "group": t.group, "summary": t.summary} for t in topics()]
        write_json({"schema": "simsched.topics/1", "topics": listed})
        return
    from simsched.cli.explain_view import render_list

    render_list(stdout_console(), topics())


def _problem(name: str, near: str) -> Exception:
    from simsched.scenario import Problem, ScenarioError

    hint = near or '"simsched explain" lists all topics'
    message = f'no topic is called "{name}"'
    return ScenarioError([Problem("", None, None, "", message, "", hint)])
