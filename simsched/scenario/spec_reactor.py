"""Specification of reactors: Netty's event-loop group and the schedulers of Project Reactor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simsched.scenario.host import Host
from simsched.scenario.memory import ReactorMemory
from simsched.scenario.scalars import Duration, PositiveDuration
from simsched.scenario.spec_base import AutoCount, Count, Listen, Spec


class ReactorSpec(Spec):
    """A group of event loops, as Netty's, and Reactor's schedulers beside it (Spring WebFlux).

    Costs, all of CPU time: ``iteration_s`` per turn of a loop, ``event_s`` per channel event or
    task on it, ``request_s`` per request for the server and the framework, ``hop_s`` per piece of
    work that a thread of ``boundedElastic()`` or ``parallel()`` takes.
    """

    kind: Literal["reactor"] = Field(default="reactor", description="Which runtime it is.")
    memory: ReactorMemory = Field(
        default=ReactorMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=Listen(), description="The listening socket and its connections."
    )
    io_worker_count: AutoCount = Field(
        alias="ioWorkerCount",
        default=None,
        description="Event loops, one thread each: the system property "
        'reactor.netty.ioWorkerCount. "auto" is max(cores, 4), or what auto_loops says.',
    )
    auto_loops: Literal["reactor_netty", "netty"] = Field(
        default="reactor_netty",
        description='Whose rule ioWorkerCount = "auto" follows. "reactor_netty": max(cores, 4). '
        '"netty": 2 x cores, the default of io.netty.eventLoopThreads.',
    )
    default_pool_size: AutoCount = Field(
        alias="defaultPoolSize",
        default=None,
        description="Threads of Schedulers.parallel(), where delays end: the system property "
        'reactor.schedulers.defaultPoolSize. "auto" is the cores of the host.',
    )
    default_bounded_elastic_size: AutoCount = Field(
        alias="defaultBoundedElasticSize",
        default=None,
        description="Most threads of Schedulers.boundedElastic(), for blocking calls: the system "
        'property reactor.schedulers.defaultBoundedElasticSize. "auto" is 10 x cores.',
    )
    default_bounded_elastic_queue_size: Count = Field(
        alias="defaultBoundedElasticQueueSize",
        default=100_000,
        description="Tasks that may wait for each of them; more are rejected: the system property "
        "reactor.schedulers.defaultBoundedElasticQueueSize.",
    )
    bounded_elastic_ttl_s: PositiveDuration = Field(
        alias="boundedElasticTtl",
        default=60.0,
        description="Idle time after which a thread of boundedElastic() may be ended. It is looked "
        "at as often: ttlSeconds of Schedulers.newBoundedElastic.",
    )
    publish_on: Literal["boundedElastic", "parallel"] = Field(
        alias="publishOn",
        default="boundedElastic",
        description="Where a pipeline goes on after an offload: on the thread of boundedElastic() "
        "that it is on, or, with publishOn(Schedulers.parallel()), on one of parallel().",
    )
    max_task_processing_quantum_s: Duration = Field(
        alias="maxTaskProcessingQuantum",
        default=1.0,
        description="Time after which a loop turns from its tasks to its channels again, looked "
        "at every 64 tasks: io.netty.eventLoop.maxTaskProcessingQuantumMs.",
    )
    iteration_s: Duration = Field(
        alias="iteration",
        default=1e-6,
        description="Cost of one turn of a loop, with its poll for I/O, CPU time.",
    )
    event_s: Duration = Field(
        alias="event",
        default=1e-6,
        description="Cost of one event of a channel, or one task, on a loop, CPU time.",
    )
    request_s: Duration = Field(
        alias="request",
        default=100e-6,
        description="Cost of the server and the framework per request, CPU time on the loop.",
    )
    hop_s: Duration = Field(
        alias="hop",
        default=5e-6,
        description="Cost of taking work up on a thread of boundedElastic() or parallel(), "
        "CPU time of that thread.",
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=80e-6,
        description="Cost of starting one more OS thread, CPU time.",
    )

    def visible_cpus(self, host: Host) -> int:
        """The JVM's availableProcessors: the quota rounded up, or the host's cores."""
        return host.quota_processors

    def resolved_io_worker_count(self, cores: int) -> int:
        """Event loops: ioWorkerCount, else what the library makes.

        Reactor Netty LoopResources.java: max(cores, 4). Netty MultithreadEventLoopGroup.java:
        2 x cores.
        """
        if self.io_worker_count is not None:
            return self.io_worker_count
        return 2 * cores if self.auto_loops == "netty" else max(cores, 4)

    def resolved_pool_size(self, cores: int) -> int:
        """Threads of parallel(): defaultPoolSize, else one per core (reactor-core Schedulers)."""
        return cores if self.default_pool_size is None else self.default_pool_size

    def resolved_bounded_elastic_size(self, cores: int) -> int:
        """Most threads of boundedElastic(): 10 x cores unless given (reactor-core Schedulers)."""
        given = self.default_bounded_elastic_size
        return 10 * cores if given is None else given
