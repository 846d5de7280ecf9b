"""Specification of Go's scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simsched.scenario.base import Model
from simsched.scenario.host import Host
from simsched.scenario.memory import GoroutineMemory
from simsched.scenario.scalars import Duration, IntRange, Name, PositiveDuration, PositiveSize
from simsched.scenario.spec_base import AutoCount, Count, ReadingSpec

FIRST_WITH_QUOTA = "1.25"
"""Version of Go from which on GOMAXPROCS knows of the container's quota."""


LEAST_HEAP_BYTES = 4 << 20
"""Go runtime/mgcpacer.go, heapMinimum: with GOGC=100 the heap grows to that without a cycle."""


class GoGc(Model):
    """The [schedulers.gc] table: what the garbage collector has to do. Absent: it does nothing."""

    live_heap_bytes: PositiveSize = Field(
        alias="live_heap",
        description="What is on the heap at all times: caches, tables, sessions.",
    )
    allocation_bytes: PositiveSize = Field(
        alias="allocation",
        description="What a request allocates in all: B/op of a benchmark, or the rate of "
        "go_memstats_alloc_bytes_total over that of requests.",
    )
    gogc: Annotated[int, IntRange(1, 100_000)] = Field(
        alias="GOGC",
        default=100,
        description="Growth of the heap, in percent of what is live, at which a cycle begins: the "
        "environment variable GOGC.",
    )
    mark_s: PositiveDuration = Field(
        alias="mark",
        default=1e-3,
        description="CPU time to mark a megabyte (1 MB) of live heap.",
    )
    pause_s: Duration = Field(
        alias="pause",
        default=50e-6,
        description="How long the world stops before and after marking.",
    )

    @property
    def room_bytes(self) -> float:
        """What is allocated from the beginning of one cycle to that of the next."""
        live_bytes, growth = self.live_heap_bytes, self.gogc / 100
        return max(live_bytes * (1 + growth), LEAST_HEAP_BYTES * growth) - live_bytes

    @property
    def cycle_s(self) -> float:
        """CPU time of marking once."""
        return self.live_heap_bytes / 1e6 * self.mark_s

    @property
    def request_s(self) -> float:
        """CPU time of marking that a request causes, on average."""
        return self.cycle_s * self.allocation_bytes / self.room_bytes


class GoroutineSpec(ReadingSpec):
    """Go's scheduler: one goroutine per request on GOMAXPROCS processors that steal work."""

    kind: Literal["goroutine"] = Field(default="goroutine", description="Which runtime it is.")
    memory: GoroutineMemory = Field(
        default=GoroutineMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    gomaxprocs: AutoCount = Field(
        alias="GOMAXPROCS",
        default=None,
        description="Processors (P) that run goroutines: the environment variable GOMAXPROCS. "
        '"auto" is what Go makes of the cores of the host, and of the quota if it knows of it.',
    )
    go: Literal["1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26"] = Field(
        default="1.25",
        description="Version of Go in go.mod: from 1.25 on, GOMAXPROCS is by default the "
        "container's quota rounded up, though not below 2; before, it is the cores of the host.",
    )
    create_s: Duration = Field(
        alias="create",
        default=1.2e-6,
        description="Cost of starting and ending a goroutine, CPU time.",
    )
    switch_s: Duration = Field(
        alias="switch",
        default=0.15e-6,
        description="Cost of a switch between goroutines, CPU time.",
    )
    steal_s: Duration = Field(
        alias="steal",
        default=0.5e-6,
        description="Cost of stealing from another processor's queue, CPU time.",
    )
    request_s: Duration = Field(
        alias="request",
        default=0.0,
        description="Cost of the server and the framework per request, CPU time.",
    )
    accept_s: Duration = Field(
        alias="accept",
        default=10e-6,
        description='Cost of accepting a connection (ingress = "accept"), CPU time.',
    )
    sysmon_s: Duration = Field(
        alias="sysmon",
        default=0.0,
        description="Cost of waking the monitor thread when the process leaves the idle state, CPU "
        "time.",
    )
    poll_resolution_s: Duration = Field(
        alias="poll_resolution",
        default=1e-3,
        description="Waits for the network and timers last whole multiples of it, and at least "
        'one. "0s": exact.',
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=12e-6,
        description="Cost of starting one more OS thread, CPU time.",
    )
    max_threads: Count = Field(
        alias="maxThreads",
        default=10_000,
        description="OS threads beyond which the program dies: debug.SetMaxThreads.",
    )
    asyncpreempt: bool = Field(
        default=True,
        description="Whether a goroutine that computes for 10 ms is preempted. false: "
        "GODEBUG=asyncpreemptoff=1.",
    )

    cgo_s: Duration = Field(
        alias="cgo",
        default=40e-9,
        description='Cost of a call into C (a blocking step of kind "native"), CPU time.',
    )
    locked_classes: Annotated[tuple[Name, ...], Field(strict=False)] = Field(
        alias="LockOSThread",
        default=(),
        description="Classes whose requests lock their goroutine to an OS thread: they call "
        "runtime.LockOSThread first.",
    )
    gc: GoGc | None = Field(
        default=None, description="The garbage collector, if it is modelled: a table."
    )

    @property
    def base_bytes(self) -> int:
        """With the heap as it is when a cycle begins, where the collector is modelled."""
        heap_bytes = 0.0 if self.gc is None else self.gc.live_heap_bytes + self.gc.room_bytes
        return self.memory.base_bytes + round(heap_bytes)

    def garbage_bytes(self, held_bytes: int) -> int:
        """What a request holds has room beside it as the live heap has, if that is modelled."""
        if self.gc is None:
            return super().garbage_bytes(held_bytes)
        return round(self.gc.gogc / 100 * held_bytes)

    @property
    def ways_in(self) -> tuple[str, ...]:
        """Timers of the runtime may make requests, too, and so may connections."""
        return (*super().ways_in, "timer", "accept")

    def visible_cpus(self, host: Host) -> int:
        """What GOMAXPROCS is by default; see ``go``.

        Source: Go 1.25 runtime/debug.go, GOMAXPROCS; go.dev/blog/container-aware-gomaxprocs.
        """
        if host.cpu_quota is None or self.go < FIRST_WITH_QUOTA:
            return host.cores
        return min(host.cores, max(host.quota_processors, 2))

    def resolved_gomaxprocs(self, cores: int) -> int:
        """Processors (P): GOMAXPROCS, else one per core of the host."""
        return cores if self.gomaxprocs is None else self.gomaxprocs
