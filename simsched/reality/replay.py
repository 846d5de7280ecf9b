"""Predicts what was measured: every case of a folder, with one set of constants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.reality.by_runtime import RuntimeRow, by_runtime
from simsched.reality.cases import CannotRead, MeasuredCase, chosen, read_cases, trace_of
from simsched.reality.compare import (
    Comparison,
    Demand,
    compare,
    demands,
    measured_figures,
    noise_floor,
)
from simsched.reality.document import SCHEMA, to_json
from simsched.reality.phases import StepTimes, predicted_phases
from simsched.reality.reasons import reason
from simsched.reality.scenarios import Unknown, scenario_of
from simsched.scenario import Scenario, ScenarioError
from simsched.sim.engine import simulate
from simsched.study.errors import SimulationError, describe
from simsched.study.executors import worker_pool
from simsched.workload import draw

if TYPE_CHECKING:
    from simsched.calibration import Calibration

__all__ = ["SCHEMA", "Validation", "predict", "replay", "validate"]


@dataclass(frozen=True, slots=True)
class Validation:
    """All that came of comparing a folder with its predictions.

    Attributes:
        folder: The measurements.
        calibration: Name or file of the constants; None: those of the presets.
        calibration_sha256: Hash of the text of the calibration; None without one.
        comparisons: Case by case, in the order of the index.
        skipped: Cases without a model, with reasons.
        noise: Of traces measured repeatedly, the spread of the measurements themselves.
        interrupted: Whether it was stopped, so that some cases are missing.
    """

    folder: Path
    calibration: str | None
    comparisons: list[Comparison]
    skipped: list[str]
    noise: dict[str, dict[str, float]]
    calibration_sha256: str | None = None
    interrupted: bool = False

    @property
    def demands(self) -> list[Demand]:
        """What is demanded of the predictions, and what they do."""
        return demands(self.comparisons, self.noise)

    @property
    def runtimes(self) -> list[RuntimeRow]:
        """The same by runtime: medians, worst cases, and what is missed."""
        return by_runtime(self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """The result document."""
        return {
            "schema": SCHEMA,
            "folder": str(self.folder),
            "calibration": self.calibration,
            "calibration_sha256": self.calibration_sha256,
            "interrupted": self.interrupted,
            "cases": [
                {**comparison.to_dict(), "reason": reason(comparison, self.noise)}
                for comparison in self.comparisons
            ],
            "demands": [{**asdict(demand), "kept": demand.kept} for demand in self.demands],
            "runtimes": [{**asdict(row), "missed": list(row.missed)} for row in self.runtimes],
            "noise": self.noise,
            "skipped": self.skipped,
        }

    def to_json(self) -> str:
        """The result document as text."""
        return to_json(self.to_dict())


def predict(case: MeasuredCase, calibration: str | None = None, phases: bool = False) -> Comparison:
    """Simulate a case's own trace and compare, request by request and by percentile.

    Args:
        case: what was measured.
        calibration: name or file of the machine's constants; None: those of the presets.
        phases: whether to compare where the time went, too (slower).

    Raises:
        Unknown: there is no model of its runtime.
        CannotRead: its arrays cannot be read, or its record makes no valid scenario.
        SimulationError: the simulation failed.
    """
    began = time.perf_counter()
    try:
        data = scenario_of(case, calibration)
        scenario = Scenario.from_dict(data, base_dir=case.requests_file.parent)
        trace = draw(scenario, 0)
    except KeyError as error:
        raise CannotRead(f"{case.id}: its config has no {error}") from None
    except ScenarioError as error:
        raise CannotRead(f"{case.id} makes no valid scenario: {error}") from None
    steps = StepTimes(len(case.arrays()["arrival_us"])) if phases else None
    try:
        run = simulate(scenario, scenario.schedulers[0], trace, 0, () if steps is None else [steps])
    except Exception as error:
        raise SimulationError(case.id, 0, describe(error)) from error
    finish_s = np.asarray(run.finish_s, dtype=float)
    if not np.any(np.isfinite(finish_s)):
        raise Unknown(f"{case.id}: no request is predicted to end")
    return compare(
        case,
        finish_s,
        float(run.totals["busy_core_s"]),
        time.perf_counter() - began,
        run.peak.get("memory_bytes"),
        None if steps is None else predicted_phases(run.arrival_s, finish_s, steps),
    )


Job = tuple[MeasuredCase, str | None, bool]
Outcome = Comparison | str
"""A comparison, or why there is none."""


def _predict(job: Job) -> Outcome:
    case, calibration, phases = job
    try:
        # A copy keeps its arrays as long as this takes, and not as long as the list of cases.
        return predict(replace(case), calibration, phases)
    except Unknown as error:
        return str(error)


def _outcomes(tasks: Sequence[Job], jobs: int) -> Iterator[Outcome]:
    """What comes of each, in order; what a worker takes with it when it dies is done here."""
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(_predict, tasks)
        return
    with worker_pool(min(jobs, len(tasks))) as pool:
        # The largest first would end sooner, but the order of the index is that of the progress.
        futures = [pool.submit(_predict, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            try:
                outcome = future.result()
            except BrokenExecutor:
                outcome = _predict(task)
            yield outcome


def replay(
    folder: str | Path,
    only: Sequence[str] = (),
    calibration: str | None = None,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
    phases: bool = False,
) -> Validation:
    """Predict the cases of a folder of measurements.

    Args:
        folder: as `record` writes it: ``index.json`` and ``cases/ID.npz``.
        only: parts of ids or patterns; all cases if there is none.
        calibration: name or file of the machine's constants.
        jobs: worker processes; they change no number.
        progress: told of each case that is done: how many, of how many, and its id.
        phases: whether to compare where the time went, too (slower).

    Raises:
        CannotRead: the folder or a case cannot be read, or a pattern fits nothing.
        ScenarioError: there is no such calibration, or it is not valid.
        SimulationError: a simulation failed.
    """
    folder = Path(folder)
    everything = read_cases(folder)
    cases = chosen(everything, only)
    constants = _constants(calibration)
    comparisons: list[Comparison] = []
    skipped: list[str] = []
    interrupted = False
    if progress is not None:
        progress(0, len(cases), "")
    try:
        outcomes = _outcomes([(case, calibration, phases) for case in cases], jobs)
        for k, outcome in enumerate(outcomes):
            if isinstance(outcome, str):
                skipped.append(outcome)
            else:
                comparisons.append(outcome)
            if progress is not None:
                progress(k + 1, len(cases), cases[k].id)
    except KeyboardInterrupt:
        if not comparisons:
            raise
        interrupted = True
    return Validation(
        folder,
        calibration,
        comparisons,
        skipped,
        _noise(everything, comparisons),
        None if constants is None else constants.sha256,
        interrupted,
    )


validate = replay
"""The same door under the name of the command, for ``from simsched import validate``."""


def _noise(
    everything: Sequence[MeasuredCase], comparisons: Sequence[Comparison]
) -> dict[str, dict[str, float]]:
    """The spread of every trace that is looked at, over all of its runs in the folder."""
    known = {c.id: c.measured for c in comparisons}
    traces = {trace_of(name) for name in known}
    return noise_floor(
        {
            case.id: known.get(case.id) or measured_figures(replace(case))
            for case in everything
            if trace_of(case.id) in traces
        }
    )


def _constants(calibration: str | None) -> Calibration | None:
    """The calibration, before anything is simulated with it."""
    if calibration is None:
        return None
    from simsched.calibration import find_calibration

    return find_calibration(calibration, asked_by="--calibration")
