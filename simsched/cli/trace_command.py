"""`simsched trace`: everything that happens in a window of one run, to look at."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsched.cli.options import (
    HOW,
    OUTPUT,
    Calibration,
    Config,
    Example,
    Open,
    Quiet,
    Scheduler,
    Seed,
    Set,
    load,
    scenario_options,
)

if TYPE_CHECKING:
    from simsched.scenario import Scenario
    from simsched.study.tracing import Trace

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched trace --example coroutine_story",
        "  simsched trace shop.toml --from 1s --to 1.5s --scheduler tomcat",
        "  simsched trace shop.toml --out slow.json --set workload.arrivals.rate=900/s",
        "",
        "Open the JSON file at https://ui.perfetto.dev or in chrome://tracing.",
        "",
        "[bold]Exit status[/]",
        "  0    done (a trace that was cut says so)",
        "  1    internal error (SIMSCHED_DEBUG=1 shows where)",
        "  2    wrong command line or scenario, or a file that cannot be written",
        "  130  interrupted; nothing was written",
    )
)


def _duration(text: Any) -> float:
    from simsched.scenario.units import UnitError, parse_duration

    try:
        return parse_duration(str(text))
    except UnitError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise typer.BadParameter(f'"{text}" is not {error.expected}{hint}') from None


From = Annotated[
    Any,
    typer.Option(
        "--from",
        metavar="TIME",
        parser=_duration,
        help="Simulated time at which the window begins.",
        rich_help_panel=HOW,
    ),
]
To = Annotated[
    Any,
    typer.Option(
        "--to",
        metavar="TIME",
        parser=_duration,
        help="Simulated time at which it ends; by default the end of the run.",
        show_default=False,
        rich_help_panel=HOW,
    ),
]
Replication = Annotated[
    int,
    typer.Option(
        min=0,
        max=9_999,
        metavar="N",
        help="Which of the repetitions, counted from 0.",
        rich_help_panel=HOW,
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        min=100,
        metavar="N",
        help="Most events to write; the window ends where there are more.",
        rich_help_panel=HOW,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="The trace (JSON); the page comes beside it. "
        "By default outputs/NAME/trace.json, for a scenario of that name.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]


def trace(
    config: Config = None,
    example: Example = None,
    overrides: Set = None,
    schedulers: Scheduler = None,
    calibration: Calibration = None,
    seed: Seed = None,
    start_s: From = "0s",
    end_s: To = None,
    replication: Replication = 0,
    limit: Limit = 300_000,
    out: OutFile = None,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Write no page.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print what was written as JSON.", rich_help_panel=OUTPUT),
    ] = False,
    open_page_: Open = None,
    quiet: Quiet = False,
) -> None:
    """Write what happens, moment by moment, in a window of one run.

    Writes a trace for Perfetto and chrome://tracing (cores, threads,
    requests, queues, who wakes whom), and a page with Gantt charts.
    """
    to_s = math.inf if end_s is None else end_s
    if not start_s < to_s:
        raise typer.BadParameter("the window ends before it begins", param_hint="--to")
    options = scenario_options(overrides, schedulers, seed, None, calibration)
    scenario = load(config, example, options.overrides(), schedulers or (), calibration)
    path, page = _places(scenario, out, no_page)
    found = _simulate(scenario, start_s, to_s, replication, limit, quiet)
    events = found.write(path)
    if page is not None:
        found.write_page(page)
    _show(found, events, path, page, as_json=as_json, quiet=quiet)
    if page is not None:
        from simsched.cli.artefacts import open_page

        looked_at = sys.stdout.isatty() and not as_json and not quiet
        open_page(page, wanted=open_page_, looked_at=looked_at)


def _places(scenario: Scenario, out: Path | None, no_page: bool) -> tuple[Path, Path | None]:
    """Where the trace and the page go, after making sure that they can be written.

    Raises:
        OutputError: they cannot, or one would replace the scenario.
    """
    from simsched.report.files import OutputError, RunFolder

    path = RunFolder.for_scenario(scenario.name).path / "trace.json" if out is None else out
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; --out names a file")
    page = None if no_page else path.with_suffix(".html")
    if page == path:
        raise OutputError(f"{path} would be both the trace and its page: call the trace .json")
    for place in filter(None, (path, page)):
        if scenario.source is not None and place.exists() and place.samefile(scenario.source):
            raise OutputError(f"the trace would replace its own scenario {scenario.source}")
    RunFolder(path.parent).prepare()
    return path, page


def _simulate(
    scenario: Scenario, start_s: float, end_s: float, replication: int, limit: int, quiet: bool
) -> Trace:
    from simsched.cli.console import warn
    from simsched.cli.progress import display
    from simsched.study.tracing import trace as run_trace

    with display(quiet=quiet) as progress:
        found = run_trace(
            scenario,
            start_s=start_s,
            end_s=end_s,
            replication=replication,
            limit=limit,
            progress=progress,
        )
    if found.cut and not quiet:
        begins = f"{found.end_s:.6g}s"
        warn("warning", f"{found.about()['completeness']}; --from {begins} shows what follows")
    if not quiet and not any(timeline.requests for timeline in found.timelines):
        warn("warning", "no request was under way in this window")
    return found


def _show(
    found: Trace, events: int, path: Path, page: Path | None, *, as_json: bool, quiet: bool
) -> None:
    from simsched.cli.console import until_reader_leaves, write_json

    summary = {
        "schema": "simsched.trace/1",
        **found.about(),
        "events": events,
        "bytes": path.stat().st_size,
        "files": {"trace": str(path), **({} if page is None else {"page": str(page)})},
        "schedulers": [
            {
                "name": timeline.scheduler,
                "requests": len(timeline.requests),
                "threads": len({piece.worker for piece in timeline.workers}),
            }
            for timeline in found.timelines
        ],
    }
    with until_reader_leaves():
        if as_json:
            write_json(summary)
        elif not quiet:
            _print(summary)


def _print(summary: dict[str, Any]) -> None:
    from simsched.report.units import bytes_scale, format_number

    size = format_number(float(summary["bytes"]), bytes_scale)
    to_s, count = summary["to_s"], summary["events"]
    typer.echo(f"{summary['scenario']}, replication {summary['replication']}")
    typer.echo(f"{summary['from_s']:.6g} s to {to_s:.6g} s, {count:,} events, {size}")
    for entry in summary["schedulers"]:
        counts = (_plural(entry[what], what[:-1]) for what in ("requests", "threads"))
        typer.echo(f"  {entry['name']}: {', '.join(counts)}")
    typer.echo(f"trace  {summary['files']['trace']} (open at https://ui.perfetto.dev)")
    if "page" in summary["files"]:
        typer.echo(f"page   {summary['files']['page']}")


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
