"""A run whose connections are written down. Times are milliseconds."""

from __future__ import annotations

from typing import Any

from kit import Request, Run, Spec, letter, ms, run, tomcat

from simsched.observe.checkers import all_checkers
from simsched.observe.record import PARTS
from simsched.sim.network import Connection
from simsched.sim.observer import Observer
from simsched.sim.task import Task

OLD_KERNEL = {"tcp_syn_linear_timeouts": 0}  # before Linux 6.5
ONE_EACH = {"keep_alive": False}  # a connection per request


class Wire(Observer):
    """Writes down who reads which request from which connection, and which ones there are."""

    def __init__(self) -> None:
        self.read: list[tuple[float, str, int]] = []  # when, request, connection
        self.process: dict[str, int] = {}  # who has read it
        self.accepted: list[tuple[float, int]] = []
        self.closed: list[tuple[float, int]] = []

    def served(self, now: float, task: Task, change: int) -> None:
        if change > 0:
            assert task.connection is not None
            self.read.append((ms(now), letter(task.index), task.connection.id))
            self.process[letter(task.index)] = task.process

    def connection(self, now: float, connection: Connection, event: str) -> None:
        if event == "accepted":
            self.accepted.append((ms(now), connection.id))
        elif event == "closed":
            self.closed.append((ms(now), connection.id))

    @property
    def used(self) -> dict[str, int]:
        """The connection on which each request came."""
        return {name: connection for _, name, connection in self.read}


def serve(
    scheduler: Spec, *requests: Request, connections: dict[str, Any] | None = None, **machine: Any
) -> tuple[Run, Wire]:
    """A run that the checkers watch, and what was on the wire."""
    wire = Wire()
    watch = [*all_checkers(), wire]
    connections = {} if connections is None else connections
    return run(scheduler, *requests, connections=connections, watch=watch, **machine), wire


def queue_of(backlog: int, **listen: Any) -> Spec:
    """A server that has one connection at a time, and this backlog."""
    return tomcat(1, listen={"backlog": backlog, "max_connections": 1, **listen})


def part(finished: Run, name: str, request_index: int) -> float:
    return ms(finished.record.parts_s[request_index, PARTS.index(name)])
