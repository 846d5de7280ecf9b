"""A folder of measurements, as it lies on disk: one index, and the requests of each case."""

from __future__ import annotations

import fnmatch
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "CannotRead", "MeasuredCase", "chosen", "read_cases", "trace_of"]

DEMANDS = ("cpu1_us", "io_us", "cpu2_us")
NEEDED = ("arrival_us", *DEMANDS, "latency_us")

Arrays = Mapping[str, npt.NDArray[np.float64]]


class CannotRead(Exception):
    """The folder is not one of measurements. The message says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class MeasuredCase:
    """One run of a real runtime.

    Attributes:
        id: Its name. What follows "__rep" counts repetitions of one trace.
        folder: Where it lies.
        record: Its record in the index, as it stands there.
    """

    id: str
    folder: Path
    record: dict[str, Any]
    _read: dict[str, npt.NDArray[np.float64]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def runtime(self) -> str:
        """The first part of the id: what ran, and how big, as "go2" or "http_gsync4"."""
        return self.id.split("__", 1)[0]

    @property
    def load(self) -> float:
        """Offered CPU load of the trace alone, over the cores that the process could use."""
        return float(self.record["rho_nominal"])

    @property
    def peak_bytes(self) -> float | None:
        """Resident memory of the process at its highest; None where it was not measured."""
        rss = self.record.get("rss_kb")
        peak = rss.get("hwm") if isinstance(rss, dict) else None
        return 1024.0 * peak if isinstance(peak, int | float) else None

    @property
    def requests_file(self) -> Path:
        """The arrays by request."""
        return self.folder / "cases" / f"{self.id}.npz"

    def arrays(self) -> Arrays:
        """The arrays by request, in microseconds. ``latency_us`` is NaN where unfinished.

        They are read once and kept as long as this object.

        Raises:
            CannotRead: the file is not there, is damaged, or lacks a column; or its columns do
                not fit together; or no request ended.
        """
        if self._read:
            return self._read
        path = self.requests_file
        try:
            with np.load(path, allow_pickle=False) as data:
                missing = [name for name in NEEDED if name not in data]
                if missing:
                    raise CannotRead(f"{path} has no array {missing[0]!r}")
                arrays = {name: np.asarray(data[name], dtype=float) for name in data.files}
        except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise CannotRead(f"cannot read {path}: {_cause(error)}") from None
        arrays["latency_us"][arrays["latency_us"] < 0] = np.nan
        _judge(path, arrays)
        self._read.update(arrays)
        return self._read


def trace_of(case_id: str) -> str:
    """The id without the number of the repetition, which runs of one trace have in common."""
    return case_id.split("__rep", 1)[0]


def read_cases(folder: Path, only: Sequence[str] = ()) -> list[MeasuredCase]:
    """The cases of a folder, in the order of its index.

    Args:
        folder: holds ``index.json`` and ``cases/``.
        only: parts of ids, or patterns with ``*``; all cases if there is none.

    Raises:
        CannotRead: there is no index, it cannot be read, or a pattern fits no case.
    """
    path = folder / "index.json"
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRead(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise CannotRead(f"{path} is not JSON: {error}") from None
    cases = [MeasuredCase(record["id"], folder, record) for record in _records(records, path)]
    return chosen(cases, only)


def chosen(cases: Sequence[MeasuredCase], only: Sequence[str]) -> list[MeasuredCase]:
    """The cases whose ids fit one of the patterns; all if there is none.

    Raises:
        CannotRead: a pattern fits no case.
    """
    for pattern in only:
        if not any(_fits(case.id, pattern) for case in cases):
            raise CannotRead(f'{cases[0].folder / "index.json"}: no case fits "{pattern}"')
    return [case for case in cases if not only or any(_fits(case.id, p) for p in only)]


KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "kind": str,
    "runtime": str,
    "cores": int,
    "rho_nominal": (int, float),
    "config": dict,
    "cpu_s": (int, float),
}


def _records(records: Any, path: Path) -> list[dict[str, Any]]:
    """The records of an index, each with all that is needed of it."""
    if not isinstance(records, list) or not records:
        raise CannotRead(f"{path} is not a list of records")
    seen: set[str] = set()
    for i, record in enumerate(records):
        for key, kind in KEYS.items():
            if not isinstance(record, dict) or key not in record:
                raise CannotRead(f"{path}: record {i} has no {key!r}")
            if not isinstance(record[key], kind) or isinstance(record[key], bool):
                raise CannotRead(f"{path}: record {i}: {key!r} cannot be {record[key]!r}")
        if Path(record["id"]).name != record["id"]:
            raise CannotRead(f"{path}: record {i}: 'id' is no name of a file: {record['id']!r}")
        if record["id"] in seen:
            raise CannotRead(f"{path}: two records have the id {record['id']!r}")
        seen.add(record["id"])
    return records


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _judge(path: Path, arrays: Arrays) -> None:
    """Raise CannotRead if the arrays are not those of one run."""
    requests = arrays["arrival_us"].shape
    for name, array in arrays.items():
        if array.shape != requests or array.ndim != 1:
            raise CannotRead(
                f"{path}: {name} has shape {array.shape}, and arrival_us has {requests}: "
                "each array has one number per request"
            )
    for name in ("arrival_us", *DEMANDS):
        if not np.all(np.isfinite(arrays[name]) & (arrays[name] >= 0)):
            raise CannotRead(f"{path}: {name} holds what is no time")
    if np.any(np.diff(arrays["arrival_us"]) < 0):
        raise CannotRead(f"{path}: arrival_us is not in order of time")
    if not np.any(np.isfinite(arrays["latency_us"])):
        raise CannotRead(f"{path}: no request ended")


def _fits(case_id: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(case_id, pattern if "*" in pattern else f"*{pattern}*")
