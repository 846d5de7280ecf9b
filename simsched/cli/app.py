"""The command line application, its commands in the order in which a newcomer needs them."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from simsched.cli import (
    calibrate_command,
    check_command,
    doctor_command,
    explain_command,
    init_command,
    list_command,
    run_command,
    schema_command,
    trace_command,
    validate_command,
)
from simsched.cli.exit_codes import ExitCode
from simsched.cli.guard import Commands
from simsched.cli.plain_help import Command

EPILOG = "\n".join(
    (
        "[bold]First steps[/]",
        "  simsched run --example io_heavy    compare four runtimes on one workload",
        "  simsched init shop.toml            describe your own workload",
        "  simsched check shop.toml           what it asks for, before any simulation",
        "  simsched run shop.toml             what you get",
    )
)
SIMULATE, REALITY, LOOK_UP = "Simulate", "Reality", "Look up"

app = typer.Typer(
    name="simsched",
    cls=Commands,
    help="Predict how one request mix behaves on a thread pool, an event loop, goroutines and "
    "virtual threads: latency percentiles, throughput, utilisation and memory.",
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from simsched._version import __version__

        typer.echo(f"simsched {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


command = partial(app.command, cls=Command)

command("run", rich_help_panel=SIMULATE, epilog=run_command.EPILOG, no_args_is_help=True)(
    run_command.run
)
command("trace", rich_help_panel=SIMULATE, epilog=trace_command.EPILOG, no_args_is_help=True)(
    trace_command.trace
)
command("check", rich_help_panel=SIMULATE, epilog=check_command.EPILOG, no_args_is_help=True)(
    check_command.check
)
command("validate", rich_help_panel=REALITY, epilog=validate_command.EPILOG, no_args_is_help=True)(
    validate_command.validate
)
command("calibrate", rich_help_panel=REALITY, epilog=calibrate_command.EPILOG)(
    calibrate_command.calibrate
)
command("doctor", rich_help_panel=REALITY, epilog=doctor_command.EPILOG)(doctor_command.doctor)
command("init", rich_help_panel=SIMULATE, epilog=init_command.EPILOG)(init_command.init)
command("list", rich_help_panel=LOOK_UP, epilog=list_command.LIST_EPILOG)(list_command.list_)
command("show", rich_help_panel=LOOK_UP, epilog=list_command.SHOW_EPILOG)(list_command.show)
command("explain", rich_help_panel=LOOK_UP, epilog=explain_command.EPILOG)(explain_command.explain)
command("schema", rich_help_panel=LOOK_UP, epilog=schema_command.SCHEMA_EPILOG)(
    schema_command.schema
)
command("version", rich_help_panel=LOOK_UP, epilog=schema_command.VERSION_EPILOG)(
    schema_command.version
)


def main() -> None:
    """Run the command line; the entry point of the `simsched` script."""
    from simsched.cli.console import until_reader_leaves

    try:
        # Help is printed before any command is, and may have a reader that leaves, too.
        with until_reader_leaves():
            app(prog_name="simsched")
    except KeyboardInterrupt:  # before a command has begun
        sys.exit(ExitCode.INTERRUPTED)
