"""A folder of measurements, as it lies on disk: one index, and the requests of each case."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CannotRead", "MeasuredCase", "read_cases"]

DEMANDS = ("cpu1_us", "io_us", "cpu2_us")
NEEDED = ("arrival_us", *DEMANDS, "latency_us")


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

    @property
    def runtime(self) -> str:
        """The first part of the id: what ran, and how big, as "go2" or "http_gsync4"."""
        return self.id.split("__", 1)[0]

    @property
    def repeated(self) -> str:
        """The id without the number of the repetition."""
        return self.id.split("__rep", 1)[0]

    @property
    def load(self) -> float:
        """Offered CPU load of the trace alone, over the cores that the process could use."""
        return float(self.record["rho_nominal"])

    @property
    def requests_file(self) -> Path:
        """The arrays by request."""
        return self.folder / "cases" / f"{self.id}.npz"

    def arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """The arrays by request, in microseconds. ``latency_us`` is NaN where unfinished.

        Raises:
            CannotRead: the file is not there, or lacks a column.
        """
        path = self.requests_file
        try:
            with np.load(path, allow_pickle=False) as data:
                missing = [name for name in NEEDED if name not in data]
                if missing:
                    raise CannotRead(f"{path} has no array {missing[0]!r}")
                arrays = {name: np.asarray(data[name], dtype=float) for name in data.files}
        except (OSError, ValueError) as error:
            raise CannotRead(f"cannot read {path}: {error}") from None
        arrays["latency_us"][arrays["latency_us"] < 0] = np.nan
        return arrays


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
    if not isinstance(records, list):
        raise CannotRead(f"{path} is not a list of records")
    cases = []
    for i, record in enumerate(records):
        for key in ("id", "kind", "runtime", "cores", "rho_nominal", "config", "cpu_s"):
            if not isinstance(record, dict) or key not in record:
                raise CannotRead(f"{path}: record {i} has no {key!r}")
        cases.append(MeasuredCase(str(record["id"]), folder, record))
    for pattern in only:
        if not any(_fits(case.id, pattern) for case in cases):
            raise CannotRead(f'{path}: no case fits "{pattern}"')
    return [case for case in cases if not only or any(_fits(case.id, p) for p in only)]


def _fits(case_id: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(case_id, pattern if "*" in pattern else f"*{pattern}*")
