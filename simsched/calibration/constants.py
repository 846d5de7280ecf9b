"""From costs of single operations and memory of idle tasks to the knobs of a calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from simsched.calibration.costs import Cost, Costs
from simsched.calibration.machine import Machine, base_slice_ms

__all__ = ["RUNTIMES", "Constant", "constants_of", "host_constants"]


@dataclass(frozen=True, slots=True)
class Constant:
    """One knob of a calibration file.

    Attributes:
        path: Its keys, as ("runtimes", "go", "switch").
        value: In the knob's own form, as low and high; these are None where there is no spread.
        samples: Number of measurements; None: it was not measured.
        how: How it was obtained.
    """

    path: tuple[str, ...]
    value: str
    low: str | None
    high: str | None
    samples: int | None
    how: str


Part = tuple[float, str]
"""A factor and the test that it multiplies."""


LEAST_LEFT = 0.05
"""A difference that leaves less than this share of its first part is noise: repetitions of the
parts differ by as much."""


@dataclass(frozen=True, slots=True)
class _Rule:
    knob: tuple[str, ...]
    parts: Sequence[Part]
    how: str


def _one(knob: str, test: str, how: str) -> _Rule:
    return _Rule((knob,), ((1.0, test),), how)


def _loop(name: str) -> tuple[_Rule, ...]:
    many, alone = f"{name}_sleep0_of_many", f"{name}_sleep0_alone"
    made = f"{name}_task_create_run_gather"
    return (
        _one("handle", many, "sleep(0) of 1000 tasks, per task"),
        _Rule(("iteration",), ((1, alone), (-1, many)), "sleep(0) of one task, less one handle"),
        _Rule(
            ("task_create",),
            ((1, made), (-2, many)),
            "task created, run and awaited by gather, less two handles",
        ),
    )


RULES: Mapping[str, tuple[_Rule, ...]] = {
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
        _Rule(
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
HOST = (
    _Rule(
        ("host", "os", "switch_cost"),
        ((1, "os_pipe_switch"), (-1, "os_pipe_alone")),
        "half a round trip of two processes on one core through pipes, less one alone",
    ),
    _Rule(
        ("host", "os", "wakeup_latency"),
        ((1, "os_wakeup_other_core"),),
        "a process woken through a pipe on a core that was halted",
    ),
    _Rule(
        ("host", "os", "timer_slack"),
        ((1, "os_sleep_late"), (-1, "os_sleep_late_no_slack")),
        "lateness of a sleep of 2 ms, less that with PR_SET_TIMERSLACK of 1 ns",
    ),
)
RUNTIMES = tuple(RULES)
"""Runtimes that can be measured, as a calibration names them."""


def host_constants(machine: Machine, costs: Costs, cpus: int) -> tuple[list[Constant], list[str]]:
    """The knobs of [host.os], and what could not be had, one line each.

    Args:
        machine: whose kernel tells the scheduler.
        costs: what was measured.
        cpus: CPUs of the machine, which the length of a slice depends on.
    """
    found: list[Constant] = []
    if machine.hz is not None:
        how = "resolution of CLOCK_MONOTONIC_COARSE"
        found.append(Constant(("host", "os", "hz"), str(machine.hz), None, None, None, how))
    left_out = []
    kernel = machine.kernel_version()
    if machine.linux and kernel >= (6, 6):
        slice_ms = base_slice_ms(kernel, cpus)
        at = f"Linux {kernel[0]}.{kernel[1]}"
        found += [
            Constant(("host", "os", "scheduler"), '"eevdf"', None, None, None, at),
            Constant(
                ("host", "os", "time_slice"),
                f'"{slice_ms:g}ms"',
                None,
                None,
                None,
                f"base slice of {cpus} CPUs on {at}: kernel/sched/fair.c",
            ),
        ]
    else:
        left_out.append("host.os.scheduler, time_slice: known for Linux 6.6 and later")
    found, missing = _applied(HOST, (), costs, found, [])
    return found, [*left_out, *_line(missing)]


def constants_of(runtime: str, costs: Costs) -> tuple[list[Constant], list[str]]:
    """The knobs of a runtime, and what could not be had, one line each.

    Args:
        runtime: one of RUNTIMES.
        costs: what was measured.
    """
    at = ("runtimes", runtime)
    found, left_out = _applied(RULES[runtime], at, costs, [], [])
    for key, test in MEMORY[runtime]:
        path = (*at, "memory", key)
        cost = costs.memory(test, "rss0_kb" if key == "base" else "bytes_per")
        if cost is None or cost.value <= 0:
            left_out.append(".".join(path))
            continue
        base = key == "base"
        how = f"RSS of the measuring program before the first {_member(runtime)}"
        if base:
            cost = replace(cost, samples=0)  # of a process, not of so many tasks
        else:
            how = f"RSS per idle {key}"
        found.append(_constant(path, cost, _kib if base else _bytes, how))
    return found, _line(left_out)


def _line(paths: Sequence[str]) -> list[str]:
    return [f"not measured: {', '.join(paths)}"] if paths else []


def _member(runtime: str) -> str:
    return "thread" if runtime.endswith("threads") else "goroutine" if runtime == "go" else "task"


def _applied(
    rules: Iterable[_Rule],
    at: tuple[str, ...],
    costs: Costs,
    found: list[Constant],
    left_out: list[str],
) -> tuple[list[Constant], list[str]]:
    for rule in rules:
        path = (*at, *rule.knob)
        cost = _sum(rule.parts, costs)
        if cost is None:
            left_out.append(".".join(path))
        else:
            beside = "" if costs.quiet else "; beside other programs: 5th percentile and median"
            found.append(_constant(path, cost, _us, rule.how + beside))
    return found, left_out


def _sum(parts: Sequence[Part], costs: Costs) -> Cost | None:
    """A cost and what is taken off; the spread is that of the first, which it is part of.

    None if one of them was not measured, or if what is left is within their noise.
    """
    each = [(factor, costs.cost(test)) for factor, test in parts]
    first_factor, first = each[0]
    if first is None:
        return None
    off = 0.0
    for factor, cost in each[1:]:
        if cost is None:
            return None
        off += factor * cost.value
    if first_factor * first.value + off < LEAST_LEFT * first_factor * first.value:
        return None
    low, high = first_factor * first.low + off, first_factor * first.high + off
    return Cost(first_factor * first.value + off, max(0.0, low), high, first.samples)


def _constant(
    path: tuple[str, ...], cost: Cost, text: Callable[[float], str], how: str
) -> Constant:
    low, high = min(cost.low, cost.value), max(cost.high, cost.value)
    samples = cost.samples or None
    return Constant(path, text(cost.value), text(low), text(high), samples, how)


def _us(value: float) -> str:
    return f'"{float(f"{value:.3g}"):.10g}us"'


def _kib(value: float) -> str:
    return f'"{value / 1024:.0f}KiB"'


def _bytes(value: float) -> str:
    return f'"{value:.0f}B"'
