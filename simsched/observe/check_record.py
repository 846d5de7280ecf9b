"""The record of a run: what must be true of its numbers, whoever filled them in.

These identities hold exactly, not on average: sums of the same seconds, added up in two ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.observe.check_accounts import unbooked_s
from simsched.observe.checker import Checker, CheckFailed, differs
from simsched.observe.record import COMPLETED, FAILED, PARTS, UNFINISHED
from simsched.workload.program import BLOCKING, CPU, IO, SLEEP

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation

INVARIANT = "record"

_PART_OF = {CPU: "cpu", IO: "io", SLEEP: "io", BLOCKING: "blocking"}


class RecordCheck(Checker):
    """Judges the record at the end of the run."""

    invariant = INVARIANT

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        check_record(record, simulation)


def check_record(record: RunRecord, simulation: Simulation) -> None:
    """Check what a finished run reports.

    Raises:
        CheckFailed: With the first thing that cannot be.
    """
    _check_requests(record)
    _check_breakdown(record)
    _check_work(record, simulation)
    _check_series(record, simulation)
    _check_core_time(record, simulation)


def _fail(record: RunRecord, where: str, expected: str, seen: str) -> None:
    raise CheckFailed(INVARIANT, record.end_s, where, expected, seen)


def _first(bad: Any) -> int | None:
    return int(np.argmax(bad)) if bad.any() else None


def _check_requests(record: RunRecord) -> None:
    """Each request is in exactly one state, and its times are in order."""
    unfinished = record.outcome == UNFINISHED
    finish_s = np.where(unfinished, record.end_s, record.finish_s)
    rules: list[tuple[str, Any]] = [
        ("an outcome of 0 to 4", (record.outcome < 0) | (record.outcome > 4)),
        ("a finish if, and only if, it ended", np.isnan(record.finish_s) != unfinished),
        ("a finish after its arrival", ~(finish_s >= record.arrival_s)),
        ("a finish before the end of the run", ~(finish_s <= record.end_s)),
        ("an arrival within the window", ~(record.arrival_s <= record.duration_s)),
        ("an arrival after the one before", np.diff(record.arrival_s, prepend=0.0) < 0),
        ("an attempt at least", record.attempts < 1),
    ]
    for expected, broken in rules:
        i = _first(broken)
        if i is not None:
            seen = (
                f"outcome {record.outcome[i]}, {record.arrival_s[i]:.9g} s to "
                f"{record.finish_s[i]:.9g} s, {record.attempts[i]} attempts"
            )
            _fail(record, f"request {i}", expected, seen)


def _latency_s(record: RunRecord) -> npt.NDArray[np.float64]:
    finish_s = np.where(record.outcome == UNFINISHED, record.end_s, record.finish_s)
    latency_s: npt.NDArray[np.float64] = finish_s - record.arrival_s
    return latency_s


def _check_breakdown(record: RunRecord) -> None:
    """The parts of a request are not negative, and add up to its latency."""
    latency_s = _latency_s(record)
    slack_s = 1e-9 * latency_s + 1e-14 * (1.0 + record.end_s)
    i = _first((record.parts_s < -slack_s[:, np.newaxis]).any(axis=1))
    if i is not None:
        part = int(np.argmin(record.parts_s[i]))
        seen = f"{record.parts_s[i, part]:.9g} s of {PARTS[part]}"
        _fail(record, f"request {i}", "no negative part", seen)
    sums = record.parts_s.sum(axis=1)
    i = _first(np.abs(sums - latency_s) > slack_s)
    if i is not None:
        seen = f"{sums[i]:.12g} s"
        _fail(record, f"request {i}", f"parts that add up to {latency_s[i]:.12g} s", seen)


def _check_work(record: RunRecord, simulation: Simulation) -> None:
    """A request that succeeded at once was given what it demanded: no less, and no more CPU.

    Waits may be longer than demanded, since a timer fires late; computing may not.
    """
    trace = simulation.trace
    for i in np.flatnonzero((record.outcome == COMPLETED) & (record.attempts == 1)).tolist():
        demands = trace.demand_row(i)
        asked = dict.fromkeys(_PART_OF.values(), 0.0)
        for op in trace.programs[record.class_id[i]].ops:
            if op.slot >= 0:
                asked[_PART_OF[op.code]] += demands[op.slot]
        for part, asked_s in asked.items():
            got_s = float(record.parts_s[i, PARTS.index(part)])
            late = part == "io" and got_s > asked_s
            if differs(got_s, asked_s) and not late:
                _fail(record, f"request {i}", f"{asked_s:.12g} s of {part}", f"{got_s:.12g} s")


def _check_series(record: RunRecord, simulation: Simulation) -> None:
    """The series add up to the requests, and stay within what there is."""
    duration_s, series = record.duration_s, record.series
    inside_s = np.minimum(record.arrival_s + _latency_s(record), duration_s) - record.arrival_s
    completed_s = record.finish_s[record.outcome == COMPLETED]
    sums = (
        ("in_system", float(inside_s.sum()) / duration_s, float(series["in_system"].mean())),
        ("arrivals", float(len(record)), float(series["arrivals"].sum())),
        (
            "completions",
            float(np.count_nonzero(completed_s <= duration_s)),
            float(series["completions"].sum()),
        ),
    )
    for name, expected, seen in sums:
        if differs(expected, seen):
            _fail(record, f'series "{name}"', f"{expected:.12g}", f"{seen:.12g}")
    highest = {"busy_cores": float(simulation.scenario.host.cores)}
    for name, values in series.items():
        high = highest.get(name, np.inf)
        if values.min() < -1e-6 or values.max() > high * (1 + 1e-6):
            span = f"{values.min():.9g} to {values.max():.9g}"
            _fail(record, f'series "{name}"', f"values of 0 to {high:g}", span)
    for name, use in record.waits.items():
        if not -1e-9 <= use["utilization"] <= 1 + 1e-9:
            _fail(record, name, "a utilisation of 0 to 1", f"{use['utilization']:.9g}")


def _check_core_time(record: RunRecord, simulation: Simulation) -> None:
    """What the cores did went to requests, to their given-up attempts, or to overhead.

    Overhead is told when a burst ends, so that of a burst under way it still counts as CPU. A
    process that dies takes such bursts with it.
    """
    if (record.outcome == FAILED).any():
        return
    totals = record.totals
    of_requests_s = float(record.parts_s[:, PARTS.index("cpu")].sum())
    early_s, late_s = unbooked_s(simulation.host, record.end_s)
    slack_s = 1e-9 + 1e-12 * len(record) * (1.0 + record.end_s)
    most_s = totals["busy_core_s"] + slack_s
    if of_requests_s > most_s:
        _fail(record, "totals", f"cpu of {most_s:.9g} s at most", f"{of_requests_s:.9g} s")
    if totals["late_cpu_s"] < -totals["overhead_core_s"] - slack_s:
        _fail(record, "totals", "no negative late cpu", f"{totals['late_cpu_s']:.9g} s")
    if not simulation.clients.idle():
        return
    spent_s = of_requests_s + totals["late_cpu_s"] + totals["overhead_core_s"]
    if not -early_s - slack_s <= totals["busy_core_s"] - spent_s <= late_s + slack_s:
        expected = f"{totals['busy_core_s']:.12g} s of core time"
        _fail(record, "totals", f"cpu, late cpu and overhead to be {expected}", f"{spent_s:.12g} s")
