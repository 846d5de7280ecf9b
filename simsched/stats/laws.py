"""Self-checks of a run: conservation, Little's law, the utilisation law.

Each compares two measurements made in different places: counters over time (the series, the
cores) against sums over requests (the ledger). They hold for every run, overloaded or not, so a
difference beyond rounding is an error of the simulation. Beside them stands the textbook form of
each law for the measured window, which also asks that the window is steady.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from simsched.observe.record import (
    COMPLETED,
    FAILED,
    OUTCOMES,
    PARTS,
    REJECTED,
    TIMED_OUT,
    UNFINISHED,
    FloatArray,
    RunRecord,
)
from simsched.stats.estimates import half_width
from simsched.stats.window import (
    Window,
    arrived_in,
    departure_s,
    next_edge,
    overlap_s,
    time_mean,
)

ROUNDING: Final = 1e-7
"""Relative difference that sums of up to a billion floats may show."""
IN_FLIGHT_S: Final = 1e-5
"""Core seconds per core that may be spent but not yet booked when a run stops in mid-switch."""
CONFIDENCE: Final = 0.999
"""Level of the statistical checks: one false alarm in a thousand."""
CPU: Final = PARTS.index("cpu")


def counts(records: Sequence[RunRecord], cut_s: float = 0.0) -> dict[str, int]:
    """Requests that arrived from `cut_s` on, by outcome at the end of the drain, in all runs."""
    return _counts(np.concatenate([r.outcome[r.arrival_s >= cut_s] for r in records]))


def class_counts(
    records: Sequence[RunRecord], names: Sequence[str], cut_s: float = 0.0
) -> dict[str, dict[str, int]]:
    """`counts` of each request class."""
    outcomes = np.concatenate([r.outcome[r.arrival_s >= cut_s] for r in records])
    classes = np.concatenate([r.class_id[r.arrival_s >= cut_s] for r in records])
    return {name: _counts(outcomes[classes == i]) for i, name in enumerate(names)}


def _counts(outcomes: np.ndarray[Any, np.dtype[np.int8]]) -> dict[str, int]:
    number = np.bincount(outcomes, minlength=len(OUTCOMES))
    order = (COMPLETED, REJECTED, TIMED_OUT, FAILED, UNFINISHED)
    return {"arrived": len(outcomes)} | {OUTCOMES[code]: int(number[code]) for code in order}


def conservation(records: Sequence[RunRecord], class_names: Sequence[str]) -> dict[str, Any]:
    """Every request that arrived ends in exactly one outcome, in the ledger and in the counters.

    arrived = completed + rejected + timed_out + failed + unfinished, in all and per class; the
    counters of arrivals and completions over time agree with the ledger; times are in order.
    """
    problems: list[str] = []
    for replication, record in enumerate(records):
        problems += [f"replication {replication}: {text}" for text in _ledger_problems(record)]
    total = counts(records)
    classes = class_counts(records, class_names)
    for key, value in total.items():
        if sum(entry[key] for entry in classes.values()) != value:
            problems.append(f"{key} requests of the classes do not add up to all {key} requests")
    return {"ok": not problems, **total, "classes": classes, "problems": problems[:10]}


def _ledger_problems(record: RunRecord) -> list[str]:
    problems = []
    open_ended = np.isnan(record.finish_s)
    unfinished = record.outcome == UNFINISHED
    if not np.array_equal(open_ended, unfinished):
        problems.append("an unfinished request has an end, or a finished one has none")
    slack = ROUNDING * max(record.end_s, 1.0)
    done = ~open_ended
    if np.any(record.finish_s[done] < record.arrival_s[done] - slack):
        problems.append("a request ends before it arrives")
    if np.any(record.finish_s[done] > record.end_s + slack):
        problems.append("a request ends after the run")
    if np.any(np.diff(record.arrival_s) < 0) or np.any(record.arrival_s > record.duration_s):
        problems.append("arrivals are out of order or outside the run")
    counted = round(float(record.series["arrivals"].sum()))
    if counted != len(record):
        problems.append(f"{counted} arrivals were counted, {len(record)} are in the ledger")
    edge = record.duration_s
    completed = record.finish_s[record.outcome == COMPLETED]
    counted = round(float(record.series["completions"].sum()))
    # One that ends at the very end of the window may count or not.
    fewest, most = int((completed < edge - slack).sum()), int((completed <= edge + slack).sum())
    if not fewest <= counted <= most:
        problems.append(f"{counted} completions were counted, {most} are in the ledger")
    return problems


def _time_in_system(record: RunRecord, window: Window) -> float:
    """Seconds that all requests spent in the system within the window."""
    leave = np.clip(departure_s(record), window.start_s, window.end_s)
    enter = np.clip(record.arrival_s, window.start_s, window.end_s)
    return float(np.maximum(leave - enter, 0.0).sum())


def littles_law(records: Sequence[RunRecord], cut_s: float) -> dict[str, Any]:
    """Little's law L = lambda W, exactly and statistically.

    Exactly: over any window of length T the integral of the number in the system is the sum of
    the times that requests spent in it, cut at the edges of the window. `l` is the former over T
    (from the counter), `lambda_w` the latter over T (from the ledger); means over replications.
    `difference`, of `l` and `lambda_w`, is the worst of any replication, in the window or in the
    whole run.

    Statistically (Little 1961): `window` has the arrival rate times the mean time in the system
    of those that arrived, uncut. It differs from L by what crosses the edges, so it holds within
    its interval only in a steady state.
    """
    whole = [_little(record, Window(0.0, record.duration_s)) for record in records]
    windows = [Window(next_edge(record, cut_s), record.duration_s) for record in records]
    inside = [_little(record, w) for record, w in zip(records, windows, strict=True)]
    length = float(np.mean([pair[0] for pair in inside]))
    difference = max((a - b for a, b in whole + inside), key=abs)
    tolerance = ROUNDING * max(1.0, *(a for a, _ in whole + inside))
    return {
        "ok": abs(difference) <= tolerance,
        "l": length,
        "lambda_w": float(np.mean([pair[1] for pair in inside])),
        "difference": difference,
        "tolerance": tolerance,
        "window": _little_window(records, windows),
    }


def _little(record: RunRecord, window: Window) -> tuple[float, float]:
    if window.width_s <= 0:
        return 0.0, 0.0
    integral = float(overlap_s(record, window) @ record.series["in_system"])
    return integral / window.width_s, _time_in_system(record, window) / window.width_s


def _little_window(records: Sequence[RunRecord], windows: Sequence[Window]) -> dict[str, Any]:
    """Arrival rate times mean stay, against the time mean of the number in the system."""
    differences, rates, stays = [], [], []
    for record, window in zip(records, windows, strict=True):
        inside = arrived_in(record, window)
        n = int(inside.sum())
        if n == 0 or window.width_s <= 0:
            continue
        stay = float((departure_s(record) - record.arrival_s)[inside].mean())
        rates.append(n / window.width_s)
        stays.append(stay)
        differences.append(time_mean(record, "in_system", window) - rates[-1] * stay)
    return {
        "lambda_rps": float(np.mean(rates)) if rates else None,
        "w_s": float(np.mean(stays)) if stays else None,
        **_near_zero(np.array(differences)),
    }


def _near_zero(differences: FloatArray, edge: float = 0.0) -> dict[str, Any]:
    """Whether a mean difference over replications is zero within its interval; None: no telling.

    `edge` is the part of a difference that the edges of the window alone may cause.
    """
    if len(differences) == 0:
        return {"difference": None, "tolerance": None, "inside_ci": None}
    mean = float(differences.mean())
    if len(differences) < 2 or float(np.ptp(differences)) <= ROUNDING * max(1.0, abs(mean)):
        return {"difference": mean, "tolerance": None, "inside_ci": None}
    tolerance = half_width(differences - mean, CONFIDENCE) + edge
    return {"difference": mean, "tolerance": tolerance, "inside_ci": abs(mean) <= tolerance}


def utilization_law(records: Sequence[RunRecord], cut_s: float) -> dict[str, Any]:
    """Utilisation law U = X S: the cores are busy for what the requests demand, and no more.

    Exactly, over the whole run: core seconds busy (`busy_core_s`, measured at the cores) = CPU
    parts of all requests and of their branches + overhead + CPU of requests that had already timed
    out (`work_core_s`). On hyper-threads the runtime's own work may take longer than it demands:
    by `stretch_core_s` at most.
    Statistically, over the window: mean busy cores without overhead against the rate of departures
    times the mean CPU demand of those that left (Denning & Buzen 1978).
    """
    measured = [record for record in records if "busy_core_s" in record.totals]
    busy = [record.totals["busy_core_s"] for record in measured]
    work = [
        float(record.parts_s[:, CPU].sum())
        + record.totals.get("overhead_core_s", 0.0)
        + record.totals.get("late_cpu_s", 0.0)
        + record.totals.get("branch_cpu_s", 0.0)
        for record in measured
    ]
    difference = max((abs(a - b) for a, b in zip(busy, work, strict=True)), default=0.0)
    running = max((float(r.series["busy_cores"].max(initial=0.0)) for r in records), default=0.0)
    stretch = max((r.totals.get("stretch_core_s", 0.0) for r in measured), default=0.0)
    tolerance = ROUNDING * max([1.0, *busy]) + IN_FLIGHT_S * np.ceil(running) + stretch
    window = _utilization_window(records, cut_s)
    exact = difference <= tolerance
    return {
        "ok": bool(exact) if measured else window["inside_ci"] is not False,
        "busy_core_s": float(np.mean(busy)) if busy else None,
        "work_core_s": float(np.mean(work)) if work else None,
        "difference": difference,
        "tolerance": float(tolerance),
        "window": window,
    }


def _utilization_window(records: Sequence[RunRecord], cut_s: float) -> dict[str, Any]:
    differences, rates, demands, edge = [], [], [], 0.0
    for record in records:
        window = Window(next_edge(record, cut_s), record.duration_s)
        with np.errstate(invalid="ignore"):
            left = (record.finish_s >= window.start_s) & (record.finish_s < window.end_s)
        n = int(left.sum())
        if n == 0 or window.width_s <= 0 or record.totals.get("late_cpu_s", 0.0) > 0:
            continue
        cpu_s = record.parts_s[:, CPU]
        if len(record.branch_cpu_s):
            cpu_s = cpu_s + record.branch_cpu_s
        demand = float(cpu_s[left].mean())
        rates.append(n / window.width_s)
        demands.append(demand)
        overhead = time_mean(record, "overhead_cores", window)
        differences.append(time_mean(record, "busy_cores", window) - overhead - rates[-1] * demand)
        # Requests on the cores at an edge of the window are counted on one side only.
        longest = float(cpu_s[left].max())
        running = float(record.series["busy_cores"].max())
        stretch = record.totals.get("stretch_core_s", 0.0) / max(record.end_s, 1e-300)
        edge = max(edge, running * longest / window.width_s + stretch)
    return {
        "throughput_rps": float(np.mean(rates)) if rates else None,
        "demand_s": float(np.mean(demands)) if demands else None,
        **_near_zero(np.array(differences), edge),
    }


def self_check(
    records: Sequence[RunRecord], class_names: Sequence[str], cut_s: float
) -> dict[str, Any]:
    """All three laws, as in the result document."""
    return {
        "conservation": conservation(records, class_names),
        "littles_law": littles_law(records, cut_s),
        "utilization_law": utilization_law(records, cut_s),
    }
