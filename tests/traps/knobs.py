"""What trap 2 changes: every knob of every table, in a scenario in which it matters."""

from __future__ import annotations

from typing import Any

import tomli

from simsched.scenario.base import Model
from simsched.scenario.spec_event_loop import LIBUV_KNOBS, PYTHON_LOOP_KNOBS
from simsched.scenario.spec_go import GoGc
from simsched.scenario.spec_thread_pool import KNOBS
from simsched.scenario.steps import STEP_KINDS

PLACE = """  { lock = "cache", steps = [{ cpu = "200us" }] },
"""
RICH = """
[scenario]
name = "knobs"
duration = "2s"
replications = 1
[host]
cores = 2
[workload.arrivals]
kind = "poisson"
rate = "400/s"
[resources.db]
capacity = 3
[resources.other]
capacity = 1
[[workload.requests]]
name = "a"
memory = "10KiB"
timeout = "25ms"
retries = { max = 2, backoff = "20ms" }
steps = [
  { cpu = { dist = "exponential", mean = "3ms" } },
  { use = "db", steps = [{ io = { dist = "exponential", mean = "4ms" } }] },
  { sleep = "1500us" },
  { blocking = { dist = "exponential", mean = "3ms" }, kind = "file" },
  { lock = "cache", steps = [{ cpu = "200us" }] },
]
[[workload.requests]]
name = "b"
weight = 0.2
steps = [
  { offload = "to_thread", steps = [{ cpu = "2ms" }, { blocking = "40ms" }] },
  { offload = "run_in_threadpool", steps = [{ blocking = "40ms" }] },
  { parallel = [[{ offload = "getaddrinfo", steps = [{ io = "2ms" }] }], [{ io = "9ms" }]] },
]
[[workload.requests]]
name = "hog"
weight = 0.02
steps = [{ cpu = "60ms" }]
[[schedulers]]
"""
# The same on kept connections that are there from the start.
WIRED = RICH.replace(
    "[resources.db]",
    """[workload.connections]
count = 12
connect = "start"
[resources.db]""",
)
# ... of which one process takes few at a time.
CROWDED = 'listen = { max_connections = 4, max_requests = 20, keep_alive = "1s" }\n'
# Users of whom the server lets in one or two, and the others try for minutes.
LEFT_OUT = """
[scenario]
name = "left out"
duration = "2s"
replications = 1
drain = "300s"
[host]
cores = 2
[workload.arrivals]
kind = "closed"
users = 8
think = { dist = "exponential", mean = "10ms" }
[workload.connections]
keep_alive = true
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
[[schedulers]]
kind = "goroutine"
listen = { backlog = 2, max_connections = 1 }
"""
TOMCAT = 'kind = "thread_pool"\npolicy = "tomcat"\nmaxThreads = 12\nminSpareThreads = 2\n'
JDK = (
    'kind = "thread_pool"\npolicy = "jdk"\ncorePoolSize = 4\nmaximumPoolSize = 12\nworkQueue = 6\n'
    'keepAliveTime = "1ms"\n'
)
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
# Field by field: where it matters, and what it is changed to.
ELSEWHERE: dict[str, tuple[str, dict[str, str]]] = {
    "run": (
        RICH + TOMCAT,
        {
            "scenario.duration": '"3s"',
            "scenario.seed": "7",
            "scenario.replications": "3",
            "scenario.warmup": '"500ms"',
            "scenario.study": '"terminating"',
            "scenario.drain": '"0s"',
            "host.cores": "3",
            "host.memory": '"1MiB"',
            "host.threads_per_core": "2",
            "host.cpu_quota": "1.2",
            "host.os.time_slice": '"20ms"',
            "host.os.hz": "10",
            "host.os.switch_cost": '"200us"',
            "host.os.wakeup_latency": '"2ms"',
            "host.os.wakeup_preemption": "false",
            "host.os.wakeup_granularity": '"30ms"',
            "workload.arrivals.rate": '"300/s"',
            "workload.requests.a.weight": "3",
            "workload.requests.a.memory": '"1MiB"',
            "workload.requests.a.timeout": '"15ms"',
            "workload.requests.a.retries.max": "1",
            "workload.requests.a.retries.backoff": '"90ms"',
            "workload.requests.a.retries.factor": "5.0",
            "workload.requests.a.retries.jitter": "0.9",
            "resources.db.capacity": "2",
            "resources.db.timeout": '"1ms"',
            "resources.db.max_waiting": "0",
        },
    ),
    "a quota": (
        # Not an overload: a quota that is always used up leaves nothing to burst with.
        RICH.replace("cores = 2", "cores = 2\ncpu_quota = 1.2").replace("400/s", "220/s") + TOMCAT,
        {
            "host.cpu_period": '"20ms"',
            "host.cpu_burst": '"50ms"',
            "host.os.bandwidth_slice": '"1ms"',
        },
    ),
    "since Linux 6.6": (
        RICH.replace("cores = 2", 'cores = 2\nos = { scheduler = "eevdf" }') + TOMCAT,
        {
            "host.os.scheduler": '"wakeup_first"',
            "host.os.wakeup_lag": '"0s"',
            "host.os.idle_exit_cost": '"1ms"',
            "host.os.idle_cold_cost": '"1ms"',
            "host.os.timer_slack": '"5ms"',
        },
    ),
    "hyper-threads": (
        RICH.replace("cores = 2", "cores = 2\nthreads_per_core = 2") + TOMCAT,
        {"host.sibling_speed": "0.9"},
    ),
    "a guest of a hypervisor": (
        RICH.replace("cores = 2", "cores = 2\nsteal = 0.1") + TOMCAT,
        {"host.steal": "0.2", "host.steal_slice": '"10ms"'},
    ),
    "the interpreter lock": (
        RICH + SCHEDULERS["cpython threads"][0],
        {"host.os.wakeup_cost": '"200us"'},
    ),
    "connections": (
        WIRED + TOMCAT,
        {
            "workload.connections.keep_alive": "false",
            "workload.connections.count": "5",
            "workload.connections.connect": '"first_use"',
            "workload.connections.connect_interval": '"20ms"',
        },
    ),
    "the kernel": (
        LEFT_OUT,
        {
            "host.os.somaxconn": "0",
            "host.os.tcp_syn_retries": "2",
            "host.os.tcp_syn_linear_timeouts": "0",
            "host.os.tcp_abort_on_overflow": "true",
        },
    ),
}
VIRTUAL_21 = SCHEDULERS["virtual_thread"][0]
GO = SCHEDULERS["goroutine"][0]
ASYNCIO = SCHEDULERS["event_loop"][0]
# Pairs of steps that differ in one field each, on a scheduler to which it makes a difference.
STEPS: list[tuple[str, str, str]] = [
    (TOMCAT, 'cpu = "1ms"', 'cpu = "2ms"'),
    (SCHEDULERS["gthread"][0], 'cpu = "9ms"', 'cpu = "9ms", releases_gil = true'),
    (TOMCAT, 'io = "1ms"', 'io = "2ms"'),
    (TOMCAT, 'sleep = "1ms"', 'sleep = "2ms"'),
    (TOMCAT, 'blocking = "1ms"', 'blocking = "2ms"'),
    (GO, 'blocking = "1ms"', 'blocking = "1ms", kind = "file"'),
    (TOMCAT, 'use = "db", steps = [{ io = "1ms" }]', 'use = "db", steps = [{ io = "2ms" }]'),
    (TOMCAT, 'use = "db", steps = [{ io = "1ms" }]', 'use = "other", steps = [{ io = "1ms" }]'),
    (TOMCAT, 'lock = "x", steps = [{ io = "1ms" }]', 'lock = "x", steps = [{ io = "2ms" }]'),
    (TOMCAT, 'lock = "x", steps = [{ io = "1ms" }]', 'lock = "cache", steps = [{ io = "1ms" }]'),
    (
        VIRTUAL_21,
        'lock = "x", steps = [{ io = "1ms" }]',
        'lock = "x", kind = "synchronized", steps = [{ io = "1ms" }]',
    ),
    (
        ASYNCIO,
        'offload = "to_thread", steps = [{ io = "1ms" }]',
        'offload = "run_in_threadpool", steps = [{ io = "1ms" }]',
    ),
    (
        ASYNCIO,
        'offload = "to_thread", steps = [{ io = "1ms" }]',
        'offload = "to_thread", steps = [{ io = "2ms" }]',
    ),
    (
        TOMCAT,
        'parallel = [[{ io = "1ms" }], [{ io = "1ms" }]]',
        'parallel = [[{ io = "1ms" }], [{ io = "2ms" }]]',
    ),
    (TOMCAT, 'repeat = 2, steps = [{ io = "1ms" }]', 'repeat = 3, steps = [{ io = "1ms" }]'),
    (TOMCAT, 'repeat = 2, steps = [{ io = "1ms" }]', 'repeat = 2, steps = [{ io = "2ms" }]'),
]


def with_step(scheduler: str, step: str) -> str:
    """The rich scenario with one more step."""
    return RICH.replace(PLACE, PLACE + f"  {{ {step} }},\n") + scheduler


def changed_in(step: str, other: str) -> tuple[str, str]:
    """The kind of two steps, and the field in which they differ."""
    a, b = (tomli.loads(f"step = {{ {text} }}")["step"] for text in (step, other))
    fields = [key for key in a | b if a.get(key) != b.get(key)]
    assert len(fields) == 1, (step, other)
    return next(key for key in STEP_KINDS if key in a), fields[0]


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
