"""`simsched run`: simulate a scenario and show what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from simsched.cli import complete
from simsched.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simsched.scenario import Scenario
    from simsched.study.run import RunResult

EPILOG = "\n\n".join(
    (
        "[bold]Examples[/]",
        "  simsched run --example io_heavy",
        "  simsched run shop.toml --set workload.arrivals.rate=800/s",
        "  simsched run shop.toml --scheduler tomcat --scheduler go --json",
        "  simsched run shop.toml --strict && ./deploy",
        "[bold]Exit status[/]",
        "  0    done, and no objective of \\[slo] failed",
        "  1    internal error (SIMSCHED_DEBUG=1 shows where)",
        "  2    wrong command line or scenario, or a folder that cannot be written",
        "  4    with --strict: an objective is neither proven kept nor proven broken",
        "  99   an objective failed for at least one scheduler",
        "  130  interrupted; the replications that were finished are reported",
    )
)
SCENARIO, HOW, OUTPUT = "Scenario", "Simulation", "Output"


def _parse_jobs(text: Any) -> int | Literal["auto"]:
    from simsched.study.executors import MAX_JOBS

    if text == "auto":
        return "auto"
    number = int(text) if str(text).isdecimal() else 0
    if not 1 <= number <= MAX_JOBS:
        raise typer.BadParameter(f'"{text}" is neither "auto" nor a number from 1 to {MAX_JOBS}')
    return number


Config = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG]", help="Scenario file (TOML).", show_default=False),
]
Example = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="NAME",
        help='A built-in example instead of a file; see "simsched list".',
        autocompletion=complete.example_names,
        rich_help_panel=SCENARIO,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value, as host.cores=8 or schedulers.tomcat.maxThreads=64. Repeatable.",
        rich_help_panel=SCENARIO,
    ),
]
Scheduler = Annotated[
    list[str] | None,
    typer.Option(
        "--scheduler",
        metavar="NAME",
        help="Only this scheduler of the file, or this preset. Repeatable.",
        autocompletion=complete.scheduler_names,
        rich_help_panel=SCENARIO,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**63 - 1,
        metavar="N",
        envvar="SIMSCHED_SEED",
        help="Root of all random numbers, instead of the scenario's.",
        rich_help_panel=SCENARIO,
    ),
]
Replications = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        metavar="N",
        help="Independent repetitions, instead of the scenario's.",
        rich_help_panel=SCENARIO,
    ),
]
Jobs = Annotated[
    Any,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N|auto",
        parser=_parse_jobs,
        help="Worker processes; auto: one per core, where that is worth it. Changes no number.",
        rich_help_panel=HOW,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Check the model's invariants at every event (slower).",
        rich_help_panel=HOW,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 4 if an objective is neither kept nor broken for certain.",
        rich_help_panel=HOW,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Folder for the files, in a folder named after the scenario.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result document instead of the summary.",
        rich_help_panel=OUTPUT,
    ),
]
SaveRequests = Annotated[
    Literal["csv", "npz", "parquet"] | None,
    typer.Option(
        "--save-requests",
        metavar="csv|npz|parquet",
        help="Save every single request, too.",
        rich_help_panel=OUTPUT,
    ),
]
Open = Annotated[
    bool | None,
    typer.Option(
        "--open/--no-open",
        help="Open the dashboard in a browser, or not. By default only from a terminal.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
NoDashboard = Annotated[
    bool,
    typer.Option("--no-dashboard", help="Write no dashboard.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No summary, no progress, no warnings; only errors.",
        rich_help_panel=OUTPUT,
    ),
]


def run(
    config: Config = None,
    example: Example = None,
    overrides: Set = None,
    schedulers: Scheduler = None,
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

    Prints a summary and writes result.json, config.toml (which reproduces the run) and
    dashboard.html.
    """
    options = _scenario_options(overrides, schedulers, seed, replications)
    scenario = load(config, example, options.values(), schedulers or ())
    from simsched.cli.artefacts import Artefacts
    from simsched.report.files import OutputError, RunFolder

    artefacts = Artefacts(
        RunFolder.for_scenario(scenario.name, out), not no_dashboard, save_requests
    )
    artefacts.prepare(scenario)
    command = ["simsched", "run", *_which(config, example), *options.arguments()]
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


class _Options:
    """What changes the scenario, as overrides and as the arguments that say so again.

    The arguments go into the result document. Others change no number in it and stay out, so that
    the document does not depend on --jobs, --out or what is printed.
    """

    def __init__(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        self._pairs = pairs

    def values(self) -> list[str]:
        return [override for _, _, override in self._pairs if override]

    def arguments(self) -> list[str]:
        return [text for option, value, _ in self._pairs for text in (option, value)]


def _scenario_options(
    overrides: Sequence[str] | None,
    schedulers: Sequence[str] | None,
    seed: int | None,
    replications: int | None,
) -> _Options:
    pairs = [("--scheduler", name, "") for name in schedulers or ()]
    pairs += [("--set", text, text) for text in overrides or ()]
    if seed is not None:
        pairs.append(("--seed", str(seed), f"scenario.seed={seed}"))
    if replications is not None:
        text = f"scenario.replications={replications}"
        pairs.append(("--replications", str(replications), text))
    return _Options(pairs)


def _which(config: Path | None, example: str | None) -> list[str]:
    return ["--example", str(example)] if config is None else [config.as_posix()]


def load(
    config: Path | None,
    example: str | None,
    overrides: Sequence[str],
    schedulers: Sequence[str],
) -> Scenario:
    """The scenario of a command line, which names a file or an example.

    Raises:
        typer.BadParameter: it names neither or both.
        ScenarioError: the scenario is not valid.
    """
    if (config is None) == (example is None):
        raise typer.BadParameter(
            "give a scenario file or --example NAME, not both"
            if config is not None
            else 'give a scenario file, or --example NAME ("simsched list" has the names)',
            param_hint="'[CONFIG]'",
        )
    if config is None:
        from simsched.cli import examples

        return examples.load(str(example), overrides, schedulers)
    from simsched.scenario import load_scenario

    return load_scenario(config, overrides, schedulers)


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
