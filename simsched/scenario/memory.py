"""Resident memory of the runtimes: one base, and a price per thread, task and connection.

The defaults are those of the presets, whose files name the source of each figure.
"""

from __future__ import annotations

from pydantic import Field

from simsched.scenario.base import Model
from simsched.scenario.scalars import Size

BASE = (
    "Resident memory of one idle process. A bare runtime by default: set it to "
    "what your idle service has."
)
THREAD = "Resident memory per OS thread, not the address space that a stack reserves."
TASK = "Per task: a goroutine, a virtual thread, a coroutine or a queued job."
CONNECTION = "Per connection of a request in flight: kernel and buffers of the server."


class SchedulerMemory(Model):
    """Bytes that make the memory estimate.

    Total = base + thread x OS threads + task x tasks + connection x requests in flight. A task is a
    goroutine, a virtual thread, a coroutine or a queued Runnable.
    """

    base_bytes: Size = Field(alias="base", default=0, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=0, description=THREAD)
    task_bytes: Size = Field(alias="task", default=0, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=0, description=CONNECTION)


class ThreadPoolMemory(SchedulerMemory):
    """A JVM with one platform thread per worker."""

    base_bytes: Size = Field(alias="base", default=46_900_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=100, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=19_968, description=CONNECTION)


JDK_POOL_MEMORY = ThreadPoolMemory(connection_bytes=3584)
"""A JVM with a pool and no server around it: the preset jdk-thread-pool."""

PYTHON_POOL_MEMORY = ThreadPoolMemory(
    base_bytes=19_500_000, thread_bytes=16_691, task_bytes=1000, connection_bytes=3584
)
"""A CPython process with a ThreadPoolExecutor: the preset cpython-threads."""


class EventLoopMemory(SchedulerMemory):
    """A CPython process with one asyncio task per request."""

    base_bytes: Size = Field(alias="base", default=19_500_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=16_300, description=THREAD)
    task_bytes: Size = Field(alias="task", default=1260, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=3584, description=CONNECTION)


NODE_MEMORY = EventLoopMemory(
    base_bytes=40_000_000, thread_bytes=4600, task_bytes=500, connection_bytes=3584
)
"""A Node.js process: the preset node."""


class GoroutineMemory(SchedulerMemory):
    """A Go process with one goroutine per request."""

    base_bytes: Size = Field(alias="base", default=3_600_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=5 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=2580, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=11_776, description=CONNECTION)


class VirtualThreadMemory(SchedulerMemory):
    """A JVM with one virtual thread per request."""

    base_bytes: Size = Field(alias="base", default=46_900_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=1050, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=19_968, description=CONNECTION)


class ForkJoinMemory(SchedulerMemory):
    """A JVM whose requests are async tasks of the common pool."""

    base_bytes: Size = Field(alias="base", default=46_900_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=100, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=19_968, description=CONNECTION)


class SyncWorkersMemory(SchedulerMemory):
    """A gunicorn sync worker: one CPython process with a WSGI application."""

    base_bytes: Size = Field(alias="base", default=31_000_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=16_300, description=THREAD)
    task_bytes: Size = Field(alias="task", default=0, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=3584, description=CONNECTION)


class ReactorMemory(SchedulerMemory):
    """A JVM with Netty: its loops, their buffers, and a pipeline per connection."""

    base_bytes: Size = Field(alias="base", default=63_700_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=2000, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=11_600, description=CONNECTION)


class GthreadMemory(SchedulerMemory):
    """A gunicorn gthread worker: one CPython process with a WSGI application and its threads."""

    base_bytes: Size = Field(alias="base", default=31_000_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=16_300, description=THREAD)
    task_bytes: Size = Field(alias="task", default=500, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=3584, description=CONNECTION)
