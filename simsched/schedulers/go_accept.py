"""A Go process behind a listening socket: ``net/http``'s goroutine per connection.

Follows Go 1.25 ``net/http/server.go`` (``Server.Serve``, ``conn.serve``, ``startBackgroundRead``):

- One goroutine blocks in ``Accept``; the network poller makes it ready like any other. It accepts
  until the queue is empty, and says ``go c.serve()`` for each connection. So of those that wait at
  once the last is in ``runnext`` and the others in the ring, and on one P none is served before all
  are accepted.
- The goroutine of a connection reads a request, serves it, answers, and reads again: the requests
  of a connection come one after the other. Where nothing is there to be read it parks, and a poll
  finds it. A response and the request after it travel, so it has always parked by then.
- While a handler runs, another goroutine reads the connection, to notice that the client has gone:
  each request starts one (``create``), with the ``wakep`` of every ``go`` statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.go_parts import helper
from simsched.sim.clock import Process

if TYPE_CHECKING:
    from simsched.scenario import GoroutineSpec
    from simsched.schedulers.go_parts import M
    from simsched.schedulers.go_sched import GoSched
    from simsched.sim.network import Connection
    from simsched.sim.task import Task


class AcceptLoop:
    """The accepting goroutine, and those of connections that have not read anything yet."""

    def __init__(self, sched: GoSched, spec: GoroutineSpec) -> None:
        self.goroutine = helper()
        self._sched = sched
        self._accept_s = spec.accept_s
        self._parked = True  # it waits for the network poller
        self._unread: dict[Connection, None] = {}

    def connection_waits(self) -> None:
        """The listening socket is readable."""
        if self._parked and self._may_accept():
            self._parked = False
            self._sched.net_readable(self.goroutine)

    def _may_accept(self) -> bool:
        sched = self._sched
        assert sched.network is not None
        most = sched.spec.listen.max_connections
        full = most is not None and len(sched.connections) >= most
        return bool(sched.network.listener.queue) and not full

    def will_read(self, connection: Connection) -> bool:
        """Whether the goroutine of the connection is still on its way to the first read."""
        return connection in self._unread

    def run(self, m: M) -> Process:
        """``Serve``: until ``accept`` finds nothing any more. Each costs a system call."""
        sched = self._sched
        p, network = m.p, sched.network
        assert p is not None
        assert network is not None
        while True:
            cost_s = m.owed_s + self._accept_s
            m.owed_s = 0.0
            wait = m.thread.run(cost_s)
            if wait is not None:
                yield wait
            sched.observers.overhead(sched.clock.now, cost_s)
            connection = sched.accept()
            if connection is None:
                break
            network.turn_passes(sched)
            self._unread[connection] = None
            sched.local_put(p, helper(connection), as_next=True)
            sched.wake_p()
        self._parked = True

    def first_read(self, m: M, connection: Connection) -> Task | None:
        """A connection's goroutine runs: its first request, if that is there already."""
        sched = self._sched
        del self._unread[connection]
        m.owed_s += sched.spec.create_s
        assert sched.network is not None
        task = sched.network.read(connection)
        if task is not None:
            sched.begins(task)
        return task
