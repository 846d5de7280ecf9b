"""Specifications of WSGI servers: gunicorn's sync and gthread workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from simsched.scenario.base import Finding
from simsched.scenario.memory import GthreadMemory, SyncWorkersMemory
from simsched.scenario.scalars import Duration
from simsched.scenario.spec_base import (
    SWITCH_INTERVAL_S,
    Count,
    HasLock,
    Listen,
    Spec,
    SwitchInterval,
)


class SyncWorkersSpec(Spec):
    """Processes that serve one request at a time, as gunicorn's sync workers do.

    A worker that has not come back to its loop for ``timeout_s`` is killed (0: never), and another
    one needs ``startup_s`` to be forked and import the application. Costs: ``request_s`` of CPU per
    request for server and framework, ``accept_s`` per attempt to accept.
    """

    kind: Literal["sync_workers"] = Field(
        default="sync_workers", description="Which runtime it is."
    )
    memory: SyncWorkersMemory = Field(
        default=SyncWorkersMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=Listen(backlog=2048, keep_alive_s=0.0),
        description="The listening socket and its connections.",
    )
    timeout_s: Duration = Field(
        alias="timeout",
        default=30.0,
        description="A worker silent for longer is killed, with its request, and forked again: "
        'gunicorn --timeout. "0s": never.',
    )
    startup_s: Duration = Field(
        alias="startup",
        default=1.0,
        description="Time from killing a worker to its successor's first accept: fork and "
        "import of the application.",
    )
    request_s: Duration = Field(
        alias="request",
        default=350e-6,
        description="Cost of the server and the framework per request, CPU time.",
    )
    accept_s: Duration = Field(
        alias="accept",
        default=8e-6,
        description="Cost of one attempt to accept a connection, CPU time.",
    )

    def findings(self) -> Iterator[Finding]:
        """A connection carries one request, so no limit of connections has an effect."""
        limits = {
            "keep_alive": self.listen.keep_alive_s != 0,
            "max_connections": self.listen.max_connections is not None,
            "max_requests": self.listen.max_requests > 1,
        }
        for key, given in limits.items():
            if given:
                yield Finding(
                    ("listen", key),
                    f"{key} has no effect: a sync worker has one connection at a time, and closes "
                    "it after the response",
                    'remove it, or use kind = "gthread"',
                )


class GthreadSpec(Spec):
    """Processes with a loop that accepts and a pool of threads, as gunicorn's gthread workers.

    A thread waits up to ``first_bytes_s`` for the first bytes of a fresh connection. Costs:
    ``request_s`` of CPU per request for server and framework, ``dispatch_s`` of the main thread per
    connection that it hands to the pool or takes back, ``accept_s`` per accept.
    """

    kind: Literal["gthread"] = Field(default="gthread", description="Which runtime it is.")
    memory: GthreadMemory = Field(
        default=GthreadMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=Listen(backlog=2048, max_connections=1000, keep_alive_s=2.0),
        description="The listening socket and its connections.",
    )
    threads: Count = Field(
        default=1, description="Threads per process that serve requests: gunicorn --threads."
    )
    first_bytes_s: Duration = Field(
        alias="first_bytes",
        default=5.0,
        description="How long a thread waits for the first bytes of a new connection before it "
        "gives it back to the poller.",
    )
    gil: HasLock = True
    switch_interval_s: SwitchInterval = SWITCH_INTERVAL_S
    request_s: Duration = Field(
        alias="request",
        default=506e-6,
        description="Cost of the server and the framework per request, CPU time.",
    )
    dispatch_s: Duration = Field(
        alias="dispatch", default=35e-6, description="Cost of the main thread per event, CPU time."
    )
    accept_s: Duration = Field(
        alias="accept", default=8e-6, description="Cost of accepting one connection, CPU time."
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=100e-6,
        description="Cost of starting one more OS thread, CPU time.",
    )
