"""What diaries note besides marks, so that blame can be worked out from them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.observe.blame import Blame
from simsched.observe.marks import ASKED, GAVE, TOOK, WHATS
from simsched.sim.observer import Observer
from simsched.sim.task import (
    ADMISSION,
    BACK_OFF,
    BLOCKING,
    ENDED,
    IO,
    LINED,
    LOST,
    MOVED,
    PERMITS,
    PINNED,
    STEPS,
    UNWIRED,
    WIRED,
)

if TYPE_CHECKING:
    from simsched.sim.task import Task


class Notes(Observer):
    """The part of the ledger that takes these notes."""

    def __init__(self, kind: str, slice_s: float) -> None:
        self.blame = Blame(kind, slice_s)
        # What diaries are to note: that a permit was ..., by name of the resource.
        self._permits: dict[str, int] = {}

    def blamed(
        self, now: float, cause: str, victim: int, culprit: int, step: str, seconds: float
    ) -> None:
        self.blame.tell(cause, victim, culprit, step, seconds)

    def throttled(self, now: float, core: int, change: int) -> None:
        if self.blame.quota is not None:
            self.blame.quota.stop(now, core, change)

    def moved(self, now: float, task: Task, place: str) -> None:
        task.marks += MOVED, self.blame.place(place) if place else 0

    def bound(self, now: float, task: Task, place: str, thread: int) -> None:
        task.marks += MOVED, self.blame.place_of_thread(place, thread)

    def pinned(self, now: float, task: Task) -> None:
        task.marks += PINNED, 1

    def lost(self, now: float, task: Task) -> None:
        task.marks += LOST, now

    def occupied(self, since_s: float, now: float, process: int) -> None:
        self.blame.occupied += since_s, now, process

    def wants_connection(self, now: float, task: Task) -> None:
        task.marks += UNWIRED, now

    def in_line(self, now: float, task: Task) -> None:
        task.marks += LINED, now

    def is_connected(self, now: float, task: Task) -> None:
        task.marks += WIRED, now

    def connections_full(self, now: float, full: bool) -> None:
        self.blame.full.turn(now, runs=full)

    def asked(self, now: float, task: Task, name: str) -> None:
        task.marks += self._note(name) + ASKED, now

    def took(self, now: float, task: Task, name: str) -> None:
        task.marks += self._note(name) + TOOK, now

    def gave(self, now: float, task: Task, name: str) -> None:
        task.marks += self._note(name) + GAVE, now

    def _note(self, name: str) -> int:
        note = self._permits.get(name)
        if note is None:
            note = self._permits[name] = PERMITS + WHATS * self.blame.place(name)
        return note

    def note_back_off(self, now: float, task: Task) -> None:
        """Until now the client waited by itself, before it sent the request once more."""
        task.marks += BACK_OFF, now - task.since_s

    def further_diary(self, now: float, task: Task) -> list[float]:
        """A new diary for an attempt under way: with where it is, and what it has behind it."""
        waits = place = 0
        keeps: list[float] = []  # what it notes of the worker that it keeps while it waits
        for code, value in zip(task.marks[::2], task.marks[1::2], strict=True):
            if code < ENDED:
                keeps = []
            if code == ADMISSION:
                waits = place = 0
            elif code in (IO, BLOCKING):
                waits += 1
            elif code == STEPS:
                waits += int(value)
            elif code == MOVED:
                place = int(value)
            elif code in (PINNED, LOST):
                keeps += code, value
        phase = task.phase
        in_wait = phase in (IO, BLOCKING)  # the new diary says so once more
        marks = [phase, now, STEPS, waits - in_wait]
        if place:
            marks = [phase, now, MOVED, place, phase, now, STEPS, waits - 2 * in_wait]
        marks += keeps
        for resource in task.held:
            marks += self._note(resource.name) + TOOK, now
        return marks
