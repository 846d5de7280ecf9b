"""Specification of the JDK's virtual threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from simsched.scenario.base import Finding
from simsched.scenario.host import Host
from simsched.scenario.memory import VirtualThreadMemory
from simsched.scenario.scalars import Duration, IntRange
from simsched.scenario.spec_base import TOMCAT_LISTENS, AutoCount, Listen, ReadingSpec


class VirtualThreadSpec(ReadingSpec):
    """JDK virtual threads: one per request, mounted on carrier threads of a FIFO fork-join pool.

    ``switch_s`` is the cost of one mount or unmount. What pins a carrier depends on ``jdk``.
    """

    kind: Literal["virtual_thread"] = Field(
        default="virtual_thread", description="Which runtime it is."
    )
    memory: VirtualThreadMemory = Field(
        default=VirtualThreadMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=TOMCAT_LISTENS, description="The listening socket and its connections."
    )
    jdk: Annotated[int, IntRange(21, 25)] = Field(
        default=25,
        description="Version of the JDK: before 24 waiting in synchronized pins the carrier, up "
        "to 22 spare carriers stand in for file reads.",
    )
    parallelism: AutoCount = Field(
        default=None,
        description='Carriers: jdk.virtualThreadScheduler.parallelism. "auto" is what the JVM '
        "takes for the number of cores: the host's, or the quota rounded up.",
    )
    max_pool_size: AutoCount = Field(
        alias="maxPoolSize",
        default=None,
        description="Most carriers, spare ones included: "
        'jdk.virtualThreadScheduler.maxPoolSize. "auto" is the greater of '
        "parallelism and 256.",
    )
    min_runnable: AutoCount = Field(
        alias="minRunnable",
        default=None,
        description="Carriers below which a blocked one is replaced: "
        'jdk.virtualThreadScheduler.minRunnable. "auto" is half of parallelism, at '
        "least 1.",
    )
    keep_alive_s: Duration = Field(
        alias="keepAlive", default=30.0, description="Idle time after which a carrier ends."
    )
    create_s: Duration = Field(
        alias="create",
        default=0.7e-6,
        description="Cost of starting and ending a virtual thread, CPU time.",
    )
    switch_s: Duration = Field(
        alias="switch", default=0.7e-6, description="Cost of one mount or unmount, CPU time."
    )
    steal_s: Duration = Field(
        alias="steal", default=0.5e-6, description="Cost of stealing one task, CPU time."
    )
    timer_s: Duration = Field(
        alias="timer",
        default=0.0,
        description="Cost of each turn of the thread that keeps the timers, CPU time: when a "
        "virtual thread goes to sleep (from JDK 25 on), and when one is due.",
    )
    idle_spin_s: Duration = Field(
        alias="idle_spin",
        default=0.0,
        description="CPU time for which a carrier without work looks on before it parks.",
    )
    request_s: Duration = Field(
        alias="request",
        default=0.0,
        description="Cost of the server and the framework per request, CPU time.",
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=80e-6,
        description="Cost of starting one more carrier, CPU time.",
    )

    def findings(self) -> Iterator[Finding]:
        """Sizes given explicitly do not contradict each other."""
        yield from super().findings()
        if self.parallelism is None:
            return
        if self.max_pool_size is not None and self.max_pool_size < self.parallelism:
            yield Finding(
                ("maxPoolSize",),
                f"maxPoolSize ({self.max_pool_size}) is below parallelism ({self.parallelism})",
            )
        if self.min_runnable is not None and self.min_runnable > self.parallelism:
            yield Finding(
                ("minRunnable",),
                f"minRunnable ({self.min_runnable}) is above parallelism ({self.parallelism})",
            )

    def visible_cpus(self, host: Host) -> int:
        """The JVM's availableProcessors: the quota rounded up, or the host's cores."""
        return host.quota_processors

    def resolved_parallelism(self, cores: int) -> int:
        """Carriers: parallelism, else one per core, at most maxPoolSize.

        Source: JDK 25 VirtualThread.createDefaultScheduler.
        """
        wanted = cores if self.parallelism is None else self.parallelism
        return wanted if self.max_pool_size is None else min(wanted, self.max_pool_size)

    def resolved_max_pool_size(self, cores: int) -> int:
        """Most carriers ever, with compensation: maxPoolSize, else max(parallelism, 256)."""
        if self.max_pool_size is not None:
            return self.max_pool_size
        return max(self.resolved_parallelism(cores), 256)

    def resolved_min_runnable(self, cores: int) -> int:
        """Runnable carriers kept by compensation: minRunnable, else max(parallelism / 2, 1)."""
        if self.min_runnable is not None:
            return self.min_runnable
        return max(self.resolved_parallelism(cores) // 2, 1)
