"""A thread of the process that reads requests and hands them over: an acceptor, a dispatcher.

Where ``ingress`` is "reader", requests come as bytes on a pipe or socket. One thread blocks in a
read; it needs a core as any other does, takes everything that is there at once, and gives each
request to the runtime: ``executor.execute``, ``Thread.startVirtualThread``, ``submit``. While it is
busy or waits for a core, requests wait in the kernel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.sim.clock import Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario.spec_base import ReadingSpec
    from simsched.sim.machine import Machine


class Reader:
    """The reading thread: ``read_s`` of CPU per read, ``submit_s`` per request handed over."""

    def __init__(self, machine: Machine, spec: ReadingSpec, admit: Callable[[Task], None]) -> None:
        self._clock = machine.clock
        self._observers = machine.observers
        self._thread = machine.thread("reader")
        self._read_s = spec.read_s
        self._submit_s = spec.submit_s
        self._admit = admit
        self._pipe: deque[Task] = deque()
        self._asleep: Event | None = None

    def start(self) -> None:
        """Begin to wait for requests."""
        self._clock.process(self._serve())

    def arrive(self, task: Task) -> None:
        """The bytes of a request are there."""
        self._pipe.append(task)
        if self._asleep is not None:
            asleep, self._asleep = self._asleep, None
            self._thread.wake_with(asleep)

    def _serve(self) -> Process:
        pipe, thread = self._pipe, self._thread
        while True:
            if not pipe:
                thread.sleep()
                self._asleep = asleep = self._clock.event()
                yield asleep
            yield from self._spend(self._read_s)
            for _ in range(len(pipe)):
                task = pipe.popleft()
                yield from self._spend(self._submit_s)
                self._admit(task)

    def _spend(self, cost_s: float) -> Process:
        wait = self._thread.run(cost_s)
        if wait is not None:
            yield wait
        if cost_s:
            self._observers.overhead(self._clock.now, cost_s)
