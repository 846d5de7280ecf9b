"""Sharing out what is waited for among those who have it, in a slice of time.

While N_v requests of a class wait, and holds of what they wait for go on whose weights add up to H,
a hold of weight w has w / H of their waiting. Where nobody holds it, nobody is to blame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from simsched.observe.steps import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simsched.observe.series import FloatArray
    from simsched.observe.stays import BoolArray, Intervals

LEAST_HELD: Final = 1e-9
"""Fewer holds than this are none: what rounding leaves of sums of shares."""


class Holders(NamedTuple):
    """Who has what is waited for."""

    of: Intervals
    weight: FloatArray
    """How much of it each of them has."""
    least: float = LEAST_HELD
    """With less than this in use, there is some left for whoever waits: nobody is to blame."""
    all_of_it: float = 0.0
    """How much there is, if nobody is to blame for what is neither held nor to be had."""


class Gate(NamedTuple):
    """Which of the time counts, as some threads may be free, or cores stopped."""

    taken: Intervals
    """The slots that are in use."""
    slots: float
    """How many there are."""
    stops: Intervals | None
    """When cores are stopped, if that happens."""
    when: Callable[[BoolArray, BoolArray], BoolArray]
    """Of "a slot is free" and "a core is stopped" over time: whether it counts."""


class _Axis:
    """The times at which anything changes, in order."""

    def __init__(self, parts: list[FloatArray], first_s: float, last_s: float) -> None:
        times = np.concatenate((*parts, [first_s, last_s]))
        np.clip(times, first_s, last_s, out=times)
        self.order = np.argsort(times, kind="stable")
        self.width_s = np.diff(times[self.order])
        self._begins = np.cumsum([0, *map(len, parts)]).tolist()
        self.size = len(times)

    def level(self, part: int, *changes: FloatArray) -> FloatArray:
        """A quantity over time that the parts from this one on change, one after the other."""
        change = np.zeros(self.size)
        for i, by in enumerate(changes):
            begin = self._begins[part + i]
            change[begin : begin + len(by)] = by
        result: FloatArray = np.cumsum(change[self.order])[:-1]
        return result

    def up_to(self, rate: FloatArray, *parts: int) -> tuple[FloatArray, ...]:
        """The integral of a quantity up to each of the times of these parts."""
        at = np.empty(self.size)
        at[self.order] = np.append(0.0, np.cumsum(rate))
        return tuple(at[self._begins[i] : self._begins[i + 1]] for i in parts)


def shared(
    waits: Intervals,
    holders: Holders,
    begin_s: float,
    end_s: float,
    n_keys: int,
    gate: Gate | None = None,
) -> Iterator[tuple[int, FloatArray]]:
    """Of each class that waits, the seconds by key of who is to blame.

    Waits that began before or go on after the slice count from its beginning to its end.
    """
    begun, goes_on = waits.start_s <= begin_s, waits.end_s >= end_s
    inner = np.concatenate((np.flatnonzero(~begun), len(begun) + np.flatnonzero(~goes_on)))
    turns = np.concatenate((waits.start_s, waits.end_s))[inner]
    last_s = end_s if goes_on.any() else float(turns.max())  # it may be infinite
    first_s = begin_s if begun.any() else float(turns.min())
    parts = [turns, holders.of.start_s, holders.of.end_s]
    if gate is not None:
        parts += [gate.taken.start_s, gate.taken.end_s]
        if gate.stops is not None:
            parts += [gate.stops.start_s, gate.stops.end_s]
    axis = _Axis(parts, first_s, last_s)
    width_s = axis.width_s if gate is None else np.where(_counts(axis, gate), axis.width_s, 0.0)
    weight = holders.weight
    held = axis.level(1, weight, -weight)
    is_held = held > holders.least
    there = np.maximum(held, holders.all_of_it)
    share_s = np.divide(width_s, there, out=np.zeros(len(held)), where=is_held)
    free_s = np.where(is_held, 0.0, width_s)
    if holders.all_of_it:
        free_s = width_s - held * share_s
    for victim in np.flatnonzero(np.bincount(waits.key)).tolist():
        one = np.where(waits.key == victim, waits.weight, 0.0).astype(np.float64)
        change = np.concatenate((one, -one))[inner]
        waiting = axis.level(0, change) + one[begun].sum()
        since, until = axis.up_to(waiting * share_s, 1, 2)
        seconds = weight * (until - since)
        sums: FloatArray = np.bincount(holders.of.key, seconds, minlength=n_keys).astype(
            np.float64, copy=False
        )
        sums[NOBODY] += max(0.0, float(waiting @ free_s))
        yield victim, sums


def _counts(axis: _Axis, gate: Gate) -> BoolArray:
    one = np.ones(len(gate.taken.start_s))
    is_free: BoolArray = axis.level(3, one, -one) < gate.slots - 0.5
    is_stopped = np.zeros(len(is_free), np.bool_)
    if gate.stops is not None:
        one = np.ones(len(gate.stops.start_s))
        is_stopped = axis.level(5, one, -one) > 0.5
    return gate.when(is_free, is_stopped)
