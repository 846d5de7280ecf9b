"""Specification of CompletableFuture on the common ForkJoinPool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from simsched.scenario.base import Finding
from simsched.scenario.host import Host
from simsched.scenario.memory import ForkJoinMemory
from simsched.scenario.scalars import Duration, IntRange
from simsched.scenario.spec_base import TOMCAT_LISTENS, Count, Listen, Spec

MAX_CAP = 0x7FFF
"""Most workers of any ForkJoinPool."""


class ForkJoinSpec(Spec):
    """CompletableFuture without an executor of its own: async tasks run on the common pool.

    A request is a ``supplyAsync``. How its code is written decides what holds a worker: ``io``,
    ``sleep``, ``stages``, ``all_of`` and ``managed_block`` say so. ``task_s`` is the cost of one
    async task.
    """

    kind: Literal["fork_join"] = Field(default="fork_join", description="Which runtime it is.")
    memory: ForkJoinMemory = Field(
        default=ForkJoinMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=TOMCAT_LISTENS, description="The listening socket and its connections."
    )
    jdk: Annotated[int, IntRange(17, 25)] = Field(
        default=25,
        description="Version of the JDK: before 25 async tasks run on a new thread each where the "
        "common pool would have one worker.",
    )
    parallelism: Annotated[int | None, IntRange(0, MAX_CAP, auto="auto")] = Field(
        default=None,
        description="Workers of the common pool: "
        'java.util.concurrent.ForkJoinPool.common.parallelism. "auto" is one less than what '
        "the JVM takes for the number of cores (the host's, or the quota rounded up), at least 1.",
    )
    maximum_spares: Annotated[int, IntRange(0, MAX_CAP)] = Field(
        alias="maximumSpares",
        default=256,
        description="Workers beyond parallelism that may stand in for blocked ones: "
        "java.util.concurrent.ForkJoinPool.common.maximumSpares. When they are used up, a call "
        "that wants one more fails.",
    )
    min_runnable: Count = Field(
        alias="minRunnable",
        default=1,
        description="Workers below which a blocked one is replaced: minimumRunnable in the "
        "constructor of ForkJoinPool. The common pool has 1.",
    )
    keep_alive_s: Duration = Field(
        alias="keepAlive",
        default=60.0,
        description="Time without any active worker after which idle ones end.",
    )
    io: Literal["blocking", "async"] = Field(
        default="blocking",
        description='"blocking": io is a call that blocks its worker (JDBC, HttpClient.send). '
        '"async": it is a future that an I/O thread completes (HttpClient.sendAsync, a reactive '
        "driver), and so is waiting for a resource.",
    )
    sleep: Literal["blocking", "delayed"] = Field(
        default="blocking",
        description='"blocking": Thread.sleep holds the worker. "delayed": what follows is '
        "submitted by delayedExecutor when the time comes.",
    )
    stages: Literal["thenApplyAsync", "thenApply"] = Field(
        default="thenApplyAsync",
        description="What follows a future: a new task of the pool (also after thenApply on "
        "HttpClient.sendAsync), or code that runs on the thread that completes it.",
    )
    all_of: Literal["join", "then"] = Field(
        alias="allOf",
        default="join",
        description='End of a parallel step. "join": the worker helps, then waits in '
        'allOf(...).join(). "then": what follows is a stage of allOf(...), and nobody waits.',
    )
    managed_block: bool = Field(
        alias="managedBlock",
        default=False,
        description="Whether calls that block a worker are made through ForkJoinPool.managedBlock, "
        "so that the pool can compensate. Drivers do not do so.",
    )
    io_threads: Count = Field(
        default=1,
        description="Threads of the asynchronous client, which complete its futures: 1 selector "
        "thread of HttpClient, the event loops of Netty.",
    )
    task_s: Duration = Field(
        alias="task",
        default=0.15e-6,
        description="Cost of an async task, and of completing a future, CPU time.",
    )
    steal_s: Duration = Field(
        alias="steal",
        default=0.5e-6,
        description="Cost of taking a task from another queue, CPU time.",
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=80e-6,
        description="Cost of starting one more thread, CPU time.",
    )

    def findings(self) -> Iterator[Finding]:
        """Sizes given explicitly do not contradict each other, and stages have something before."""
        if self.parallelism is not None and self.min_runnable > max(self.parallelism, 1):
            yield Finding(
                ("minRunnable",),
                f"minRunnable ({self.min_runnable}) is above parallelism ({self.parallelism})",
            )
        if self.stages == "thenApply" and self.io == "blocking" and self.all_of == "join":
            yield Finding(
                ("stages",),
                'stages = "thenApply" has no effect: every future is waited for where it is made',
                'set io = "async" or allOf = "then", or remove it',
            )

    def visible_cpus(self, host: Host) -> int:
        """The JVM's availableProcessors: the quota rounded up, or the host's cores."""
        return host.quota_processors

    def resolved_parallelism(self, cores: int) -> int:
        """Workers of the common pool: parallelism, else one less than the cores, at least 1.

        Source: JDK 25 ForkJoinPool.java (common pool constructor, asyncCommonPool: a parallelism of
        0 becomes 2 when the first async task comes).
        """
        if self.parallelism is None:
            return max(1, cores - 1)
        return self.parallelism or 2

    def thread_per_task(self, cores: int) -> bool:
        """Whether each async task has a thread of its own instead of the common pool.

        Source: CompletableFuture.java up to JDK 24 (USE_COMMON_POOL: parallelism > 1).
        """
        if self.jdk >= 25:
            return False
        return self.parallelism == 0 or self.resolved_parallelism(cores) <= 1

    def resolved_max_pool_size(self, cores: int) -> int:
        """Most workers ever, spare ones included."""
        return min(self.resolved_parallelism(cores) + self.maximum_spares, MAX_CAP)

    def resolved_min_runnable(self, cores: int) -> int:
        """Active workers kept by compensation."""
        return min(self.min_runnable, self.resolved_parallelism(cores))
