"""Exact queue recursions that make `RunRecord`s without a simulator."""

from __future__ import annotations

import heapq

import numpy as np

from simsched.observe.record import COMPLETED, PARTS, UNFINISHED, FloatArray, RunRecord

BINS = 300


def generator(seed: int, replication: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence([seed, replication])))


def poisson_arrivals(rng: np.random.Generator, rate: float, duration_s: float) -> FloatArray:
    n = rng.poisson(rate * duration_s)
    return np.sort(rng.uniform(0.0, duration_s, n))


def lindley_start(arrival_s: FloatArray, service_s: FloatArray) -> FloatArray:
    """Start of service in a FIFO queue with one server: Lindley's recursion without a loop.

    W_{n+1} = max(0, W_n + S_n - A_{n+1}) is the random walk minus its running minimum.
    """
    if len(arrival_s) == 0:
        return arrival_s
    steps = service_s[:-1] - np.diff(arrival_s)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    start: FloatArray = arrival_s + (walk - np.minimum.accumulate(walk))
    return start


def multi_server_start(arrival_s: FloatArray, service_s: FloatArray, servers: int) -> FloatArray:
    """Start of service in a FIFO queue with several servers: Kiefer and Wolfowitz."""
    free = [0.0] * servers
    start = np.empty(len(arrival_s))
    for i, (arrival, service) in enumerate(zip(arrival_s, service_s, strict=True)):
        start[i] = max(arrival, free[0])
        heapq.heapreplace(free, start[i] + service)
    return start


def occupancy(begin_s: FloatArray, end_s: FloatArray, edges: FloatArray) -> FloatArray:
    """Time-weighted mean number of intervals [begin, end) that are open, per bin."""
    # Integral up to t of the number that began, minus of the number that ended.
    integral = _integral(begin_s, edges) - _integral(end_s, edges)
    mean: FloatArray = np.diff(integral) / np.diff(edges)
    return mean


def _integral(times: FloatArray, at: FloatArray) -> FloatArray:
    ordered = np.sort(times)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    k = np.searchsorted(ordered, at, side="right")
    area: FloatArray = k * at - sums[k]
    return area


def record_from(
    arrival_s: FloatArray,
    start_s: FloatArray,
    service_s: FloatArray,
    duration_s: float,
    *,
    servers: int = 1,
    drain_s: float = 0.0,
    bins: int = BINS,
    part: str = "cpu",
) -> RunRecord:
    """A record of requests that queue and then spend their service in `part`, until the drain."""
    n = len(arrival_s)
    end_s = duration_s + drain_s
    finish = start_s + service_s
    done = finish <= end_s
    bin_s = duration_s / bins
    edges = np.minimum(np.arange(bins + 1) * bin_s, duration_s)
    parts = np.zeros((n, len(PARTS)))
    parts[:, PARTS.index("run_queue")] = np.minimum(start_s, end_s) - arrival_s
    parts[:, PARTS.index(part)] = np.clip(end_s - start_s, 0.0, service_s)
    busy = occupancy(start_s, finish, edges)
    queued = occupancy(arrival_s, start_s, edges)
    counts = np.histogram(arrival_s, edges)[0].astype(float)
    completions = np.histogram(finish[done], edges)[0].astype(float)
    return RunRecord(
        arrival_s=arrival_s,
        finish_s=np.where(done, finish, np.nan),
        outcome=np.where(done, COMPLETED, UNFINISHED).astype(np.int8),
        class_id=np.zeros(n, dtype=np.int32),
        attempts=np.ones(n, dtype=np.int16),
        parts_s=parts,
        duration_s=duration_s,
        end_s=end_s,
        bin_s=bin_s,
        series={
            "in_system": busy + queued,
            "queued": queued,
            "busy_cores": busy if part == "cpu" else np.zeros(bins),
            "busy_workers": busy,
            "workers": np.full(bins, float(servers)),
            "memory_bytes": 1e6 + 1e3 * (busy + queued),
            "overhead_cores": np.zeros(bins),
            "arrivals": counts,
            "completions": completions,
        },
        peak={
            "memory_bytes": 2e6,
            "base": 1e6,
            "stacks": 5e5,
            "tasks": 2e5,
            "requests": 2e5,
            "connections": 1e5,
        },
        activity={"context_switches": float(n)},
        worker_time_s={"cpu": float(busy.sum() * bin_s)},
        workers_max=servers,
        worker_limit=servers,
        totals={
            "busy_core_s": float(parts[:, PARTS.index("cpu")].sum()),
            "overhead_core_s": 0.0,
            "late_cpu_s": 0.0,
        },
    )


def mm1(
    rho: float,
    customers: int,
    seed: int,
    replication: int = 0,
    *,
    drain_s: float = 0.0,
    bins: int = BINS,
) -> RunRecord:
    """M/M/1 with mean service 1 s, for about `customers` arrivals, empty at the start."""
    rng = generator(seed, replication)
    duration_s = customers / rho
    arrival = poisson_arrivals(rng, rho, duration_s)
    service = rng.exponential(1.0, len(arrival))
    start = lindley_start(arrival, service)
    return record_from(arrival, start, service, duration_s, drain_s=drain_s, bins=bins)


def mm1_replications(
    rho: float, customers: int, seed: int, replications: int = 10
) -> list[RunRecord]:
    return [mm1(rho, customers, seed, r) for r in range(replications)]
