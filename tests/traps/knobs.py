"""What trap 2 changes: every knob of every scheduler and socket, in a scenario in which it matters.

Fields of other tables and of steps are in fields.py.
"""

from __future__ import annotations

from typing import Any

from simsched.scenario.base import Model
from simsched.scenario.spec_event_loop import LIBUV_KNOBS, PYTHON_LOOP_KNOBS
from simsched.scenario.spec_go import GoGc
from simsched.scenario.spec_thread_pool import KNOBS

from .settings import JDK, TOMCAT

MEMORY = {f"memory.{name}": '"5MiB"' for name in ("base", "thread", "task", "connection")} | {
    "memory.gc_factor": "3",
    "memory.young": '"100KiB"',
}
YOUNG = {"memory.young_task": '"256KiB"'}  # where there is a room of new objects
LOCKED = {"gil": "false", "switch_interval": '"500us"', "cpu_factor": "1.3"}
LOOP = {
    "cpu_factor": "1.3",
    "request": '"1ms"',
    "hop": '"1ms"',
    "thread_hop": '"1ms"',
    "thread_create": '"5ms"',
    "limit_concurrency": "2",
    "timer_resolution": '"50ms"',
    "iteration": '"1ms"',
    "handle": '"1ms"',
    "task_create": '"1ms"',
}
PYTHON_LOOP = LOOP | LOCKED | {"total_tokens": "1", "max_workers": "1"}

READS = {"read": '"1ms"', "submit": '"1ms"'}

SCHEDULERS: dict[str, tuple[str, dict[str, str]]] = {
    "tomcat, reader": (TOMCAT + 'ingress = "reader"\n', READS),
    "jdk, reader": (JDK + 'ingress = "reader"\n', READS),
    "cpython threads, served": (
        'kind = "thread_pool"\npolicy = "python"\n',
        {"request": '"1ms"'},
    ),
    "node, reader": (
        'kind = "event_loop"\nloop = "libuv"\ningress = "reader"\n',
        {**READS, "ingress": '"direct"'},
    ),
    "tomcat": (
        TOMCAT,
        {
            "maxThreads": "6",
            "minSpareThreads": "9",
            "maxQueueSize": "3",
            "threadsMaxIdleTime": '"1ms"',
            "cpu_factor": "1.3",
            "request": '"1ms"',
            "ingress": '"reader"',
            "thread_create": '"5ms"',
            "dispatch": '"1ms"',
        },
    ),
    "jdk": (
        JDK,
        {
            "corePoolSize": "2",
            "maximumPoolSize": "6",
            "workQueue": '"unbounded"',
            "keepAliveTime": '"60s"',
            "allowCoreThreadTimeOut": "true",
            "rejectedExecutionHandler": '"discard_oldest"',
            "cpu_factor": "1.3",
            "request": '"1ms"',
            "ingress": '"reader"',
            "thread_create": '"5ms"',
            "dispatch": '"1ms"',
        },
    ),
    "cpython threads": (
        'kind = "thread_pool"\npolicy = "python"\n',
        {
            "max_workers": "2",
            "thread_create": '"5ms"',
            "dispatch": '"1ms"',
            "ingress": '"puller"',
            **LOCKED,
        },
    ),
    "cpython threads, reader": (
        'kind = "thread_pool"\npolicy = "python"\ningress = "reader"\n',
        {"read": '"1ms"', "submit": '"1ms"', "ingress": '"direct"'},
    ),
    "event_loop": (
        'kind = "event_loop"\n',
        {**PYTHON_LOOP, "loop": '"uvloop"', "endpoint": '"def"', "ingress": '"reader"'},
    ),
    "event_loop, reader": (
        'kind = "event_loop"\ningress = "reader"\n',
        {"read": '"1ms"', "submit": '"1ms"', "ingress": '"timer"'},
    ),
    "event_loop, def": (
        'kind = "event_loop"\nendpoint = "def"\n',
        {"sync_dependencies": "2", "total_tokens": "2", "gil": "false"},
    ),
    "uvloop": ('kind = "event_loop"\nloop = "uvloop"\n', {**PYTHON_LOOP, "endpoint": '"def"'}),
    "node": (
        'kind = "event_loop"\nloop = "libuv"\n',
        {**LOOP, "UV_THREADPOOL_SIZE": "1"},
    ),
    "sync_workers": (
        'kind = "sync_workers"\nprocesses = 8\ntimeout = "4ms"\nstartup = "100ms"\n',
        {
            "timeout": '"0s"',
            "startup": '"300ms"',
            "request": '"1ms"',
            "accept": '"1ms"',
            "cpu_factor": "1.3",
        },
    ),
    "gthread": (
        'kind = "gthread"\nthreads = 6\n',
        {
            "threads": "3",
            "first_bytes": '"0s"',
            "request": '"1ms"',
            "dispatch": '"1ms"',
            "accept": '"1ms"',
            "thread_create": '"5ms"',
            **LOCKED,
        },
    ),
    "goroutine": (
        'kind = "goroutine"\n',
        {
            "GOMAXPROCS": "1",
            "create": '"1ms"',
            "switch": '"1ms"',
            "steal": '"1ms"',
            "thread_create": '"5ms"',
            "maxThreads": "2",
            "asyncpreempt": "false",
            "sysmon": '"1ms"',
            "poll_resolution": '"20ms"',
            "request": '"1ms"',
            "cpu_factor": "1.3",
            "ingress": '"reader"',
            "gc": '{ live_heap = "5MB", allocation = "1MB" }',
            "LockOSThread": '["a"]',
        },
    ),
    "goroutine, reader": (
        'kind = "goroutine"\ningress = "reader"\n',
        {"read": '"1ms"', "submit": '"1ms"', "ingress": '"timer"'},
    ),
    "goroutine, collecting": (
        'kind = "goroutine"\ngc = { live_heap = "5MB", allocation = "100kB" }\n',
        {
            "gc.live_heap": '"8MB"',
            "gc.allocation": '"200kB"',
            "gc.GOGC": "50",
            "gc.mark": '"2ms"',
            "gc.pause": '"1ms"',
        },
    ),
    "goroutine, accepting": (
        'kind = "goroutine"\ningress = "accept"\nprocesses = 2\n',
        {"accept": '"1ms"'},
    ),
    "virtual_thread, reader": (
        'kind = "virtual_thread"\ningress = "reader"\n',
        {
            "read": '"1ms"',
            "submit": '"1ms"',
            "ingress": '"direct"',
        },
    ),
    "virtual_thread": (
        'kind = "virtual_thread"\njdk = 21\nkeepAlive = "100ms"\n',
        {
            "timer": '"1ms"',
            "idle_spin": '"1ms"',
            "request": '"1ms"',
            "cpu_factor": "1.3",
            "jdk": "25",
            "parallelism": "4",
            "maxPoolSize": "2",
            "minRunnable": "2",
            "keepAlive": '"1ms"',
            "create": '"1ms"',
            "switch": '"1ms"',
            "steal": '"1ms"',
            "thread_create": '"5ms"',
        },
    ),
}
SOCKET = {
    "backlog": "0",
    "max_connections": "2",
    "keep_alive": '"1ms"',
    "max_requests": "3",
}
LISTENERS = {
    name: SOCKET if name != "sync_workers" else {"backlog": "0"}
    for name in ("tomcat", "event_loop", "node", "sync_workers", "gthread", "goroutine")
} | {"virtual_thread": SOCKET}


