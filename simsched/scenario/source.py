"""Reads a TOML file as text and data, and says plainly why it cannot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import tomli

from simsched.scenario.errors import Problem, ScenarioError
from simsched.scenario.suggest import did_you_mean

MAX_FILE_BYTES = 5_000_000
"""Largest scenario file that is read."""

MAX_DEPTH = 64
"""Deepest nesting of tables and arrays."""


def read_text(path: Path) -> str:
    """The text of a scenario file.

    Raises:
        ScenarioError: missing, a folder, unreadable, too large, empty, binary, or not UTF-8.
    """
    name = str(path)
    try:
        if path.is_dir():
            _refuse(name, "this is a folder, not a scenario file", _other_files(path, "*.toml"))
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        _refuse(name, "there is no such file", did_you_mean(path.name, siblings))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _refuse(name, f"cannot be read: {reason}")
    if len(raw) > MAX_FILE_BYTES:
        _refuse(name, f"larger than {MAX_FILE_BYTES // 10**6} MB: this is not a scenario file")
    if b"\0" in raw:
        _refuse(name, "a binary file, not TOML text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        shown = raw.split(b"\n")[line - 1].decode("utf-8", errors="replace").rstrip("\r")
        problem = Problem(name, line, column, shown, "not UTF-8 text", hint="save it as UTF-8")
        raise ScenarioError([problem]) from None
    if not text.strip():
        _refuse(
            name, "the file is empty", 'start with [scenario], name = "..." and duration = "30s"'
        )
    return text


def parse(text: str, file: str) -> dict[str, Any]:
    """The data of a TOML text.

    Raises:
        ScenarioError: a syntax error, with its line and column, or too deep nesting.
    """
    try:
        data = tomli.loads(text)
    except RecursionError:
        _refuse(file, f"nested more than {MAX_DEPTH} levels deep")
    except ValueError as error:
        raise ScenarioError([_syntax_problem(text, file, error)]) from None
    if _deeper_than(data, MAX_DEPTH):
        _refuse(file, f"nested more than {MAX_DEPTH} levels deep")
    return data


def _syntax_problem(text: str, file: str, error: ValueError) -> Problem:
    """A TOML error as a problem; tomli says where, as attributes or in its message."""
    message = str(getattr(error, "msg", error))
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    at = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    if line is None and at is not None and at[1]:
        line, column = int(at[1]), int(at[2])
    if at is not None:
        message = message.removesuffix(at[0])
    lines = text.split("\n")
    if line is None or column is None:
        line, column = len(lines), len(lines[-1]) + 1
    shown = lines[line - 1].rstrip("\r") if line <= len(lines) else ""
    return Problem(file, line, column, shown, f"not valid TOML: {message[:1].lower()}{message[1:]}")


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _other_files(folder: Path, pattern: str) -> str:
    names = sorted(p.name for p in folder.glob(pattern))[:5]
    return f"it contains {', '.join(names)}" if names else ""


def _refuse(file: str, message: str, hint: str = "") -> NoReturn:
    raise ScenarioError([Problem(file, None, None, "", message, hint=hint)]) from None
