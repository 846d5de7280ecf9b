"""Work for Python runtimes: a loop of a fixed number of iterations.

Loaded by scripts from their own folder, with the standard library only.
"""

from __future__ import annotations

import json
import time
from typing import Any

__all__ = ["iterations_per_us", "spin", "tell"]


def spin(iterations: int) -> int:
    """Work: a loop of a fixed number of iterations."""
    x = 0
    for _ in range(iterations):
        x = (x + 7) & 0xFFFF
    return x


def iterations_per_us(seconds: float = 0.5) -> float:
    """Iterations of `spin` per microsecond: the median of 1 ms pieces, some of which are disturbed.

    CPU time and not wall time, so that a piece that was preempted counts for what it ran.
    """
    n = 20_000
    rates: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(rates) < 9:
        begin = time.thread_time_ns()
        spin(n)
        rates.append(n * 1000 / max(1, time.thread_time_ns() - begin))
    return sorted(rates)[len(rates) // 2]


def tell(**what: Any) -> None:
    """One JSON line on standard output."""
    print(json.dumps(what), flush=True)
