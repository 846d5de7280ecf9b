"""From the ledger's logs to a `RunRecord`: exact time averages in bins, and peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simsched.observe.logs import N_BINS
from simsched.observe.record import COMPLETED, PARTS, UNFINISHED, ResourceUse, RunRecord
from simsched.observe.series import UnitLog, binned_mean, binned_sum, integral, steps
from simsched.sim.task import CPU, TIMED_OUT

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
    if run.scenario.host.steal:
        series["away_cores"] = binned_mean(*ledger.away_log.sorted(), edges)
    overhead_s = sum(ledger.overhead_bins.tolist())
    blame = ledger.blame.rows()
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
        activity=_activity(run, end_s) | ledger.blame.figures(blame),
        waits=_waits(run, duration_s),
        worker_time_s=_worker_time(run, books.parts_s, series, duration_s),
        join_parts_s=books.join_parts_s,
        branch_cpu_s=books.branch_cpu_s,
        workers_max=workers_max,
        worker_limit=run.scheduler.worker_limit,
        blame=blame,
        pinned=ledger.blame.pinned(),
        longest_stall=ledger.blame.stall(),
        stolen_s=list(run.host.stolen_s),
        totals={
            "busy_core_s": float(integral(*ledger.core_log.sorted(), np.array([end_s]))[0]),
            "overhead_core_s": overhead_s,
            "late_cpu_s": ledger.late_cpu_s,
            "branch_cpu_s": float(ledger.branches.parts_s[CPU]),
            **_stretch(run, overhead_s),
        },
    )


def _stretch(run: Simulation, overhead_s: float) -> dict[str, float]:
    """By how much the runtime's own work may have taken longer on hyper-threads.

    Nobody tells: it is known of a burst, and a burst may be work of the runtime only in part.
    """
    longer = run.scenario.host.slowest_pace - 1.0
    return {"stretch_core_s": longer * overhead_s} if longer else {}


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
    """Memory over time = what is there from the start + what comes and goes."""
    base = float(run.spec.base_bytes * run.spec.processes)
    sources = _memory_changes(run, books)
    times = np.concatenate([at for at, _ in sources])
    columns = {
        name: np.concatenate([by.get(name, np.zeros(len(at))) for at, by in sources])
        for name in ("stacks", "tasks", "requests", "connections", "garbage")
    }
    values = {name: steps(times, change)[1] for name, change in columns.items()}
    sorted_times = np.sort(times, kind="stable")
    total = sum(values.values(), np.zeros(len(times)))
    peak = {"base": base, **dict.fromkeys(columns, 0.0)}
    if len(times):
        # Several changes at one instant are one state: look at the last of them.
        last = np.append(sorted_times[1:] != sorted_times[:-1], True)
        at = int(np.flatnonzero(last)[np.argmax(total[last])])
        peak |= {name: float(v[at]) for name, v in values.items()}
    peak["memory_bytes"] = sum(peak.values())
    binned = base + binned_mean(sorted_times, total, edges)
    counts = steps(*run.ledger.thread_log.raw())[1]
    return binned, peak, int(counts.max(initial=0))


def _memory_changes(run: Simulation, books: Books) -> list[tuple[FloatArray, dict[str, Any]]]:
    """When memory changes, and by how many bytes of which kind.

    A thread has a stack. A request holds a task, what its class says and, unless connections are
    modelled, one of those; a branch of a ``parallel`` step is one more task. Where connections are
    modelled, a request that no process has read yet is no burden, and an idle connection is.
    Garbage is what the collector leaves beside what requests hold, and the room of new objects.
    """
    spec, ledger = run.spec.memory, run.ledger
    thread_times, threads = ledger.thread_log.raw()
    branch_times, branches = ledger.branches.log.raw()
    sources = [
        (thread_times, {"stacks": threads * float(spec.thread_bytes)}),
        (branch_times, {"tasks": branches * float(spec.task_bytes)}),
    ]
    if run.network is None:
        ended = books.outcome != UNFINISHED
        class_id, log = books.class_id, ledger.held_log
        times = np.concatenate((books.arrival_s, books.closed_s[ended], np.array(log.times)))
        held = np.concatenate((class_id + 1, -1 - class_id[ended], np.array(log.changes, np.int64)))
    else:
        times, held = np.array(ledger.read_log.times), np.array(ledger.read_log.changes, np.int64)
        connection_times, connections = ledger.connection_log.raw()
        kept = connections * float(spec.connection_bytes)
        sources.append((connection_times, {"connections": kept}))
    held_bytes = [0, *(p.memory_bytes for p in run.trace.programs)]
    own = np.array(held_bytes, np.float64)
    garbage = np.array([run.spec.garbage_bytes(n) for n in held_bytes], np.float64)
    sign = np.sign(held)
    changes = {
        "tasks": sign * float(spec.task_bytes),
        "requests": sign * own[np.abs(held)],
        "garbage": sign * garbage[np.abs(held)],
    }
    if run.network is None:
        changes["connections"] = sign * float(spec.connection_bytes)
    sources.append((times, changes))
    if spec.young_bytes:
        begun = held > 0
        made = [(times[begun], spec.young_task_bytes + own[held[begun]])]
        made.append((branch_times[branches > 0], float(spec.young_task_bytes)))
        if run.network is None:
            # An attempt that was given up is held further: that is noted as if it were a new one.
            late = books.outcome == TIMED_OUT
            made.append(
                (books.closed_s[late], -(spec.young_task_bytes + own[books.class_id[late] + 1]))
            )
        sources.append(_young(made, float(spec.young_bytes * run.spec.processes)))
    return sources


def _young(
    made: list[tuple[FloatArray, FloatArray | float]], most_bytes: float
) -> tuple[FloatArray, dict[str, Any]]:
    """How the room of new objects grows, by what is made when, until it is full."""
    times, made_bytes = steps(
        np.concatenate([at for at, _ in made]),
        np.concatenate([np.broadcast_to(by, len(at)) for at, by in made]),
    )
    growth = np.diff(np.minimum(made_bytes, most_bytes), prepend=0.0)
    grows = growth != 0.0
    return times[grows], {"garbage": growth[grows]}


def _activity(run: Simulation, end_s: float) -> dict[str, float]:
    counts = {name: float(n) for name, n in sorted(run.ledger.counts.items())}
    counts["context_switches"] = float(run.ledger.switches)
    if run.network is not None:
        counts["accept_queue_max"] = float(run.network.listener.highest)
    starts_s, ends_s = run.ledger.stalls()
    stalls_s = ends_s - starts_s
    if len(stalls_s):
        looks_s = end_s * (run.scheduler.worker_limit or 1)  # a timer may be on any of the loops
        counts["loop_lag_p99_s"] = loop_lag_quantile(stalls_s, looks_s, 0.99)
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
    capacities = {name: r.capacity for name, r in run.machine.resources.items()}
    for name, capacity in (capacities | run.machine.pools).items():
        log = run.ledger.resource_logs.get(name, UnitLog())
        held_s = float(integral(*log.sorted(), np.array([duration_s]))[0])
        waits = run.ledger.resource_waits.get(name, ())
        uses[name] = {
            "capacity": capacity,
            "utilization": held_s / (capacity * duration_s),
            "wait_s_mean": sum(waits) / len(waits) if waits else 0.0,
            "acquisitions": len(waits),
        }
        resource = run.machine.resources.get(name)
        if resource is not None and resource.timeout_s is not None:
            uses[name]["timeouts"] = resource.timeouts
        if resource is not None and resource.max_waiting is not None:
            uses[name]["refusals"] = resource.refusals
    return uses


def _worker_time(
    run: Simulation, parts_s: FloatArray, series: dict[str, FloatArray], duration_s: float
) -> dict[str, float]:
    """What the workers' time went into, and how much of it they idled."""
    held = run.scheduler.held_phases()
    branches_s = run.ledger.branches.parts_s
    times = {
        PARTS[phase]: float(parts_s[:, phase].sum() + branches_s[phase]) for phase in sorted(held)
    }
    alive_s = float(series["workers"].mean()) * duration_s
    times["idle"] = max(0.0, alive_s - float(series["busy_workers"].mean()) * duration_s)
    return times
