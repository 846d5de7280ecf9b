"""Threads of a runtime that serve requests without carrying them: timers, pollers, unblockers.

They are OS threads like any other: they sleep until there is something to do, and then need a core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.sim.clock import Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.sim.machine import Machine


class ServiceThread:
    """Handles notices in order, each at a cost of CPU."""

    def __init__(
        self, machine: Machine, name: str, cost_s: float, handle: Callable[[Task], None]
    ) -> None:
        self._clock = machine.clock
        self._observers = machine.observers
        self._thread = machine.thread(name)
        self._cost_s = cost_s
        self._handle = handle
        self._notices: deque[Task] = deque()
        self._asleep: Event | None = None

    def start(self) -> None:
        """Begin to wait for notices."""
        self._clock.process(self._serve())

    def notify(self, task: Task) -> None:
        """Something has happened that concerns ``task``."""
        self._notices.append(task)
        self._wake()

    def _wake(self) -> None:
        if self._asleep is not None:
            asleep, self._asleep = self._asleep, None
            self._thread.wake_with(asleep)

    def _serve(self) -> Process:
        while True:
            if self._has_nothing():
                self._thread.sleep()
                self._asleep = asleep = self._clock.event()
                yield asleep
            yield from self._turn()

    def _has_nothing(self) -> bool:
        """Whether it falls asleep."""
        return not self._notices

    def _turn(self) -> Process:
        """What it does each time it is awake: all notices there are by now."""
        n = len(self._notices)
        yield from self._spend(n * self._cost_s)
        for _ in range(n):
            self._handle(self._notices.popleft())

    def _spend(self, cost_s: float) -> Process:
        wait = self._thread.run(cost_s)
        if wait is not None:
            yield wait
        if cost_s:
            self._observers.overhead(self._clock.now, cost_s)
