"""Single requests as rows of a file, for those who want to analyse them on their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from simsched.observe.record import OUTCOMES, PARTS, RunRecord
from simsched.report.files import OutputError, atomic_file

FORMATS = ("csv", "npz", "parquet")
ROWS_PER_CHUNK = 20_000

Columns = dict[str, Any]
"""Equally long numpy arrays by column name. Text columns are given as (codes, names)."""

COLUMN_NAMES = (
    "scheduler",
    "replication",
    "index",
    "class",
    "arrival_s",
    "finish_s",
    "latency_s",
    "outcome",
    "attempts",
    *(f"{part}_s" for part in PARTS),
)


def save_requests(
    records_by_scheduler: Mapping[str, Sequence[RunRecord]],
    path: Path | str,
    file_format: str | None = None,
    *,
    class_names: Sequence[str],
) -> Path:
    """Write one row per request, in order of scheduler, replication and arrival.

    Columns: scheduler, replication (from 0), index (of the request within its replication), class,
    arrival_s, finish_s, latency_s (from arrival to outcome; empty while unfinished), outcome,
    attempts, and `<part>_s` for each part of the latency. Times are seconds. Warm-up is included.

    Args:
        records_by_scheduler: Records by name of the scheduler, one per replication.
        path: File to write.
        file_format: "csv" (streamed), "npz" (one array per column; text columns as codes with
            their names in `<column>_names`) or "parquet" (needs pyarrow); by default the ending
            of `path`.
        class_names: Names of the scenario's request classes, in its order.

    Raises:
        OutputError: The format is not known, pyarrow is missing, or the file cannot be written.
    """
    path = Path(path)
    chosen = (file_format or path.suffix.removeprefix(".")).lower()
    if chosen not in FORMATS:
        known = ", ".join(FORMATS)
        raise OutputError(f'cannot write requests as "{chosen}": use one of {known}')
    names = list(records_by_scheduler)
    chunks = _chunks(records_by_scheduler)
    if chosen == "parquet":
        _require_pyarrow()
    with atomic_file(path) as file:
        if chosen == "csv":
            _write_csv(file, chunks, names, class_names)
        elif chosen == "npz":
            _write_npz(file, chunks, names, class_names)
        else:
            _write_parquet(file, chunks, names, class_names)
    return path


def _chunks(records_by_scheduler: Mapping[str, Sequence[RunRecord]]) -> Iterator[Columns]:
    for code, records in enumerate(records_by_scheduler.values()):
        for replication, record in enumerate(records):
            for start in range(0, len(record), ROWS_PER_CHUNK):
                rows = slice(start, min(start + ROWS_PER_CHUNK, len(record)))
                yield _columns(record, rows, code, replication)


def _columns(record: RunRecord, rows: slice, scheduler: int, replication: int) -> Columns:
    arrival, finish = record.arrival_s[rows], record.finish_s[rows]
    count = len(arrival)
    parts = {f"{part}_s": record.parts_s[rows, i] for i, part in enumerate(PARTS)}
    return {
        "scheduler": np.full(count, scheduler, dtype=np.int16),
        "replication": np.full(count, replication, dtype=np.int32),
        "index": np.arange(rows.start, rows.stop, dtype=np.int64),
        "class": record.class_id[rows],
        "arrival_s": arrival,
        "finish_s": finish,
        "latency_s": finish - arrival,
        "outcome": record.outcome[rows],
        "attempts": record.attempts[rows],
        **parts,
    }


def _texts(names: Sequence[str], classes: Sequence[str]) -> dict[str, list[str]]:
    """What the codes of each text column stand for."""
    return {"scheduler": list(names), "class": list(classes), "outcome": list(OUTCOMES)}


def _write_csv(
    file: BinaryIO, chunks: Iterator[Columns], names: Sequence[str], classes: Sequence[str]
) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMN_NAMES)
    texts = _texts(names, classes)
    for columns in chunks:
        lists = [_csv_column(columns[name], texts.get(name)) for name in COLUMN_NAMES]
        writer.writerows(zip(*lists, strict=True))
    text.detach()  # flushed; the file belongs to the caller


def _csv_column(values: Any, names: list[str] | None) -> list[object]:
    if names is not None:
        return [names[code] for code in values.tolist()]
    if values.dtype.kind == "f":
        return ["" if value != value else value for value in values.tolist()]
    return list(values.tolist())


def _write_npz(
    file: BinaryIO, chunks: Iterator[Columns], names: Sequence[str], classes: Sequence[str]
) -> None:
    collected: dict[str, list[Any]] = {name: [] for name in COLUMN_NAMES}
    for columns in chunks:
        for name, values in columns.items():
            collected[name].append(values)
    texts = _texts(names, classes)
    arrays: dict[str, Any] = {}
    for name, pieces in collected.items():
        joined = np.concatenate(pieces) if pieces else np.empty(0)
        if name in texts:
            # Codes with their names beside them: a million copies of a name would not compress.
            arrays[f"{name}_names"] = np.array(texts[name], dtype=np.str_)
        arrays[name] = joined
    np.savez_compressed(file, allow_pickle=False, **arrays)


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise OutputError(
            'cannot write parquet without pyarrow: pip install "simsched[parquet]", or choose csv'
        ) from error


def _write_parquet(
    file: BinaryIO, chunks: Iterator[Columns], names: Sequence[str], classes: Sequence[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = _texts(names, classes)
    numbers = {
        "replication": pa.int32(),
        "index": pa.int64(),
        "attempts": pa.int16(),
    }
    kinds = {
        name: pa.dictionary(pa.int32(), pa.string()) if name in texts else pa.float64()
        for name in COLUMN_NAMES
    }
    schema = pa.schema(list({**kinds, **numbers}.items()))
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for columns in chunks:
            arrays = [
                pa.DictionaryArray.from_arrays(
                    pa.array(columns[name].astype(np.int32)), pa.array(texts[name])
                )
                if name in texts
                else pa.array(columns[name], type=schema.field(name).type, from_pandas=True)
                for name in COLUMN_NAMES
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
