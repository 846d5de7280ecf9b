"""From the ledger's logs to a `RunRecord`: exact time averages in bins, and peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simsched.observe.ledger import N_BINS
from simsched.observe.record import COMPLETED, PARTS, UNFINISHED, ResourceUse, RunRecord
from simsched.observe.series import UnitLog, binned_mean, binned_sum, integral, steps

if TYPE_CHECKING:
    from simsched.observe.ledger import Books, Ledger
    from simsched.sim.engine import Simulation

FloatArray = npt.NDArray[np.float64]


def collect(run: Simulation, end_s: float) -> RunRecord:
    """Everything measured in one finished run."""
    ledger = run.ledger
    duration_s = run.scenario.duration_s
    books = ledger.close(end_s)
    finish_s = np.where(books.outcome == UNFINISHED, np.nan, books.closed_s)
    edges = np.linspace(0.0, duration_s, N_BINS + 1)
    memory, peak, workers_max = _memory(run, books, edges)
    series = _series(ledger, books, edges)
    series["memory_bytes"] = memory
    return RunRecord(
        arrival_s=books.arrival_s,
        finish_s=finish_s,
        outcome=books.outcome,
        class_id=books.class_id,
        attempts=books.attempts,
        parts_s=books.parts_s,
        duration_s=duration_s,
        end_s=end_s,
        bin_s=duration_s / N_BINS,
        series=series,
        peak=peak,
        activity=_activity(run, end_s),
        waits=_waits(run, duration_s),
        worker_time_s=_worker_time(run, books.parts_s, series, duration_s),
        workers_max=workers_max,
        worker_limit=run.scheduler.worker_limit,
        totals={
            "busy_core_s": float(integral(*ledger.core_log.sorted(), np.array([end_s]))[0]),
            "overhead_core_s": sum(ledger.overhead_bins.tolist()),
            "late_cpu_s": ledger.late_cpu_s,
        },
    )


def _series(ledger: Ledger, books: Books, edges: FloatArray) -> dict[str, FloatArray]:
    arrival_s, outcome = books.arrival_s, books.outcome
    ended = books.closed_s[outcome != UNFINISHED]
    completed = books.closed_s[outcome == COMPLETED]
    changes = np.concatenate((np.ones(len(arrival_s)), -np.ones(len(ended))))
    in_system = steps(np.concatenate((arrival_s, ended)), changes)
    return {
        "in_system": binned_mean(*in_system, edges),
        "queued": binned_mean(*ledger.queued_log.sorted(), edges),
        "busy_cores": binned_mean(*ledger.core_log.sorted(), edges),
        "busy_workers": binned_mean(*_busy_workers(ledger), edges),
        "workers": binned_mean(*ledger.thread_log.sorted(), edges),
        "overhead_cores": ledger.overhead_bins[:-1] / np.diff(edges),
        "arrivals": binned_sum(arrival_s, np.ones(len(arrival_s)), edges),
        "completions": binned_sum(completed, np.ones(len(completed)), edges),
    }


def _busy_workers(ledger: Ledger) -> tuple[FloatArray, FloatArray]:
    times, changes = ledger.worker_log.raw()
    starts, ends = ledger.stalls()
    return steps(
        np.concatenate((times, starts, ends)),
        np.concatenate((changes, np.ones(len(starts)), -np.ones(len(ends)))),
    )


def _memory(
    run: Simulation, books: Books, edges: FloatArray
) -> tuple[FloatArray, dict[str, float], int]:
    """Memory over time = base + threads * stack + attempts held * (task + connection + own)."""
    spec = run.spec.memory
    thread_times, thread_changes = run.ledger.thread_log.raw()
    ended = books.outcome != UNFINISHED
    class_id, log = books.class_id, run.ledger.held_log
    held_times = np.concatenate((books.arrival_s, books.closed_s[ended], np.array(log.times)))
    held_change = np.concatenate(
        (class_id + 1, -1 - class_id[ended], np.array(log.changes, np.int64))
    )
    sign = np.sign(held_change)
    own = np.array([0, *(p.memory_bytes for p in run.trace.programs)], np.float64)
    columns = {
        "stacks": np.concatenate((thread_changes * spec.thread_bytes, np.zeros(len(sign)))),
        "tasks": np.concatenate((np.zeros(len(thread_times)), sign * float(spec.task_bytes))),
        "requests": np.concatenate((np.zeros(len(thread_times)), sign * own[np.abs(held_change)])),
        "connections": np.concatenate(
            (np.zeros(len(thread_times)), sign * float(spec.connection_bytes))
        ),
    }
    times = np.concatenate((thread_times, held_times))
    values = {name: steps(times, change)[1] for name, change in columns.items()}
    sorted_times = np.sort(times, kind="stable")
    total = sum(values.values(), np.zeros(len(times)))
    peak = {"base": float(spec.base_bytes), **dict.fromkeys(columns, 0.0)}
    if len(times):
        # Several changes at one instant are one state: look at the last of them.
        last = np.append(sorted_times[1:] != sorted_times[:-1], True)
        at = int(np.flatnonzero(last)[np.argmax(total[last])])
        peak |= {name: float(v[at]) for name, v in values.items()}
    peak["memory_bytes"] = sum(peak.values())
    binned = spec.base_bytes + binned_mean(sorted_times, total, edges)
    counts = steps(thread_times, thread_changes)[1]
    return binned, peak, int(counts.max(initial=0))


def _activity(run: Simulation, end_s: float) -> dict[str, float]:
    counts = {name: float(n) for name, n in sorted(run.ledger.counts.items())}
    counts["context_switches"] = float(run.ledger.switches)
    starts_s, ends_s = run.ledger.stalls()
    stalls_s = ends_s - starts_s
    if len(stalls_s):
        counts["loop_lag_p99_s"] = loop_lag_quantile(stalls_s, end_s, 0.99)
        counts["loop_lag_max_s"] = float(stalls_s.max())
    return counts


def loop_lag_quantile(stalls_s: FloatArray, span_s: float, p: float) -> float:
    """How late a timer due at a random moment would fire, at quantile ``p``.

    A timer due while the loop is away for ``s`` seconds waits for what is left of ``s``: the lag
    exceeds x with probability sum(max(0, s - x)) / span. Solved for x exactly: the sum is
    piecewise linear in x with kinks at the stalls.
    """
    target = (1.0 - p) * span_s
    falling = np.sort(stalls_s)[::-1]
    if falling.sum() <= target:
        return 0.0
    # excess(x) for x just below the k-th largest stall = sum of the k largest - k x
    sums = np.cumsum(falling)
    k = np.arange(1, len(falling) + 1)
    following = np.append(falling[1:], 0.0)
    reached = sums - k * following >= target
    first = int(np.argmax(reached))
    return float((sums[first] - target) / k[first])


def _waits(run: Simulation, duration_s: float) -> dict[str, ResourceUse]:
    uses: dict[str, ResourceUse] = {}
    for name, resource in run.machine.resources.items():
        log = run.ledger.resource_logs.get(name, UnitLog())
        held_s = float(integral(*log.sorted(), np.array([duration_s]))[0])
        waits = run.ledger.resource_waits.get(name, ())
        uses[name] = {
            "capacity": resource.capacity,
            "utilization": held_s / (resource.capacity * duration_s),
            "wait_s_mean": sum(waits) / len(waits) if waits else 0.0,
            "acquisitions": len(waits),
        }
    return uses


def _worker_time(
    run: Simulation, parts_s: FloatArray, series: dict[str, FloatArray], duration_s: float
) -> dict[str, float]:
    """What the workers' time went into, and how much of it they idled."""
    held = run.scheduler.held_phases()
    times = {PARTS[phase]: float(parts_s[:, phase].sum()) for phase in sorted(held)}
    alive_s = float(series["workers"].mean()) * duration_s
    times["idle"] = max(0.0, alive_s - float(series["busy_workers"].mean()) * duration_s)
    return times
