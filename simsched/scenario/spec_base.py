"""What every scheduler's specification has: its name, memory, processes and listening socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from simsched.scenario.base import Finding, Model
from simsched.scenario.host import Host
from simsched.scenario.memory import SchedulerMemory
from simsched.scenario.scalars import Duration, IntRange, Name, NumberRange, PositiveDuration

MAX_INT = 2**31 - 1
"""Java's Integer.MAX_VALUE, the "no limit" of its pools and queues."""

Count = Annotated[int, IntRange(1, MAX_INT)]
CountOrZero = Annotated[int, IntRange(0, MAX_INT)]
AutoCount = Annotated[int | None, IntRange(1, 100_000, auto="auto")]
HasLock = Annotated[
    bool,
    Field(
        description="Whether the threads of a process share an interpreter lock. false: a "
        "free-threaded build (PYTHON_GIL=0)."
    ),
]
SwitchInterval = Annotated[
    PositiveDuration,
    Field(
        alias="switch_interval",
        description="Time after which a thread that waits for the interpreter lock asks for it: "
        "sys.setswitchinterval.",
    ),
]
CpuFactor = Annotated[
    float,
    NumberRange(0.01, 100),
    Field(
        description="CPU demands are multiplied by it: what this machine takes for them, or a "
        "free-threaded build of CPython (1.4 for 3.13t, 1.05 to 1.1 for 3.14t)."
    ),
]
SWITCH_INTERVAL_S = 5e-3
"""CPython Python/ceval_gil.c, DEFAULT_INTERVAL."""
Processes = Annotated[int, IntRange(1, 1024)]


class Listen(Model):
    """The listening socket and what the server does with connections.

    The kernel's accept queue holds min(backlog, somaxconn) + 1 connections. A process stops
    accepting at ``max_connections``; None: never. It closes a connection that has been idle for
    ``keep_alive_s`` (0: after each response; None: never), or has carried ``max_requests``
    requests (0: never).
    """

    backlog: CountOrZero = Field(
        default=4096,
        description="Connections that wait to be accepted, at most host.os.somaxconn; one more "
        "fits. Tomcat acceptCount, gunicorn and uvicorn --backlog, Node "
        "server.listen(backlog).",
    )
    max_connections: Annotated[int, IntRange(1, MAX_INT)] | None = Field(
        default=None,
        description="Open connections per process at which it stops accepting: Tomcat "
        "maxConnections, gunicorn --worker-connections. Absent: no limit.",
    )
    keep_alive_s: Duration | None = Field(
        alias="keep_alive",
        default=None,
        description="Idle time after which the server closes a connection: Tomcat "
        "keepAliveTimeout, gunicorn --keep-alive, uvicorn --timeout-keep-alive, "
        'Node keepAliveTimeout. "0s": after each response. Absent: never.',
    )
    max_requests: CountOrZero = Field(
        default=0,
        description="Requests after which the server closes a connection: Tomcat "
        "maxKeepAliveRequests, Node maxRequestsPerSocket. 0: never.",
    )


TOMCAT_LISTENS = Listen(backlog=100, max_connections=8192, keep_alive_s=60.0, max_requests=100)
"""Tomcat's connector: acceptCount, maxConnections, connectionTimeout, maxKeepAliveRequests."""
JDK_LISTENS = Listen(backlog=50)
"""JDK 25 ServerSocket.java: the backlog is 50. A pool has no limits of connections."""
PYTHON_LISTENS = Listen(backlog=128)
"""CPython Lib/socket.py, create_server: min(SOMAXCONN, 128). A pool has no other limits."""
NODE_LISTENS = Listen(backlog=511, keep_alive_s=5.0)
"""Node's lib/net.js and lib/_http_server.js."""


