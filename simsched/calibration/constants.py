"""From costs of single operations and memory of idle tasks to the knobs of a calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from simsched.calibration.costs import Cost, Costs
from simsched.calibration.machine import Machine, base_slice_ms
from simsched.calibration.rules import HOST, MEMORY, RULES, RUNTIMES, YOUNG, Part, Rule

__all__ = ["LEAST_LEFT", "RUNTIMES", "Constant", "constants_of", "host_constants", "us"]


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


LEAST_LEFT = 0.05
"""A difference that leaves less than this share of its first part is noise: repetitions of the
parts differ by as much."""


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
            most, *others = (f"{n:,}" for n in costs.numbers(test))
            beside = f"; low or high: at {', '.join(others)}" if others else ""
            how = f"RSS per idle {key} at {most}{beside}"
        found.append(_constant(path, cost, _kib if base else _bytes, how))
        if key == "task" and runtime in YOUNG:
            path, how = (*at, "memory", "young"), "in the price of a task, as that was measured"
            found.append(Constant(path, '"0B"', None, None, None, how))
    return found, _line(left_out)


def _line(paths: Sequence[str]) -> list[str]:
    return [f"not measured: {', '.join(paths)}"] if paths else []


def _member(runtime: str) -> str:
    return "thread" if runtime.endswith("threads") else "goroutine" if runtime == "go" else "task"


def _applied(
    rules: Iterable[Rule],
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
            steady = all(costs.steady(test) for _, test in rule.parts)
            beside = "" if steady else "; beside other programs: 5th percentile and median"
            found.append(_constant(path, cost, us, rule.how + beside))
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


def us(value: float) -> str:
    """Microseconds to three digits, as the text of a file has them."""
    return f'"{float(f"{value:.3g}"):.10g}us"'


def _kib(value: float) -> str:
    return f'"{value / 1024:.0f}KiB"'


def _bytes(value: float) -> str:
    return f'"{value:.0f}B"'
