"""The timers of an event loop: a heap of what is due when, and how coarse each loop's clock is.

asyncio keeps exact times, and rounds only how long it waits: ``EpollSelector.select`` takes whole
milliseconds, rounded *up*, so that an idle loop is up to 1 ms late and a busy one is exact.

libuv counts whole milliseconds. ``uv__update_time`` cuts off what is beyond, a timer is due at such
a time plus a whole number of milliseconds, and the poll waits for the difference: a timer may fire
up to 1 ms late, or early if the delay was rounded down. uvloop rounds a delay to the nearest
millisecond and Node cuts it to one that is at least 1 (``lib/internal/timers.js``).

A poll that a timer ends is late by the kernel's timer slack as well (``epoll_wait`` sets a timer of
the kernel with it, fs/eventpoll.c, ``ep_poll``); one that I/O ends is not.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsched.sim.clock import Clock
    from simsched.sim.task import Task

CLOCK_RESOLUTION_S = 1e-9  # time.get_clock_info("monotonic").resolution on Linux


class TimerHandle:
    """An entry of the timer heap; a cancelled one stays until its time comes."""

    __slots__ = ("task", "when_s")

    def __init__(self, when_s: float, task: Task) -> None:
        self.when_s = when_s
        self.task: Task | None = task


class Timers:
    """The timers of asyncio (``loop.call_later``)."""

    def __init__(self, clock: Clock, resolution_s: float, slack_s: float) -> None:
        self.clock = clock
        self.resolution_s = resolution_s
        self.slack_s = slack_s
        self.heap: list[tuple[float, int, TimerHandle]] = []
        self.sleeping: dict[Task, TimerHandle] = {}
        self._sequence = 0

    def start(self, task: Task, delay_s: float) -> None:
        """The task sleeps for so long."""
        self.start_at(task, self.when_s(delay_s))

    def start_at(self, task: Task, when_s: float) -> None:
        """The task sleeps until then."""
        handle = TimerHandle(when_s, task)
        self.sleeping[task] = handle
        self._sequence += 1
        heappush(self.heap, (handle.when_s, self._sequence, handle))

    def cancel(self, task: Task) -> bool:
        """Wake nobody; False if the task does not sleep."""
        handle = self.sleeping.pop(task, None)
        if handle is None:
            return False
        handle.task = None
        return True

    def expired(self) -> Task | None:
        """The next task whose time has come, if there is one."""
        heap = self.heap
        while heap and self.is_due(heap[0][0]):
            task = heappop(heap)[2].task
            if task is not None:
                del self.sleeping[task]
                return task
        return None

    def next_s(self) -> float:
        """When ``epoll_wait`` will return for a timer, if it is called now."""
        heap = self.heap
        while heap and heap[0][2].task is None:
            heappop(heap)
        if not heap:
            return math.inf
        until_s = self.wait_until_s(heap[0][0])
        return until_s + self.slack_s if until_s > self.clock.now else until_s

    # -- the clock of the loop ---------------------------------------------------------------

    def when_s(self, delay_s: float) -> float:
        """The time of a timer that is set now."""
        return self.clock.now + delay_s

    def is_due(self, when_s: float) -> bool:
        """Whether a timer of that time fires now. ``BaseEventLoop._run_once``."""
        return when_s < self.clock.now + CLOCK_RESOLUTION_S

    def wait_until_s(self, when_s: float) -> float:
        """Until when the poll sleeps for it."""
        now, resolution_s = self.clock.now, self.resolution_s
        if not resolution_s:
            return now + (when_s - now)
        return now + math.ceil((when_s - now) / resolution_s - 1e-9) * resolution_s


class UvTimers(Timers):
    """The timers of libuv, as uvloop or Node start them."""

    def __init__(self, clock: Clock, resolution_s: float, slack_s: float, *, node: bool) -> None:
        super().__init__(clock, resolution_s, slack_s)
        self.node = node

    def _loop_time_s(self) -> float:
        """``uv_now``: whole milliseconds."""
        return self._floor_s(self.clock.now)

    def _floor_s(self, seconds: float) -> float:
        return math.floor(seconds / self.resolution_s + 1e-6) * self.resolution_s

    def when_s(self, delay_s: float) -> float:
        if not self.resolution_s:
            return super().when_s(delay_s)
        if self.node:
            delay_s = max(self.resolution_s, self._floor_s(delay_s))
        else:
            delay_s = self._floor_s(delay_s + 0.5 * self.resolution_s)
        return self._loop_time_s() + delay_s

    def is_due(self, when_s: float) -> bool:
        if not self.resolution_s:
            return super().is_due(when_s)
        return when_s <= self._loop_time_s() + CLOCK_RESOLUTION_S

    def wait_until_s(self, when_s: float) -> float:
        if not self.resolution_s:
            return super().wait_until_s(when_s)
        if self.is_due(when_s):  # its time may be a rounding error away from the loop's
            return self.clock.now
        return self.clock.now + when_s - self._loop_time_s()
