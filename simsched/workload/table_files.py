"""Reading tables from CSV, npz and Parquet files. Only the columns asked for are read."""

from __future__ import annotations

import csv
import zipfile
from array import array
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.workload.base import MAX_REQUESTS
from simsched.workload.tables import Table, TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["FORMATS", "column_names", "missing_column", "read_columns"]

FORMATS = (".csv", ".npz", ".parquet")
"""The kinds of file that can be read, by the end of their name."""


def column_names(path: Path) -> list[str]:
    """Names of the columns of a file.

    Raises:
        TableError: If the file is not there, is of no known kind, or is damaged.
    """
    with _Reading(path):
        match _format(path):
            case ".csv":
                with path.open(newline="", encoding="utf-8-sig") as file:
                    return _header(csv.reader(file))
            case ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    return list(arrays.files)
            case _:
                return list(_parquet(path).schema_arrow.names)


def read_columns(path: Path, numbers: Iterable[str], labels: Iterable[str] = ()) -> Table:
    """Read columns of numbers and of labels.

    Raises:
        TableError: If a column is missing, is no column of numbers or of text, or is not as long
            as the others, or if the file has more than MAX_REQUESTS rows.
    """
    numbers, labels = list(dict.fromkeys(numbers)), list(dict.fromkeys(labels))
    names = column_names(path)
    for name in [*numbers, *labels]:
        if name not in names:
            raise missing_column(path, name, names)
    with _Reading(path):
        match _format(path):
            case ".csv":
                return _read_csv(path, numbers, labels)
            case ".npz":
                return _read_npz(path, numbers, labels)
            case _:
                return _read_parquet(path, numbers, labels)


def missing_column(path: Path, name: str, names: Sequence[str]) -> TableError:
    """The error for a column that is not there: the closest name, and the names there are."""
    close = get_close_matches(name, names, n=1)
    guess = f'did you mean "{close[0]}"? ' if close else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return TableError(
        f'{path.name} has no column "{name}"', f"{guess}its columns are {shown or 'none'}", name
    )


class _Reading:
    """Turns what readers raise about a file into a TableError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        if not self._path.is_file():
            raise TableError(
                f"there is no file {self._path}",
                "the path is relative to the folder of the scenario",
            )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TableError):
            return
        if isinstance(error, OSError | ValueError | EOFError | csv.Error | zipfile.BadZipFile):
            raise TableError(f"{self._path.name} cannot be read: {error}") from error


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise TableError(
            f'{path.name} is of no known kind: "{suffix}"', f"use one of {', '.join(FORMATS)}"
        )
    return suffix


def _check_rows(path: Path, rows: int) -> None:
    if rows > MAX_REQUESTS:
        raise TableError(
            f"{path.name} has more than {MAX_REQUESTS:,} rows", "replay a part of the file"
        )


# CSV


def _header(reader: Any) -> list[str]:
    names = [name.strip() for name in next(reader, [])]
    if not names:
        raise TableError("the file is empty", "its first line must name the columns")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TableError(f'two columns are called "{twice}"')
    return names


def _read_csv(path: Path, numbers: list[str], labels: list[str]) -> Table:
    values = {name: array("d") for name in numbers}
    codes = {name: array("i") for name in labels}
    known: dict[str, dict[str, int]] = {name: {} for name in labels}
    lines = array("q")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        names = _header(reader)
        number_at = [(names.index(name), values[name]) for name in numbers]
        label_at = [(names.index(name), codes[name], known[name]) for name in labels]
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(names):
                raise TableError(
                    f"line {reader.line_num} of {path.name} has {len(fields)} fields,"
                    f" the header has {len(names)}"
                )
            try:
                for at, out in number_at:
                    text = fields[at]
                    out.append(float(text) if text and not text.isspace() else float("nan"))
            except ValueError:
                raise TableError(
                    f'line {reader.line_num} of {path.name}: "{names[at]}" is {text!r},'
                    " which is not a number"
                ) from None
            for at, code, index in label_at:
                code.append(index.setdefault(fields[at].strip(), len(index)))
            lines.append(reader.line_num)
            if len(lines) > MAX_REQUESTS:
                _check_rows(path, len(lines))
    return Table(
        numbers={name: np.array(values[name], np.float64) for name in numbers},
        labels={name: (list(known[name]), np.array(codes[name], np.int32)) for name in labels},
        lines=lines,
    )


# npz


def _read_npz(path: Path, numbers: list[str], labels: list[str]) -> Table:
    table = Table()
    with np.load(path, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in [*numbers, *labels]}
    lengths = set()
    for name, column in columns.items():
        if column.ndim != 1:
            raise TableError(f'"{name}" of {path.name} has {column.ndim} dimensions, not one')
        lengths.add(len(column))
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} {len(column):,}" for name, column in columns.items())
        raise TableError(f"the columns of {path.name} are not of one length: {sizes}")
    _check_rows(path, max(lengths, default=0))
    for name in numbers:
        if columns[name].dtype.kind not in "iuf":
            raise TableError(f'"{name}" of {path.name} is not a column of numbers')
        table.numbers[name] = columns[name].astype(np.float64)
    for name in labels:
        if columns[name].dtype.kind not in "US":
            raise TableError(f'"{name}" of {path.name} is not a column of text')
        texts, codes = np.unique(columns[name].astype(np.str_), return_inverse=True)
        table.labels[name] = ([str(text) for text in texts], codes.astype(np.int32))
    return table


# Parquet


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise TableError(
            f"reading {path.name} needs the package pyarrow",
            'install it with: pip install "simsched[parquet]"',
        ) from None
    return parquet.ParquetFile(path)


def _read_parquet(path: Path, numbers: list[str], labels: list[str]) -> Table:
    import pyarrow as pa

    file = _parquet(path)
    _check_rows(path, file.metadata.num_rows)
    arrow = file.read(columns=[*numbers, *labels])
    table = Table()
    for name in numbers:
        kind = arrow.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise TableError(f'"{name}" of {path.name} is not a column of numbers')
        column = arrow.column(name).cast(pa.float64())
        table.numbers[name] = np.array(column.to_numpy(), np.float64)
    for name in labels:
        index: dict[str, int] = {}
        texts = arrow.column(name).cast(pa.string()).to_pylist()
        codes = [index.setdefault((text or "").strip(), len(index)) for text in texts]
        table.labels[name] = (list(index), np.array(codes, np.int32))
    return table
