"""`simsched calibrate`: the constants of this machine, as a file for --calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsched.cli.exit_codes import ExitCode
from simsched.cli.options import OUTPUT, Json, Quiet

if TYPE_CHECKING:
    from simsched.calibration.measure import Measured

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched calibrate",
        "  simsched calibrate --quick --runtime asyncio --runtime go",
        "  simsched run shop.toml --calibration calibration.toml",
        "",
        "[bold]Runtimes[/]",
        "  asyncio, uvloop, cpython-threads, go, virtual-threads, jdk-threads; and the web",
        "  servers fastapi-async, fastapi-def, gunicorn-sync, gunicorn-gthread, go-http,",
        "  jdk-httpserver, jdk-httpserver-virtual (with --quick only where named)",
        "",
        "[bold]Exit status[/]",
        "  0    a file was written, with what could be measured",
        "  1    internal error (SIMSCHED_DEBUG=1 shows where)",
        "  2    wrong command line, nothing could be measured, or no file written",
        "  130  interrupted; no file is written",
    )
)
WHAT = "What to measure"

Runtime = Annotated[
    list[str] | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="Only this runtime or web server; all that are here by default. Repeatable.",
        rich_help_panel=WHAT,
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="25 s at most instead of two minutes: fewer repetitions, no web servers.",
        rich_help_panel=WHAT,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Where the file goes.", rich_help_panel=OUTPUT
    ),
]


def calibrate(
    runtimes: Runtime = None,
    quick: Quick = False,
    out: Out = Path("calibration.toml"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure what this machine's runtimes cost, for --calibration.

    Measures switches, wake-ups, timers, tasks, threads and their memory, on
    one core, and drives the runtimes with requests for what else they take;
    each with its spread. What cannot be measured is left out: the preset's
    own value stays. Compiling for Go and Java comes on top.
    """
    from simsched.calibration.measure import NAMES, measure
    from simsched.cli.console import until_reader_leaves, warn, write_json
    from simsched.cli.progress import display
    from simsched.report.files import RunFolder, atomic_write

    names = tuple(dict.fromkeys(runtimes or ()))
    for name in names:
        _known(name, NAMES)
    if out.suffix != ".toml":
        raise typer.BadParameter(f"{out} does not end in .toml", param_hint="--out")
    RunFolder(out.parent).prepare()
    try:
        with display(quiet=quiet, what="measurements") as progress:
            found = measure(names or None, quick=quick, progress=progress)
    except KeyboardInterrupt:
        warn("interrupted", "no file is written")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if not quiet:
        for line in found.left_out:
            warn("left out", line)
        if not found.noise.quiet:
            share = f"{found.noise.spread:.0%}"
            warn("noisy", f"the same work took up to {share} longer, one time in 20; see doctor")
    if not found.constants:
        raise typer.BadParameter("nothing could be measured here", param_hint="--runtime")
    text = _text(found, out.stem)
    atomic_write(out, text)
    with until_reader_leaves():
        if as_json:
            write_json(_document(found, out))
        elif not quiet:
            _show(found)
            typer.echo(f"file  {out}")


def _known(name: str, known: tuple[str, ...]) -> None:
    from simsched.scenario.suggest import did_you_mean

    if name not in known:
        there = ", ".join(known)
        hint = did_you_mean(name, known)
        message = f'"{name}" cannot be measured; there are {there}'
        raise typer.BadParameter(f"{message}. {hint}".rstrip(". "), param_hint="--runtime")


def _text(found: Measured, name: str) -> str:
    """The file, which is read once before it is written."""
    from datetime import date

    from simsched.calibration import loads_calibration
    from simsched.calibration.write import calibration_toml

    machine = found.machine
    about: dict[str, str | int] = {
        "cpu": machine.cpu,
        "cores": len(machine.cores),
        "kernel": f"{machine.system} {machine.kernel}",
        "python": machine.python,
        "date": date.today().isoformat(),
        "noise": f"{found.noise.spread:.0%}",
    }
    if machine.hz is not None:
        about["hz"] = machine.hz
    description = f"{machine.cpu}, {len(machine.cores)} cores, {machine.system} {machine.kernel}"
    text = calibration_toml(name, description, about, found.constants)
    loads_calibration(text)
    return text


def _document(found: Measured, out: Path) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "simsched.calibrated/1",
        "file": out.as_posix(),
        "machine": {**asdict(found.machine), "cores": list(found.machine.cores)},
        "noise": {**asdict(found.noise), "spread": found.noise.spread},
        "constants": [
            {**asdict(constant), "path": ".".join(constant.path)} for constant in found.constants
        ],
        "left_out": found.left_out,
    }


def _show(found: Measured) -> None:
    from rich.table import Table

    from simsched.cli.console import stdout_console

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("constant")
    for title in ("value", "low", "high"):
        table.add_column(title, justify="right", no_wrap=True)
    for constant in found.constants:
        values = (constant.value, constant.low, constant.high)
        shown = ((text or "").strip('"') for text in values)
        table.add_row(".".join(constant.path), *shown)
    stdout_console().print(table)
