"""Pools and locks: counted permits with a first-come-first-served queue.

Whoever gives a permit back hands it to the longest waiting task directly: nobody can barge in
between. That is what connection pools and fair locks do, and what unfair locks do on average when
they are contended.

A pool may limit how long a task waits, and how many do. A task that gets no permit is ``broken``:
whoever runs it is woken as for a permit, finds out, gives back what it holds, and reports a
failure. Sources: HikariCP HikariPool.java, getConnection (connectionTimeout); reactor-pool
SimpleDequePool.java, pendingOffer (maxPending).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.sim.clock import IO_DONE
from simsched.sim.task import LOCK, RESOURCE, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsched.sim.clock import Call, Clock
    from simsched.sim.observer import Observers


class Resource:
    """``capacity`` permits and the tasks that wait for one.

    Args:
        timeout_s: longest wait; None for none.
        max_waiting: most tasks that wait at a time; None for no limit.
    """

    __slots__ = (
        "_clock", "_observers", "_since", "_timers", "capacity", "free", "max_waiting", "name",
        "phase", "refusals", "timeout_s", "timeouts", "waiting", "wakes",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        observers: Observers,
        name: str,
        capacity: int,
        timeout_s: float | None = None,
        max_waiting: int | None = None,
    ) -> None:
        self._clock = clock
        self._observers = observers
        self.name = name
        self.capacity = capacity
        self.free = capacity
        self.phase = LOCK if name.startswith("lock:") else RESOURCE
        self.waiting: deque[Task] = deque()
        self.timeout_s = timeout_s
        self.max_waiting = max_waiting
        self.timeouts = 0  # waits given up
        self.refusals = 0  # tasks that were not let wait
        self.wakes: Callable[[Task], None] | None = None  # whom to tell of a wait that has failed
        self._since: dict[Task, float] = {}
        self._timers: dict[Task, Call] = {}

    def acquire(self, task: Task) -> bool:
        """Take a permit, or queue up and return False; the holder's release then grants it.

        It is False, too, if too many wait already: then the task is broken, and does not wait.
        """
        now = self._clock.now
        if self.free and not self.waiting:
            self.free -= 1
            task.held.append(self)
            self._observers.resource(now, self.name, 1)
            self._observers.resource_waited(now, self.name, 0.0)
            self._observers.took(now, task, self.name)
            return True
        if self.max_waiting is not None and len(self.waiting) >= self.max_waiting:
            task.broken = True
            self.refusals += 1
            self._observers.counted("pool_refusals", 1)
            return False
        self._observers.asked(now, task, self.name)
        self.waiting.append(task)
        self._since[task] = now
        if self.timeout_s is not None:
            self._timers[task] = self._clock.call_at(
                now + self.timeout_s, IO_DONE | task.index, self._waited_too_long, task
            )
        return False

    def _waited_too_long(self, call: Call) -> None:
        """``SQLTransientConnectionException``: the task is woken, and finds out."""
        task: Task = call.arg
        self.withdraw(task)
        task.broken = True
        self.timeouts += 1
        self._observers.counted("pool_timeouts", 1)
        assert self.wakes is not None
        self.wakes(task)

    def release(self, task: Task) -> Task | None:
        """Give the permit back; returns the task that it passes to, if any waits."""
        task.held.remove(self)
        now = self._clock.now
        self._observers.gave(now, task, self.name)
        if self.waiting:
            heir = self.waiting.popleft()
            self._stop_timer(heir)
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
        self._stop_timer(task)
        return True

    def _stop_timer(self, task: Task) -> None:
        if self.timeout_s is not None:
            self._timers.pop(task).cancel()
