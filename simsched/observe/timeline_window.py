"""The window of a timeline and its counters: how much is told, and how long the queues are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.observe.timeline import Count
from simsched.sim.clock import DISPATCH, Call
from simsched.sim.observer import Observer
from simsched.sim.task import ADMISSION, RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.network import Connection

AFTER_ALL = DISPATCH + (2 << 40)
"""Priority after all else that can happen at an instant."""

QUEUES = {ADMISSION: "waiting for admission", RUN_QUEUE: "waiting for a worker"}


class Enough(Exception):
    """Raised through the simulation when the window is over, or full."""


class WindowLog(Observer):
    """Knows what lies in ``[start_s, end_s)``, and counts what waits.

    Args:
        start_s: where the window begins.
        end_s: where it ends: there the run is stopped, with :class:`Enough`.
        limit: about how many events of a trace file may come of it. Beyond that the run is stopped
            at the end of the instant.
    """

    def __init__(self, start_s: float, end_s: float, limit: int | None) -> None:
        self.start_s, self.end_s = start_s, end_s
        self.cut = False
        self.simulation: Simulation
        self._limit = limit
        self._told = 0
        self._over_s = 0.0
        self._counts: dict[str, list[Count]] = {}
        self._values: dict[str, int] = {}

    def attach(self, simulation: Simulation) -> None:
        """Get to know the run that is about to begin."""
        self.simulation = simulation
        if self.end_s < float("inf"):
            simulation.clock.call_at(self.end_s, AFTER_ALL, self._stop)

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        """The run came to its end before the window did."""
        self._over_s = record.end_s

    def _stop(self, _: Call) -> None:
        raise Enough

    def tells(self, start_s: float, end_s: float, weight: int = 1) -> bool:
        """Whether to write down a piece of the run."""
        if end_s < self.start_s or start_s >= self.end_s:
            return False
        self._told += weight
        if self._limit is not None and self._told > self._limit and not self.cut:
            self.cut = True
            clock = self.simulation.clock
            clock.call_at(clock.now, AFTER_ALL, self._stop)
        return True

    # -- counters ----------------------------------------------------------------------------

    def count(self, now: float, name: str, change: int) -> None:
        """A counter changes."""
        value = self._values[name] = self._values.get(name, 0) + change
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = []
        time_s = max(now, self.start_s)  # what was before the window is its initial value
        if counts and counts[-1].time_s == time_s:
            counts.pop()
        elif not self.tells(time_s, time_s):
            return
        if not counts or counts[-1].value != value:
            counts.append(Count(name, time_s, value))

    def in_queue(self, now: float, part: int, change: int) -> None:
        """A request comes to, or leaves, a part of the breakdown."""
        name = QUEUES.get(part)
        if name is not None:
            self.count(now, name, change)

    def queued(self, now: float, task: Task, queue: str) -> None:
        self.count(now, f"queue: {queue}", 1)

    def dequeued(self, now: float, task: Task, queue: str) -> None:
        self.count(now, f"queue: {queue}", -1)

    def core_queue(self, now: float, change: int) -> None:
        self.count(now, "threads without a core", change)

    def resource(self, now: float, name: str, change: int) -> None:
        self.count(now, f"{name}: in use", change)

    def connection(self, now: float, connection: Connection, event: str) -> None:
        if event != "closed":
            self.count(now, "accept queue", 1 if event == "queued" else -1)

    def counts(self) -> list[Count]:
        """All values of all counters, in order of time."""
        found = (count for counts in self._counts.values() for count in counts)
        return sorted(found, key=lambda count: (count.time_s, count.name))
