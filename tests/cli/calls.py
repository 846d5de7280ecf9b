"""Calling the command line, within this process or as a user's shell does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from simsched.cli.app import app

ENVIRONMENT = {
    "COLUMNS": "80",
    "NO_COLOR": None,
    "FORCE_COLOR": None,
    "SIMSCHED_SEED": None,
    "SIMSCHED_DEBUG": None,
}


def call(*arguments: str | Path, env: Mapping[str, str | None] | None = None) -> Any:
    """The result of a command: exit_code, stdout and stderr."""
    runner = CliRunner()
    return runner.invoke(app, [str(a) for a in arguments], env={**ENVIRONMENT, **(env or {})})


def call_json(*arguments: str | Path) -> Any:
    """What a command that succeeds prints as JSON."""
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def shell(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "simsched", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        timeout=120,
        check=False,
        **options,
    )
