"""The simulated clock: SimPy's event list with a fixed order inside one instant.

Order at one instant is part of the model, not an accident of who happened to be scheduled first.
At equal times the clock delivers, in this order:

1. ``WORK_END``: CPU bursts that end,
2. ``IO_DONE``: I/O completions and timers,
3. ``ARRIVAL``: requests that arrive,
4. ``DISPATCH``: workers and cores that look for something to do.

Within the first three, events go by request index; within the last, first come first served.
So a worker that becomes free at the very instant at which a request arrives sees that request.

SimPy orders its heap by ``(time, priority, sequence number)``. The priority used here is
``kind << 40 | request index``: one integer comparison decides both rules.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

import simpy
from simpy.events import Event

WORK_END = 0
IO_DONE = 1 << 40
ARRIVAL = 2 << 40
DISPATCH = 3 << 40

Process = Generator[Event, Any, None]


class Moment(Event):
    """An event that succeeds when its time comes: what a process yields to let time pass."""

    _ok = True
    _value = None

    def __init__(self, clock: Clock) -> None:
        self.env = clock
        self.callbacks = []


class Call(Event):
    """A plain callback at a moment in time: ``function(call)``, with ``call.arg`` as its datum."""

    _ok = True
    _value = None

    def __init__(self, function: Callable[[Any], None], arg: Any) -> None:
        self.callbacks = [function]
        self.arg = arg

    def cancel(self) -> None:
        """Do nothing when the moment comes. Harmless if it has already come."""
        if self.callbacks is not None:
            self.callbacks = []


class Clock(simpy.Environment):
    """A SimPy environment that can schedule at absolute times and knows the order of an instant.

    Absolute times matter: ``now + (t - now)`` is not always ``t`` in floating point, and the
    path-by-path comparison with exact recursions needs it to be.
    """

    now: float = 0.0  # an attribute instead of SimPy's property: it is read several times per event
    limit_s: float = 0.0  # how far the present run_until may go

    def __init__(self) -> None:
        super().__init__(0.0)  # a float from the start: the logs need -0.0 to differ from 0.0
        self.heap: list[Any] = self._queue  # SimPy's own; entries (time, priority, sequence, event)
        self.sequence = self._eid

    @property
    def _now(self) -> float:
        """Where SimPy itself looks for the time."""
        return self.now

    @_now.setter
    def _now(self, time_s: float) -> None:
        self.now = time_s

    def call_at(
        self, time_s: float, priority: int, function: Callable[[Any], None], arg: Any = None
    ) -> Call:
        """Have ``function(call)`` called at ``time_s``; keep the returned call to cancel it."""
        call = Call(function, arg)
        heappush(self.heap, (time_s, priority, next(self.sequence), call))
        return call

    def event_at(self, time_s: float, priority: int) -> Moment:
        """An event for a process to wait on, which succeeds at ``time_s``."""
        event = Moment(self)
        heappush(self.heap, (time_s, priority, next(self.sequence), event))
        return event

    def event(self) -> Moment:
        """An event that is not scheduled yet; see :meth:`wake`."""
        return Moment(self)

    def move(self, event: Event, time_s: float, priority: int) -> Moment:
        """Move a scheduled event to another time: whoever waits on it waits on the returned one.

        A heap has no cheap removal, so the old entry stays and fires without listeners.
        """
        moved = self.event_at(time_s, priority)
        moved.callbacks, event.callbacks = event.callbacks, []
        return moved

    def wake(self, event: Event) -> None:
        """Let whoever waits on ``event`` go on, after all else that happens at this instant."""
        heappush(self.heap, (self.now, DISPATCH, next(self.sequence), event))

    def settling(self) -> bool:
        """Whether something other than a dispatch is still to happen at this very instant."""
        queue = self.heap
        return bool(queue) and queue[0][0] == self.now and queue[0][1] < DISPATCH

    def settle(self) -> Moment:
        """An event at the end of this instant; yield it before looking into queues."""
        return self.event_at(self.now, DISPATCH)

    def run_until(self, end_s: float, done: Callable[[], bool] | None = None) -> None:
        """Process events up to and including ``end_s``, or until ``done()`` says so.

        The loop is SimPy's ``step`` written out: it is where a simulation spends its time.
        Exceptions raised inside a process leave through here unchanged.
        """
        heap = self.heap
        self.limit_s = end_s
        while heap and heap[0][0] <= end_s:
            self.now, _, _, event = heappop(heap)
            callbacks = event.callbacks
            event.callbacks = None
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):
                raise event._value
            if done and done():
                return
