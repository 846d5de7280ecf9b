"""Where the time of a request went, measured and predicted: which part of a model to mend.

Both sides are cut at the same moments: the first instruction of the request, the end of its first
work, its first instruction after the wait, and the end of its second work. Only where a thread
waits with its request, the model begins the second work when the thread wakes: what it waits for a
core then is in "wait" as measured and in "work2" as predicted, so read the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simsched.sim.observer import Observer
from simsched.sim.task import Task

__all__ = ["PHASES", "StepTimes", "measured_phases", "predicted_phases", "stretch"]

Array = npt.NDArray[np.float64]

PHASES = ("before", "work1", "wait", "work2", "after")
"""Until the first instruction, at work, waiting and coming back, at work, until it is counted."""

FIRST, LAST = 0, 2
"""The steps of work: each request is work, a wait, work."""


class StepTimes(Observer):
    """When each request began and ended its steps of work, in seconds; NaN: it did not."""

    patient = True

    def __init__(self, requests: int) -> None:
        self.begins: dict[int, Array] = {step: np.full(requests, np.nan) for step in (FIRST, LAST)}
        self.ends: dict[int, Array] = {step: np.full(requests, np.nan) for step in (FIRST, LAST)}

    def step_started(self, now: float, task: Task) -> None:
        """Note the first instruction of a step."""
        if task.pc in self.begins:
            self.begins[task.pc][task.index] = now

    def step_ended(self, now: float, task: Task) -> None:
        """Note the end of a step."""
        if task.pc in self.ends:
            self.ends[task.pc][task.index] = now


def predicted_phases(arrival_s: Array, finish_s: Array, steps: StepTimes) -> dict[str, float]:
    """Mean seconds of each phase, of the requests that ended."""
    marks = (
        arrival_s,
        steps.begins[FIRST],
        steps.ends[FIRST],
        steps.begins[LAST],
        steps.ends[LAST],
        finish_s,
    )
    spans = zip(PHASES, marks, marks[1:], strict=False)
    return {name: float(np.nanmean(to - since)) for name, since, to in spans}


def measured_phases(arrays: Mapping[str, Array]) -> dict[str, float] | None:
    """Mean seconds of each phase; None where they were not measured (behind a server)."""
    if "inject_us" not in arrays:
        return None
    done = ~np.isnan(arrays["latency_us"])
    columns = {
        "before": arrays["inject_us"] + arrays["wait_us"],
        "work1": arrays["phase1_us"],
        "wait": arrays["iowait_us"],
        "work2": arrays["phase2_us"],
    }
    means = {name: float(column[done].mean()) / 1e6 for name, column in columns.items()}
    latency_s = float(arrays["latency_us"][done].mean()) / 1e6
    return means | {"after": latency_s - sum(means.values())}


WHOLE = ("asyncio", "asyncio_block", "uvloop", "go", "java_vt")
"""Runtimes whose work nobody of their own process interrupts, if they have no more Ps or carriers
than cores: Go and the JDK do not preempt what is as short, or not at all."""


def stretch(arrays: Mapping[str, Array], record: Mapping[str, Any]) -> float | None:
    """By how much longer work took than alone: above 1, other programs had the core meanwhile.

    None where it was not measured, or where threads of one process interrupt each other.

    Args:
        arrays: of a case.
        record: its record in the index.
    """
    at_once = max(record["config"].get(key, 1) for key in ("gomaxprocs", "parallelism"))
    if record["runtime"] not in WHOLE or at_once > record["cores"] or "phase1_us" not in arrays:
        return None
    done = ~np.isnan(arrays["latency_us"])
    asked = float((arrays["cpu1_us"] + arrays["cpu2_us"])[done].sum())
    took = float((arrays["phase1_us"] + arrays["phase2_us"])[done].sum())
    return took / asked if asked > 0.0 else None
