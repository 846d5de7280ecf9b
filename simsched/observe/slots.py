"""What is waited for where some slots are free: not those, but what keeps them from being used.

A worker that is free is being woken, or its thread waits for a core of the machine: in the host's
own queue, or on a core that is stopped because the CPU quota is used up. And where each thread does
its own work only, those that are free are no help at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from simsched.observe.sharing import Gate, Holders
from simsched.observe.stays import CORES, PROCESSES, QUOTA, Intervals, chosen

if TYPE_CHECKING:
    from simsched.scenario import Scenario, SchedulerSpec

SLOTTED: Final = frozenset({"goroutine", "virtual_thread"})
"""Kinds whose tasks do not say what the worker that is woken for them waits for. While one of their
slots is free, it is a core."""
OTHERS_FREE: Final = ", others free"
"""What the names of causes end with where a task waits for one thread while others are free."""
Cases = Iterator[tuple[int, Holders, Gate | None]]
"""Where a wait is booked, who has what is waited for, and which of the time counts."""


class SingleThread(NamedTuple):
    """One thread of a pool in which no thread does what is another's."""

    pool: str
    beside: int
    """The place where waits are booked for which the thread is taken, but not all of its pool."""


class Limits(NamedTuple):
    """What there is of workers and cores."""

    slots: float | None = None
    """Workers of one process at most, if that is known."""
    cores: int = 0
    quota_period_s: float | None = None
    """Of a CPU quota, if there is one."""
    connections: float = 0.0
    """How many there may be at once; 0 where nothing limits them."""
    pools: Mapping[str, float] = {}
    """Threads beside the workers, of one process, by the name of their place."""


def limits_of(
    scenario: Scenario, spec: SchedulerSpec, workers: int | None, pools: Mapping[str, int]
) -> Limits:
    """Of a scenario and of a scheduler that may have so many workers, in all of its processes."""
    slots = None if workers is None else float(workers)
    if slots is not None and spec.kind != "sync_workers":  # those are one queue's
        slots /= spec.processes
    if spec.kind == "reactor":
        slots = 1.0  # each loop is a place of its own
    host, clients = scenario.host, scenario.connections
    period_s = None if host.cpu_quota is None else host.cpu_period_s
    most = [clients.count] if clients is not None and clients.count else []
    if spec.listen.max_connections is not None:
        most.append(spec.listen.max_connections * spec.processes)
    each = {name: threads / spec.processes for name, threads in pools.items()}
    return Limits(slots, host.cores, period_s, float(min(most, default=0)), each)


def cases_of_workers(
    place: int,
    holders: Holders,
    slots: float | None,
    stops: Intervals | None,
    computing: Intervals | None,
    cores: int,
) -> Cases:
    """Who waits for a worker waits for one only as long as none is free.

    Args:
        place: where.
        holders: who has the workers.
        slots: how many there are, if that is known.
        stops: when cores are stopped; None without a quota.
        computing: who has a core, if that is what else is waited for (`SLOTTED`).
        cores: how many there are. With fewer in use, a core is being woken: nobody is to blame.
    """
    if slots is None or (computing is None and stops is None):
        yield place, holders, None
        return
    gate = Gate(holders.of, slots, stops, lambda free, stopped: ~(free & stopped))
    if computing is None:
        yield place, holders, gate
    else:
        yield place, holders, gate._replace(when=lambda free, _: ~free)
        on_cores = Holders(computing, computing.weight.astype(np.float64), cores - 0.5)
        yield CORES, on_cores, gate._replace(when=lambda free, stopped: free & ~stopped)
    if stops is not None and len(stops.start_s):
        stopped_cores = Holders(stops, np.ones(len(stops.start_s)))
        yield QUOTA, stopped_cores, gate._replace(when=lambda free, stopped: free & stopped)


def cases_of_thread(
    station: int,
    holders: Holders,
    holds: Intervals,
    threads: Mapping[int, SingleThread],
    limits: Limits,
) -> Cases:
    """Who waits for one thread waits for its pool only while all threads of that are taken."""
    place, process = divmod(station, PROCESSES)
    thread = threads[place]
    pool = [number for number, other in threads.items() if other.pool == thread.pool]
    taken = chosen(holds, np.isin(holds.station, np.array(pool) * PROCESSES + process))
    gate = Gate(taken, limits.pools.get(thread.pool, 1.0), None, lambda free, _: ~free)
    yield place, holders, gate
    yield thread.beside, holders, gate._replace(when=lambda free, _: free)
