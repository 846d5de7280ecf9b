"""Pools and locks: counted permits with a first-come-first-served queue.

Whoever gives a permit back hands it to the longest waiting task directly: nobody can barge in
between. That is what connection pools and fair locks do, and what unfair locks do on average when
they are contended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.sim.task import LOCK, RESOURCE, Task

if TYPE_CHECKING:
    from simsched.sim.clock import Clock
    from simsched.sim.observer import Observers


class Resource:
    """``capacity`` permits and the tasks that wait for one."""

    __slots__ = ("_clock", "_observers", "_since", "capacity", "free", "name", "phase", "waiting")

    def __init__(self, clock: Clock, observers: Observers, name: str, capacity: int) -> None:
        self._clock = clock
        self._observers = observers
        self.name = name
        self.capacity = capacity
        self.free = capacity
        self.phase = LOCK if name.startswith("lock:") else RESOURCE
        self.waiting: deque[Task] = deque()
        self._since: dict[Task, float] = {}

    def acquire(self, task: Task) -> bool:
        """Take a permit, or queue up and return False; the holder's release then grants it."""
        now = self._clock.now
        if self.free and not self.waiting:
            self.free -= 1
            task.held.append(self)
            self._observers.resource(now, self.name, 1)
            self._observers.resource_waited(now, self.name, 0.0)
            self._observers.took(now, task, self.name)
            return True
        self._observers.asked(now, task, self.name)
        self.waiting.append(task)
        self._since[task] = now
        return False

    def release(self, task: Task) -> Task | None:
        """Give the permit back; returns the task that it passes to, if any waits."""
        task.held.remove(self)
        now = self._clock.now
        self._observers.gave(now, task, self.name)
        if self.waiting:
            heir = self.waiting.popleft()
            heir.held.append(self)
            self._observers.resource_waited(now, self.name, now - self._since.pop(heir))
            self._observers.took(now, heir, self.name)
            return heir
        self.free += 1
        self._observers.resource(now, self.name, -1)
        return None

    def withdraw(self, task: Task) -> bool:
        """Stop waiting; False if the task does not wait here (it may just have been granted)."""
        if self._since.pop(task, None) is None:
            return False
        self.waiting.remove(task)
        return True
