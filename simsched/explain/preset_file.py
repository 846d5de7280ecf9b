"""The values of a preset as its file writes them, each with the comment that names its source."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simsched.scenario.presets import preset_text

_TABLE = re.compile(r"^\[scheduler(?:\.(?P<table>[\w.]+))?\]")
_VALUE = re.compile(r"^(?P<key>[\w.-]+)\s*=\s*(?P<value>.*)$")


@dataclass(frozen=True)
class Setting:
    """One value of a preset: as written, and the comment above it on one line."""

    value: str
    source: str


def settings(name: str) -> dict[str, Setting]:
    """The settings of a built-in preset by key, with a dot where the table is nested.

    A comment belongs to all keys that follow it without an empty line in between.

    Raises:
        ScenarioError: there is no such preset.
    """
    found: dict[str, Setting] = {}
    prefix: str | None = None
    comment: list[str] = []
    after_value = False
    for line in preset_text(name).splitlines():
        table = _TABLE.match(line)
        value = _VALUE.match(line)
        if line.startswith("#"):
            comment = [*([] if after_value else comment), line.lstrip("# ").rstrip()]
        elif line.startswith("["):
            prefix = f"{table['table']}." if table and table["table"] else "" if table else None
            comment = []
        elif not line.strip():
            comment = []
        elif value and prefix is not None:
            found[prefix + value["key"]] = Setting(value["value"].strip(), " ".join(comment))
        after_value = value is not None
    return found
