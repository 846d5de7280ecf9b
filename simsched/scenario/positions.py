"""Where each key and value of a TOML document is, for error messages.

The text must already be valid TOML, which makes this a scanner and not a parser: it only has to
find where things start and end. Paths are tuples of keys and array indexes, as in the parsed data.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import tomli

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Span:
    """Offsets of a key and its value in the text; for array elements both are the value's."""

    key: tuple[int, int]
    value: tuple[int, int]


class Positions:
    """Spans of every path of a document, and offsets as (line, column) from 1."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: dict[Path, Span] = _Scanner(text).scan()
        self._starts = [0, *(i + 1 for i, character in enumerate(text) if character == "\n")]

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, in characters."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line, without its end."""
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : end].rstrip("\r\n")

    def find(self, path: Path, *, key: bool = False) -> tuple[int, int] | None:
        """Start and end offset of the value at ``path``, or of its key.

        Where the path is not in the text, the key of the nearest table around it; None if there is
        none.
        """
        for length in range(len(path), 0, -1):
            span = self.spans.get(path[:length])
            if span is not None:
                return span.key if key or length < len(path) else span.value
        return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[Path, Span] = {}
        self.lengths: dict[Path, int] = {}  # of arrays of tables, by path with indexes

    def scan(self) -> dict[Path, Span]:
        table: Path = ()
        while True:
            self.skip_blank()
            if self.at >= len(self.text):
                return self.spans
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.key_value(table)

    def skip_blank(self, extra: str = "") -> None:
        """Move over spaces, line ends, comments and the characters in ``extra``."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in " \t\r\n" + extra:
                self.at += 1
            else:
                return

    def header(self) -> Path:
        """A [table] or [[array of tables]] header; returns the path it opens."""
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        keys = self.dotted_key("]")
        self.at += 2 if array else 1
        path: Path = ()
        for depth, (name, span) in enumerate(keys, 1):
            path = (*path, name)
            last = depth == len(keys)
            if not (last and array):
                self.record(path, span, span, replace=last)
            if last and array:
                index = self.lengths.get(path, 0)
                self.lengths[path] = index + 1
                self.record(path, span, span)
                path = (*path, index)
                self.record(path, span, span)
            elif path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def key_value(self, table: Path) -> None:
        keys = self.dotted_key("=")
        self.at += 1
        path = table
        for name, span in keys[:-1]:
            path = (*path, name)
            self.record(path, span, span)
        name, span = keys[-1]
        path = (*path, name)
        self.record(path, span, self.value(path))

    def record(
        self, path: Path, key: tuple[int, int], value: tuple[int, int], replace: bool = False
    ) -> None:
        if replace or path not in self.spans:
            self.spans[path] = Span(key, value)

    def dotted_key(self, end: str) -> list[tuple[str, tuple[int, int]]]:
        """Keys up to the character ``end``, each with its span; stops at ``end``."""
        keys: list[tuple[str, tuple[int, int]]] = []
        while True:
            self.skip_blank(".")
            if self.text[self.at] == end:
                return keys
            start = self.at
            if self.text[self.at] in "\"'":
                self.string()
                name = next(iter(tomli.loads(self.text[start : self.at] + " = 0")))
            else:
                while self.text[self.at] not in " \t.=]":
                    self.at += 1
                name = self.text[start : self.at]
            keys.append((name, (start, self.at)))

    def value(self, path: Path) -> tuple[int, int]:
        """Move over a value, recording what is inside; returns its span."""
        self.skip_blank()
        start = self.at
        first = self.text[self.at]
        if first in "\"'":
            self.string()
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1
            return start, start + len(self.text[start : self.at].rstrip())
        return start, self.at

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip_blank(",")
            if self.text[self.at] == "]":
                self.at += 1
                return
            element = (*path, index)
            span = self.value(element)
            self.record(element, span, span)
            index += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip_blank(",")
            if self.text[self.at] == "}":
                self.at += 1
                return
            self.key_value(path)

    def string(self) -> None:
        """Move over any of the four kinds of string."""
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        mark = quote * 3 if long else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            self.at += 2 if self.text[self.at] == "\\" and quote == '"' else 1
        self.at += len(mark)
        while long and self.text.startswith(quote, self.at):  # a string may end in 4 or 5 quotes
            self.at += 1
