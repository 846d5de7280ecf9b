"""Predicts what was measured: every case of a folder, with one set of constants."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from simsched.reality.cases import MeasuredCase, read_cases
from simsched.reality.compare import Comparison, Demand, compare, demands, noise_floor, reason
from simsched.reality.scenarios import Unknown, scenario_of

__all__ = ["SCHEMA", "Validation", "predict", "replay"]

SCHEMA = "simsched.validation/1"


@dataclass(frozen=True, slots=True)
class Validation:
    """All that came of comparing a folder with its predictions.

    Attributes:
        folder: The measurements.
        calibration: Name or file of the constants; None: those of the presets.
        comparisons: Case by case, in the order of the index.
        skipped: Cases without a model, with reasons.
        noise: Of traces measured repeatedly, the spread of the measurements themselves.
    """

    folder: Path
    calibration: str | None
    comparisons: list[Comparison]
    skipped: list[str]
    noise: dict[str, dict[str, float]]

    @property
    def demands(self) -> list[Demand]:
        """What is demanded of the predictions, and what they do."""
        return demands(self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """The result document."""
        return {
            "schema": SCHEMA,
            "folder": str(self.folder),
            "calibration": self.calibration,
            "cases": [
                {**comparison.to_dict(), "reason": reason(comparison, self.noise)}
                for comparison in self.comparisons
            ],
            "demands": [
                {
                    "what": demand.what,
                    "limit": demand.limit,
                    "found": demand.found,
                    "cases": demand.cases,
                    "kept": demand.kept,
                }
                for demand in self.demands
            ],
            "noise": self.noise,
            "skipped": self.skipped,
        }


def predict(case: MeasuredCase, calibration: str | None = None) -> Comparison:
    """Simulate a case's own trace and compare, request by request and by percentile.

    Raises:
        Unknown: there is no model of its runtime.
        CannotRead: its arrays cannot be read.
        ScenarioError: the calibration cannot be used.
    """
    from simsched.scenario import Scenario
    from simsched.sim.engine import simulate
    from simsched.workload import draw

    began = time.perf_counter()
    scenario = Scenario.from_dict(scenario_of(case, calibration), base_dir=Path.cwd())
    run = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    finish_s = np.asarray(run.finish_s, dtype=float)
    cpu_s = float(run.totals["busy_core_s"])
    return compare(case, finish_s, cpu_s, time.perf_counter() - began)


def _predict(task: tuple[MeasuredCase, str | None]) -> Comparison | str:
    try:
        return predict(*task)
    except Unknown as error:
        return str(error)


def replay(
    folder: Path,
    only: Sequence[str] = (),
    calibration: str | None = None,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Validation:
    """Predict the cases of a folder of measurements.

    Args:
        folder: as `record` writes it: ``index.json`` and ``cases/ID.npz``.
        only: parts of ids or patterns; all cases if there is none.
        calibration: name or file of the machine's constants.
        jobs: worker processes; they change no number.
        progress: told of each case that is done: how many, of how many, and its id.

    Raises:
        CannotRead: the folder or a case cannot be read, or a pattern fits nothing.
    """
    cases = read_cases(folder, only)
    tasks = [(case, calibration) for case in cases]
    comparisons: list[Comparison] = []
    skipped: list[str] = []

    def take(outcome: Comparison | str, k: int) -> None:
        if isinstance(outcome, str):
            skipped.append(outcome)
        else:
            comparisons.append(outcome)
        if progress is not None:
            progress(k + 1, len(cases), cases[k].id)

    if jobs > 1 and len(cases) > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for k, outcome in enumerate(pool.map(_predict, tasks)):
                take(outcome, k)
    else:
        for k, task in enumerate(tasks):
            take(_predict(task), k)
    return Validation(folder, calibration, comparisons, skipped, noise_floor(cases))
