"""What is wrong with a scenario, where, and how to mend it; rendered with the source line.

configs/io.toml:14:14: schedulers[0].maxThreads: expected an integer >= 1, got "eight"
   |
14 | maxThreads = "eight"
   |              ^^^^^^^
   = help: did you mean 8?
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LINE = 160
"""Longest part of a source line that is shown."""


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        file: the file, the option ("--set", "--scheduler"), or "" for data that came from no file.
        line: line number from 1; None where the problem has no line (a missing file).
        column: column in characters from 1; None without a line.
        text: the source line, or the override; "" if there is none.
        message: what is wrong, with the path of the key in front where there is one.
        expected: what would be right, if the message does not say so.
        hint: how to mend it, or "".
        length: number of characters to underline.
    """

    file: str
    line: int | None
    column: int | None
    text: str
    message: str
    expected: str = ""
    hint: str = ""
    length: int = 1

    def render(self) -> str:
        """The problem as people read it, over several lines, safe to print to a terminal."""
        at = (self.file, self.line, self.column) if self.line is not None else (self.file,)
        place = ":".join(str(part) for part in at if part != "")
        lines = [f"{printable(place)}: {printable(self.message)}" if place else self.message]
        margin = " " * (len(str(self.line)) if self.line is not None else 0)
        if self.text and self.column is not None:
            text, column, length = _crop(self.text, self.column, self.length)
            lead = str(self.line) if self.line is not None else margin
            under = " " * _width(text[: column - 1]) + "^" * _width(text[column - 1 :][:length])
            lines += [f"{margin} |", f"{lead} | {printable(text)}", f"{margin} | {under or '^'}"]
        if self.expected:
            lines.append(f"{margin} = expected: {printable(self.expected)}")
        if self.hint:
            lines.append(f"{margin} = help: {printable(self.hint)}")
        return "\n".join(lines)

    @property
    def order(self) -> tuple[int, int, int]:
        """Sort key: problems without a place, then by line and column; options last."""
        place = 2 if self.file.startswith("--") else int(self.line is not None)
        return place, self.line or 0, self.column or 0


class ScenarioError(Exception):
    """A scenario cannot be used. ``problems`` has everything wrong with it, in order of place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            sorted(dict.fromkeys(problems), key=lambda p: p.order)
        )
        super().__init__(self.problems)

    def __str__(self) -> str:
        """All problems, rendered, with their number at the end if there are several."""
        blocks = [problem.render() for problem in self.problems]
        if len(blocks) > 1:
            blocks.append(f"{len(blocks)} problems found.")
        return "\n\n".join(blocks)


def printable(text: str) -> str:
    """Text without characters that could move a terminal's cursor or break a line."""
    return "".join(
        character
        if character.isprintable()
        else (" " if character == "\t" else "\N{REPLACEMENT CHARACTER}")
        for character in text
    )


def _width(text: str) -> int:
    """Columns the text takes in a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _crop(text: str, column: int, length: int) -> tuple[str, int, int]:
    """The part of a long line around the column, the column in it, and the length that fits."""
    if len(text) <= MAX_LINE:
        return text, column, min(length, max(1, len(text) - column + 1))
    start = max(0, min(column - 1 - MAX_LINE // 2, len(text) - MAX_LINE))
    part = text[start : start + MAX_LINE]
    return part, column - start, min(length, max(1, len(part) - (column - start) + 1))
