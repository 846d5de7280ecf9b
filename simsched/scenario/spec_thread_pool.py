"""Specification of thread pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from simsched.scenario.base import Finding, Model
from simsched.scenario.memory import JDK_POOL_MEMORY, PYTHON_POOL_MEMORY, ThreadPoolMemory
from simsched.scenario.scalars import Duration, WordOrCount
from simsched.scenario.spec_base import (
    JDK_LISTENS,
    MAX_INT,
    PYTHON_LISTENS,
    SWITCH_INTERVAL_S,
    TOMCAT_LISTENS,
    AutoCount,
    Count,
    CountOrZero,
    HasLock,
    Listen,
    ReadingSpec,
    SwitchInterval,
    default_workers,
    misplaced,
)

WorkQueue = Annotated[
    Literal["unbounded", "synchronous"] | int,
    WordOrCount(("unbounded", "synchronous"), MAX_INT),
]

TOMCAT_KNOBS = {
    "maxThreads": "max_threads",
    "minSpareThreads": "min_spare_threads",
    "maxQueueSize": "max_queue_size",
    "threadsMaxIdleTime": "threads_max_idle_time_s",
}
JDK_KNOBS = {
    "corePoolSize": "core_pool_size",
    "maximumPoolSize": "maximum_pool_size",
    "workQueue": "work_queue",
    "keepAliveTime": "keep_alive_time_s",
    "allowCoreThreadTimeOut": "allow_core_thread_time_out",
    "rejectedExecutionHandler": "rejected_execution_handler",
}
PYTHON_KNOBS = {
    "max_workers": "max_workers",
    "gil": "gil",
    "switch_interval": "switch_interval_s",
}
KNOBS = {"tomcat": TOMCAT_KNOBS, "jdk": JDK_KNOBS, "python": PYTHON_KNOBS}
_REQUIRED_BY_JDK = ("corePoolSize", "maximumPoolSize")


class ThreadPoolSpec(ReadingSpec):
    """A pool of OS threads, grown by the rules of Tomcat, java.util.concurrent or CPython.

    ``work_queue`` is "unbounded", "synchronous" or a capacity. ``gil`` says whether the threads
    share an interpreter lock, asked for after ``switch_interval_s``; ``cpu_factor`` multiplies CPU
    demands. Knobs of another policy are refused, because they would be ignored.
    """

    kind: Literal["thread_pool"] = Field(default="thread_pool", description="Which runtime it is.")
    memory: ThreadPoolMemory = Field(
        default=ThreadPoolMemory(),
        description="What the process and its parts take: prices of the memory estimate.",
    )
    listen: Listen = Field(
        default=TOMCAT_LISTENS, description="The listening socket and its connections."
    )
    policy: Literal["tomcat", "jdk", "python"] = Field(
        default="tomcat", description="Whose rules the pool follows."
    )
    max_threads: Count = Field(
        alias="maxThreads",
        default=200,
        description="Most threads, and so most requests in progress. Spring Boot: "
        "server.tomcat.threads.max.",
    )
    min_spare_threads: CountOrZero = Field(
        alias="minSpareThreads",
        default=10,
        description="Threads started in advance and kept when idle. Spring Boot: "
        "server.tomcat.threads.min-spare.",
    )
    max_queue_size: CountOrZero = Field(
        alias="maxQueueSize",
        default=MAX_INT,
        description="Requests that may wait for a thread; beyond it they are rejected. Spring "
        "Boot: server.tomcat.threads.max-queue-capacity.",
    )
    threads_max_idle_time_s: Duration = Field(
        alias="threadsMaxIdleTime",
        default=60.0,
        description="Idle time after which a thread beyond minSpareThreads ends.",
    )
    core_pool_size: CountOrZero = Field(
        alias="corePoolSize",
        default=0,
        description="Threads that are started before anything is queued.",
    )
    maximum_pool_size: Count = Field(
        alias="maximumPoolSize",
        default=1,
        description="Most threads; those beyond the core start only when the queue is full.",
    )
    work_queue: WorkQueue = Field(
        alias="workQueue",
        default="unbounded",
        description='Places in the queue. "unbounded" is a LinkedBlockingQueue without '
        'capacity, "synchronous" a SynchronousQueue, which takes a task only if a '
        "thread waits for one.",
    )
    keep_alive_time_s: Duration = Field(
        alias="keepAliveTime",
        default=60.0,
        description="Idle time after which a thread beyond the core ends.",
    )
    allow_core_thread_time_out: bool = Field(
        alias="allowCoreThreadTimeOut",
        default=False,
        description="Whether idle threads of the core end, too.",
    )
    rejected_execution_handler: Literal["abort", "caller_runs", "discard", "discard_oldest"] = (
        Field(
            alias="rejectedExecutionHandler",
            default="abort",
            description="What becomes of a task for which there is no place: AbortPolicy, "
            "CallerRunsPolicy, DiscardPolicy or DiscardOldestPolicy of "
            "java.util.concurrent.",
        )
    )
    max_workers: AutoCount = Field(
        default=None,
        description='Most threads: ThreadPoolExecutor(max_workers). "auto" is min(32, cores + 4).',
    )
    gil: HasLock = False
    switch_interval_s: SwitchInterval = SWITCH_INTERVAL_S
    request_s: Duration = Field(
        alias="request",
        default=0.0,
        description="Cost of the server and the framework per request, CPU time.",
    )
    thread_create_s: Duration = Field(
        alias="thread_create",
        default=80e-6,
        description="Cost of starting one more OS thread, CPU time.",
    )
    dispatch_s: Duration = Field(
        alias="dispatch",
        default=5e-6,
        description="Cost of handing a task to a thread that sleeps, CPU time.",
    )

    @property
    def ways_in(self) -> tuple[str, ...]:
        """Tomcat's threads serve connections; those of other pools may be given any work."""
        return super().ways_in if self.policy == "tomcat" else (*super().ways_in, "puller")

    @classmethod
    def usual(cls, entry: Mapping[str, Any]) -> dict[str, Model]:
        """A bare pool is not Tomcat, and Python's is no JVM."""
        tables = super().usual(entry)
        if entry.get("policy") == "jdk":
            tables |= {"listen": JDK_LISTENS, "memory": JDK_POOL_MEMORY}
        elif entry.get("policy") == "python":
            tables |= {"listen": PYTHON_LISTENS, "memory": PYTHON_POOL_MEMORY}
        return tables

    @model_validator(mode="before")
    @classmethod
    def _python_has_a_lock(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("policy") == "python" and "gil" not in data:
            return {**data, "gil": True}
        return data

    @model_validator(mode="before")
    @classmethod
    def _clamp_spare_threads(cls, data: Any) -> Any:
        # As AbstractEndpoint.getMinSpareThreads: a default never exceeds maxThreads.
        if isinstance(data, dict) and "minSpareThreads" not in data:
            limit = data.get("maxThreads", data.get("max_threads"))
            given = "min_spare_threads" in data or data.get("policy", "tomcat") != "tomcat"
            if type(limit) is int and 1 <= limit < 10 and not given:
                return {**data, "minSpareThreads": limit}
        return data

    def findings(self) -> Iterator[Finding]:
        """Knobs belong to the policy, and minimum sizes do not exceed maximum sizes."""
        yield from super().findings()
        for policy, knobs in KNOBS.items():
            if policy != self.policy:
                owner, present = f'policy = "{policy}"', f'policy = "{self.policy}"'
                yield from misplaced(self, knobs, owner, present)
        if self.policy == "tomcat" and self.min_spare_threads > self.max_threads:
            yield Finding(
                ("minSpareThreads",),
                f"minSpareThreads ({self.min_spare_threads}) is above "
                f"maxThreads ({self.max_threads})",
            )
        if self.policy != "jdk":
            return
        missing = [k for k in _REQUIRED_BY_JDK if JDK_KNOBS[k] not in self.model_fields_set]
        for knob in missing:
            yield Finding((knob,), f'policy "jdk" needs {knob}')
        if self.allow_core_thread_time_out and self.keep_alive_time_s == 0:
            yield Finding(
                ("keepAliveTime",),
                "core threads that may time out need a keepAliveTime above zero",
                "java.util.concurrent.ThreadPoolExecutor refuses it too",
            )
        if not missing and self.maximum_pool_size < self.core_pool_size:
            yield Finding(
                ("maximumPoolSize",),
                f"maximumPoolSize ({self.maximum_pool_size}) is below "
                f"corePoolSize ({self.core_pool_size})",
            )

    @model_serializer(mode="wrap")
    def _own_knobs(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        others = {k for p, knobs in KNOBS.items() if p != self.policy for k in knobs}
        return {key: value for key, value in handler(self).items() if key not in others}

    def resolved_max_workers(self, cores: int) -> int:
        """Most threads of policy "python": max_workers, else min(32, cores + 4)."""
        return default_workers(cores) if self.max_workers is None else self.max_workers
