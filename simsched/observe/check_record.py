"""The record of a run: what must be true of its numbers, whoever filled them in.

These identities hold exactly, not on average: sums of the same seconds, added up in two ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.observe.check_accounts import unbooked_s
from simsched.observe.checker import Checker, CheckFailed, differs, early_timers_s
from simsched.observe.record import COMPLETED, FAILED, PARTS, TIMED_OUT, UNFINISHED
from simsched.workload.program import BLOCKING, CPU, IO, SLEEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.workload.program import Op

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
    _check_join(record)
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


def _check_join(record: RunRecord) -> None:
    """The time in "join" is accounted for by the slowest branches, to the last bit of it.

    A client that gives up ends the account of the branches under way, but not of the request.
    """
    slack_s = 1e-9 * _latency_s(record) + 1e-14 * (1.0 + record.end_s)
    waited_s = record.parts_s[:, PARTS.index("join")]
    if not len(record.join_parts_s):
        i = _first(waited_s > slack_s)
        if i is not None:
            _fail(record, f"request {i}", "no join without branches", f"{waited_s[i]:.9g} s")
        return
    accounted_s = record.join_parts_s.sum(axis=1)
    whole = (record.attempts == 1) & (record.outcome != TIMED_OUT)
    off = (accounted_s > waited_s + slack_s) | (whole & (accounted_s < waited_s - slack_s))
    i = _first(off)
    if i is not None:
        seen = f"branches for {accounted_s[i]:.12g} s"
        _fail(record, f"request {i}", f"a join of {waited_s[i]:.12g} s", seen)


def _check_work(record: RunRecord, simulation: Simulation) -> None:
    """A request that succeeded at once was given what it demanded: no less, and no more CPU.

    Waits may be longer than demanded, since a timer fires late; computing may not, unless it shares
    a physical core. A ``parallel``
    step takes as long as its longest branch, and its branches compute what they demand.
    """
    trace = simulation.trace
    programs = [simulation.scheduler.adapt(program.ops) for program in trace.programs]
    early_s = early_timers_s(simulation.spec)
    shares_cores = simulation.scenario.host.threads_per_core > 1
    branch_cpu_s = record.branch_cpu_s if len(record.branch_cpu_s) else np.zeros(len(record))
    for i in np.flatnonzero((record.outcome == COMPLETED) & (record.attempts == 1)).tolist():
        demands = trace.demand_row(i)
        ops = programs[record.class_id[i]]
        asked = dict.fromkeys(_PART_OF.values(), 0.0)
        for op in ops:
            if op.slot >= 0:
                asked[_PART_OF[op.code]] += demands[op.slot]
        asked["join"] = sum(_longest_s(op, demands) for op in ops)
        asked["cpu of branches"] = sum(_branch_cpu_s(op, demands) for op in ops)
        for part, asked_s in asked.items():
            if part == "cpu of branches":
                got_s = float(branch_cpu_s[i])
            else:
                got_s = float(record.parts_s[i, PARTS.index(part)])
            late = part in ("io", "join") and got_s > asked_s - early_s * len(ops)
            if shares_cores and part in ("cpu", "cpu of branches"):
                late = got_s > asked_s
            if differs(got_s, asked_s) and not late:
                _fail(record, f"request {i}", f"{asked_s:.12g} s of {part}", f"{got_s:.12g} s")


def _longest_s(op: Op, demands: Sequence[float]) -> float:
    """What the longest branch of a ``parallel`` step asks for, one step after the other."""

    def seconds(inside: Op) -> float:
        own_s = demands[inside.slot] if inside.slot >= 0 else 0.0
        return own_s + _longest_s(inside, demands)

    return max((sum(map(seconds, branch)) for branch in op.branches), default=0.0)


def _branch_cpu_s(op: Op, demands: Sequence[float]) -> float:
    """CPU that all branches of a ``parallel`` step ask for."""
    inside = [step for branch in op.branches for step in branch]
    own_s = sum(demands[step.slot] for step in inside if step.code == CPU)
    return own_s + sum(_branch_cpu_s(step, demands) for step in inside)


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
    highest = dict.fromkeys(("busy_cores", "away_cores"), float(simulation.scenario.host.cores))
    for name, values in series.items():
        high = highest.get(name, np.inf)
        if values.min() < -1e-6 or values.max() > high * (1 + 1e-6):
            span = f"{values.min():.9g} to {values.max():.9g}"
            _fail(record, f'series "{name}"', f"values of 0 to {high:g}", span)
    for name, use in record.waits.items():
        if not -1e-9 <= use["utilization"] <= 1 + 1e-9:
            _fail(record, name, "a utilisation of 0 to 1", f"{use['utilization']:.9g}")


def _check_core_time(record: RunRecord, simulation: Simulation) -> None:
    """What the cores did went to requests, their branches, given-up attempts, or to overhead.

    Overhead is told when a burst ends, so that of a burst under way it still counts as CPU. A
    process that dies takes such bursts with it.
    """
    if (record.outcome == FAILED).any():
        return
    totals = record.totals
    of_requests_s = float(record.parts_s[:, PARTS.index("cpu")].sum())
    early_s, late_s = unbooked_s(simulation, record.end_s)
    late_s += totals.get("stretch_core_s", 0.0)
    slack_s = 1e-9 + 1e-12 * len(record) * (1.0 + record.end_s)
    most_s = totals["busy_core_s"] + slack_s
    if of_requests_s > most_s:
        _fail(record, "totals", f"cpu of {most_s:.9g} s at most", f"{of_requests_s:.9g} s")
    if totals["late_cpu_s"] < -totals["overhead_core_s"] - slack_s:
        _fail(record, "totals", "no negative late cpu", f"{totals['late_cpu_s']:.9g} s")
    if not simulation.clients.idle():
        return
    of_branches_s = totals["branch_cpu_s"]
    if differs(of_branches_s, float(record.branch_cpu_s.sum()), absolute_s=slack_s):
        seen = f"{record.branch_cpu_s.sum():.9g} s in all requests"
        _fail(record, "totals", f"{of_branches_s:.9g} s of cpu in branches", seen)
    spent_s = of_requests_s + of_branches_s + totals["late_cpu_s"] + totals["overhead_core_s"]
    if not -early_s - slack_s <= totals["busy_core_s"] - spent_s <= late_s + slack_s:
        expected = f"{totals['busy_core_s']:.12g} s of core time"
        _fail(record, "totals", f"all cpu and overhead to be {expected}", f"{spent_s:.12g} s")
