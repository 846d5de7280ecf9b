"""Offered load: what the requests ask for when nobody ever waits.

It is the yardstick for the simulation (utilisation = offered demand / capacity) and comes from
the demands alone, so no scheduler has a part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from simsched.workload.program import ACQUIRE, FORK, RELEASE, Program, cpu_slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simsched.workload.program import Op

    Floats = NDArray[np.float64]

__all__ = ["Offered", "OfferedClass", "offered_load"]


class OfferedClass(TypedDict):
    """One class's part of the offered load.

    Attributes:
        requests: Number of requests.
        cpu_s: Total seconds of `cpu` steps.
        busy_s: Total seconds of all steps, of branches the longest: no latency is shorter.
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
    held = dict.fromkeys(program.wait_names, 0.0)
    busy = _length(program.ops, matrix, held)
    return OfferedClass(
        requests=len(matrix),
        cpu_s=float(matrix.sum(axis=0)[cpu_slots(program.ops)].sum()),
        busy_s=float(busy.sum()),
        resources=held,
    )


def _length(ops: Sequence[Op], matrix: Floats, held: dict[str, float]) -> Floats:
    """Seconds that the operations of each request take; adds what is held to ``held``.

    Branches run at the same time, so the longest one counts.
    """
    at: Floats = np.zeros(len(matrix))
    since: dict[str, Floats] = {}
    for op in ops:
        if op.code == ACQUIRE:
            since[op.arg] = at
        elif op.code == RELEASE:
            held[op.arg] += float((at - since[op.arg]).sum())
        elif op.code == FORK:
            ends = [_length(branch, matrix, held) for branch in op.branches]
            at = at + np.maximum.reduce(ends)
        elif op.slot >= 0:
            at = at + matrix[:, op.slot]
    return at
