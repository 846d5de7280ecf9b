"""From the diaries of some thousand tasks to seconds per part of the breakdown.

During a run the ledger only notes down: appending two numbers to a list costs a third of adding up
there and then. What is noted is read here, for a block of tasks at once, with numpy. The sums are
those that adding up mark by mark would give, to the last bit: ``bincount`` adds in order.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np

from simsched.observe.series import FloatArray
from simsched.sim.task import COST, ENDED, N_PARTS, OVERHEAD, RUN_QUEUE


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


def read(diaries: list[list[float]]) -> Reading:
    """Add up diaries (``Task.marks``), each of which must be closed by an ``ENDED`` mark."""
    lengths = np.fromiter(map(len, diaries), np.intp, len(diaries)) // 2
    last = np.cumsum(lengths) - 1
    first = last - lengths + 1
    numbers = np.fromiter(chain.from_iterable(diaries), np.float64, 2 * int(lengths.sum()))
    entries = numbers.reshape(-1, 2)
    code, value = entries[:, 0].astype(np.intp), entries[:, 1]
    assert bool(np.all(code[last] == ENDED)), "something was booked after the end of a task"

    # ADMISSION and RUN_QUEUE, the parts spent waiting to be executed, are the lowest two.
    is_mark = code <= ENDED
    mark_at = np.flatnonzero(is_mark)
    part, time_s = code[mark_at], value[mark_at]
    queued = part <= RUN_QUEUE
    was_queued = np.concatenate(([False], queued[:-1]))  # an ENDED mark is not queued
    turns = queued != was_queued
    queue_changes = np.where(queued, time_s, -time_s)[turns]

    # A mark closes the stay that the mark before it began; a correction belongs to it.
    before = np.cumsum(is_mark) - 1 - is_mark
    seconds = np.where(is_mark, value - time_s[before], -value)
    into = part[before]
    seconds[first], into[first] = 0.0, 0  # nothing comes before the first mark
    moved_to = np.where(code == COST, OVERHEAD, RUN_QUEUE)
    moved_s = np.where(is_mark, 0.0, value)
    row = np.repeat(np.arange(len(diaries)) * N_PARTS, lengths)
    target = np.empty((len(code), 2), np.intp)  # both effects of an entry, in their order
    target[:, 0], target[:, 1] = row + into, row + moved_to
    amount = np.empty((len(code), 2))
    amount[:, 0], amount[:, 1] = seconds, moved_s
    sums = np.bincount(target.ravel(), amount.ravel(), minlength=len(diaries) * N_PARTS)
    parts_s: FloatArray = sums.reshape(-1, N_PARTS).astype(np.float64, copy=False)
    return Reading(value[first], value[last], parts_s, queue_changes)