class Spec(Model):
    """What every scheduler has. The name defaults to the preset's, else to the kind."""

    preset: Name | None = Field(
        default=None,
        description="A built-in preset, or a file, whose values stand under this entry.",
    )
    name: Name = Field(
        default="", description="Name in results; the preset's or the kind's unless given."
    )
    memory: SchedulerMemory = Field(
        default=SchedulerMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    processes: Processes = Field(
        default=1,
        description="Copies of the server behind one listening socket: gunicorn --workers, "
        "uvicorn --workers (WEB_CONCURRENCY), processes of Node's cluster.",
    )
    listen: Listen = Field(
        default=Listen(), description="The listening socket and its connections."
    )

    cpu_factor: CpuFactor = 1.0

    @property
    def base_bytes(self) -> int:
        """Resident memory of a process that serves nobody."""
        return self.memory.base_bytes

    def garbage_bytes(self, held_bytes: int) -> int:
        """Room that a collector takes beside so many bytes of a request, rounded."""
        return self.memory.garbage_bytes(held_bytes)

    def visible_cpus(self, host: Host) -> int:
        """Cores that the runtime believes it has, by which it sizes itself.

        A runtime that does not look at the container's quota counts the host's: ``os.cpu_count``
        and ``os.process_cpu_count`` of Python, and what is made from them (the default executor).
        """
        return host.cores

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and "name" not in data:
            return {**data, "name": default_name(data) or cls.model_fields["kind"].default}
        return data

    @classmethod
    def usual(cls, entry: Mapping[str, Any]) -> dict[str, Model]:
        """The tables "listen" and "memory" of an entry that does not have them."""
        return {key: cls.model_fields[key].default for key in ("listen", "memory")}

    @model_validator(mode="before")
    @classmethod
    def _whole_tables(cls, data: Any) -> Any:
        # A kind has limits and prices of its own: who sets one of them keeps the others.
        if not isinstance(data, dict):
            return data
        return {
            **data,
            **{
                key: completed(data[key], usual)
                for key, usual in cls.usual(data).items()
                if isinstance(data.get(key), dict)
            },
        }

    @model_validator(mode="after")
    def _usual_tables(self) -> Self:
        # They depend on other keys. The model is frozen for everybody else.
        for key, usual in self.usual(self.__dict__).items():
            if key not in self.model_fields_set:
                self.__dict__[key] = usual
        return self


class ReadingSpec(Spec):
    """A runtime whose way of getting requests can be modelled, too."""

    ingress: Literal["direct", "reader", "timer", "puller", "accept"] = Field(
        default="direct",
        description='How requests get into the process. "direct": they are simply there. "reader": '
        "a thread (a goroutine, a callback of the loop) reads them from a pipe or socket and hands "
        'them over. "timer": timers of the runtime make them. "puller": threads of the pool take '
        'the next one themselves and sleep until it is due. "accept" (Go): a goroutine accepts '
        "connections and starts one for each, which reads its requests (net/http).",
    )
    read_s: Duration = Field(
        alias="read",
        default=0.0,
        description='Cost of a read by the reader (ingress = "reader"), CPU time.',
    )
    submit_s: Duration = Field(
        alias="submit",
        default=0.0,
        description="Cost of handing a request over, paid by the reader, CPU time.",
    )

    @property
    def ways_in(self) -> tuple[str, ...]:
        """What ``ingress`` may be."""
        return ("direct", "reader")

    def findings(self) -> Iterator[Finding]:
        """A runtime has not every way of getting requests."""
        if self.ingress not in self.ways_in:
            yield Finding(
                ("ingress",),
                f'ingress = "{self.ingress}", and here requests do not get in that way',
                f"use one of {', '.join(self.ways_in)}: timers make requests on asyncio and "
                "goroutines, threads of a Python or JDK pool pull them, and Go accepts connections "
                "in a goroutine",
            )


def completed(given: dict[str, Any], usual: Model) -> dict[str, Any]:
    """A table with what it leaves out."""
    named = {info.alias or name: name for name, info in type(usual).model_fields.items()}
    kept = {
        key: value
        for key, value in usual.model_dump(by_alias=True, exclude_none=True).items()
        if named[key] not in given
    }
    return {**kept, **given}


def default_name(entry: dict[str, Any]) -> Any:
    """Name of a scheduler entry: its name, else its preset (a file's stem), else its kind."""
    return entry.get("name") or preset_stem(entry.get("preset")) or entry.get("kind")


def preset_stem(preset: Any) -> Any:
    """Name of a preset, which of a file is its stem; what is no text is left as it is."""
    if isinstance(preset, str):
        return preset.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")
    return preset


def default_workers(cores: int) -> int:
    """Threads of a ``concurrent.futures.ThreadPoolExecutor`` that was given no number.

    Source: CPython Lib/concurrent/futures/thread.py: min(32, cpus + 4).
    """
    return min(32, cores + 4)


def misplaced(model: Model, knobs: dict[str, str], owner: str, present: str) -> Iterator[Finding]:
    """Knobs that were given although they belong to ``owner``, and ``present`` is what there is."""
    for knob, field in knobs.items():
        if field in model.model_fields_set:
            yield Finding(
                (knob,),
                f"{knob} is a knob of {owner.replace(' = ', ' ')}, and here it is {present}",
                f"remove it, or set {owner}",
            )
