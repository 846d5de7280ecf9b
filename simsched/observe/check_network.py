"""Connections: each in one place, each with one process, and no more of them than there may be."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from simsched.observe.checker import SettledChecker
from simsched.schedulers.base import Scheduler
from simsched.schedulers.sync_workers import SyncWorker
from simsched.sim.task import ADMISSION, TIMED_OUT, Task

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.network import Connection

QUEUED, ACCEPTED, CLOSED = "queued", "accepted", "closed"


class Connections(SettledChecker):
    """What the network owes to both sides, where connections are modelled.

    - Conservation: an attempt that no process has read is in the network and nowhere else; one that
      was read is with one process until that is rid of it. A sync worker that waits has none.
    - Capacity: ``backlog + 1`` connections at most wait for being accepted, a process has at most
      ``max_connections``, and a connection carries one request at a time.
    - Discipline: the accept queue is first in, first out; a connection stays with its process.
    - Causality: connections are queued, accepted and closed, in this order. Who is not admitted
      tries again after whole seconds.
    - Work conservation: an acceptor that does nothing else does not leave a connection waiting.
    """

    invariant = "connections"

    def __init__(self) -> None:
        self.away: set[Task] = set()  # sent, and not read by a process
        self.inside: dict[Task, Connection] = {}  # read, and what it came on
        self.carrying: set[Connection] = set()
        self.queue: deque[Connection] = deque()
        self.owner: dict[Connection, Scheduler] = {}  # who accepted it; open ones only
        self.open: Counter[Scheduler] = Counter()
        self.seen: dict[Connection, str] = {}

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        network = simulation.network
        self.on = network is not None
        if network is not None:
            listen = simulation.spec.listen
            self.longest = min(listen.backlog, simulation.scenario.host.os.somaxconn) + 1
            self.most = listen.max_connections

    # -- requests ----------------------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.away.add(task)

    def resent(self, now: float, task: Task) -> None:
        self.away.add(task)

    def served(self, now: float, task: Task, change: int) -> None:
        if change < 0:
            connection = self.inside.pop(task, None)
            if connection is None:
                self.fail("a process to be rid of what it has read", "something else", task)
            self.carrying.remove(connection)
            return
        connection = task.connection
        if task not in self.away or connection is None:
            self.fail("a process to read what was sent", "something else", task)
        if connection in self.carrying:
            self.fail("one request at a time on a connection", "a second one", task)
        owner = self.owner.get(connection)
        if owner is None or connection.process is not owner:
            self.fail("the request to be read by who accepted its connection", "another", task)
        if task.process != owner.machine.process:
            self.fail(f"the request in process {owner.machine.process}", f"{task.process}", task)
        self.away.remove(task)
        self.inside[task] = connection
        self.carrying.add(connection)

    def entered(self, now: float, task: Task, phase: int) -> None:
        if self.on and task in self.away and phase != ADMISSION:
            self.fail("nobody to work on what is in the network", "a process", task)

    def queued(self, now: float, task: Task, queue: str) -> None:
        # A process may queue what it has accepted, to be read later.
        mine = task not in self.away or task.connection in self.owner
        if self.on and mine == (queue == "client"):
            self.fail("what is in the network to be in no other queue", f'it in "{queue}"', task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:
            self._gone(task)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if outcome != TIMED_OUT:
            self._gone(task)

    def released(self, now: float, task: Task) -> None:
        self._gone(task)

    def _gone(self, task: Task) -> None:
        self.away.discard(task)
        if task in self.inside:
            self.fail("its process to be rid of what has ended", "it still there", task)

    # -- connections -------------------------------------------------------------------------

    def connection(self, now: float, connection: Connection, event: str) -> None:
        self.touch()
        before = self.seen.get(connection, "")
        where = repr(connection)
        if (before, event) not in {("", QUEUED), (QUEUED, ACCEPTED), (ACCEPTED, CLOSED)}:
            self.fail(
                "it queued, accepted and closed in turn", f"{event} after {before}", where=where
            )
        self.seen[connection] = event
        if event == QUEUED:
            self._queued(now, connection, where)
        elif event == ACCEPTED:
            self._accepted(connection, where)
        else:
            del self.seen[connection]
            if connection in self.carrying:
                self.fail("no request on a closed connection", "one", where=where)
            self.open[self.owner.pop(connection)] -= 1

    def _queued(self, now: float, connection: Connection, where: str) -> None:
        self.queue.append(connection)
        if len(self.queue) > self.longest:
            self.fail(
                f"{self.longest} in the accept queue at most", f"{len(self.queue)}", where=where
            )
        waited_s = now - connection.syn_at_s
        if abs(waited_s - round(waited_s)) > 1e-9 * (1.0 + now):
            self.fail("a SYN after whole seconds", f"after {waited_s:.9g} s", where=where)

    def _accepted(self, connection: Connection, where: str) -> None:
        if self.queue.popleft() is not connection:
            self.fail("the head of the accept queue", "another connection", where=where)
        process = connection.process
        if process is None:
            self.fail("a process to accept it", "nobody", where=where)
        self.owner[connection] = process
        self.open[process] += 1
        if self.most is not None and self.open[process] > self.most:
            self.fail(f"{self.most} open connections at most", f"{self.open[process]}", where=where)

    def settled(self, now: float) -> None:
        network = self.simulation.network
        assert network is not None
        for connection in self.carrying:
            worker = self.owner.get(connection)
            if isinstance(worker, SyncWorker) and worker.selecting is not None:
                self.fail("no worker in select that has a request", "one", where=repr(connection))
        if not self.queue:
            return
        for process in network.processes:
            waits = type(process).connection_waits is Scheduler.connection_waits
            if waits and (self.most is None or self.open[process] < self.most):
                self.fail("no idle acceptor beside a connection", f"{len(self.queue)} queued")

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        network = simulation.network
        if network is None:
            return
        if list(self.queue) != list(network.listener.queue):
            self.fail(
                f"{len(self.queue)} connections in the queue", f"{len(network.listener.queue)}"
            )
        for process in network.processes:
            if len(process.connections) != self.open[process]:
                seen = f"{len(process.connections)}"
                self.fail(f"{self.open[process]} open connections", seen)
        if simulation.clients.idle() and (left := len(self.away) + len(self.inside)):
            self.fail("no request in the network when all is done", f"{left}")
