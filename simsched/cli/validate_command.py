"""`simsched validate`: how true the predictions are, against real runtimes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsched.cli.exit_codes import ExitCode
from simsched.cli.options import OUTPUT, Calibration, Jobs, Json, Open, Quiet

if TYPE_CHECKING:
    from simsched.reality.replay import Validation

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched validate --runtime asyncio --runtime go1 --duration 3",
        "  simsched validate --scenario shop.toml --runtime tpe40 --repeat 3",
        "  simsched validate --replay measured/ --calibration kvm-2vcpu --only mixed",
        "",
        "[bold]Runtimes[/]",
        "  asyncio, uvloop, tpeN, goP, vtP, jfN; over HTTP http_fa_async, http_fa_def,",
        "  http_fa_block, http_gsyncN, http_gthreadN, http_gowebP, http_jwN, http_jwvtP",
        "",
        "[bold]Exit status[/]",
        "  0    done, however true the predictions are",
        "  1    internal error (SIMSCHED_DEBUG=1 shows where)",
        "  2    wrong command line, or a folder or scenario that cannot be read",
        "  130  interrupted; what was recorded is kept, what was predicted is shown",
    )
)
WHAT = "What to measure"

Replay = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FOLDER",
        help="Measure nothing: predict what this folder holds (index.json and cases/).",
        rich_help_panel=WHAT,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PATTERN",
        help="Only cases whose id contains this, or fits it as a pattern with *. Repeatable.",
        rich_help_panel=WHAT,
    ),
]
Runtime = Annotated[
    list[str] | None,
    typer.Option("--runtime", metavar="NAME", help="Repeatable.", rich_help_panel=WHAT),
]
ScenarioFile = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        metavar="FILE",
        help="Requests of this scenario, instead of the built-in mixes.",
        rich_help_panel=WHAT,
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(
        min=0.1, metavar="SECONDS", help="Length of each measurement.", rich_help_panel=WHAT
    ),
]
Repeat = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", help="Measure each trace N times: the noise.", rich_help_panel=WHAT
    ),
]
Cores = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="CPUs to use, as 0,1: those of the runtime first, the injector's last.",
        rich_help_panel=WHAT,
    ),
]
Phases = Annotated[
    bool,
    typer.Option(
        "--phases",
        help="Compare where the time of a request went, too (slower).",
        rich_help_panel=OUTPUT,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Folder for the page, the document and what was recorded.",
        rich_help_panel=OUTPUT,
    ),
]


def validate(
    replay: Replay = None,
    only: Only = None,
    runtimes: Runtime = None,
    scenario: ScenarioFile = None,
    duration: Duration = None,
    repeat: Repeat = 1,
    cores: Cores = None,
    calibration: Calibration = None,
    jobs: Jobs = "auto",
    out: Out = Path("outputs/validation"),
    phases: Phases = False,
    as_json: Json = False,
    open_page_: Open = None,
    quiet: Quiet = False,
) -> None:
    """Drive real runtimes with known requests, predict them, and compare.

    Every request's work is drawn beforehand and given to the runtime at its
    time, however late the runtime is (open loop). Nothing leaves 127.0.0.1.
    """
    from simsched.cli.console import warn
    from simsched.cli.progress import display
    from simsched.reality.cases import CannotRead
    from simsched.reality.replay import replay as predict_all
    from simsched.report.files import RunFolder

    measuring = (runtimes, scenario, duration, cores, None if repeat == 1 else repeat)
    if replay is not None and any(option is not None for option in measuring):
        raise typer.BadParameter("nothing is measured with --replay", param_hint="--replay")
    RunFolder(out).prepare()
    folder = replay or _record(out / "recorded", runtimes, scenario, duration, repeat, cores, quiet)
    try:
        with display(quiet=quiet) as progress:
            found = predict_all(
                folder,
                only or (),
                None if calibration == "none" else calibration,
                (os.cpu_count() or 1) if jobs == "auto" else jobs,
                progress,
                phases,
            )
    except CannotRead as error:
        raise typer.BadParameter(str(error), param_hint="--replay") from None
    if found.interrupted:
        warn("interrupted", "this is what came of the cases that were finished")
    page = _write(found, out)
    _show(found, page, as_json=as_json, quiet=quiet)
    from simsched.cli.artefacts import open_page

    open_page(page, wanted=open_page_, looked_at=sys.stdout.isatty() and not as_json and not quiet)
    if found.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _record(
    folder: Path,
    runtimes: list[str] | None,
    scenario: Path | None,
    duration: float | None,
    repeat: int,
    cores: str | None,
    quiet: bool,
) -> Path:
    """Measure; what cannot be is told in one line each."""
    from simsched.cli.console import warn
    from simsched.cli.progress import display
    from simsched.reality import CannotDrive, RecordPlan, UnknownRuntime, record

    plan: dict[str, Any] = {"scenario": scenario, "duration_s": duration, "repeat": repeat}
    if runtimes:
        plan["runtimes"] = tuple(runtimes)
    if cores is not None:
        plan["cpus"] = _cpus(cores)
    busy, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if busy > 0.25 * cpus:
        warn("busy", f"others keep {busy:.1f} of {cpus} cores busy: what is measured will be slow")
    try:
        with display(quiet=quiet, what="measurements") as progress:
            recorded = record(RecordPlan(**plan), folder, progress)
    except (CannotDrive, UnknownRuntime) as error:
        raise typer.BadParameter(str(error)) from None
    except KeyboardInterrupt:
        if not (folder / "index.json").exists():
            raise
        warn("interrupted", f"what was measured is kept; compare it with --replay {folder}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    for skipped in recorded.skipped:
        warn("skipped", f"{skipped.name}: {skipped.reason}")
    if not quiet:
        for note in recorded.notes:
            warn("note", note)
    if not recorded.records:
        raise typer.BadParameter("nothing could be measured", param_hint="--runtime")
    return folder


def _cpus(text: str) -> tuple[int, ...]:
    try:
        cpus = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no list of CPUs, as 0,1') from None
    usable = os.sched_getaffinity(0)
    for cpu in cpus:
        if cpu not in usable:
            there = ", ".join(map(str, sorted(usable)))
            raise typer.BadParameter(f"CPU {cpu} may not be used here; these may: {there}")
    return cpus


def _write(found: Validation, out: Path) -> Path:
    from simsched.reality.page import write_page
    from simsched.report.files import atomic_write

    atomic_write(out / "validation.json", found.to_json())
    return write_page(found, out / "validation.html")


def _show(found: Validation, page: Path, *, as_json: bool, quiet: bool) -> None:
    from simsched.cli.console import stdout_console, until_reader_leaves, write
    from simsched.cli.validate_view import tables

    with until_reader_leaves():
        if as_json:
            write(found.to_json())
        elif not quiet:
            console = stdout_console()
            for table in tables(found):
                console.print(table)
            for text in found.skipped:
                typer.echo(f"left out: {text}")
            typer.echo(f"page  {page}")
