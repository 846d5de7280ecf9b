"""The summary of a run in a terminal.

Colours come and go with the console (NO_COLOR, FORCE_COLOR, TERM=dumb and pipes are rich's
business); every sign of meaning is also a word or a symbol. Names from the scenario are never read
as markup, and control characters in them do not reach the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, OverflowMethod
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from simsched.report.blame import HEADERS, blame_lines, blame_sentences
from simsched.report.comparison import Cell, Comparison, Group
from simsched.report.header import header_lines, overload_banner
from simsched.report.relative import relative_lines
from simsched.report.result_model import ResultDocument, SchedulerResult, validate_result
from simsched.report.symbols import ASCII, UNICODE, Symbols, clean
from simsched.report.units import format_bytes, format_duration, format_rate

__all__ = ["format_bytes", "format_duration", "format_rate", "render_summary"]

TONES = {"plain": "", "good": "green", "bad": "bold red", "unsure": "yellow", "dim": "dim"}
VERDICTS = {"STABLE": "bold green", "BACKLOGGED": "bold yellow", "OVERLOADED": "bold white on red"}
LABEL_WIDTH = 14
BREAKS = "(?<=[- ])"
NARROWED = ("taken by", "for", "scheduler", "who waits")
"""Columns of who waits for whom that are broken over two lines for want of room, in this order."""
BLAME_NUMBERS = ("per request", "share")
NAME_WIDTH = 15
"""Room a name gets before it is broken over lines, where its values need less."""


def render_summary(
    doc: Mapping[str, Any] | ResultDocument,
    console: Console,
    artefacts: Mapping[str, Path | str] | None = None,
) -> None:
    """Print the summary of a run: objectives, comparison, what binds, warnings, files.

    Args:
        doc: The result document.
        console: Where to print. Its width decides how many schedulers stand side by side.
        artefacts: Files written, by what they are ("dashboard": path); printed last.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
    """
    _Summary(validate_result(doc), console).render(artefacts or {})


@dataclass(frozen=True)
class _Summary:
    result: ResultDocument
    console: Console

    @property
    def symbols(self) -> Symbols:
        return UNICODE if self.console.encoding.lower().startswith("utf") else ASCII

    def render(self, artefacts: Mapping[str, Path | str]) -> None:
        self._header()
        comparison = Comparison(self.result, self.symbols)
        groups = comparison.groups()
        for chosen in self._blocks(groups):
            self.console.print(self._table(groups, chosen))
            self.console.print()
        for number, note in enumerate(comparison.notes, start=1):
            self._item(self.symbols.note(number), note, style="dim")
        if comparison.notes:
            self.console.print()
        self._blame()
        self._sentences()
        for label, path in artefacts.items():
            self._item(label, str(path), width=12)

    def _text(self, text: str, style: str | Style = "") -> Text:
        return Text(clean(text, self.console.encoding), style=style)

    def _item(self, label: str, text: str, *, style: str = "", width: int = 4) -> None:
        """A label and its text, which hangs under itself where it needs several lines."""
        cut: OverflowMethod = "ellipsis" if self.symbols is UNICODE else "crop"
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=width, no_wrap=True, overflow=cut)
        grid.add_column(overflow="fold")
        grid.add_row(self._name(label, width, style or "dim"), self._text(text, style))
        self.console.print(Padding(grid, (0, 0, 0, 1)))

    def _header(self) -> None:
        self.console.print(self._text(self.result.scenario.name, "bold"))
        for label, text in header_lines(self.result, self.symbols):
            self._item(label, text, width=10)
        banner = overload_banner(self.result)
        if banner:
            self.console.print()
            self.console.print(self._text(banner, "bold red"))
        self.console.print()

    def _blocks(self, groups: Sequence[Group]) -> list[range]:
        """Which schedulers stand side by side: as many as fit, in blocks of about one size."""
        count = len(self.result.schedulers)
        column = 1 + max(self._width(groups, i) for i in range(count))
        most = max(1, (self.console.width - LABEL_WIDTH - 1) // column)
        blocks = -(-count // most)
        size = -(-count // blocks)
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def _width(self, groups: Sequence[Group], column: int) -> int:
        cells = [cell for group in groups for row in group.rows for cell in [row.cells[column]]]
        cells += [group.remarks[column] for group in groups if group.remarks]
        name = min(NAME_WIDTH, cell_len(self.result.schedulers[column].name))
        return max(name, *(self._cell(cell).cell_len for cell in cells))

    def _cell(self, cell: Cell) -> Text:
        text = self._text(cell.text, TONES[cell.tone])
        if cell.note is not None:
            text.append(f" {self.symbols.note(cell.note)}", style="dim")
        return text

    def _table(self, groups: Sequence[Group], chosen: Sequence[int]) -> Table:
        widths = [self._width(groups, i) for i in chosen]
        spare = self.console.width - LABEL_WIDTH - sum(widths)
        padding = max(1, min(4, spare // (len(widths) + 1)))
        label_width = LABEL_WIDTH + max(0, spare - padding * (len(widths) + 1))
        table = Table(box=None, padding=(0, padding, 0, 0), show_header=False, pad_edge=False)
        table.add_column(max_width=label_width)
        for width in widths:
            table.add_column(min_width=width, max_width=width, overflow="fold")
        schedulers = [self.result.schedulers[i] for i in chosen]
        names = (self._name(s.name, w) for s, w in zip(schedulers, widths, strict=True))
        table.add_row("", *names)
        table.add_row("", *(self._verdict(s) for s in schedulers))
        for group in groups:
            table.add_row()
            remarks = [group.remarks[i] for i in chosen] if group.remarks else []
            table.add_row(self._text(group.title, "bold"), *(self._cell(cell) for cell in remarks))
            for row in group.rows:
                label = Padding(self._text(row.label), (0, 0, 0, 2))
                table.add_row(label, *(self._cell(row.cells[i]) for i in chosen))
        return table

    def _name(self, name: str, width: int, style: str = "bold") -> Text:
        """The name, broken after hyphens and spaces where it does not fit on one line."""
        lines = [""]
        for part in re.split(BREAKS, name):
            if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
        return Text("\n").join(self._text(line.rstrip(), style) for line in lines)

    def _verdict(self, scheduler: SchedulerResult) -> Text:
        return self._text(scheduler.verdict, VERDICTS[scheduler.verdict])

    def _blame(self) -> None:
        lines = blame_lines(self.result, pm=self.symbols.pm)
        if not lines:
            return
        several = len(self.result.schedulers) > 1
        headers = HEADERS if several else HEADERS[1:]
        table = Table(box=None, padding=(0, 1, 0, 1), show_edge=False, pad_edge=False)
        widths = self._blame_widths(headers, [line.cells[-len(headers) :] for line in lines])
        for header, width in zip(headers, widths, strict=True):
            right = header in BLAME_NUMBERS
            table.add_column(
                self._text(header, "dim"),
                justify="right" if right else "left",
                no_wrap=right,
                overflow="fold",
                max_width=width,
            )
        before = ""
        for line in lines:
            cells = line.cells if several else line.cells[1:]
            if several and line.scheduler == before:
                cells = ("", *cells[1:])
            before = line.scheduler
            table.add_row(*(self._broken(cell, w) for cell, w in zip(cells, widths, strict=True)))
        self.console.print(self._text("Who waits for whom", "bold"))
        self.console.print(Padding(table, (0, 0, 0, 1)))
        self.console.print()

    def _blame_widths(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> list[int | None]:
        """Where the table is too wide, columns get what their texts need on two lines."""
        columns = [(header, *cells) for header, *cells in zip(headers, *rows, strict=True)]
        widths = [max(map(cell_len, column)) for column in columns]
        spare = self.console.width - 1 - 2 * len(headers) - sum(widths)
        found: list[int | None] = [None] * len(headers)
        for header in NARROWED:
            if spare < 0 and header in headers:
                at = headers.index(header)
                found[at] = narrow = max(map(_two_lines, columns[at]))
                spare += widths[at] - narrow
        return found

    def _broken(self, text: str, width: int | None) -> Text:
        """A text, broken between its words (also after hyphens) to fit a width."""
        return self._text(text) if width is None else self._name(text, width, "")

    def _sentences(self) -> None:
        names = [clean(s.name) for s in self.result.schedulers]
        width = min(self.console.width // 4, max(cell_len(name) for name in names))
        self._list("What binds", [(s.name, s.binding) for s in self.result.schedulers], width)
        self._list("Who stalls whom", blame_sentences(self.result), width)
        baseline = self.result.schedulers[0].name
        self._list(f"Compared with {baseline}", relative_lines(self.result), width)
        doubts = [
            (s.name, f"{s.verdict}: {s.verdict_reason}")
            for s in self.result.schedulers
            if s.verdict != "STABLE"
        ]
        self._list("Warnings", doubts + self._warnings(), width, style="yellow")

    def _warnings(self) -> list[tuple[str, str]]:
        """Each warning once, with the schedulers it holds for; footnotes are not said twice."""
        holders: dict[str, list[str]] = {}
        for scheduler in self.result.schedulers:
            for text in scheduler.warnings:
                holders.setdefault(text, []).append(scheduler.name)
        everybody = len(self.result.schedulers)
        return [
            (name, text)
            for text, names in holders.items()
            if "too few samples" not in text
            for name in (["all"] if 1 < everybody == len(names) else names)
        ]

    def _list(
        self, title: str, items: Sequence[tuple[str, str]], width: int, style: str = ""
    ) -> None:
        if not items:
            return
        self.console.print(self._text(title, f"bold {style}"))
        for name, text in items:
            self._item(name, text, width=width)
        self.console.print()


def _two_lines(text: str) -> int:
    """The width in which a text fits on two lines, broken between words or after a hyphen."""
    parts = re.split(BREAKS, text)
    ways = (("".join(parts[:i]), "".join(parts[i:])) for i in range(1, len(parts) + 1))
    return min(max(cell_len(first.rstrip()), cell_len(rest)) for first, rest in ways)
