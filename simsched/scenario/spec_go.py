"""Specification of Go's scheduler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simsched.scenario.memory import GoroutineMemory
from simsched.scenario.scalars import Duration
from simsched.scenario.spec_base import AutoCount, Count, Spec


class GoroutineSpec(Spec):
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
        '"auto" is the cores of the host.',
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

    def resolved_gomaxprocs(self, cores: int) -> int:
        """Processors (P): GOMAXPROCS, else one per core of the host."""
        return cores if self.gomaxprocs is None else self.gomaxprocs
