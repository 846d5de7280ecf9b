"""Step functions of time, recorded exactly and averaged exactly.

A log holds changes, not samples: the time-weighted mean over any interval is the integral of the
step function divided by the length of the interval. Nothing is sampled, so nothing is missed.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class DeltaLog:
    """Changes of a quantity over time, in any order."""

    __slots__ = ("changes", "times")

    def __init__(self, typecode: str) -> None:
        self.times = array("d")
        self.changes = array(typecode)

    def add(self, time_s: float, change: float) -> None:
        """The quantity changes by ``change`` at ``time_s``."""
        self.times.append(time_s)
        self.changes.append(change)  # type: ignore[arg-type]

    def sorted(self) -> tuple[FloatArray, FloatArray]:
        """Times in ascending order, and the value from each time on."""
        times = np.frombuffer(self.times, np.float64) if self.times else np.empty(0)
        dtype = np.dtype(self.changes.typecode)
        changes = np.frombuffer(self.changes, dtype) if self.changes else np.empty(0, dtype)
        return steps(times, changes)


class UnitLog:
    """Changes by one, in any order. ``add(t)`` is one up and ``add(-t)`` one down.

    The sign bit tells, so that it works at 0, too.
    """

    __slots__ = ("_signed", "add")

    def __init__(self) -> None:
        self._signed = array("d")
        self.add = self._signed.append

    def extend(self, changes: FloatArray) -> None:
        """Record many changes at once."""
        self._signed.frombytes(changes.tobytes())

    def raw(self) -> tuple[FloatArray, FloatArray]:
        """Times and changes (+1 or -1), in the order of recording."""
        signed = np.frombuffer(self._signed) if self._signed else np.empty(0)
        return np.abs(signed), np.where(np.signbit(signed), -1.0, 1.0)

    def sorted(self) -> tuple[FloatArray, FloatArray]:
        """Times in ascending order, and the value from each time on."""
        return steps(*self.raw())


def steps(times: FloatArray, changes: npt.NDArray[np.generic]) -> tuple[FloatArray, FloatArray]:
    """Sort changes by time (stable) and sum them up to values."""
    if len(times) and bool(np.all(times[1:] >= times[:-1])):
        return times, np.cumsum(changes, dtype=np.float64)
    order = np.argsort(times, kind="stable")
    return times[order], np.cumsum(changes[order], dtype=np.float64)


def integral(times: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """The integral of the step function from 0 to each point of ``at``; it starts from 0."""
    if len(times) == 0:
        return np.zeros(len(at))
    area = np.concatenate(([0.0], np.cumsum(values[:-1] * np.diff(times))))
    j = np.searchsorted(times, at, side="right") - 1
    inside = j >= 0
    j = np.maximum(j, 0)
    result: FloatArray = np.where(inside, area[j] + values[j] * (at - times[j]), 0.0)
    return result


def binned_mean(times: FloatArray, values: FloatArray, edges: FloatArray) -> FloatArray:
    """Time-weighted mean of the step function in each bin."""
    result: FloatArray = np.diff(integral(times, values, edges)) / np.diff(edges)
    return result


def binned_sum(times: FloatArray, amounts: FloatArray, edges: FloatArray) -> FloatArray:
    """Sum of the amounts that fall into each bin."""
    sums, _ = np.histogram(times, bins=edges, weights=amounts)
    result: FloatArray = sums.astype(np.float64)
    return result
