"""Records real runtimes on known traces into a folder that a comparison reads.

The folder holds ``index.json`` (one record per case), ``cases/ID.npz`` (arrays by request) and, if
asked for, ``memory.json``.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from simsched.reality.inproc import Measured, run_inproc
from simsched.reality.memory import measure_memory, save
from simsched.reality.plan import Case, RecordPlan, Skipped, cases_of
from simsched.reality.processes import RunFailed
from simsched.reality.toolchains import Tools

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Progress", "Recorded", "record"]


class Progress(Protocol):
    """Told of every case as it begins."""

    def __call__(self, done: int, total: int, label: str) -> None:
        """`done` of `total` cases are over, and the one of that id is next ("" at the end)."""


@dataclass(slots=True)
class Recorded:
    """What came of recording.

    Attributes:
        folder: Where it is.
        records: The index records.
        skipped: Runtimes and cases that could not be recorded, with reasons.
        notes: What a reader of the figures must know of how they were made.
    """

    folder: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def record(plan: RecordPlan, folder: Path, progress: Progress | None = None) -> Recorded:
    """Run every case of a plan and write what was measured.

    The index is written again after every case, so an interrupted recording leaves a folder that
    can be read. A runtime whose toolchain is missing is left out with a reason, and so is a case
    that fails.

    Args:
        plan: what to run.
        folder: where to write; made if it is not there. Cases of the same id are replaced.
        progress: told of every case.

    Raises:
        UnknownRuntime: If a name of the plan stands for no runtime.
        CannotDrive: If the workload cannot be given to a real runtime.
        ScenarioError: If the plan's scenario is not valid.
        OSError: If the folder cannot be written.
    """
    cases = cases_of(plan)
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    recorded = Recorded(folder)
    with tempfile.TemporaryDirectory(prefix="simsched-") as scratch:
        bench = _Bench(plan, Path(scratch), recorded)
        for k, case in enumerate(cases):
            if progress is not None:
                progress(k, len(cases), case.id)
            bench.measure(case)
        if plan.memory:
            entries, left_out = measure_memory(bench.tools, plan.usable_cpus)
            save(entries, folder / "memory.json")
            recorded.skipped += left_out
    if progress is not None:
        progress(len(cases), len(cases), "")
    return recorded


class _Bench:
    """Toolchains, calibrated loops and CPUs of one recording."""

    def __init__(self, plan: RecordPlan, scratch: Path, recorded: Recorded) -> None:
        self._plan = plan
        self._scratch = scratch
        self._recorded = recorded
        self.tools = Tools(scratch, plan.usable_cpus)
        self._unusable: set[str] = set()

    def measure(self, case: Case) -> None:
        """Run a case and write its record, or note why not."""
        if case.runtime.name in self._unusable:
            return
        reason = self.tools.missing(case.runtime) or self._too_few_cpus(case)
        if reason:
            self._unusable.add(case.runtime.name)
            self._recorded.skipped.append(Skipped(case.runtime.name, reason))
            return
        try:
            with tempfile.TemporaryDirectory(dir=self._scratch) as work:
                measured = self._run(case, Path(work))
        except RunFailed as error:
            self._recorded.skipped.append(Skipped(case.id, str(error)))
            return
        self._write(case, measured)

    def _run(self, case: Case, work: Path) -> Measured:
        usable = self._plan.usable_cpus
        cpus, injector = usable[: case.runtime.cores], usable[-1]
        if injector in cpus:
            self._note("the injector shares a core with the measured process where it needs all")
        limit = case.trace.duration_s + self._plan.drain_s
        if case.runtime.kind == "inproc":
            command = self.tools.driver(case.runtime)
            measured = run_inproc(case, command, cpus, injector, work, limit)
        else:
            from simsched.reality.web import run_http

            measured = run_http(case, self.tools, cpus, injector, work, limit)
        if measured.notes["injector"]["policy"] != "fifo":
            self._note("the injector had no real-time priority: some arrivals may be late")
        return measured

    def _too_few_cpus(self, case: Case) -> str:
        have, need = len(self._plan.usable_cpus), case.runtime.cores
        return f"needs {need} cores, {have} may be used" if have < need else ""

    def _note(self, note: str) -> None:
        if note not in self._recorded.notes:
            self._recorded.notes.append(note)

    def _write(self, case: Case, measured: Measured) -> None:
        folder = self._recorded.folder
        trace = case.trace
        arrays: dict[str, Any] = {
            "arrival_us": trace.arrival_us,
            "cpu1_us": trace.cpu1_us,
            "io_us": trace.io_us,
            "cpu2_us": trace.cpu2_us,
            "latency_us": measured.latency_us,
            **measured.phases,
        }
        np.savez_compressed(folder / "cases" / f"{case.id}.npz", **arrays)
        self._recorded.records.append(index_record(case, measured))
        _replace_records(folder / "index.json", self._recorded.records)


def index_record(case: Case, measured: Measured) -> dict[str, Any]:
    """The record of a case in ``index.json``."""
    runtime, trace = case.runtime, case.trace
    latency = latencies(trace.arrival_us, measured.latency_us, trace.duration_s)
    cpu_s = measured.after.cpu_s - measured.before.cpu_s
    makespan = latency["makespan_s"]
    made: dict[str, Any] = {
        "id": case.id,
        "kind": runtime.kind,
        "runtime": runtime.family,
        "mix": case.mix,
        "lam": case.rate_rps,
        "dur": trace.duration_s,
        "cores": runtime.cores,
        "rho_nominal": case.rate_rps * trace.cpu_mean_us / 1e6 / runtime.cores,
        "config": runtime.config,
    }
    if runtime.kind == "inproc":
        made["src"] = "pipe"
    return made | {
        "lat_us": latency,
        "cpu_s": cpu_s,
        "util": cpu_s / makespan / runtime.cores if makespan else 0.0,
        "nominal_cpu_s": trace.nominal_cpu_s,
        "rss_kb": {
            "start": measured.before.rss_kb,
            "end": measured.after.rss_kb,
            "hwm": measured.after.high_water_kb,
            "delta": measured.after.rss_kb - measured.before.rss_kb,
        },
        "threads": measured.after.threads,
        "notes": measured.notes,
    }


def latencies(
    arrival_us: NDArray[np.int64], latency_us: NDArray[np.int32], duration_s: float
) -> dict[str, Any]:
    """Counts, mean, percentiles, makespan and throughput; times in us, None without requests."""
    done = latency_us >= 0
    ended = (arrival_us + latency_us)[done]
    lat = latency_us[done]
    made: dict[str, Any] = {"n": len(latency_us), "done": int(done.sum())}
    names = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}
    made["mean"] = float(lat.mean()) if len(lat) else None
    for name, q in names.items():
        made[name] = float(np.percentile(lat, q)) if len(lat) else None
    made["max"] = float(lat.max()) if len(lat) else None
    makespan = float(ended.max()) / 1e6 if len(ended) else 0.0
    inside = int((ended <= duration_s * 1e6).sum())
    made["makespan_s"] = makespan
    made["thr"] = len(ended) / makespan if makespan else 0.0
    made["thr_in_window"] = inside / duration_s
    return made


def _replace_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the index anew with these records instead of older ones of the same ids."""
    mine = {made["id"] for made in records}
    old = json.loads(path.read_text()) if path.exists() else []
    every = [made for made in old if made["id"] not in mine] + records
    part = path.with_suffix(".part")
    part.write_text(json.dumps(sorted(every, key=lambda made: str(made["id"])), indent=0))
    os.replace(part, path)
