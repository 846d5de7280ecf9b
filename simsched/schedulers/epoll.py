"""The kernel's side of epoll: what becomes readable when, and what a poll would report.

That a descriptor has become ready is nobody's event: it is noticed when the loop polls, and not
before. So what is under way is kept in a heap instead of the clock's event list, and each poll
takes from it what has happened by then, booked at the time when it happened. A clock event is
needed only to wake a loop that blocks in its poll, and not even then if nothing else happens
meanwhile (:meth:`OsThread.nap`). Without events in between, most CPU bursts need none either
(:meth:`OsThread.run`). That is where most of the speed comes from: a burst or a sleep that nobody
interrupts is one addition to the clock.

The next request is a descriptor like any other, as long as only the loop waits for it. With a
closed workload or a time-out, somebody else acts on its arrival, too, and it is an event. Observers
that are not patient hear of everything when it happens, through events that do nothing else: with
them a run is slower, and its results are the same to the last bit.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from simsched.sim.clock import ARRIVAL, IO_DONE, Call
from simsched.sim.task import IO, RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.sim.machine import Machine

# What is written into ``Task.stage``: it awaits I/O, or a reader handle will resolve its future.
IN_KERNEL, RESOLVE = 10, 11


class Epoll:
    """One epoll instance.

    ``pending`` is the heap of what will become readable: time, priority (so that the order of one
    instant is the clock's), number, and the task whose I/O it is, or None for the next request.
    ``readable`` is what a poll would report, oldest first. With a ``pipe``, that is its handle once
    for all requests that are ``unread``.
    """

    def __init__(self, machine: Machine) -> None:
        self.clock = machine.clock
        self.clients = machine.clients
        self.observers = machine.observers
        self.entered = machine.observers.entered
        self.detailed = machine.observers.detailed
        self.prompt = not machine.observers.all_patient
        self.accepts = False  # whether the next request is among what is pending
        self.pending: list[tuple[float, int, int, Task | None]] = []
        self.readable: deque[Task] = deque()
        self.pipe: Task | None = None
        self.unread: deque[Task] = deque()
        self._number = 0  # of waits so far

    def accept(self, arrival_s: float, index: int) -> bool:
        """Take the next request from its connection when it has arrived; False if others do."""
        if self.prompt:
            return False
        self.accepts = True
        heappush(self.pending, (arrival_s, ARRIVAL | index, 0, None))
        return True

    def submit(self, task: Task) -> None:
        """A request has arrived."""
        if not self.accepts or task.attempt > 1:
            # What was ready before comes before. A first attempt that is taken from here is due.
            self.catch_up(self.clock.now, ARRIVAL | task.index)
            if self.observers.detailed:
                self.observers.queued(self.clock.now, task, "pipe" if self.pipe else "epoll")
        if self.pipe is None:
            self.readable.append(task)
            return
        self.unread.append(task)
        if len(self.unread) == 1:
            self.readable.append(self.pipe)

    def await_io(self, task: Task, seconds: float) -> None:
        """The task suspends until its descriptor is ready, in ``seconds``."""
        clock = self.clock
        done_s, priority = clock.now + seconds, IO_DONE | task.index
        self.entered(clock.now, task, IO)
        task.stage = IN_KERNEL
        # A request may have several entries: one for each branch, and one of an attempt given up.
        self._number = number = self._number + 1
        heappush(self.pending, (done_s, priority, number, task))
        if self.prompt:
            clock.call_at(done_s, priority, self._announce, priority)

    def _announce(self, call: Call) -> None:
        self.catch_up(self.clock.now, call.arg + 1)

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:
        """What has happened before the turn of ``priority`` becomes readable.

        Entries of cancelled tasks stay where they are until their time comes.
        """
        pending, readable, entered = self.pending, self.readable, self.entered
        while pending:
            done_s, turn, _, task = pending[0]
            if done_s > until_s or (done_s == until_s and turn >= priority):
                return
            heappop(pending)
            if task is None:
                self.clients.send_next()
            elif not task.cancelled:
                task.stage = RESOLVE
                if self.detailed:
                    self.observers.step_ended(done_s, task)
                    self.observers.queued(done_s, task, "epoll")
                task.pc += 1
                entered(done_s, task, RUN_QUEUE)
                readable.append(task)

    def next_s(self) -> float:
        """When the next descriptor becomes readable."""
        pending = self.pending
        while pending and (task := pending[0][3]) is not None and task.cancelled:
            heappop(pending)
        return pending[0][0] if pending else math.inf
