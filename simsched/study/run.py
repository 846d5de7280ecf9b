"""One scenario, every scheduler, every replication: the experiment behind `simsched run`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from simsched.report.result_model import to_json
from simsched.stats.summary import summarise
from simsched.study.document import result_document
from simsched.study.executors import (
    MAX_JOBS,
    available_cores,
    run_here,
    run_in_processes,
    run_on,
)
from simsched.study.offered import expected_steps, offered
from simsched.study.units import Unit
from simsched.workload import is_deterministic

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.scenario import OfferedLoad, Scenario

    Records = dict[tuple[int, int], RunRecord]

Progress = Callable[[int, int, str], None]
"""Called with the simulations done, their number, and the label of the one just done ("" first)."""

WORTH_PROCESSES = 100_000
"""Steps to simulate, of all units together, that take longer than starting processes would
(a core simulates some 30,000 a second)."""


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Attributes:
        document: the result document, as plain data (`simsched schema result` is its form).
        scenario: the scenario that was run.
        records: the measurements, by scheduler name and then replication; None unless asked for.
        interrupted: whether replications are missing because the user stopped the run.
    """

    document: dict[str, Any]
    scenario: Scenario
    records: dict[str, list[RunRecord]] | None = None
    interrupted: bool = False

    @property
    def schedulers(self) -> dict[str, dict[str, Any]]:
        """The entry of each scheduler in the document, by name."""
        return {entry["name"]: entry for entry in self.document["schedulers"]}

    def to_json(self) -> str:
        """The document as `simsched run --json` prints it."""
        return to_json(self.document)


def run(
    scenario: Scenario,
    *,
    jobs: int | Literal["auto"] = 1,
    check: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    keep_records: bool = False,
    command: Sequence[str] | None = None,
) -> RunResult:
    """Simulate every scheduler of a scenario on the same requests, and judge the results.

    Neither `jobs` nor `executor` changes a byte of the result.

    Args:
        scenario: what to run.
        jobs: worker processes; 1 runs in this process, "auto" takes one per core where the work is
            worth it. A script that uses more than one needs the usual
            `if __name__ == "__main__":`.
        check: let the checkers of the model's invariants watch; several times slower.
        progress: told how far the run is.
        executor: where to run instead, for any executor in the manner of concurrent.futures; it
            has to import simsched, and data files have to be where the scenario says. It is not
            shut down.
        keep_records: keep the measurements of every single request.
        command: command line to note in the document.

    Returns:
        The result. After an interrupt (KeyboardInterrupt), that of the replications which every
        scheduler had finished, with a warning.

    Raises:
        ScenarioError: a data file cannot be used, or the workload is too big.
        SimulationError: a simulation failed.
        KeyboardInterrupt: interrupted before any replication was finished.
        ValueError: `jobs` makes no sense.
    """
    if jobs != "auto" and not (isinstance(jobs, int) and 1 <= jobs <= MAX_JOBS):
        raise ValueError(f'jobs must be "auto" or 1 to {MAX_JOBS}, not {jobs!r}')
    load = offered(scenario)
    # Copies of one run would pretend to a certainty that nobody has.
    wanted = 1 if is_deterministic(scenario) else scenario.replications
    units = _units(scenario, wanted, check)
    collector = _Collector(len(units), progress)
    interrupted = False
    try:
        _execute(units, _jobs(jobs, units, scenario, load), executor, collector)
    except KeyboardInterrupt:
        interrupted = True
    finished = collector.finished(len(scenario.schedulers), wanted)
    if interrupted and not finished:
        raise KeyboardInterrupt
    records = {
        spec.name: [collector.records[s, r] for r in finished]
        for s, spec in enumerate(scenario.schedulers)
    }
    entries = _entries(scenario, records, _notes(scenario, wanted, len(finished), interrupted))
    document = result_document(
        scenario, load, entries, replications=len(finished), command=command or ()
    )
    return RunResult(document, scenario, records if keep_records else None, interrupted)


def _entries(
    scenario: Scenario, records: dict[str, list[RunRecord]], notes: Sequence[str]
) -> list[dict[str, Any]]:
    """What is judged of each scheduler, under notes that hold for all of them."""
    entries = [summarise(records[spec.name], scenario, spec) for spec in scenario.schedulers]
    return [{**entry, "warnings": [*notes, *entry["warnings"]]} for entry in entries]


class _Collector:
    """Records as they come in."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.records: Records = {}
        self._total = total
        self._progress = progress
        if progress is not None:
            progress(0, total, "")

    def __call__(self, unit: Unit, record: RunRecord) -> None:
        self.records[unit.scheduler, unit.replication] = record
        if self._progress is not None:
            self._progress(len(self.records), self._total, unit.label)

    def finished(self, schedulers: int, replications: int) -> list[int]:
        """Replications that every scheduler has finished, so that all have the same requests."""
        return [
            r for r in range(replications) if all((s, r) in self.records for s in range(schedulers))
        ]


def _units(scenario: Scenario, replications: int, check: bool) -> list[Unit]:
    """Replication by replication, so that an interrupted run has whole ones to show."""
    study = secrets.token_hex(8)
    return [
        Unit(study, scenario, scheduler, replication, check)
        for replication in range(replications)
        for scheduler in range(len(scenario.schedulers))
    ]


def _jobs(
    jobs: int | Literal["auto"], units: Sequence[Unit], scenario: Scenario, load: OfferedLoad
) -> int:
    if jobs != "auto":
        return jobs
    if expected_steps(scenario, load) * len(units) < WORTH_PROCESSES:
        return 1
    return available_cores()


def _execute(
    units: Sequence[Unit], jobs: int, executor: Executor | None, collector: _Collector
) -> None:
    if executor is not None:
        run_on(executor, units, collector)
    elif jobs == 1 or len(units) == 1:
        run_here(units, collector)
    else:
        run_in_processes(units, jobs, collector)


def _notes(scenario: Scenario, wanted: int, finished: int, interrupted: bool) -> list[str]:
    """What a reader must know of the run as a whole."""
    notes = []
    if interrupted:
        notes.append(f"interrupted after {finished} of {wanted} replications")
    if wanted < scenario.replications:
        notes.append(
            "nothing in the workload is random, so replications would be copies: "
            f"{wanted} was run instead of {scenario.replications}"
        )
    return notes
