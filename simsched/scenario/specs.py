"""Specifications of schedulers: the knobs of the real runtimes, under their real names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from simsched.scenario.base import TAG, Finding, Model
from simsched.scenario.memory import (
    EventLoopMemory,
    GoroutineMemory,
    SchedulerMemory,
    ThreadPoolMemory,
    VirtualThreadMemory,
)
from simsched.scenario.scalars import Duration, IntRange, Name, WordOrCount

MAX_INT = 2**31 - 1
"""Java's Integer.MAX_VALUE, the "no limit" of its pools and queues."""

Count = Annotated[int, IntRange(1, MAX_INT)]
CountOrZero = Annotated[int, IntRange(0, MAX_INT)]
AutoCount = Annotated[int | None, IntRange(1, 100_000, auto="auto")]

WorkQueue = Annotated[
    Literal["unbounded", "synchronous"] | int,
    WordOrCount(("unbounded", "synchronous"), MAX_INT),
]


class _Spec(Model):
    """What every scheduler has. The name defaults to the preset's, else to the kind."""

    preset: Name | None = None
    name: Name = ""
    memory: SchedulerMemory = SchedulerMemory()

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and "name" not in data:
            return {**data, "name": default_name(data) or cls.model_fields["kind"].default}
        return data


def default_name(entry: dict[str, Any]) -> Any:
    """Name of a scheduler entry: its name, else its preset (a file's stem), else its kind."""
    preset = entry.get("preset")
    if isinstance(preset, str):
        preset = preset.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")
    return entry.get("name") or preset or entry.get("kind")


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
_REQUIRED_BY_JDK = ("corePoolSize", "maximumPoolSize")


class ThreadPoolSpec(_Spec):
    """A pool of OS threads, grown by the rules of Tomcat or of java.util.concurrent.

    ``work_queue`` is "unbounded", "synchronous" or a capacity. Knobs of the other policy are
    refused, because they would be ignored.
    """

    kind: Literal["thread_pool"] = "thread_pool"
    memory: ThreadPoolMemory = ThreadPoolMemory()
    policy: Literal["tomcat", "jdk"] = "tomcat"
    max_threads: Count = Field(alias="maxThreads", default=200)
    min_spare_threads: CountOrZero = Field(alias="minSpareThreads", default=10)
    max_queue_size: CountOrZero = Field(alias="maxQueueSize", default=MAX_INT)
    threads_max_idle_time_s: Duration = Field(alias="threadsMaxIdleTime", default=60.0)
    core_pool_size: CountOrZero = Field(alias="corePoolSize", default=0)
    maximum_pool_size: Count = Field(alias="maximumPoolSize", default=1)
    work_queue: WorkQueue = Field(alias="workQueue", default="unbounded")
    keep_alive_time_s: Duration = Field(alias="keepAliveTime", default=60.0)
    allow_core_thread_time_out: bool = Field(alias="allowCoreThreadTimeOut", default=False)
    rejected_execution_handler: Literal["abort", "caller_runs", "discard", "discard_oldest"] = (
        Field(alias="rejectedExecutionHandler", default="abort")
    )
    thread_create_s: Duration = Field(alias="thread_create", default=80e-6)
    dispatch_s: Duration = Field(alias="dispatch", default=5e-6)

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
        other = JDK_KNOBS if self.policy == "tomcat" else TOMCAT_KNOBS
        owner = "jdk" if self.policy == "tomcat" else "tomcat"
        for knob, field in other.items():
            if field in self.model_fields_set:
                yield Finding(
                    (knob,),
                    f'{knob} is a knob of policy "{owner}", and the policy is "{self.policy}"',
                    f'remove it, or set policy = "{owner}"',
                )
        if self.policy == "tomcat":
            if self.min_spare_threads > self.max_threads:
                yield Finding(
                    ("minSpareThreads",),
                    f"minSpareThreads ({self.min_spare_threads}) is above "
                    f"maxThreads ({self.max_threads})",
                )
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
        other = JDK_KNOBS if self.policy == "tomcat" else TOMCAT_KNOBS
        return {key: value for key, value in handler(self).items() if key not in other}


