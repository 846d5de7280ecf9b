"""`simsched run`: simulate a scenario and show what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from simsched.cli.exit_codes import ExitCode
from simsched.cli.options import (
    Calibration,
    Check,
    Config,
    Example,
    Jobs,
    Json,
    NoDashboard,
    Open,
    Out,
    Quiet,
    Replications,
    SaveRequests,
    Scheduler,
    Seed,
    Set,
    Strict,
    load,
    scenario_options,
    which,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simsched.scenario import Scenario
    from simsched.study.run import RunResult

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched run --example io_heavy",
        "  simsched run shop.toml --set workload.arrivals.rate=800/s",
        "  simsched run shop.toml --scheduler tomcat --scheduler go --json",
        "  simsched run shop.toml --strict && ./deploy",
        "",
        "[bold]Exit status[/]",
        "  0    done, and no objective of \\[slo] failed",
        "  1    internal error (SIMSCHED_DEBUG=1 shows where)",
        "  2    wrong command line or scenario, or a folder that cannot be written",
        "  4    with --strict: an objective is neither proven kept nor proven broken",
        "  99   an objective failed for at least one scheduler",
        "  130  interrupted; the replications that were finished are reported",
    )
)


def run(
    config: Config = None,
    example: Example = None,
    overrides: Set = None,
    schedulers: Scheduler = None,
    calibration: Calibration = None,
    seed: Seed = None,
    replications: Replications = None,
    jobs: Jobs = "auto",
    check: Check = False,
    strict: Strict = False,
    out: Out = Path("outputs"),
    as_json: Json = False,
    save_requests: SaveRequests = None,
    open_dashboard: Open = None,
    no_dashboard: NoDashboard = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scenario: the same requests on every scheduler.

    Prints a summary and writes result.json, config.toml (which reproduces
    the run) and dashboard.html.
    """
    options = scenario_options(overrides, schedulers, seed, replications, calibration)
    scenario = load(config, example, options.overrides(), schedulers or (), calibration)
    from simsched.cli.artefacts import Artefacts
    from simsched.report.files import OutputError, RunFolder

    artefacts = Artefacts(
        RunFolder.for_scenario(scenario.name, out), not no_dashboard, save_requests
    )
    artefacts.prepare(scenario)
    command = ["simsched", "run", *which(config, example), *options.arguments()]
    result = _simulate(scenario, jobs, check, save_requests is not None, command, quiet)
    paths: Mapping[str, Path] = {}
    unwritten: OutputError | None = None
    try:
        paths = artefacts.write(result)
    except OutputError as error:  # the disk is full by now: show what there is all the same
        unwritten = error
    _show(result, paths, as_json=as_json, quiet=quiet)
    if unwritten is not None:
        raise unwritten
    if "dashboard" in paths:
        from simsched.cli.artefacts import open_page

        looked_at = sys.stdout.isatty() and not as_json and not quiet
        open_page(paths["dashboard"], wanted=open_dashboard, looked_at=looked_at)
    raise typer.Exit(exit_code(result, strict=strict))


def _simulate(
    scenario: Scenario,
    jobs: int | Literal["auto"],
    check: bool,
    keep_records: bool,
    command: Sequence[str],
    quiet: bool,
) -> RunResult:
    from simsched.cli.console import warn
    from simsched.cli.progress import display
    from simsched.study.offered import offered
    from simsched.study.run import run as run_study

    if not quiet:
        for text in offered(scenario).warnings:
            warn("warning", text)
    with display(quiet=quiet) as progress:
        result = run_study(
            scenario,
            jobs=jobs,
            check=check,
            keep_records=keep_records,
            progress=progress,
            command=command,
        )
    if result.interrupted:
        warn("interrupted", "this is the result of the replications that were finished")
    if check and not quiet:
        warn("checked", "no invariant of the model was broken", "green")
    return result


def _show(result: RunResult, paths: Mapping[str, Path], *, as_json: bool, quiet: bool) -> None:
    from simsched.cli.console import stdout_console, until_reader_leaves, write

    with until_reader_leaves():
        if as_json:
            write(result.to_json())
        elif not quiet:
            from simsched.report.table import render_summary

            render_summary(result.document, stdout_console(), paths)


def exit_code(result: RunResult, *, strict: bool) -> ExitCode:
    """The exit code that a result deserves: one failing scheduler is a failure."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    states = {rule["state"] for entry in result.schedulers.values() for rule in entry["slo"]}
    if "fail" in states:
        return ExitCode.SLO_FAILED
    return ExitCode.INCONCLUSIVE if strict and "unknown" in states else ExitCode.OK
