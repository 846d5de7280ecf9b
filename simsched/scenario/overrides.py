"""Overrides: ``path=value`` texts that change a scenario's data before it is validated.

A path is dotted: keys, list indexes, or names of list entries (``schedulers.tomcat.maxThreads``,
``workload.requests.0.weight``). A part with a dot in it is quoted. The value is a TOML value; a
bare word that is none is a text, so ``scenario.duration=5s`` needs no quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tomli

from simsched.scenario import shape
from simsched.scenario.document import Document, Override, show_path
from simsched.scenario.errors import Problem
from simsched.scenario.presets import preset_names
from simsched.scenario.slo import SLO_KEYS
from simsched.scenario.specs import default_name
from simsched.scenario.suggest import did_you_mean, one_of

Path = tuple[str | int, ...]

_PART = re.compile(
    r"""\.?(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|\[(?P<index>\d{1,9})\]|(?P<bare>[^.\[\]"'=]+))"""
)


class _Refused(Exception):
    """An override cannot be applied; column is an offset in its text."""

    def __init__(self, message: str, start: int, end: int, expected: str = "", hint: str = ""):
        super().__init__(message)
        self.start, self.end = start, end
        self.expected, self.hint = expected, hint


def apply_overrides(document: Document, overrides: Sequence[str]) -> list[Problem]:
    """Apply the texts to the document's data, in order; returns what could not be applied."""
    problems: list[Problem] = []
    for text in overrides:
        try:
            _apply(document, text)
        except _Refused as refused:
            problems.append(
                Problem(
                    file="--set",
                    line=None,
                    column=refused.start + 1,
                    text=text,
                    message=str(refused),
                    expected=refused.expected,
                    hint=refused.hint,
                    length=max(1, refused.end - refused.start),
                )
            )
    return problems


def choose_schedulers(document: Document, wanted: Sequence[str]) -> list[Problem]:
    """Keep the schedulers of these names, in this order; a preset that is not in the list is added.

    Returns what is neither a scheduler of the document nor a preset.
    """
    if not wanted:
        return []
    listed = document.data.get("schedulers")
    entries = listed if isinstance(listed, list) else []
    names = [default_name(entry) if isinstance(entry, dict) else None for entry in entries]
    chosen: list[Any] = []
    origins: list[int | None] = []
    problems: list[Problem] = []
    for name in wanted:
        if name in names:
            origins.append(names.index(name))
            chosen.append(entries[names.index(name)])
        elif name in preset_names() or name.endswith(".toml"):
            origins.append(None)
            chosen.append({"preset": name})
        else:
            options = [*(n for n in names if isinstance(n, str)), *preset_names()]
            expected = one_of(dict.fromkeys(options))
            message = f'no scheduler and no preset is called "{name}"'
            hint = did_you_mean(name, options)
            problems.append(
                Problem("--scheduler", None, 1, name, message, expected, hint, max(1, len(name)))
            )
    if not problems:
        document.data["schedulers"] = chosen
        document.origins = origins
    return problems


def _apply(document: Document, text: str) -> None:
    parts, value_at = _split(text)
    value = _value(text, value_at)
    node: Any = document.data
    path: Path = ()
    for depth, (part, start, end) in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, dict):
            key = str(part)
            _check_key(node, path, key, (start, end), creates=last and isinstance(value, dict))
            path = (*path, key)
            if not last:
                node = node.setdefault(key, {})
        elif isinstance(node, list):
            index = _index(node, path, part, (start, end))
            path = (*path, index)
            if not last:
                node = node[index]
        else:
            raise _Refused(
                f"{show_path(path)} is a value, not a table: it has nothing called {part!r}",
                start,
                end,
            )
        if last:
            node[path[-1]] = value
    document.overrides.append(Override(text, path, value_at))


def _split(text: str) -> tuple[list[tuple[str | int, int, int]], int]:
    """Parts of the path with their offsets, and the offset of the value."""
    parts: list[tuple[str | int, int, int]] = []
    at = 0
    while at < len(text) and text[at] != "=":
        match = _PART.match(text, at)
        if match is None or (match[0].startswith(".") == (not parts) and match["index"] is None):
            raise _Refused("cannot read this path", at, at + 1, "path.to.key=value")
        kind = str(match.lastgroup)
        word = match[kind].strip() if kind == "bare" else match[kind]
        number = kind == "index" or (kind == "bare" and word.isdecimal())
        parts.append((int(word) if number else word, match.start(kind), match.end(kind)))
        at = match.end()
    if at >= len(text) or not parts:
        raise _Refused("an override is path=value", 0, len(text), "path.to.key=value")
    return parts, at + 1


def _value(text: str, at: int) -> Any:
    word = text[at:].strip()
    if not word:
        raise _Refused("the value is missing", at, at + 1, "path.to.key=value")
    try:
        parsed = tomli.loads(f"value = {word}")
        if list(parsed) == ["value"]:
            return parsed["value"]
    except ValueError:
        if word[0] not in "\"'[{" and word.isprintable():
            return word
    raise _Refused("the value is not valid TOML", at, len(text))


def _check_key(
    table: dict[str, Any], path: Path, key: str, span: tuple[int, int], *, creates: bool
) -> None:
    """Refuse a key that no table at this path has."""
    if key in table:
        return
    free = path == ("resources",)
    known = list(table) if free else list(SLO_KEYS) if path == ("slo",) else shape.keys_at(path)
    if key in known or (free and creates):
        return
    where = f" in {show_path(path)}" if path else ""
    raise _Refused(
        f'there is no "{key}"{where}',
        *span,
        one_of(known) if known else "",
        did_you_mean(key, known),
    )


def _index(entries: list[Any], path: Path, part: str | int, span: tuple[int, int]) -> int:
    """Position of a list entry, given its index or name."""
    if isinstance(part, int):
        if part < len(entries):
            return part
        have = f"entries 0 to {len(entries) - 1}" if entries else "no entries"
        raise _Refused(f"{show_path(path)} has {have}", *span)
    names: list[Any] = [
        (default_name(e) if path == ("schedulers",) else e.get("name"))
        if isinstance(e, dict)
        else 0
        for e in entries
    ]
    if part in names:
        return names.index(part)
    known = [name for name in names if isinstance(name, str)]
    raise _Refused(
        f'{show_path(path)} has no entry called "{part}"',
        *span,
        one_of(known) if known else "an index",
        did_you_mean(part, known),
    )
