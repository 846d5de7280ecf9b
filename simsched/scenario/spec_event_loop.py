"""Specification of event loops: asyncio, uvloop and libuv, with their executors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from simsched.scenario.base import Finding, Model
from simsched.scenario.memory import NODE_MEMORY, EventLoopMemory
from simsched.scenario.scalars import Duration
from simsched.scenario.spec_base import (
    NODE_LISTENS,
    SWITCH_INTERVAL_S,
    AutoCount,
    Count,
    CountOrZero,
    HasLock,
    ReadingSpec,
    SwitchInterval,
    default_workers,
    misplaced,
)

PYTHON_LOOP_KNOBS = {
    "endpoint": "endpoint",
    "sync_dependencies": "sync_dependencies",
    "total_tokens": "total_tokens",
    "max_workers": "max_workers",
    "switch_interval": "switch_interval_s",
}
LIBUV_KNOBS = {"UV_THREADPOOL_SIZE": "uv_threadpool_size"}


class EventLoopSpec(ReadingSpec):
    """One thread that runs ready handles in snapshots, as asyncio, uvloop or Node do.

    ``timer_resolution_s``: timers end at multiples of it ("0s": exact). Costs: ``iteration_s`` per
    turn of the loop, ``handle_s`` per handle run, ``task_create_s`` per task, ``request_s`` per
    request for the server and the framework; per offload ``hop_s`` on the loop and
    ``thread_hop_s`` on the worker thread.
    """

    kind: Literal["event_loop"] = Field(default="event_loop", description="Which runtime it is.")
    memory: EventLoopMemory = Field(
        default=EventLoopMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    loop: Literal["asyncio", "uvloop", "libuv"] = Field(
        default="asyncio",
        description="Which event loop it is: asyncio, uvloop (as uvicorn has by default where "
        "it is installed) or libuv (Node.js).",
    )
    gil: HasLock = True
    switch_interval_s: SwitchInterval = SWITCH_INTERVAL_S
    endpoint: Literal["async", "def"] = Field(
        default="async",
        description='How the endpoint is written. "def": as FastAPI does it, the whole request '
        "runs on a thread of AnyIO (run_in_threadpool).",
    )
    sync_dependencies: CountOrZero = Field(
        default=0,
        description="Dependencies written as def, and validations of the response: further ways "
        "to a thread and back before the endpoint.",
    )
    total_tokens: Count = Field(
        default=40,
        description="Threads for run_in_threadpool at a time: "
        "anyio.to_thread.current_default_thread_limiter().total_tokens, one limiter "
        "per process.",
    )
    max_workers: AutoCount = Field(
        default=None,
        description='Most threads of the default executor (to_thread, run_in_executor). "auto" '
        "is min(32, cores + 4).",
    )
    uv_threadpool_size: Count = Field(
        alias="UV_THREADPOOL_SIZE",
        default=4,
        description="Threads for files, name look-ups, compression and cryptography: the "
        "environment variable UV_THREADPOOL_SIZE.",
    )
    limit_concurrency: Count | None = Field(
        default=None,
        description="Connections or requests in progress from which on new requests get 503: "
        "uvicorn --limit-concurrency. Absent: no limit.",
    )
    timer_resolution_s: Duration = Field(
        alias="timer_resolution",
        default=1e-3,
        description='Timers end at multiples of it. "0s": exact.',
    )
    iteration_s: Duration = Field(
        alias="iteration",
        default=0.8e-6,
        description="Cost of one turn of the loop, with its poll for I/O, CPU time.",
    )
    handle_s: Duration = Field(
        alias="handle",
        default=1.2e-6,
        description="Cost of running one callback, CPU time, besides the request's own.",
    )
    task_create_s: Duration = Field(
        alias="task_create",
        default=4e-6,
        description="Cost of making and ending the task of a request, CPU time.",
    )
    request_s: Duration = Field(
        alias="request",
        default=0.0,
        description="Cost of the server and the framework per request, CPU time on the loop.",
    )
    hop_s: Duration = Field(
        alias="hop",
        default=25e-6,
        description="Cost on the loop of giving work to a thread and taking its result, CPU time.",
    )
    thread_hop_s: Duration = Field(
        alias="thread_hop",
        default=10e-6,
        description="Cost on the thread of taking work and giving its result back, CPU time.",
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=100e-6,
        description="Cost of starting one more OS thread, CPU time.",
    )

    @property
    def ways_in(self) -> tuple[str, ...]:
        """Timers of libuv may fire early, before the request is due."""
        return (*super().ways_in, "timer") if self.loop == "asyncio" else super().ways_in

    @classmethod
    def usual(cls, entry: Mapping[str, Any]) -> dict[str, Model]:
        """On libuv it is Node."""
        tables = super().usual(entry)
        if entry.get("loop") == "libuv":
            tables |= {"listen": NODE_LISTENS, "memory": NODE_MEMORY}
        return tables

    @model_validator(mode="before")
    @classmethod
    def _node_has_no_lock(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("loop") == "libuv" and "gil" not in data:
            return {**data, "gil": False}
        return data

    def findings(self) -> Iterator[Finding]:
        """Knobs belong to the loop."""
        yield from super().findings()
        here = f'loop = "{self.loop}"'
        if self.loop == "libuv":
            yield from misplaced(self, PYTHON_LOOP_KNOBS, 'loop = "asyncio"', here)
            if self.gil:
                yield Finding(("gil",), 'gil = true, and loop = "libuv" has no interpreter lock')
        else:
            yield from misplaced(self, LIBUV_KNOBS, 'loop = "libuv"', here)
        if self.sync_dependencies and self.endpoint == "async":
            yield Finding(
                ("sync_dependencies",),
                'sync_dependencies has no effect with endpoint = "async"',
                'set endpoint = "def", or begin with steps { offload = "run_in_threadpool", ... }',
            )

    @model_serializer(mode="wrap")
    def _own_knobs(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        others = PYTHON_LOOP_KNOBS if self.loop == "libuv" else LIBUV_KNOBS
        return {key: value for key, value in handler(self).items() if key not in others}

    def resolved_max_workers(self, cores: int) -> int:
        """Most threads of the default executor: max_workers, else min(32, cores + 4)."""
        return default_workers(cores) if self.max_workers is None else self.max_workers
