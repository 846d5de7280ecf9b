"""One in-process case: a driver, an injector on another core, and what the driver noted."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.reality.processes import INJECTOR_PRIORITY, Child, RunFailed, Usage, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from simsched.reality.plan import Case

__all__ = [
    "READY_S",
    "Measured",
    "Watch",
    "injected",
    "injector_of",
    "pipe_for_indices",
    "run_inproc",
    "whole_us",
]

READY_S = 60.0
"""For a runtime to start and warm up."""

Watch = Callable[[int], None]
"""Told the id of the measured process when the requests begin; what it reads then is its own."""

PIPE_BYTES = 1 << 20
"""Of the injector's pipe: 262,144 indices fit, so the injector never waits for the reader."""

MARKS = ("read", "begun", "worked", "resumed", "ended")


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of one case.

    Attributes:
        latency_us: Completion minus intended arrival; -1 where unfinished (int32).
        phases: Arrays inject_us, wait_us, phase1_us, iowait_us, phase2_us; none for HTTP.
        before: CPU time, memory, threads of the process when it was ready.
        after: The same when the last request had ended.
        notes: What is worth knowing of the run: the injector, the check of the calibration.
    """

    latency_us: NDArray[np.int32]
    phases: dict[str, NDArray[np.int32]]
    before: Usage
    after: Usage
    notes: dict[str, Any]


def run_inproc(
    case: Case,
    command: list[str],
    cpus: tuple[int, ...],
    injector_cpu: int,
    work: Path,
    limit_s: float,
    watch: Watch | None = None,
    ready_s: float = READY_S,
) -> Measured:
    """Run a case.

    Args:
        case: what to run.
        command: the driver, all but ``--trace``, ``--out`` and ``--limit``.
        cpus: CPUs of the driver.
        injector_cpu: CPU of the injector.
        work: an empty folder for files that pass between the processes.
        limit_s: seconds after the start at which unfinished requests are given up.
        watch: called once the injector has begun.
        ready_s: how long the driver may take to be ready.

    Raises:
        RunFailed: If a process cannot do its part in time.
    """
    trace, out = work / "trace.bin", work / "marks.bin"
    case.trace.save(trace)
    files = ["--trace", str(trace), "--out", str(out), "--limit", f"{limit_s:g}"]
    with pipe_for_indices() as (reading, writing):
        driver = Child([*command, *files], cpus, stdin=reading, log=work / "driver.log")
        with driver, injector_of(trace, injector_cpu, writing, work) as injector:
            ready = driver.line(ready_s)
            before = Usage(driver.pid)
            injector.go()
            if watch is not None:
                watch(driver.pid)
            driver.line(limit_s + 10.0)
            after = Usage(driver.pid)
            injector.wait(10.0)
            os.close(writing.pop())
            speeds = [ready["per_us"], driver.line(30.0)["per_us"]]
            driver.wait(30.0)
            notes = {"iterations_per_us": speeds, "injector": injected(injector)}
    return _measured(case, out, before, after, notes)


@contextmanager
def pipe_for_indices() -> Iterator[tuple[int, list[int]]]:
    """A pipe for the injector: its reading end, and its writing end in a list.

    Whoever takes the writing end out of the list closes it, and so ends the reader's input.
    """
    reading, end = os.pipe()
    writing = [end]
    try:
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        yield reading, writing
    finally:
        for fd in (reading, *writing):
            os.close(fd)


def injector_of(trace: Path, cpu: int, writing: list[int], work: Path) -> Child:
    """An injector that waits for the word to start."""
    return Child(
        [*script("injector.py"), str(trace)],
        (cpu,),
        priority=INJECTOR_PRIORITY,
        stdout=writing[0],
        log=work / "injector.log",
    )


def injected(injector: Child) -> dict[str, Any]:
    """What an injector that has ended tells of its own lateness.

    Raises:
        RunFailed: If it tells nothing.
    """
    try:
        told: dict[str, Any] = json.loads(injector.log.read_text())
    except ValueError:
        raise RunFailed(f"the injector failed{injector.complaint()}") from None
    return told


def _measured(
    case: Case, out: Path, before: Usage, after: Usage, notes: dict[str, Any]
) -> Measured:
    n = len(case.trace)
    raw = np.fromfile(out, "<i8")
    if len(raw) != n * len(MARKS):
        raise RunFailed(f"the driver noted {len(raw)} marks, not {n * len(MARKS)}")
    read, begun, worked, resumed, ended = raw.reshape(len(MARKS), n)
    arrival = case.trace.arrival_us * 1000
    points = (arrival, read, begun, worked, resumed, ended)
    names = ("inject_us", "wait_us", "phase1_us", "iowait_us", "phase2_us")
    phases = {
        name: whole_us(
            np.where((points[k] >= 0) & (points[k + 1] >= 0), points[k + 1] - points[k], -1000)
        )
        for k, name in enumerate(names)
    }
    latency = whole_us(np.where(ended >= 0, ended - arrival, -1000))
    return Measured(latency, phases, before, after, notes)


def whole_us(ns: NDArray[np.int64]) -> NDArray[np.int32]:
    """Whole microseconds."""
    return np.minimum(ns // 1000, 2**31 - 1).astype(np.int32)
