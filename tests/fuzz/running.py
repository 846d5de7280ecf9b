"""Run a fuzzed scenario under every checker, and say how to do it again."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from simsched.observe.checkers import all_checkers
from simsched.observe.record import RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

from .scenarios import scenario_of


def run_all(scenario: Scenario, *, checked: bool = True) -> list[RunRecord]:
    """The records of all schedulers of the scenario, each of them checked."""
    trace = draw(scenario, 0)
    return [
        simulate(scenario, spec, trace, observers=all_checkers() if checked else ())
        for spec in scenario.schedulers
    ]


def check(seed: int) -> None:
    """Run every scheduler of the scenario of this seed.

    Raises:
        AssertionError: If a checker or the simulation itself complains, with the command that shows
            the scenario and runs it again.
    """
    scenario = scenario_of(seed)
    trace = draw(scenario, 0)
    for spec in scenario.schedulers:
        try:
            simulate(scenario, spec, trace, observers=all_checkers())
        except Exception as error:
            raise AssertionError(
                f'{type(error).__name__} with scheduler "{spec.name}": {error}\n'
                f"to reproduce: python -m tests.fuzz.scenarios {seed}"
            ) from error


def failure_of(seed: int) -> str | None:
    """The complaint about the scenario of this seed, if there is one."""
    try:
        check(seed)
    except AssertionError as error:
        return str(error)
    return None


def bytes_of(record: RunRecord) -> bytes:
    """Everything in a record as bytes: equal bytes, equal records."""
    arrays: tuple[npt.NDArray[Any], ...] = (
        record.arrival_s,
        record.finish_s,
        record.outcome,
        record.class_id,
        record.attempts,
        record.parts_s,
        record.join_parts_s,
        record.branch_cpu_s,
        *(record.series[name] for name in sorted(record.series)),
    )
    rest = (
        record.duration_s,
        record.end_s,
        record.bin_s,
        record.peak,
        record.activity,
        record.waits,
        record.worker_time_s,
        record.workers_max,
        record.worker_limit,
        record.totals,
    )
    return b"".join(array.tobytes() for array in arrays) + repr(rest).encode()
