"""The clients' ends of connections: which one a request takes, and how one is made.

A request needs a connection: an idle one (the one used last), or a new one. Each user of a closed
workload has one; an open workload may be limited to ``count`` of them, and who finds all of them
busy waits at the client, first come first served.

A client closes a connection whose request it gives up. If that is in the accept queue, it keeps its
place there: nobody on the other side notices before it is accepted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from simsched.sim.clock import ARRIVAL, IO_DONE, Call, Clock
from simsched.sim.listener import Connection, Listener

if TYPE_CHECKING:
    from simsched.scenario import Connections
    from simsched.schedulers.base import Scheduler
    from simsched.sim.clients import Clients
    from simsched.sim.observer import Observers
    from simsched.sim.task import Task


class ClientEnds(ABC):
    """All connections of one run, as their clients see them.

    Args:
        listener: what they connect to.
        connections: how the clients use them; None for a new one per request.
        users: of a closed workload; None for an open one.
    """

    scheduler: Scheduler

    def __init__(
        self,
        clock: Clock,
        observers: Observers,
        clients: Clients,
        listener: Listener,
        connections: Connections | None,
        users: int | None,
    ) -> None:
        self.clock = clock
        self.observers = observers
        self.clients = clients
        self.listener = listener
        self.limit = connections.count if connections is not None else None
        at_start = connections is not None and connections.connect == "start"
        self.at_start = (users or self.limit or 0) if at_start else 0
        self.interval_s = connections.connect_interval_s if connections is not None else 0.0
        self.closed_loop = users is not None
        self.idle: dict[Connection, None] = {}  # of an open workload, the last used one last
        self.of_user: dict[int, Connection] = {}
        self.waiting: deque[Task] = deque()  # for a connection; those given up included
        self.n_clients = 0  # connections that a client has or is about to have
        self.n_opened = 0

    # -- what the server's side does ---------------------------------------------------------

    @abstractmethod
    def tell_processes(self) -> None:
        """A connection was put into the accept queue."""

    @abstractmethod
    def lost_to_server(self, connection: Connection) -> None:
        """The process that has the connection, if any has, hears that it is closed."""

    # -- what the clients call ---------------------------------------------------------------

    def start(self) -> None:
        """Open the connections that clients open in advance."""
        for i in range(self.at_start):
            connection = self._new(None, i if self.closed_loop else -1)
            # Before whatever arrives at that instant.
            connection.syn_at_s = i * self.interval_s
            connection.syn = self.clock.call_at(
                connection.syn_at_s, IO_DONE | i, self._syn_again, connection
            )

    def submit(self, task: Task) -> None:
        """A client wants to send an attempt."""
        connection = self._idle_one(task)
        if connection is not None:
            connection.task, task.connection = task, connection
            if connection.established:
                self._send(connection, task)
            else:
                self.observers.wants_connection(self.clock.now, task)
        elif self.limit is None or self.n_clients < self.limit:
            self._syn(self._new(task, task.user))
        else:
            if self.observers.detailed:
                self.observers.queued(self.clock.now, task, "client")
            self.observers.wants_connection(self.clock.now, task)
            self.waiting.append(task)

    def _idle_one(self, task: Task) -> Connection | None:
        """The user's own connection, or the one that was used last."""
        if self.closed_loop:
            return self.of_user.get(task.user)
        return self.idle.popitem()[0] if self.idle else None

    def cancel(self, task: Task) -> None:
        """The client gives the attempt up, and closes its connection."""
        connection = task.connection
        if connection is None:  # it waits for one
            self.clients.abandoned(task)
        elif connection.reading is task:
            self._hang_up(connection)
            self.scheduler.cancel(task)
        elif connection.established and connection.request is not task:
            # It was about to be sent: the connection has not seen anything of it.
            connection.task = task.connection = None
            self.available(connection)
            self.clients.abandoned(task)
        else:
            self._hang_up(connection)
            self.clients.abandoned(task)

    def _hang_up(self, connection: Connection) -> None:
        """The client closes a connection that it used.

        In the accept queue it keeps its place: it takes a process to find out. One that works on
        its request notices when it is rid of it, and any other at once.
        """
        connection.task = connection.request = None
        self.lost_to_client(connection)
        if connection.process is not None and connection.reading is None:
            self.lost_to_server(connection)

    # -- connecting --------------------------------------------------------------------------

    def _new(self, task: Task | None, user: int) -> Connection:
        """The client's end of a connection, for ``task`` if it is given."""
        connection = Connection(self.n_opened, user)
        self.n_opened += 1
        self.n_clients += 1
        if self.closed_loop:
            self.of_user[user] = connection
        if task is not None:
            connection.task, task.connection = task, connection
        connection.syn_at_s = self.clock.now
        return connection

    def _syn(self, connection: Connection) -> None:
        """A SYN comes to the server."""
        clock, listener = self.clock, self.listener
        if listener.admits(connection):
            connection.established = True
            self.observers.connection(clock.now, connection, "queued")
            if connection.task is not None:
                connection.request = connection.task
                self.observers.in_line(clock.now, connection.task)
            else:
                self.available(connection)
            self.tell_processes()
        elif listener.aborts:
            self.observers.counted("connections_refused", 1)
            self._cannot_connect(connection)
        else:
            self.observers.counted("syn_retries", 1)
            i = connection.tries
            if connection.task is not None and not i:
                self.observers.wants_connection(clock.now, connection.task)
            connection.tries = i + 1
            later = i < len(listener.retry_s)
            after_s = listener.retry_s[i] if later else listener.give_up_s
            rank = connection.id if connection.task is None else connection.task.index
            connection.syn = clock.call_at(
                connection.syn_at_s + after_s,
                ARRIVAL | rank,
                self._syn_again if later else self._syn_gives_up,
                connection,
            )

    def _syn_again(self, call: Call) -> None:
        connection: Connection = call.arg
        connection.syn = None
        self._syn(connection)

    def _syn_gives_up(self, call: Call) -> None:
        """ETIMEDOUT."""
        connection: Connection = call.arg
        connection.syn = None
        self.observers.counted("connections_timed_out", 1)
        self._cannot_connect(connection)

    def _cannot_connect(self, connection: Connection) -> None:
        task, connection.task = connection.task, None
        self.lost_to_client(connection)
        if task is not None:
            self.clients.failed(task)

    # -- sending -----------------------------------------------------------------------------

    def _send(self, connection: Connection, task: Task) -> None:
        connection.request = task
        process = connection.process
        if process is None:
            self.observers.in_line(self.clock.now, task)
        else:
            task.process = process.machine.process
            process.readable(connection)

    def available(self, connection: Connection) -> None:
        """The client may use a connection for another request."""
        if self.closed_loop:
            return
        task = self._next_waiting()
        if task is None:
            self.idle[connection] = None
            return
        connection.task, task.connection = task, connection
        self.clock.call_at(self.clock.now, ARRIVAL | task.index, self._sends, task)

    def _sends(self, call: Call) -> None:
        task: Task = call.arg
        connection = task.connection
        if not task.over:
            assert connection is not None
            if connection.process is not None:
                self.observers.is_connected(self.clock.now, task)
            self._send(connection, task)

    def _next_waiting(self) -> Task | None:
        """The longest waiting request that has not been given up."""
        while self.waiting:
            task = self.waiting.popleft()
            if self.observers.detailed:
                self.observers.dequeued(self.clock.now, task, "client")
            if not task.over:
                return task
        return None

    def lost_to_client(self, connection: Connection) -> None:
        """The client has one connection less; who waits for one may open another."""
        connection.open = False
        self.n_clients -= 1
        if connection.syn is not None:
            connection.syn.cancel()
        if self.closed_loop and self.of_user.get(connection.user) is connection:
            del self.of_user[connection.user]
        task = self._next_waiting() if self.waiting else None
        if task is not None:
            another = self._new(task, task.user)
            another.syn = self.clock.call_at(
                self.clock.now, ARRIVAL | task.index, self._syn_again, another
            )
