"""Starting: at once, in either of two ways, and without a fuss when nobody reads the output."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .calls import call, shell

HEAVY = ("simpy", "numpy", "scipy", "plotly", "pydantic", "jinja2", "pyarrow")
OF_TYPER = "pydantic"  # typer itself needs it to read the options of a command
PROBE = f"""
import sys
sys.argv = ["simsched", *sys.argv[1:]]
from simsched.cli.app import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list", "-h"],
        ["explain", "-h"],
        ["trace", "-h"],
        ["--version"],
        ["version"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].removeprefix("loaded:").split())
    assert loaded <= ({OF_TYPER} if arguments[0].isalpha() else set())


def test_the_module_can_be_run() -> None:
    done = shell("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("simsched ")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments", [["list"], ["schema", "scenario"], ["show", "go"], ["explain"], ["explain", "go"]]
)
def test_a_reader_that_leaves_causes_no_traceback(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "simsched", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


COMMANDS = [
    *("run", "trace", "check", "init", "validate", "calibrate", "doctor"),
    *("list", "show", "explain", "schema", "version"),
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal_and_has_examples(command: str) -> None:
    arguments = [command] if command else []
    long, short = call(*arguments, "--help"), call(*arguments, "-h")
    assert long.exit_code == 0
    assert long.stdout == short.stdout
    assert max(len(line) for line in long.stdout.splitlines()) <= 80
    assert "Examples" in long.stdout or "First steps" in long.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_names_types_of_no_language(command: str) -> None:
    """A switch takes no value, and an argument has a name: neither is a <bool> or a <list[str]>."""
    text = call(*([command] if command else []), "--help").stdout
    assert not re.search(r"<(bool|str|path|int|list)", text)


@pytest.mark.parametrize("command", ["run", "trace", "check", "validate", "calibrate", "doctor"])
def test_each_exit_status_is_explained_on_one_line(command: str) -> None:
    text = call(command, "--help").stdout.split("Exit status")[1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert all(re.match(r"\d+  ", line) for line in lines)


def test_nothing_at_all_asks_for_help() -> None:
    result = call()
    assert result.exit_code == 2
    assert "Usage: simsched" in result.stdout + result.stderr
