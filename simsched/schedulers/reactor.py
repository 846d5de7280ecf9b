"""A group of event loops: Netty, Reactor Netty, Spring WebFlux.

Netty (MultithreadEventLoopGroup.java) and Reactor Netty (LoopResources.java, which makes
max(cores, 4) loops) give each connection to one loop, in turns, and there it stays for life:
nothing migrates and nothing is stolen. So a loop that has drawn the busy connections stays busy
while its neighbours idle, and a handler that blocks stalls exactly the channels of its loop, one in
as many as there are loops (:mod:`simsched.schedulers.reactor_loop`). What may block belongs on a
thread of ``boundedElastic()`` (:mod:`simsched.schedulers.bounded_elastic`); on which thread a
pipeline goes on after what is :mod:`simsched.schedulers.pipelines`.

Where connections are not modelled, each request is a channel of its own. Where they are, the
listening socket belongs to the first loop (Reactor Netty has no loops that only accept,
``ioSelectCount`` = -1): if that one is frozen, nobody is accepted. It accepts up to 16 connections
at a look (Netty, ``MAX_MESSAGES_PER_READ``), and gives each to the next loop as a task.

There is no limit of requests, and none of connections: what is too much waits in the loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from simsched.schedulers.pipelines import Pipelines
from simsched.schedulers.reactor_loop import Loop
from simsched.schedulers.signals import NEW, Channel
from simsched.sim.task import ADMISSION, BLOCKING, CPU, OVERHEAD, RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.scenario import ReactorSpec
    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection

ACCEPTS_AT_A_LOOK = 16  # Netty ServerChannelRecvByteBufAllocator.java: maxMessagesPerRead


class Reactor(Pipelines):
    """The loops, and which channel is on which."""

    kind: ClassVar[str] = "reactor"

    def __init__(self, machine: Machine, spec: ReactorSpec) -> None:
        super().__init__(machine, spec)
        count = spec.resolved_io_worker_count(machine.cores)
        self.loops = [Loop(self, i + 1) for i in range(count)]
        self.loops[0].accepts = machine.network is not None
        self.turn = 0  # whose the next channel is
        if machine.network is not None:
            self.turn = 1 % count  # the first one has the listening socket
        self.channels: dict[Connection, Loop] = {}
        self.registering: set[Connection] = set()

    @property
    def worker_limit(self) -> int | None:
        return len(self.loops)  # the other threads are pools of their own

    def held_phases(self) -> frozenset[int]:
        if self.elastic is not None:  # blocking calls are made there
            return frozenset({CPU, OVERHEAD})
        return frozenset({CPU, BLOCKING, OVERHEAD})

    def start(self) -> None:
        for loop in self.loops:
            self.observers.threads(0.0, 1)
            self.clock.process(loop.run_forever())

    def end(self, now: float) -> None:
        for loop in self.loops:
            if loop.asleep is None:
                self.observers.stalled(loop.polled_s, now)

    # -- requests ----------------------------------------------------------------------------

    def submit(self, task: Task) -> None:
        loop = self._next_loop() if task.connection is None else self.channels[task.connection]
        task.worker = Channel(loop)
        task.stage = NEW
        self.goes_to(task, loop.place)
        self.enter(task, RUN_QUEUE)
        loop.is_ready(task)

    def _next_loop(self) -> Loop:
        """``EventExecutorChooser.next``: in turns."""
        loop = self.loops[self.turn]
        self.turn = (self.turn + 1) % len(self.loops)
        return loop

    # -- connections -------------------------------------------------------------------------

    def may_accept(self) -> bool:
        """Whether the listening socket is readable, and the server looks at it."""
        most = self.spec.listen.max_connections
        assert self.network is not None
        full = most is not None and len(self.connections) >= most
        return bool(self.network.listener.queue) and not full

    def connection_waits(self) -> None:
        if self.may_accept():
            self.loops[0].wake()

    def accept_some(self) -> None:
        """On the first loop: accept what waits, up to 16."""
        for _ in range(ACCEPTS_AT_A_LOOK):
            connection = self.accept()
            if connection is None:
                return
            self.accepted(connection)

    def accepted(self, connection: Connection) -> None:
        """It is given to a loop, which registers it with its selector."""
        if connection.open:
            self.channels[connection] = loop = self._next_loop()
            self.registering.add(connection)
            self._waits_for(loop, connection)
            loop.execute(connection)

    def _waits_for(self, loop: Loop, connection: Connection) -> None:
        """A request is there, and nobody will read it until the loop has the connection."""
        task = connection.request
        if task is not None:
            self.observers.moved(self.clock.now, task, loop.place)
            self.enter(task, ADMISSION)

    def registered(self, connection: Connection) -> None:
        """On its loop: what has been sent already is there at the next poll."""
        self.registering.remove(connection)
        if connection.open and connection.request is not None:
            self.read(connection)

    def readable(self, connection: Connection) -> None:
        if connection in self.registering:
            self._waits_for(self.channels[connection], connection)
        else:
            self.read(connection)

    def closed(self, connection: Connection) -> None:
        del self.channels[connection]
        super().closed(connection)
