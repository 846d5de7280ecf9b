"""Resident memory of the runtimes: one base, and a price per thread, task and connection.

The defaults are those of the presets, whose files name the source of each figure.
"""

from __future__ import annotations

from pydantic import Field

from simsched.scenario.base import Model
from simsched.scenario.scalars import Size


class SchedulerMemory(Model):
    """Bytes that make the memory estimate.

    Total = base + thread x OS threads + task x tasks + connection x requests in flight. A task is a
    goroutine, a virtual thread, a coroutine or a queued Runnable.
    """

    base_bytes: Size = Field(alias="base", default=0)
    thread_bytes: Size = Field(alias="thread", default=0)
    task_bytes: Size = Field(alias="task", default=0)
    connection_bytes: Size = Field(alias="connection", default=0)


class ThreadPoolMemory(SchedulerMemory):
    """A JVM with one platform thread per worker."""

    base_bytes: Size = Field(alias="base", default=46_900_000)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024)
    task_bytes: Size = Field(alias="task", default=100)
    connection_bytes: Size = Field(alias="connection", default=19_968)


class EventLoopMemory(SchedulerMemory):
    """A CPython process with one asyncio task per request."""

    base_bytes: Size = Field(alias="base", default=19_500_000)
    thread_bytes: Size = Field(alias="thread", default=16_300)
    task_bytes: Size = Field(alias="task", default=1260)
    connection_bytes: Size = Field(alias="connection", default=3584)


class GoroutineMemory(SchedulerMemory):
    """A Go process with one goroutine per request."""

    base_bytes: Size = Field(alias="base", default=3_600_000)
    thread_bytes: Size = Field(alias="thread", default=5 * 1024)
    task_bytes: Size = Field(alias="task", default=2580)
    connection_bytes: Size = Field(alias="connection", default=11_776)


class VirtualThreadMemory(SchedulerMemory):
    """A JVM with one virtual thread per request."""

    base_bytes: Size = Field(alias="base", default=46_900_000)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024)
    task_bytes: Size = Field(alias="task", default=1050)
    connection_bytes: Size = Field(alias="connection", default=19_968)
