"""Spans: from when to when each request was in which part of its life.

The ledger keeps sums; this observer keeps every stay. It is meant for looking at a short window (a
timeline, a Gantt chart, a test that a reader can check on paper), not for whole runs.
"""

from __future__ import annotations

from typing import NamedTuple

from simsched.observe.record import PARTS
from simsched.sim.observer import Observer
from simsched.sim.task import ADMISSION, Task


class Span(NamedTuple):
    """One stay of a request in one part of the breakdown. Times in seconds."""

    request: int
    part: str
    start_s: float
    end_s: float


class SpanLog(Observer):
    """Records the stays that overlap ``[start_s, end_s)``; those without length are left out.

    A CPU span is wall time: it includes what the thread waited for a core meanwhile. An attempt
    that nobody waits for any more is not followed.
    """

    def __init__(self, start_s: float = 0.0, end_s: float = float("inf")) -> None:
        self.spans: list[Span] = []
        self._window = (start_s, end_s)
        self._open: dict[int, tuple[Task, int, float]] = {}  # request -> attempt, part, since when

    def arrived(self, now: float, task: Task) -> None:
        self._open[task.index] = (task, ADMISSION, now)

    def entered(self, now: float, task: Task, phase: int) -> None:
        stay = self._open.get(task.index)
        if stay is not None and stay[0] is task:
            self._close(now, task.index)
            self._open[task.index] = (task, phase, now)

    def retried(self, now: float, task: Task, again: Task) -> None:
        self._close(now, task.index)
        self._open[task.index] = (again, ADMISSION, now)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        self._close(now, task.index)

    def _close(self, now: float, index: int) -> None:
        _, phase, since_s = self._open.pop(index)
        start_s, end_s = self._window
        if now > since_s and now > start_s and since_s < end_s:
            self.spans.append(Span(index, PARTS[phase], since_s, now))
