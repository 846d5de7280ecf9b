"""What trap 2 changes outside of schedulers: fields of other tables, and of steps."""

from __future__ import annotations

import tomli

from simsched.scenario.steps import STEP_KINDS

from .knobs import SCHEDULERS
from .settings import LEFT_OUT, PLACE, RICH, TOMCAT, WIRED

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