class EventLoopSpec(_Spec):
    """One thread that runs ready handles in snapshots, as asyncio does.

    ``timer_resolution_s``: timers end at multiples of it ("0s": exact). Costs: ``iteration_s`` per
    turn of the loop, ``handle_s`` per handle run, ``task_create_s`` per request.
    """

    kind: Literal["event_loop"] = "event_loop"
    memory: EventLoopMemory = EventLoopMemory()
    timer_resolution_s: Duration = Field(alias="timer_resolution", default=1e-3)
    iteration_s: Duration = Field(alias="iteration", default=0.8e-6)
    handle_s: Duration = Field(alias="handle", default=1.2e-6)
    task_create_s: Duration = Field(alias="task_create", default=4e-6)


class GoroutineSpec(_Spec):
    """Go's scheduler: one goroutine per request on GOMAXPROCS processors that steal work."""

    kind: Literal["goroutine"] = "goroutine"
    memory: GoroutineMemory = GoroutineMemory()
    gomaxprocs: AutoCount = Field(alias="GOMAXPROCS", default=None)
    create_s: Duration = Field(alias="create", default=1.2e-6)
    switch_s: Duration = Field(alias="switch", default=0.15e-6)
    steal_s: Duration = Field(alias="steal", default=0.5e-6)
    thread_create_s: Duration = Field(alias="thread_create", default=12e-6)
    max_threads: Count = Field(alias="maxThreads", default=10_000)
    asyncpreempt: bool = True

    def resolved_gomaxprocs(self, cores: int) -> int:
        """Processors (P): GOMAXPROCS, else one per core of the host."""
        return cores if self.gomaxprocs is None else self.gomaxprocs


class VirtualThreadSpec(_Spec):
    """JDK virtual threads: one per request, mounted on carrier threads of a FIFO fork-join pool.

    ``switch_s`` is the cost of one mount or unmount. What pins a carrier depends on ``jdk``.
    """

    kind: Literal["virtual_thread"] = "virtual_thread"
    memory: VirtualThreadMemory = VirtualThreadMemory()
    jdk: Annotated[int, IntRange(21, 25)] = 25
    parallelism: AutoCount = None
    max_pool_size: AutoCount = Field(alias="maxPoolSize", default=None)
    min_runnable: AutoCount = Field(alias="minRunnable", default=None)
    keep_alive_s: Duration = Field(alias="keepAlive", default=30.0)
    create_s: Duration = Field(alias="create", default=0.7e-6)
    switch_s: Duration = Field(alias="switch", default=0.7e-6)
    steal_s: Duration = Field(alias="steal", default=0.5e-6)
    thread_create_s: Duration = Field(alias="thread_create", default=80e-6)

    def findings(self) -> Iterator[Finding]:
        """Sizes given explicitly do not contradict each other."""
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


SCHEDULER_KINDS: dict[str, type[Model]] = {
    "thread_pool": ThreadPoolSpec,
    "event_loop": EventLoopSpec,
    "goroutine": GoroutineSpec,
    "virtual_thread": VirtualThreadSpec,
}


def _tag(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return TAG + kind if isinstance(kind, str) and kind in SCHEDULER_KINDS else None


SchedulerSpec = Annotated[
    Annotated[ThreadPoolSpec, Tag(TAG + "thread_pool")]
    | Annotated[EventLoopSpec, Tag(TAG + "event_loop")]
    | Annotated[GoroutineSpec, Tag(TAG + "goroutine")]
    | Annotated[VirtualThreadSpec, Tag(TAG + "virtual_thread")],
    Discriminator(_tag, custom_error_type="which_scheduler", custom_error_message="unknown kind"),
]
"""Any scheduler specification."""
