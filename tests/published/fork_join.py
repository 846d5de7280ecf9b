"""Compensation of a ForkJoinPool: as measured, beside what its model says.

JDK 25, a pool with a parallelism of 8: so many tasks block in ``ForkJoinPool.managedBlock``, and
then others are submitted. How many of those run at a time, with two values of ``minimumRunnable``?
"""

from __future__ import annotations

from typing import NamedTuple

from kit import FUTURES, request, run

Row = tuple[str, float, float]
"""What it is, predicted, published."""

MEASURED: dict[int, dict[int, float]] = {
    4: {2: 6, 4: 4, 6: 3.5, 8: 4, 12: 4},
    1: {2: 6, 4: 4, 6: 2, 8: 1, 12: 1},
}
"""By minimumRunnable and the number of blocked tasks. With 6 of 4, it was 3 at times and 4 at
times."""

POOL_MEASURED = {8: 12, 12: 16}
"""Threads of the pool, with a minimumRunnable of 4."""


class Crowd(NamedTuple):
    """One run: how many others ran at a time, and how many workers there were."""

    running: int
    workers: int


def beside(blocked: int, min_runnable: int) -> Crowd:
    """Tasks that compute, beside so many blocked ones."""
    pool = FUTURES | {"parallelism": 8, "minRunnable": min_runnable, "managedBlock": True}
    finished = run(
        pool,
        *[request("blocking 1000ms") for _ in range(blocked)],
        *[request("cpu 100ms", at=500) for _ in range(32)],
        cores=32,
    )
    running = sum(t == 500 for t, _ in finished.journal.starts)
    return Crowd(running, sum(t <= 500 for t in finished.journal.threads_made))


def compensation() -> list[Row]:
    """Others that run beside blocked ones."""
    rows: list[Row] = []
    for least, measured in MEASURED.items():
        for blocked, seen in measured.items():
            label = f"ForkJoinPool(8), minRunnable {least}, {blocked} blocked: others running"
            rows.append((label, beside(blocked, least).running, seen))
    for blocked, seen in POOL_MEASURED.items():
        label = f"the same, minRunnable 4, {blocked} blocked: threads"
        rows.append((label, beside(blocked, 4).workers, seen))
    return rows


EXPERIMENTS = (compensation,)
