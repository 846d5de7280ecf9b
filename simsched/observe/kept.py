"""Slots that tasks keep while they wait: pinned carriers, and Ps of system calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from simsched.sim.task import COST, CPU, LOST, NO_CORE, PINNED, RUN_QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsched.observe.series import FloatArray
    from simsched.observe.stays import BoolArray, IntArray, Stays

NANOSECOND_S: Final = 1e-9
"""Who has computed for less has not computed."""


def pinned(stays: Stays) -> BoolArray:
    """In which stays a task waits without letting its worker go."""
    noted = stays.noted(PINNED)
    return np.zeros(len(stays.part), np.bool_) if noted is None else noted > 0


def pinned_s(stays: Stays) -> Iterator[tuple[int, float]]:
    """What tasks did, by key, while they were pinned, and for how long."""
    rows = np.flatnonzero(pinned(stays))
    keys = stays.keys(rows)
    seconds = np.bincount(keys, kept_until_s(stays, rows) - stays.start_s[rows])
    for key in np.unique(keys).tolist():
        yield key, float(seconds[key])


def kept_until_s(stays: Stays, rows: IntArray) -> FloatArray:
    """Until when in these stays a task keeps its worker: to their end, unless it loses it."""
    lost_s = stays.noted(LOST)
    end_s = stays.end_s[rows]
    if lost_s is None:
        return end_s
    return np.where(lost_s[rows] > 0, np.clip(lost_s[rows], stays.start_s[rows], end_s), end_s)


def waited_after_loss_s(stays: Stays) -> float:
    """How long tasks wait to be run again because their worker was taken from them.

    What ends without a worker has nothing to do but to queue, once its thread has a core.
    """
    lost_s = stays.noted(LOST)
    if lost_s is None:
        return 0.0
    lost = np.flatnonzero(lost_s > 0)
    back = lost[lost + 2 < len(stays.part)] + 1
    done_s = stays.end_s[back] - stays.start_s[back]
    for off in (stays.noted(NO_CORE), stays.noted(COST)):
        if off is not None:
            done_s = done_s - off[back]
    queues = (stays.part[back] == CPU) & (stays.part[back + 1] == RUN_QUEUE)
    queue = back[queues & (done_s < NANOSECOND_S)] + 1
    return float((stays.end_s[queue] - stays.start_s[queue]).sum())
