"""Files of measured durations, for empirical distributions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simsched.workload.table_files import FORMATS, column_names, read_columns
from simsched.workload.tables import TableError, in_seconds, not_a_duration

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["read_samples"]


def read_samples(path: Path, column: str | None) -> Floats:
    """The samples of a file in seconds; the array is shared and must not be written to.

    With a `column`, or when an npz or Parquet file has only one, its suffix (_s, _ms, _us, _ns)
    is the unit. Any other file has one number of seconds per line; blank lines and lines that
    begin with "#" do not count.

    Raises:
        TableError: If the file cannot be used.
    """
    # The stamp makes a file that was written anew be read anew.
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _read(path, column, stamp)


@lru_cache(maxsize=32)
def _read(path: Path, column: str | None, _stamp: int) -> Floats:
    if column is None and path.suffix.lower() in FORMATS[1:]:
        names = column_names(path)
        if len(names) != 1:
            raise TableError(
                f"{path.name} has several columns: {', '.join(names[:20])}",
                'name one of them: column = "..."',
            )
        column = names[0]
    samples = _lines(path) if column is None else _column(path, column)
    if len(samples) == 0:
        raise TableError(f"{path.name} has no samples")
    samples.flags.writeable = False
    return samples


def _column(path: Path, column: str) -> Floats:
    table = read_columns(path, [column])
    fault = not_a_duration(table, column)
    if fault is not None:
        row, what = fault
        raise TableError(f"{table.where(row)} of {path.name}: {what}", _WANTED)
    return in_seconds(column, table.numbers[column])


def _lines(path: Path) -> Floats:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    values = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            value = float(line)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise TableError(f"line {number} of {path.name} is {line[:40]!r}", _WANTED)
        values.append(value)
    return np.array(values, np.float64)


_WANTED = "a finite number from 0 up is needed"
