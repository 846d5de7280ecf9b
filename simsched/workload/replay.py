"""Replaying a recorded workload: arrivals, classes and demands from the columns of a file.

The file has one row per request: when it arrived (`arrival_s`, or `arrival_ms`, `arrival_us`,
`arrival_ns`), optionally its `class` (the name of a request class), and the demands that steps
name as columns. Rows may come in any order: they are sorted by arrival, rows of one instant
keeping their order, and every demand stays with its arrival. What arrives at or after the end
of the arrival window is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simsched.scenario import Column, Trace
from simsched.workload.problems import demand_paths, refuse
from simsched.workload.table_files import column_names, missing_column, read_columns
from simsched.workload.tables import Table, TableError, in_seconds, not_a_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from simsched.scenario import Scenario

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["TraceRows", "TraceStats", "read_trace", "trace_stats"]

ARRIVAL = ("arrival_s", "arrival_ms", "arrival_us", "arrival_ns")
CLASS = "class"


@dataclass(frozen=True)
class TraceRows:
    """The rows of a trace, in order of arrival.

    Attributes:
        arrival_s: Arrival times in seconds, ascending.
        class_id: Class of each row, or None where the file has no `class` column.
        columns: The demand columns that steps name, in seconds.
    """

    arrival_s: Floats
    class_id: NDArray[np.int32] | None
    columns: Mapping[str, Floats]

    def before(self, end_s: float) -> TraceRows:
        """The rows that arrive before `end_s`."""
        n = int(np.searchsorted(self.arrival_s, end_s, side="left"))
        return TraceRows(
            arrival_s=self.arrival_s[:n],
            class_id=None if self.class_id is None else self.class_id[:n],
            columns={name: values[:n] for name, values in self.columns.items()},
        )


@dataclass(frozen=True)
class TraceStats:
    """What a trace holds.

    Attributes:
        rows: Rows of the file.
        replayed: Rows that arrive within the scenario's duration.
        first_s: Arrival of the first row.
        span_s: Time from the first arrival to the last.
        mean_s: Mean of each demand column that steps name, over the rows that are replayed and
            whose class uses the column; None where there is no such row.
    """

    rows: int
    replayed: int
    first_s: float
    span_s: float
    mean_s: dict[str, float | None]


def read_trace(scenario: Scenario) -> TraceRows:
    """The rows of the scenario's trace that arrive before its duration is over.

    Raises:
        ScenarioError: If the file cannot be used, with the column and row at fault.
        TypeError: If the scenario's arrivals are not a trace.
    """
    rows = _read_all(scenario)
    inside = rows.before(scenario.duration_s)
    if len(inside.arrival_s) == 0:
        first = float(rows.arrival_s[0])
        refuse(
            scenario,
            ("workload", "arrivals", "file"),
            f"no request of the trace arrives within the duration of {scenario.duration_s:g} s:"
            f" the first arrives at {first:g} s",
            "time 0 is the start of the run: subtract the start of the recording from the arrivals",
        )
    return inside


def trace_stats(scenario: Scenario) -> TraceStats:
    """Size, span and mean demands of the scenario's trace.

    Raises:
        ScenarioError: If the file cannot be used.
        TypeError: If the scenario's arrivals are not a trace.
    """
    rows = _read_all(scenario)
    inside = rows.before(scenario.duration_s)
    users = {name: _users(ids, inside) for name, ids in _columns_used(scenario).items()}
    return TraceStats(
        rows=len(rows.arrival_s),
        replayed=len(inside.arrival_s),
        first_s=float(rows.arrival_s[0]),
        span_s=float(rows.arrival_s[-1] - rows.arrival_s[0]),
        mean_s={
            name: float(values[users[name]].mean()) if users[name].any() else None
            for name, values in inside.columns.items()
        },
    )


def _users(class_ids: Sequence[int], rows: TraceRows) -> Mask:
    if rows.class_id is None:
        return np.ones(len(rows.arrival_s), np.bool_)
    return np.isin(rows.class_id, class_ids)


def _columns_used(scenario: Scenario) -> dict[str, list[int]]:
    """The columns that steps name, each with the classes whose steps do."""
    used: dict[str, list[int]] = {}
    for c, _, dist in demand_paths(scenario):
        if isinstance(dist, Column) and c not in used.setdefault(dist.column, []):
            used[dist.column].append(c)
    return used


def _read_all(scenario: Scenario) -> TraceRows:
    if not isinstance(scenario.arrivals, Trace):
        raise TypeError("the arrivals of this scenario are not a trace")
    path = scenario.base_dir / scenario.arrivals.file
    names = tuple(c.name for c in scenario.classes)
    used = tuple((name, tuple(ids)) for name, ids in _columns_used(scenario).items())
    try:
        # The stamp makes a file that was written anew be read anew.
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        return _read(path, stamp, names, used)
    except TableError as error:
        steps = (
            where
            for _, where, dist in demand_paths(scenario)
            if isinstance(dist, Column) and dist.column == error.column
        )
        where = next(steps, ("workload", "arrivals", "file"))
        refuse(scenario, where, error.message, error.hint, error)


@lru_cache(maxsize=2)
def _read(
    path: Path,
    _stamp: int,
    class_names: tuple[str, ...],
    used: tuple[tuple[str, tuple[int, ...]], ...],
) -> TraceRows:
    """Read, check and sort; kept, since all replications replay the same rows."""
    names = column_names(path)
    arrival = _arrival_column(path, names)
    labels = [CLASS] if CLASS in names else []
    table = read_columns(path, [arrival, *(name for name, _ in used)], labels)
    arrivals = table.numbers[arrival]
    if len(arrivals) == 0:
        raise TableError(f"{path.name} has no rows")
    _check(table, path, arrival)
    class_id = _class_ids(table, path, class_names) if labels else None
    for name, ids in used:
        # A row may leave blank what its own class does not ask for.
        _check(table, path, name, None if class_id is None else np.isin(class_id, ids))
    columns = {name: in_seconds(name, table.numbers[name]) for name, _ in used}
    return _sorted(in_seconds(arrival, arrivals), class_id, columns)


def _arrival_column(path: Path, names: list[str]) -> str:
    found = [name for name in ARRIVAL if name in names]
    if len(found) > 1:
        raise TableError(
            f"{path.name} has several arrival columns: {', '.join(found)}", "keep one of them"
        )
    if not found:
        raise missing_column(path, ARRIVAL[0], names)
    return found[0]


def _check(table: Table, path: Path, name: str, asked: Mask | None = None) -> None:
    fault = not_a_duration(table, name, asked)
    if fault is not None:
        row, what = fault
        raise TableError(
            f"{table.where(row)} of {path.name}: {what}", "a finite number from 0 up is needed"
        )


def _class_ids(table: Table, path: Path, class_names: Sequence[str]) -> NDArray[np.int32]:
    texts, codes = table.labels[CLASS]
    known = {name: i for i, name in enumerate(class_names)}
    ids = np.array([known.get(text, -1) for text in texts], np.int32)
    class_id = ids[codes] if len(texts) else np.empty(0, np.int32)
    bad = np.flatnonzero(class_id < 0)
    if len(bad):
        text = texts[codes[bad[0]]]
        raise TableError(
            f'{table.where(int(bad[0]))} of {path.name}: no request class is called "{text}"',
            f"the classes are {', '.join(class_names)}",
        )
    return class_id


def _sorted(
    arrival_s: Floats, class_id: NDArray[np.int32] | None, columns: dict[str, Floats]
) -> TraceRows:
    if np.any(arrival_s[1:] < arrival_s[:-1]):
        order = np.argsort(arrival_s, kind="stable")
        arrival_s = arrival_s[order]
        class_id = None if class_id is None else class_id[order]
        columns = {name: values[order] for name, values in columns.items()}
    for values in (arrival_s, *columns.values()):
        values.flags.writeable = False
    if class_id is not None:
        class_id.flags.writeable = False
    return TraceRows(arrival_s, class_id, columns)
