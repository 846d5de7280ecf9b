"""A scenario as data that remembers where each piece was written.

The data is what TOML said, changed by overrides and by the choice of schedulers; the document can
still place a complaint in the file, or in the override that caused it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from simsched.scenario.errors import Problem
from simsched.scenario.positions import Positions
from simsched.scenario.translate import Complaint

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Override:
    """One ``path=value`` text: what it sets and where in the text the value starts."""

    text: str
    path: Path
    value_at: int


@dataclass
class Document:
    """Data, its text, and how the two differ.

    Attributes:
        file: name shown in messages; "" if there is no file.
        data: the data as it is now.
        text: the TOML it came from; "" if there is none.
        overrides: texts that changed the data, in order.
        origins: index in the text of each scheduler, None for one that is not in it; None if the
            list is as written.
    """

    file: str
    data: dict[str, Any]
    text: str = ""
    overrides: list[Override] = field(default_factory=list)
    origins: list[int | None] | None = None
    _positions: Positions | None = None

    def problems(self, complaints: Iterable[Complaint]) -> list[Problem]:
        """The complaints, placed."""
        return [self.place(complaint) for complaint in complaints]

    def place(self, complaint: Complaint) -> Problem:
        """One complaint at the override or the line of the text that it is about."""
        complaint = replace(complaint, path=self._written(complaint.path))
        dotted = show_path(complaint.path)
        message = f"{dotted}: {complaint.message}" if dotted else complaint.message
        override = self._override_of(complaint.path)
        if override is not None:
            start = 0 if complaint.on_key else override.value_at
            end = override.value_at - 1 if complaint.on_key else len(override.text)
            return Problem(
                file="--set",
                line=None,
                column=start + 1,
                text=override.text,
                message=message,
                expected=complaint.expected,
                hint=complaint.hint,
                length=max(1, end - start),
            )
        span = self._find(complaint)
        if span is None or self._positions is None:
            return Problem(self.file, None, None, "", message, complaint.expected, complaint.hint)
        line, column = self._positions.line_column(span[0])
        text = self._positions.line_text(line)
        length = max(1, min(span[1] - span[0], len(text) - column + 1))
        return Problem(
            self.file, line, column, text, message, complaint.expected, complaint.hint, length
        )

    def _written(self, path: Path) -> Path:
        """The path without parts below a plain value: "5ms" stands for a whole distribution."""
        node: Any = self.data
        for depth, part in enumerate(path):
            if isinstance(node, dict):
                node = node.get(part, {})
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return path[:depth]
        return path

    def _override_of(self, path: Path) -> Override | None:
        """The last override that wrote the value at ``path`` or a table around it."""
        for override in reversed(self.overrides):
            if path[: len(override.path)] == override.path:
                return override
        return None

    def _find(self, complaint: Complaint) -> tuple[int, int] | None:
        if not self.text:
            return None
        if self._positions is None:
            self._positions = Positions(self.text)
        path = complaint.path
        if self.origins is not None and path[:1] == ("schedulers",) and len(path) > 1:
            origin = self.origins[path[1]] if isinstance(path[1], int) else None
            if origin is None:
                return None
            path = ("schedulers", origin, *path[2:])
        return self._positions.find(path, key=complaint.on_key)


def show_path(path: Path) -> str:
    """A path as people write it: schedulers[0].maxThreads."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            text += f".{word}" if text else word
    return text
