"""The thread that keeps the timers of virtual threads: ``DelayScheduler`` of JDK 25.

It is a platform thread that needs a core like any other, and it needs one twice per sleep: when a
virtual thread parks, to take its timer over (``pend`` unparks it at once, however late the timer
is), and when the timer is due. Then it puts a task that unparks the virtual thread into an external
queue. Between the two it waits with a deadline, so that the kernel wakes it late by the timer
slack; awake for another reason it takes what is due by then. Up to JDK 24 a timer that is not the
earliest wakes nobody (the leader of ``ScheduledThreadPoolExecutor``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simsched.schedulers.service_thread import ServiceThread
from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario import VirtualThreadSpec
    from simsched.sim.machine import Machine


class TimerThread(ServiceThread):
    """Handles what is due: ``timer_s`` of CPU whenever it wakes, ``switch_s`` per notice.

    ``notify`` is for what is no timer: it wakes the thread at once.
    """

    def __init__(
        self, machine: Machine, spec: VirtualThreadSpec, handle: Callable[[Task], None]
    ) -> None:
        super().__init__(machine, "unparker", spec.switch_s, handle)
        self._slack_s = machine.host.timer_slack_s
        self._turn_s = spec.timer_s
        self._told_of_timers = spec.jdk >= 25
        self._pending = False
        self._alarm: Call | None = None

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

    def _alarmed(self, _: Call) -> None:
        self._alarm = None
        if self._notices:
            self._wake()

    def _has_nothing(self) -> bool:
        return not self._notices and not self._pending

    def _turn(self) -> Process:
        self._pending = False
        n = len(self._notices)
        yield from self._spend(self._turn_s + n * self._cost_s)
        for _ in range(n):
            self._handle(self._notices.popleft())
