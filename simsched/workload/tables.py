"""Columns of numbers and labels as a file gives them, and what is wrong with them.

What is wrong is said with the row it is in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

__all__ = ["Table", "TableError", "in_seconds", "not_a_duration"]

_PER_SECOND = {"_s": 1.0, "_ms": 1e3, "_us": 1e6, "_ns": 1e9}


class TableError(ValueError):
    """A file that cannot be used, and why.

    Attributes:
        message: What is wrong.
        hint: How to mend it.
        column: The column at fault, where there is one.
    """

    def __init__(self, message: str, hint: str = "", column: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.column = column


@dataclass
class Table:
    """Columns read from a file, all of one length.

    Attributes:
        numbers: Numbers by column, in the file's own unit; NaN where the file has nothing.
        labels: For each text column its distinct texts, and for each row an index into them.
        lines: Line of the file each row ends on; empty for formats without lines.
    """

    numbers: dict[str, Floats] = field(default_factory=dict)
    labels: dict[str, tuple[list[str], Codes]] = field(default_factory=dict)
    lines: Sequence[int] = ()

    def where(self, row: int) -> str:
        """What a reader looks for in the file: "line 17", or "row 16" (the first is row 1)."""
        return f"line {self.lines[row]}" if len(self.lines) else f"row {row + 1}"


def in_seconds(column: str, values: Floats) -> Floats:
    """Values of a column in seconds, by its suffix _s, _ms, _us or _ns; seconds without one.

    Dividing by a whole number rounds once: 100 us is the very float 0.0001.
    """
    for suffix, per_second in _PER_SECOND.items():
        if column.endswith(suffix):
            return values / per_second
    return values.copy()


def not_a_duration(table: Table, name: str, asked: Mask | None = None) -> tuple[int, str] | None:
    """The first row of a column that is no finite number from 0 up, and what is there instead.

    Args:
        table: The table.
        name: A column of numbers.
        asked: Which rows must be right; all of them when left out.
    """
    values = table.numbers[name]
    bad = ~((values >= 0) & (values < np.inf))
    if asked is not None:
        bad &= asked
    at = np.flatnonzero(bad)
    if len(at) == 0:
        return None
    value = float(values[at[0]])
    found = "empty or not a number" if np.isnan(value) else f"{value:g}"
    more = f" (and {len(at) - 1:,} more such rows)" if len(at) > 1 else ""
    return int(at[0]), f'"{name}" is {found}{more}'
