"""Resident memory of the runtimes: one base, and a price per thread, task and connection.

The prices were measured as resident memory, so that what a garbage collector leaves unused is in
them already. Two things are not, and have knobs of their own:

- `gc_factor`: what the program itself holds on the heap (`memory` of a request class) needs room
  for dead objects beside the live ones;
- `young`: a collector of generations gives new objects a room of their own. Its pages become
  resident as they are first used, and stay. So the first tasks seem to take several times as much
  as later ones: 6 kB per virtual thread up to 10,000 of them, and 1 kB from there to a million.

The defaults are those of the presets, whose files name the source of each figure.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simsched.scenario.base import Model
from simsched.scenario.scalars import NumberRange, Size

BASE = (
    "Resident memory of one idle process. A bare runtime by default: set it to "
    "what your idle service has."
)
THREAD = "Resident memory per OS thread, not the address space that a stack reserves."
TASK = "Per task: a goroutine, a virtual thread, a coroutine or a queued job."
CONNECTION = "Per connection of a request in flight: kernel and buffers of the server."
FACTOR = (
    "Resident over live bytes of what requests hold on the heap (memory of their class): a "
    "collector lets dead objects lie until it has enough of them. The other prices contain that."
)
YOUNG = (
    "Most that the room of new objects takes, per process: it grows with each task that begins, "
    "by young_task and its class's memory, and does not shrink."
)
YOUNG_TASK = "What a new task takes of the room of new objects (young) until that is full."

Factor = Annotated[float, NumberRange(1, 10), Field(description=FACTOR)]

GO_FACTOR = 2.0
"""Go lets the heap double between two collections: GOGC=100 (go.dev/doc/gc-guide)."""
CPYTHON_FACTOR = 1.1
"""General knowledge: reference counts free at once; a tenth is lost to unused parts of arenas."""
JVM_FACTOR = 2.2
"""HotSpot g1_globals.hpp, InitiatingHeapOccupancyPercent = 45: marking begins once 45 % of the heap
is in use, so that a heap has at least 1/0.45 of what is live. Up to -Xmx if it never marks."""
NODE_FACTOR = 1.3
"""V8 src/heap/heap-controller.h, kConservativeGrowingFactor: the old generation may grow by that
until it is collected; up to 4 (kMaxGrowingFactor) where a program allocates fast."""
JVM_YOUNG_BYTES = 50_000_000
"""Published: 108.4 MB with 10,000 virtual threads, 46.9 MB with one, and 1 kB for each from there
on (github.com/hez2010/async-runtimes-benchmarks-2024). Measured (JDK 25, -Xmx of 6 GB): 70 to 121
MB in equal runs: G1 sizes it by its pauses, among other things."""
NODE_YOUNG_BYTES = 32 * 1024 * 1024
"""V8 src/heap/heap.h: two semi-spaces of at most 16 MiB each (--max-semi-space-size)."""


class SchedulerMemory(Model):
    """Bytes that make the memory estimate.

    Total = base + thread x OS threads + task x tasks + connection x requests in flight
    + gc_factor x memory of the classes in flight + what is in use of the room of new objects. A
    task is a goroutine, a virtual thread, a coroutine or a queued Runnable.
    """

    base_bytes: Size = Field(alias="base", default=0, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=0, description=THREAD)
    task_bytes: Size = Field(alias="task", default=0, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=0, description=CONNECTION)
    gc_factor: Factor = 1.0
    young_bytes: Size = Field(alias="young", default=0, description=YOUNG)
    young_task_bytes: Size = Field(alias="young_task", default=0, description=YOUNG_TASK)

    def garbage_bytes(self, held_bytes: int) -> int:
        """Room that the collector takes beside so many bytes of a request, rounded."""
        return round((self.gc_factor - 1.0) * held_bytes)


class JvmMemory(SchedulerMemory):
    """A JVM with the collector G1, which has generations."""

    base_bytes: Size = Field(alias="base", default=46_900_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=42 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=100, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=19_968, description=CONNECTION)
    gc_factor: Factor = JVM_FACTOR
    young_bytes: Size = Field(alias="young", default=JVM_YOUNG_BYTES, description=YOUNG)
    young_task_bytes: Size = Field(alias="young_task", default=100, description=YOUNG_TASK)


class CPythonMemory(SchedulerMemory):
    """A CPython process. Its collector has generations, which share one room."""

    base_bytes: Size = Field(alias="base", default=19_500_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=16_300, description=THREAD)
    connection_bytes: Size = Field(alias="connection", default=3584, description=CONNECTION)
    gc_factor: Factor = CPYTHON_FACTOR


class ThreadPoolMemory(JvmMemory):
    """A JVM with one platform thread per worker."""


JDK_POOL_MEMORY = ThreadPoolMemory(connection_bytes=3584)
"""A JVM with a pool and no server around it: the preset jdk-thread-pool."""

PYTHON_POOL_MEMORY = ThreadPoolMemory(
    base_bytes=19_500_000,
    thread_bytes=16_691,
    task_bytes=1000,
    connection_bytes=3584,
    gc_factor=CPYTHON_FACTOR,
    young_bytes=0,
    young_task_bytes=0,
)
"""A CPython process with a ThreadPoolExecutor: the preset cpython-threads."""


class EventLoopMemory(CPythonMemory):
    """A CPython process with one asyncio task per request."""

    task_bytes: Size = Field(alias="task", default=1260, description=TASK)


NODE_MEMORY = EventLoopMemory(
    base_bytes=40_000_000,
    thread_bytes=4600,
    task_bytes=500,
    connection_bytes=3584,
    gc_factor=NODE_FACTOR,
    young_bytes=NODE_YOUNG_BYTES,
    young_task_bytes=1000,
)
"""A Node.js process: the preset node."""


class GoroutineMemory(SchedulerMemory):
    """A Go process with one goroutine per request. Go's collector has no generations."""

    base_bytes: Size = Field(alias="base", default=3_600_000, description=BASE)
    thread_bytes: Size = Field(alias="thread", default=5 * 1024, description=THREAD)
    task_bytes: Size = Field(alias="task", default=2580, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=11_776, description=CONNECTION)
    gc_factor: Factor = GO_FACTOR


class VirtualThreadMemory(JvmMemory):
    """A JVM with one virtual thread per request."""

    task_bytes: Size = Field(alias="task", default=1000, description=TASK)
    young_task_bytes: Size = Field(alias="young_task", default=3500, description=YOUNG_TASK)


class ForkJoinMemory(JvmMemory):
    """A JVM whose requests are async tasks of the common pool."""


class SyncWorkersMemory(CPythonMemory):
    """A gunicorn sync worker: one CPython process with a WSGI application."""

    base_bytes: Size = Field(alias="base", default=31_000_000, description=BASE)


class ReactorMemory(JvmMemory):
    """A JVM with Netty: its loops, their buffers, and a pipeline per connection."""

    base_bytes: Size = Field(alias="base", default=63_700_000, description=BASE)
    task_bytes: Size = Field(alias="task", default=2000, description=TASK)
    connection_bytes: Size = Field(alias="connection", default=11_600, description=CONNECTION)
    young_task_bytes: Size = Field(alias="young_task", default=2000, description=YOUNG_TASK)


class GthreadMemory(CPythonMemory):
    """A gunicorn gthread worker: one CPython process with a WSGI application and its threads."""

    base_bytes: Size = Field(alias="base", default=31_000_000, description=BASE)
    task_bytes: Size = Field(alias="task", default=500, description=TASK)
