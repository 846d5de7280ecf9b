"""The clients' connections, where a scenario models them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from simsched.scenario.base import Finding, Model
from simsched.scenario.scalars import Duration, IntRange


class Connections(Model):
    """The [workload.connections] table: the TCP connections that requests come on.

    Without it a request is readable at once, on a connection that is open already. ``count`` is the
    number of connections of an open workload's clients; None: a request takes the idle one used
    last, or opens another. In a closed workload each user has one.
    """

    keep_alive: bool = Field(
        default=True,
        description="Whether clients send several requests over one connection. false: one "
        "connection per request.",
    )
    count: Annotated[int, IntRange(1, 1_000_000)] | None = Field(
        default=None,
        description="Client connections of an open workload. Absent: a request takes the idle "
        "one used last, or opens another. A closed workload has one per user.",
    )
    connect: Literal["first_use", "start"] = Field(
        default="first_use",
        description='When connections are opened. "start": all of them from time 0 on, '
        "`connect_interval` apart.",
    )
    connect_interval_s: Duration = Field(
        alias="connect_interval",
        default=0.0,
        description="Of connections opened at the start: time from one to the next. A load "
        "generator opens them one after the other, and each takes it some microseconds.",
    )

    def findings(self) -> Iterator[Finding]:
        """Only what is opened in advance has an interval."""
        if self.connect_interval_s and self.connect != "start":
            yield Finding(
                ("connect_interval",),
                'connect_interval has no effect where connect = "first_use"',
                'remove it, or set connect = "start"',
            )
