"""The thread that keeps the timers of virtual threads: ``DelayScheduler`` of JDK 25.

It is a platform thread that needs a core like any other, and it needs one twice per sleep: when a
virtual thread parks, to take its timer over (``pend`` unparks it at once, however late the timer
is), and when the timer is due. Then it puts a task that unparks the virtual thread into an external
queue. Between the two it waits with a deadline, so that the kernel wakes it late by the timer
slack; awake for another reason it takes what is due by then. Up to JDK 24 a timer that is not the
earliest wakes nobody (the leader of ``ScheduledThreadPoolExecutor``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario import VirtualThreadSpec
    from simsched.sim.machine import Machine


class TimerThread:
    """Handles what is due: ``timer_s`` of CPU whenever it wakes, ``switch_s`` per notice."""

    def __init__(
        self, machine: Machine, spec: VirtualThreadSpec, handle: Callable[[Task], None]
    ) -> None:
        self._clock = machine.clock
        self._observers = machine.observers
        self._thread = machine.thread("unparker")
        self._slack_s = machine.host.timer_slack_s
        self._turn_s = spec.timer_s
        self._notice_s = spec.switch_s
        self._told_of_timers = spec.jdk >= 25
        self._handle = handle
        self._notices: deque[Task] = deque()
        self._pending = False
        self._asleep: Event | None = None
        self._alarm: Call | None = None

    def start(self) -> None:
        """Begin to wait for timers."""
        self._clock.process(self._serve())

    def pend(self) -> None:
        """A virtual thread that goes to sleep hands its timer over."""
        if self._told_of_timers and self._turn_s:
            self._pending = True
            self._wake()

    def due(self, task: Task) -> None:
        """The time of a timer has come; a sleeping thread notices it late."""
        self._notices.append(task)
        if self._asleep is None or self._alarm is not None:
            return
        if self._slack_s:
            at_s = self._clock.now + self._slack_s
            self._alarm = self._clock.call_at(at_s, IO_DONE | task.index, self._alarmed)
        else:
            self._wake()

    def notify(self, task: Task) -> None:
        """Something else has happened that concerns ``task``: no timer is waited for."""
        self._notices.append(task)
        self._wake()

    def _alarmed(self, _: Call) -> None:
        self._alarm = None
        if self._notices:
            self._wake()

    def _wake(self) -> None:
        if self._asleep is not None:
            asleep, self._asleep = self._asleep, None
            self._thread.wake_with(asleep)

    def _serve(self) -> Process:
        while True:
            if not self._notices and not self._pending:
                self._thread.sleep()
                self._asleep = asleep = self._clock.event()
                yield asleep
            self._pending = False
            n = len(self._notices)
            cost_s = self._turn_s + n * self._notice_s
            wait = self._thread.run(cost_s)
            if wait is not None:
                yield wait
            if cost_s:
                self._observers.overhead(self._clock.now, cost_s)
            for _ in range(n):
                self._handle(self._notices.popleft())
