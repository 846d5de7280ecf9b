"""From exceptions to exit codes and one clear sentence, in one place for every command."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from simsched.cli.console import until_reader_leaves, warn
from simsched.cli.exit_codes import ExitCode
from simsched.cli.plain_help import plain

DEBUG = "SIMSCHED_DEBUG"
"""Environment variable: set to 1, errors show where in the program they were raised."""


class Commands(TyperGroup):
    """The group of all commands: what a command raises becomes an exit code here."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options of the program, with a plain help."""
        return plain(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            with until_reader_leaves():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            warn("interrupted", "stopped before there was a result")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except Exception as error:
            if _is_of_the_framework(error):
                raise
            raise typer.Exit(explain(error)) from None


def _is_of_the_framework(error: Exception) -> bool:
    """Usage errors and exits, which the framework reports itself."""
    module = type(error).__module__
    return module.split(".")[0] in ("typer", "click")


def explain(error: Exception) -> ExitCode:
    """Print an error for people and return its exit code."""
    from simsched.report.files import OutputError
    from simsched.scenario import ScenarioError
    from simsched.study.errors import SimulationError

    if os.environ.get(DEBUG, "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, ScenarioError):
        print(error, file=sys.stderr)
        return ExitCode.USAGE
    if isinstance(error, OutputError):
        warn("error", str(error), "red")
        return ExitCode.USAGE
    if isinstance(error, MemoryError):
        warn("error", "out of memory: make the duration shorter or the rate lower", "red")
        return ExitCode.INTERNAL
    if isinstance(error, OSError) and error.errno is not None:
        place = "" if error.filename is None else f"{error.filename}: "
        warn("error", f"{place}{(error.strerror or 'input or output failed').lower()}", "red")
        return ExitCode.INTERNAL
    text = str(error) if isinstance(error, SimulationError) else f"{type(error).__name__}: {error}"
    warn("internal error", text, "red")
    if os.environ.get(DEBUG, "") in ("", "0"):
        print(
            f"This is a bug in simsched. {DEBUG}=1 shows where it happened: "
            "please report it with that output.",
            file=sys.stderr,
        )
    return ExitCode.INTERNAL
