"""Which single operations make up which constants of a machine and its runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["HOST", "MEMORY", "RULES", "RUNTIMES", "YOUNG", "Part", "Rule"]

Part = tuple[float, str]
"""A factor and the test that it multiplies."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a knob comes from costs of single operations.

    Attributes:
        knob: The end of its path.
        parts: Tests with factors, to be added up; the spread is that of the first.
        how: What was measured, in words.
    """

    knob: tuple[str, ...]
    parts: Sequence[Part]
    how: str


def _one(knob: str, test: str, how: str) -> Rule:
    return Rule((knob,), ((1.0, test),), how)


def _loop(name: str) -> tuple[Rule, ...]:
    many, alone = f"{name}_sleep0_of_many", f"{name}_sleep0_alone"
    made = f"{name}_task_create_run_gather"
    return (
        _one("handle", many, "sleep(0) of 1000 tasks, per task"),
        Rule(("iteration",), ((1, alone), (-1, many)), "sleep(0) of one task, less one handle"),
        Rule(
            ("task_create",),
            ((1, made), (-2, many)),
            "task created, run and awaited by gather, less two handles",
        ),
        Rule(
            ("hop",),
            ((1, f"{name}_hop_loop"), (-1, many)),
            "run_in_executor, of 200: CPU of the loop's thread, less one handle",
        ),
        _one("thread_hop", f"{name}_hop_executor", "the same: CPU of the executor's thread"),
    )


RULES: Mapping[str, tuple[Rule, ...]] = {
    "asyncio": _loop("asyncio"),
    "uvloop": _loop("uvloop"),
    "cpython-threads": (
        _one("thread_create", "thread_create_join", "Thread.start and join on one core"),
        _one(
            "dispatch",
            "tpe_submit_run_bulk_per_task",
            "a submitted task that does nothing, of 1000 at once",
        ),
    ),
    "go": (
        _one("create", "goroutine_create_run_bulk", "go, run and exit, of 2000"),
        _one("switch", "gosched_switch", "runtime.Gosched between two goroutines"),
    ),
    "virtual-threads": (
        _one("create", "vthread_create_run_bulk", "created, run and ended, of 2000"),
        _one("switch", "vthread_yield_switch", "Thread.yield between two"),
        _one(
            "thread_create",
            "platform_thread_create_join",
            "a platform thread started and joined on one core",
        ),
    ),
    "jdk-threads": (
        _one("thread_create", "platform_thread_create_join", "Thread.start and join on one core"),
        Rule(
            ("dispatch",),
            ((0.5, "fixedpool_submit_get_roundtrip"), (-1, "os_pipe_switch"), (1, "os_pipe_alone")),
            "submit and get on one core, less two switches, halved",
        ),
    ),
}
MEMORY: Mapping[str, tuple[tuple[str, str], ...]] = {
    # runtime: key of its memory table, test
    "asyncio": (("base", "mem_py_asyncio"), ("task", "mem_py_asyncio")),
    "uvloop": (("base", "mem_py_uvloop"), ("task", "mem_py_uvloop")),
    "cpython-threads": (("base", "mem_py_threads"), ("thread", "mem_py_threads")),
    "go": (("base", "mem_go_sleep"), ("task", "mem_go_sleep")),
    "virtual-threads": (
        ("base", "mem_java_vt_sleep"),
        ("thread", "mem_java_platform"),
        ("task", "mem_java_vt_sleep"),
    ),
    "jdk-threads": (("base", "mem_java_platform"), ("thread", "mem_java_platform")),
}
SHORT, LONG = 0.2**0.5, 4.0**0.5
"""Roots of the milliseconds for which a core idles in two tests: what a wake-up takes grows so."""
COLD = 1 / (LONG - SHORT)

YOUNG = frozenset(("virtual-threads",))
"""Runtimes whose new objects have room of their own. So many idle tasks as are measured cannot tell
it from what is theirs: it takes 100,000 and more."""
HOST = (
    Rule(
        ("host", "os", "switch_cost"),
        ((1, "os_pipe_switch"), (-1, "os_pipe_alone")),
        "half a round trip of two processes on one core through pipes, less one alone",
    ),
    Rule(
        ("host", "os", "wakeup_latency"),
        ((1, "os_wakeup_other_core"),),
        "a process woken through a pipe on a core that was halted",
    ),
    Rule(
        ("host", "os", "idle_exit_cost"),
        (
            (1 + SHORT * COLD, "os_woken_after_200us"),
            (-SHORT * COLD, "os_woken_after_4ms"),
            (-1, "os_woken_awake"),
        ),
        "CPU per wake-up of a process whose core had halted, less that on a core kept awake; "
        "of what grows with the root of the idle time, back to none",
    ),
    Rule(
        ("host", "os", "idle_cold_cost"),
        ((COLD, "os_woken_after_4ms"), (-COLD, "os_woken_after_200us")),
        "CPU per wake-up of a process whose core had halted for 4 ms, less that after 0.2 ms, "
        "over the difference of their roots",
    ),
    Rule(
        ("host", "os", "wakeup_cost"),
        ((1, "os_waking_other_core"), (-0.5, "os_pipe_alone")),
        "CPU of a write to a pipe for whose reader a halted core is woken, less one for nobody",
    ),
    Rule(
        ("host", "os", "timer_slack"),
        ((1, "os_sleep_late"), (-1, "os_sleep_late_no_slack")),
        "lateness of a sleep of 2 ms, less that with PR_SET_TIMERSLACK of 1 ns",
    ),
)
RUNTIMES = tuple(RULES)
"""Runtimes that can be measured, as a calibration names them."""
