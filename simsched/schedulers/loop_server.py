"""What a server does with a loop: it accepts connections, reads requests, and refuses some.

Accepting is work of the loop like any other. All processes that sleep in their poll are woken by a
connection; whoever comes late finds nothing, and has paid for it. Who is busy looks at its next
poll. A connection that is accepted is read from in the iteration after, when its transport has been
made; it costs what a task costs. asyncio adds its descriptor to epoll at once (``add_reader`` calls
``epoll_ctl``). libuv does so when it polls next (src/unix/linux.c, ``uv__io_poll``), and then it
comes after all that have become readable during the batch.

Without connections, requests may get in on a pipe that one descriptor stands for
(``loop.add_reader``; ``ingress = "reader"``): however many are there, the poll reports it once, and
its callback reads all that there is when it runs, which is more than the poll has seen, and makes a
task of each. Or the loop makes them itself (``ingress = "timer"``): a timer at the time of the next
one (``loop.call_at``), whose callback makes the tasks of all that are due and sets the timer of the
next one.

uvicorn's ``limit_concurrency`` (uvicorn/protocols/http/*_impl.py) answers 503 and closes.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.coroutines import CREATE, STEP, Coroutines
from simsched.schedulers.executor import Errand
from simsched.sim.task import RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.scenario import EventLoopSpec
    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection

# Handles of the server itself: accept what waits; begin to read from a new connection; read all
# requests on the pipe; make the next request.
ACCEPT, OPEN, READ, FIRE = 20, 21, 22, 23


class ServerHandle:
    """A handle in the ready queue that belongs to no request."""

    __slots__ = ("connection", "stage")

    def __init__(self, stage: int, connection: Connection | None = None) -> None:
        self.stage = stage
        self.connection = connection


class LoopServer(Coroutines):
    """A server whose requests are coroutines."""

    def __init__(self, machine: Machine, spec: EventLoopSpec) -> None:
        super().__init__(machine, spec)
        self.task_create_s = spec.task_create_s
        self.limit = spec.limit_concurrency
        self.request_s = spec.request_s
        self.is_def = spec.endpoint == "def"
        self.opening: set[Connection] = set()  # accepted, and not read from yet
        self.unwatched: list[Connection] = []  # ... of which epoll hears at the next poll
        self.adds_at_poll = spec.loop != "asyncio"
        self.waiting: deque[Connection] = deque()  # the accept queue
        if spec.ingress == "reader":
            self.epoll.pipe = ServerHandle(READ)  # type: ignore[assignment]
        self.alarm = ServerHandle(FIRE) if spec.ingress == "timer" else None
        self.fired = False  # the loop makes the requests that are sent now
        self.comes = False  # ... because it has been told when the next one is due
        self.coming_s = math.inf  # ... and this is when the one after them is due
        if self.network is not None:
            self.waiting = self.network.listener.queue

    # -- connections -------------------------------------------------------------------------

    def may_accept(self) -> bool:
        """Whether the listening socket is readable, and the loop still looks at it."""
        most = self.spec.listen.max_connections
        return bool(self.waiting) and (most is None or len(self.connections) < most)

    def accepted(self, connection: Connection) -> None:
        """Its transport is made in the next iteration; until then nothing is read from it."""
        if connection.open:
            self.owed_s += self.spec.task_create_s
            self.opening.add(connection)
            self.ready.append(ServerHandle(OPEN, connection))  # type: ignore[arg-type]

    def readable(self, connection: Connection) -> None:
        if connection not in self.opening:
            self.read(connection)

    def serve(self, handle: ServerHandle, most: int) -> None:
        """Run a handle of the server; at most so many connections are accepted."""
        if handle.stage == READ:
            self._read_all()
            return
        if handle.stage == FIRE:
            self._make_all()
            return
        connection = handle.connection
        if connection is not None:
            self.unwatched.append(connection)
            if not self.adds_at_poll:
                self.watch()
            return
        while most > 0 and (connection := self.accept()) is not None:
            self.accepted(connection)
            most -= 1

    def watch(self) -> None:
        """Add new connections to epoll, and read from those on which something has come."""
        for connection in self.unwatched:
            self.opening.remove(connection)
            if connection.open and connection.request is not None:
                self.read(connection)
        self.unwatched.clear()

    def _read_all(self) -> None:
        """What has come since the poll is read, too."""
        self.owed_s += self.spec.read_s
        epoll = self.epoll
        epoll.catch_up(self.clock.now)
        while epoll.unread:
            task = epoll.unread.popleft()
            if self.detailed:
                self.observers.dequeued(self.clock.now, task, "pipe")
            self.take(task)

    def _make_all(self) -> None:
        """Also those that have become due while the loop was busy."""
        unread = self.epoll.unread
        while unread:
            self.take(unread.popleft())
        if self.epoll.prompt or not self.comes:
            return
        self.fired = True
        self.coming_s = -math.inf
        while self.coming_s <= self.clock.now:
            self.coming_s = math.inf
            self.clients.send_next()
        self.fired = False
        if self.coming_s < math.inf:
            self.timers.start_at(self.alarm, self.coming_s)  # type: ignore[arg-type]

    def take(self, task: Task) -> None:
        """``loop.create_task`` for a request that the loop has read or made."""
        self.owed_s += self.spec.submit_s
        if self.callback(task):
            self.append(task)

    # -- handles -----------------------------------------------------------------------------

    def callback(self, task: Task) -> bool:
        """A handle without user code: take a request, or resolve the future a task awaits.

        The task's next step has to be put into the ready queue, unless the result is False.
        """
        if task.stage == CREATE:
            self.owed_s += self.task_create_s
            if self.limit is not None and self._is_full(self.limit):
                self.clients.rejected(task)
                return False
            self.tasks += 1
            task.left_s = self.request_s
            if self.is_def:
                self._take_to_thread(task)
            entered = self.entered
            entered(self.clock.now, task, RUN_QUEUE)
        elif task.worker is not None:
            errand = task.worker
            assert isinstance(errand, Errand)
            errand.executor.reported(task, errand)
        task.stage = STEP
        return True

    def _take_to_thread(self, task: Task) -> None:
        """A ``def`` endpoint: one trip for each sync dependency, and one for itself."""
        hops = 1 + self.spec.sync_dependencies
        threads = self.executors["run_in_threadpool"]
        task.worker = Errand(threads, len(task.ops), hops=hops)
        task.left_s += 0.5 * self.spec.hop_s

    def _is_full(self, limit: int) -> bool:
        """Whether ``limit_concurrency`` is reached: idle connections count, and this one does."""
        return len(self.connections) >= limit or self.tasks >= limit