def fields_of(model: type[Model]) -> set[str]:
    """The fields of a table, as they are written."""
    return {field.alias or name for name, field in model.model_fields.items()}


# What tells the tables in which other knobs are allowed.
IDENTITY = {"name", "kind", "preset", "policy", "memory", "listen", "processes"}
# Their knobs need scenarios of their own: see test_reactor.py and test_fork_join_knobs.py.
TRIED_ELSEWHERE = {"reactor", "fork_join"}


def identity_of(spec: Any) -> tuple[str, ...]:
    """Specifications of the same identity have the same knobs."""
    return (
        spec.kind,
        getattr(spec, "policy", ""),
        getattr(spec, "loop", "").replace("uvloop", "asyncio"),
    )


def knobs_of(spec: Any) -> set[str]:
    """The knobs that a specification may have."""
    others: set[str] = set()
    inner: set[str] = set()  # of a table that is absent by default
    if spec.kind == "thread_pool":
        others = {
            knob for policy, knobs in KNOBS.items() if policy != spec.policy for knob in knobs
        }
    elif spec.kind == "event_loop":
        # Node has a loop of its own and no interpreter lock: both can only be what they are.
        others = {"gil", "loop", *PYTHON_LOOP_KNOBS} if spec.loop == "libuv" else set(LIBUV_KNOBS)
    elif spec.kind == "goroutine":
        inner = {f"gc.{knob}" for knob in fields_of(GoGc)}
        # They matter under a quota only, and where C is called: they have tests of their own.
        others = {"go", "cgo"}
    return (fields_of(type(spec)) | inner) - IDENTITY - others
