"""The command line: parse, call one function of the package, print."""

from simsched.cli.exit_codes import ExitCode

__all__ = ["ExitCode"]
