"""From the diaries of some thousand tasks to seconds per part of the breakdown.

During a run the ledger only notes down: appending two numbers to a list costs a third of adding up
there and then. What is noted is read here, for a block of tasks at once, with numpy. The sums are
those that adding up mark by mark would give, to the last bit: ``bincount`` adds in order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simsched.observe.series import FloatArray
from simsched.sim.task import COST, ENDED, GIL, N_PARTS, NO_GIL, OVERHEAD, RUN_QUEUE

ASKED, TOOK, GAVE = range(3)
"""What a diary notes of permits: it was asked for in vain, taken, or given back."""
WHATS = 3


class Reading(NamedTuple):
    """What a block of diaries says."""

    began_s: FloatArray
    """f8[n]: the first mark of each."""
    ended_s: FloatArray
    """f8[n]: the last mark of each."""
    parts_s: FloatArray
    """f8[n, N_PARTS]: seconds in each part."""
    queue_changes: FloatArray
    """When one more task waits to be executed, and, with negative sign, when one less does."""


class Entries(NamedTuple):
    """A block of diaries, end to end: one row per entry, and one row per mark."""

    code: npt.NDArray[np.intp]
    value: FloatArray
    first: npt.NDArray[np.intp]
    """The first entry of each diary."""
    last: npt.NDArray[np.intp]
    mark: npt.NDArray[np.intp]
    """Of each entry, the mark of the stay that it closes (a mark) or belongs to (the others)."""
    mark_at: npt.NDArray[np.intp]
    """Of each mark, its entry."""
    part: npt.NDArray[np.intp]
    """Of each mark, the part that begins, or `ENDED`."""
    time_s: FloatArray


def parse(diaries: list[list[float]]) -> Entries:
    """Diaries (``Task.marks``) as arrays. Each must be closed by an ``ENDED`` mark."""
    lengths = np.fromiter(map(len, diaries), np.intp, len(diaries)) // 2
    last = np.cumsum(lengths) - 1
    numbers: list[float] = []  # a list is read in half the time that an iterator takes
    for diary in diaries:
        numbers += diary
    entries = np.fromiter(numbers, np.float64, len(numbers)).reshape(-1, 2)
    code, value = entries[:, 0].astype(np.intp), entries[:, 1]
    assert bool(np.all(code[last] == ENDED)), "something was booked after the end of a task"
    is_mark = code <= ENDED
    mark_at = np.flatnonzero(is_mark)
    mark = np.cumsum(is_mark) - 1 - is_mark
    return Entries(
        code, value, last - lengths + 1, last, mark, mark_at, code[mark_at], value[mark_at]
    )


def read(diaries: list[list[float]] | Entries) -> Reading:
    """Add up diaries: seconds by part."""
    entries = diaries if isinstance(diaries, Entries) else parse(diaries)
    code, value, first, last, before, _, part, time_s = entries

    # ADMISSION and RUN_QUEUE, the parts spent waiting to be executed, are the lowest two.
    queued = part <= RUN_QUEUE
    was_queued = np.concatenate(([False], queued[:-1]))  # an ENDED mark is not queued
    turns = queued != was_queued
    queue_changes = np.where(queued, time_s, -time_s)[turns]

    # A mark closes the stay that the mark before it began; a correction belongs to it.
    is_mark = code <= ENDED
    moved_s = np.where(is_mark | (code > NO_GIL), 0.0, value)
    seconds = np.where(is_mark, value - time_s[before], -moved_s)
    into = part[before]
    seconds[first], into[first] = 0.0, 0  # nothing comes before the first mark
    moved_to = np.where(code == COST, OVERHEAD, np.where(code == NO_GIL, GIL, RUN_QUEUE))
    row = np.repeat(np.arange(len(first)) * N_PARTS, last - first + 1)
    target = np.empty((len(code), 2), np.intp)  # both effects of an entry, in their order
    target[:, 0], target[:, 1] = row + into, row + moved_to
    amount = np.empty((len(code), 2))
    amount[:, 0], amount[:, 1] = seconds, moved_s
    sums = np.bincount(target.ravel(), amount.ravel(), minlength=len(first) * N_PARTS)
    parts_s: FloatArray = sums.reshape(-1, N_PARTS).astype(np.float64, copy=False)
    return Reading(value[first], value[last], parts_s, queue_changes)
