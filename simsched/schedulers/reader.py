"""A thread of the process that reads requests and hands them over: an acceptor, a dispatcher.

Where ``ingress`` is "reader", requests come as bytes on a pipe or socket. One thread blocks in a
read; it needs a core as any other does, takes everything that is there at once, and gives each
request to the runtime: ``executor.execute``, ``Thread.startVirtualThread``, ``submit``. While it is
busy or waits for a core, requests wait in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simsched.schedulers.service_thread import ServiceThread
from simsched.sim.clock import Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario.spec_base import ReadingSpec
    from simsched.sim.machine import Machine


class Reader(ServiceThread):
    """The reading thread: ``read_s`` of CPU per read, ``submit_s`` per request handed over."""

    def __init__(self, machine: Machine, spec: ReadingSpec, admit: Callable[[Task], None]) -> None:
        super().__init__(machine, "reader", spec.submit_s, admit)
        self._read_s = spec.read_s

    def _turn(self) -> Process:
        """One read; then each request as soon as it is handed over."""
        yield from self._spend(self._read_s)
        for _ in range(len(self._notices)):
            task = self._notices.popleft()
            yield from self._spend(self._cost_s)
            self._handle(task)
