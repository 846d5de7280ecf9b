"""Offered load: what the requests ask for when nobody ever waits.

It is the yardstick for the simulation (utilisation = offered demand / capacity) and comes from
the demands alone, so no scheduler has a part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from simsched.workload.program import ACQUIRE, CPU, RELEASE, Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Offered", "OfferedClass", "holding_slots", "offered_load"]


class OfferedClass(TypedDict):
    """One class's part of the offered load.

    Attributes:
        requests: Number of requests.
        cpu_s: Total seconds of `cpu` steps.
        busy_s: Total seconds of all steps: the sum of the latencies nobody can beat.
        resources: Total seconds each resource or lock is held, by key.
    """

    requests: int
    cpu_s: float
    busy_s: float
    resources: dict[str, float]


class Offered(TypedDict):
    """Offered load of a workload; totals over its requests, in seconds.

    Attributes:
        requests: Number of requests the totals are over.
        duration_s: Length of the arrival window; None in a closed workload, whose rate is the
            outcome of the simulation (its totals are over a sample of requests).
        cpu_s: Total seconds of `cpu` steps.
        busy_s: Total seconds of all steps.
        resources: Total seconds each resource or lock is held, by key ("db", "lock:NAME").
        classes: The same by class name.
    """

    requests: int
    duration_s: float | None
    cpu_s: float
    busy_s: float
    resources: dict[str, float]
    classes: dict[str, OfferedClass]


def holding_slots(program: Program) -> dict[str, list[int]]:
    """Which slots pass while each resource or lock is held; a slot twice where it is held twice."""
    slots: dict[str, list[int]] = {key: [] for key in program.wait_names}
    held: list[str] = []
    for op in program.ops:
        if op.code == ACQUIRE:
            held.append(op.arg)
        elif op.code == RELEASE:
            held.remove(op.arg)
        else:
            for key in held:
                slots[key].append(op.slot)
    return slots


def offered_load(
    programs: Sequence[Program], demands: Sequence[Floats], duration_s: float | None
) -> Offered:
    """Offered load of requests given by class: one matrix (request by slot, seconds) per class."""
    classes = {
        program.name: _class_load(program, matrix)
        for program, matrix in zip(programs, demands, strict=True)
    }
    resources: dict[str, float] = {}
    for load in classes.values():
        for key, seconds in load["resources"].items():
            resources[key] = resources.get(key, 0.0) + seconds
    return Offered(
        requests=sum(load["requests"] for load in classes.values()),
        duration_s=duration_s,
        cpu_s=sum(load["cpu_s"] for load in classes.values()),
        busy_s=sum(load["busy_s"] for load in classes.values()),
        resources=resources,
        classes=classes,
    )


def _class_load(program: Program, matrix: Floats) -> OfferedClass:
    totals = matrix.sum(axis=0)
    cpu = [op.slot for op in program.ops if op.code == CPU]
    return OfferedClass(
        requests=len(matrix),
        cpu_s=float(totals[cpu].sum()),
        busy_s=float(totals.sum()),
        resources={
            key: float(totals[slots].sum()) for key, slots in holding_slots(program).items()
        },
    )
