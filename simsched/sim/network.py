"""Connections between the clients and the processes of the server.

The network stands between :class:`Clients` and the schedulers where a scenario has a table of
connections, or where a server cannot be told without them (several processes, or an accept queue
that is its only queue). Elsewhere a request is simply there, and none of this costs anything.

- A connection is accepted by one process and stays with it. Its requests come one after the other.
- The server closes a connection that is idle for too long, has served its number of requests, or
  whose request it rejects.
- What waits at the client, connects, or is in the accept queue is nobody's work yet: the server
  does not know of it. It is part of "admission".

The clients' side of it is in :mod:`simsched.sim.client_ends`, and what the kernel does about a full
accept queue in :mod:`simsched.sim.listener`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simsched.sim.client_ends import ClientEnds
from simsched.sim.clients import Clients
from simsched.sim.clock import DISPATCH, IO_DONE, Call, Clock
from simsched.sim.listener import Connection, Listener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.scenario import Connections, Listen
    from simsched.scenario import Host as HostSpec
    from simsched.schedulers.base import Scheduler
    from simsched.sim.observer import Observers
    from simsched.sim.task import Task
    from simsched.workload.program import Op

__all__ = ["Connection", "Listener", "Network", "NetworkClients"]


class NetworkClients(Clients):
    """Clients whose requests travel on connections."""

    network: Network

    def rejected(self, task: Task) -> None:
        """Admission was refused: the server closes the connection."""
        # Tomcat NioEndpoint.processSocket and uvicorn's 503 close the connection.
        self.network.dooms(task)
        super().rejected(task)

    def failed(self, task: Task) -> None:
        """The service broke, and the connection with it."""
        if not task.broken:  # else it is an answer that says so
            self.network.dooms(task, reset=True)
        super().failed(task)

    def _left(self, task: Task) -> None:
        super()._left(task)
        self.network.done(task)


class Network(ClientEnds):
    """All connections of one run, and the listening socket.

    Args:
        connections: how the clients use them; None for a new one per request.
        listen: the server's limits, the same for each of its processes.
        users: of a closed workload; None for an open one.
    """

    def __init__(
        self,
        clock: Clock,
        observers: Observers,
        clients: NetworkClients,
        host: HostSpec,
        connections: Connections | None,
        listen: Listen,
        users: int | None = None,
    ) -> None:
        super().__init__(
            clock, observers, clients, Listener(listen.backlog, host), connections, users
        )
        self.listen = listen
        self.keep_alive = connections is not None and connections.keep_alive
        self.processes: list[Scheduler] = []
        self.full = False  # no process accepts any more
        self.turns: list[Scheduler] = []  # who is told of a connection: the last one first
        clients.network = self

    def serve(self, scheduler: Scheduler, processes: Sequence[Scheduler]) -> None:
        """Tell the network who is behind it."""
        self.scheduler = scheduler
        self.processes = list(processes)
        self.turns = list(reversed(processes))
        self.keep_alive &= self.processes[0].keeps_alive

    # -- what the clients call ---------------------------------------------------------------

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Programs are those of the scheduler."""
        return self.scheduler.adapt(ops)

    def expect(self, arrival_s: float, index: int) -> bool:
        """A request needs a connection when it comes: nobody looks for it later."""
        return False

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:
        """As for :meth:`Scheduler.catch_up`."""
        self.scheduler.catch_up(until_s, priority)

    def tell_processes(self) -> None:
        """Wake all that sleep on the listening socket; each then finds out what is left."""
        for process in reversed(self.turns.copy()):
            process.connection_waits()

    # -- what processes call -----------------------------------------------------------------

    def slept(self, process: Scheduler) -> None:
        """A process goes to sleep in ``epoll_wait`` or ``select`` on the listening socket.

        The kernel puts who waits there at the head of the socket's list: last in, first woken.
        """
        self.turns.remove(process)
        self.turns.append(process)

    def turn_passes(self, process: Scheduler) -> None:
        """A process blocks in ``accept`` again: such waiters are woken one by one, in turns."""
        if len(self.turns) > 1:
            self.turns.remove(process)
            self.turns.insert(0, process)

    def accept(self, process: Scheduler) -> Connection | None:
        """Take the head of the accept queue; None if it is empty or the process has its limit.

        A connection that the client has closed meanwhile is not ``open``: it takes no place.
        """
        queue, most = self.listener.queue, self.listen.max_connections
        if not queue or (most is not None and len(process.connections) >= most):
            return None
        connection = queue.popleft()
        connection.process = process
        self.observers.connection(self.clock.now, connection, "accepted")
        if connection.open:
            process.connections[connection] = None
            self._look_whether_full()
            if connection.request is not None:
                connection.request.process = process.machine.process
                self.observers.is_connected(self.clock.now, connection.request)
        else:
            connection.process = None
            self.observers.counted("dead_connections_accepted", 1)
            self.observers.connection(self.clock.now, connection, "closed")
        return connection

    def _look_whether_full(self) -> None:
        most = self.listen.max_connections
        if most is None:
            return
        full = all(len(process.connections) >= most for process in self.processes)
        if full != self.full:
            self.full = full
            self.observers.connections_full(self.clock.now, full)

    def read(self, connection: Connection) -> Task | None:
        """Take the request off a connection; None if nothing is there (any more)."""
        task, connection.request = connection.request, None
        if task is None:
            return None
        connection.reading = task
        self.observers.served(self.clock.now, task, 1)
        return task

    def look_again(self, process: Scheduler) -> None:
        """At the end of this instant, tell a process of what is in the accept queue, if any is."""
        if self.listener.queue:
            self.clock.call_at(self.clock.now, DISPATCH, self._looks, process)

    def _looks(self, call: Call) -> None:
        if self.listener.queue:
            call.arg.connection_waits()

    def reset(self, process: Scheduler) -> None:
        """A process has died: its connections are reset, and their clients see it.

        Requests that it had read are its own to report as failed.
        """
        for connection in tuple(process.connections):
            if connection.reading is not None:
                continue
            task, connection.task, connection.request = connection.task, None, None
            self.observers.counted("connections_reset", 1)
            self._close(connection)
            if task is not None:
                self.clients.failed(task)

    # -- the end of a request, and of a connection -------------------------------------------

    def dooms(self, task: Task, *, reset: bool = False) -> None:
        """The connection of a request that is about to end will be closed with it."""
        connection = task.connection
        if connection is not None and connection.reading is task:
            connection.doomed = True
            if reset:
                self.observers.counted("connections_reset", 1)

    def done(self, task: Task) -> None:
        """The server is rid of an attempt: the response is sent, or will never be."""
        connection = task.connection
        if connection is None or connection.reading is not task:
            return  # the server has never heard of it
        self.observers.served(self.clock.now, task, -1)
        connection.reading = None
        connection.served += 1
        if not connection.open:
            self.lost_to_server(connection)
            return
        connection.task = None
        listen = self.listen
        if (
            connection.doomed
            or not self.keep_alive
            or listen.keep_alive_s == 0
            or (listen.max_requests and connection.served >= listen.max_requests)
        ):
            self._close(connection)
            return
        self.idles(connection)
        self.available(connection)

    def idles(self, connection: Connection) -> None:
        """The server waits for a request on a connection from now on, for ``keep_alive``."""
        keep_alive_s = self.listen.keep_alive_s
        if keep_alive_s is not None:
            connection.idle_since_s = self.clock.now
            self._watch(connection, self.clock.now + keep_alive_s)

    def _watch(self, connection: Connection, until_s: float) -> None:
        """One timer per connection, set anew only when it fires: idle periods are many."""
        if connection.timer is None:
            connection.timer = self.clock.call_at(
                until_s, IO_DONE | connection.id, self._idle_too_long, connection
            )

    def _idle_too_long(self, call: Call) -> None:
        connection: Connection = call.arg
        connection.timer = None
        if not connection.open or connection.task is not None:
            return
        due_s = connection.idle_since_s + (self.listen.keep_alive_s or 0.0)
        if due_s > self.clock.now:
            self._watch(connection, due_s)
        else:
            self.observers.counted("idle_connections_closed", 1)
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        """Both sides close a connection on which nothing is under way."""
        self.idle.pop(connection, None)
        self.lost_to_client(connection)
        self.lost_to_server(connection)

    def lost_to_server(self, connection: Connection) -> None:
        """The process, if one has accepted it, has a connection less."""
        process, connection.process = connection.process, None
        if connection.timer is not None:
            connection.timer.cancel()
            connection.timer = None
        if process is not None:
            del process.connections[connection]
            self._look_whether_full()
            self.observers.connection(self.clock.now, connection, "closed")
            process.closed(connection)
