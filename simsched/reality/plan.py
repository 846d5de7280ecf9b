"""What is to be recorded: runtimes, mixes and loads, laid out as a list of cases."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simsched.reality.runtimes import DEFAULT_RUNTIMES, Runtime, runtime_named
from simsched.reality.traces import MIXES, CannotDrive, WorkTrace, draw_mix, trace_of_scenario
from simsched.scenario import slug

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_LOADS", "Case", "RecordPlan", "Skipped", "cases_of"]

DEFAULT_LOADS = (0.3, 0.6, 0.85)
MOST_CASES = 2_000
MOST_DURATION_S = 3_600.0
MOST_REPEATS = 100


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """A matrix of cases, and how to run them.

    Attributes:
        runtimes: Names, see `runtime_named`.
        mixes: Names of built-in mixes; not used if there is a scenario.
        loads: Offered loads: rate by the rate at which the runtime would be saturated.
        scenario: A scenario whose requests are used instead of the mixes, at its own rate.
        seed: Seed of every trace; None: 1, or the scenario's own.
        duration_s: Length of the arrival window; None: 5 s, or the scenario's own.
        repeat: How often each trace is measured; ids get ``__rep0`` ... if more than once.
        cpus: CPUs to use: first those of the measured process, last the injector's. None: those
            this process may use.
        drain_s: How long after the window unfinished requests are waited for.
        memory: Whether to measure the memory of idle tasks, too.
    """

    runtimes: tuple[str, ...] = DEFAULT_RUNTIMES
    mixes: tuple[str, ...] = tuple(MIXES)
    loads: tuple[float, ...] = DEFAULT_LOADS
    scenario: Path | None = None
    seed: int | None = None
    duration_s: float | None = None
    repeat: int = 1
    cpus: tuple[int, ...] | None = None
    drain_s: float = 20.0
    memory: bool = False

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("repeat", self.repeat, 1, MOST_REPEATS),
            ("duration", 5.0 if self.duration_s is None else self.duration_s, 0.1, MOST_DURATION_S),
            ("drain", self.drain_s, 0.0, MOST_DURATION_S),
            *(("load", load, 0.001, 5.0) for load in self.loads),
        ):
            if not least <= value <= most:
                raise CannotDrive(f"{name} {value:g} is not between {least:g} and {most:g}")
        unknown = [name for name in self.mixes if name not in MIXES]
        if unknown and self.scenario is None:
            raise CannotDrive(f"no mix {unknown[0]!r}; there are {', '.join(MIXES)}")

    @property
    def usable_cpus(self) -> tuple[int, ...]:
        """The CPUs to use, in order."""
        return self.cpus or tuple(sorted(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one runtime on one trace.

    Attributes:
        id: Name of its record and its file.
        runtime: What is measured.
        mix: Name of the mix, or ``scenario:NAME``.
        rate_rps: Mean arrival rate.
        trace: The requests.
    """

    id: str
    runtime: Runtime
    mix: str
    rate_rps: float
    trace: WorkTrace


@dataclass(frozen=True, slots=True)
class Skipped:
    """A runtime or case that was not recorded, and why."""

    name: str
    reason: str


def cases_of(plan: RecordPlan) -> list[Case]:
    """All cases of a plan; repetitions of the whole list follow each other, not of one case.

    So a disturbance that lasts a while does not hit all repetitions of one case.

    Raises:
        UnknownRuntime: If a name stands for no runtime.
        CannotDrive: If the scenario cannot be driven, or the cases are too many.
        ScenarioError: If the scenario is not valid.
    """
    runtimes = [runtime_named(name) for name in plan.runtimes]
    points = len(plan.mixes) * len(plan.loads) if plan.scenario is None else 1
    if len(runtimes) * points * plan.repeat > MOST_CASES:
        raise CannotDrive(f"more than {MOST_CASES:,} cases: fewer runtimes, loads or repetitions")
    once = list(_of_scenario(plan, runtimes) if plan.scenario else _of_mixes(plan, runtimes))
    if plan.repeat == 1:
        return once
    return [
        Case(f"{case.id}__rep{k}", case.runtime, case.mix, case.rate_rps, case.trace)
        for k in range(plan.repeat)
        for case in once
    ]


def _of_mixes(plan: RecordPlan, runtimes: list[Runtime]) -> Iterator[Case]:
    duration_s = 5.0 if plan.duration_s is None else plan.duration_s
    seed = 1 if plan.seed is None else plan.seed
    traces: dict[tuple[str, float], WorkTrace] = {}
    for runtime in runtimes:
        for name in plan.mixes:
            mix = MIXES[name]
            capacity = runtime.capacity_rps(mix.cpu_us, mix.busy_us)
            for load in plan.loads:
                rate = load * capacity
                if (name, rate) not in traces:
                    traces[name, rate] = draw_mix(mix, rate, duration_s, seed)
                yield Case(
                    f"{runtime.name}__{name}__{rate:.0f}ps",
                    runtime,
                    name,
                    rate,
                    traces[name, rate],
                )


def _of_scenario(plan: RecordPlan, runtimes: list[Runtime]) -> Iterator[Case]:
    assert plan.scenario is not None
    trace = trace_of_scenario(plan.scenario, plan.seed, plan.duration_s)
    name, rate = slug(plan.scenario.stem), len(trace) / trace.duration_s
    for runtime in runtimes:
        case_id = f"{runtime.name}__{name}__{rate:.0f}ps"
        yield Case(case_id, runtime, f"scenario:{name}", rate, trace)
