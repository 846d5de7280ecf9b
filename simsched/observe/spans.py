"""Spans: from when to when each request, and each branch of it, was in which part of its life.

The ledger keeps sums; this observer keeps every stay. It is meant for looking at a short window (a
timeline, a Gantt chart, a test that a reader can check on paper), not for whole runs.
"""

from __future__ import annotations

from typing import NamedTuple

from simsched.observe.record import PARTS
from simsched.sim.observer import Observer
from simsched.sim.task import ADMISSION, RUN_QUEUE, Task


class Span(NamedTuple):
    """One stay of a request, or of its branch, in one part of the breakdown. Times in seconds."""

    request: int
    part: str
    start_s: float
    end_s: float
    branch: int = 0
    """0: the request itself; else which of its branches, counted from 1 as they were made."""


class SpanLog(Observer):
    """Records the stays that overlap ``[start_s, end_s)``; those without length are left out.

    A CPU span is wall time: it includes what the thread waited for a core meanwhile. An attempt
    that nobody waits for any more is not followed, nor are its branches.
    """

    def __init__(self, start_s: float = 0.0, end_s: float = float("inf")) -> None:
        self.spans: list[Span] = []
        self._window = (start_s, end_s)
        self._open: dict[Task, tuple[int, float]] = {}  # part, since when
        self._number: dict[Task, int] = {}  # of each branch that is followed
        self._branches: dict[int, int] = {}  # how many a request has had

    def arrived(self, now: float, task: Task) -> None:
        self._open[task] = (ADMISSION, now)

    def entered(self, now: float, task: Task, phase: int) -> None:
        if task in self._open:
            self._close(now, task)
            self._open[task] = (phase, now)

    def retried(self, now: float, task: Task, again: Task) -> None:
        self._leave(now, task)
        self._open[again] = (ADMISSION, now)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        self._leave(now, task)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        if task in self._open:
            self._number[branch] = self._branches[task.index] = (
                self._branches.get(task.index, 0) + 1
            )
            self._open[branch] = (RUN_QUEUE, now)

    def joined(self, now: float, branch: Task) -> None:
        if branch in self._open:
            self._leave(now, branch)

    def _leave(self, now: float, task: Task) -> None:
        """It is followed no further, and neither is what goes on for it."""
        self._close(now, task)
        self._number.pop(task, None)
        for branch in task.branches:
            if branch in self._open:
                self._leave(now, branch)

    def _close(self, now: float, task: Task) -> None:
        phase, since_s = self._open.pop(task)
        start_s, end_s = self._window
        if now > since_s and now > start_s and since_s < end_s:
            branch = self._number.get(task, 0)
            self.spans.append(Span(task.index, PARTS[phase], since_s, now, branch))
