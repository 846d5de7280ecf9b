"""Waits for a connection: at the client, and in front of a server that accepts no more of them.

A diary notes from when on its request lacks a connection (``UNWIRED``), stands in the accept queue
(``LINED``), and is known to the server (``WIRED``). Who stands in the accept queue waits for a
connection of the server while all of its processes have as many as they may, and else for a worker
to come and look.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simsched.observe.stays import CONNECTIONS, PROCESSES, Intervals, made
from simsched.sim.task import ADMISSION, BACK_OFF, LINED, UNWIRED, WIRED

if TYPE_CHECKING:
    from simsched.observe.series import FloatArray
    from simsched.observe.stays import IntArray, Stays

NOTES = frozenset({UNWIRED, LINED, WIRED})


class FullClock:
    """A clock that runs while no process of the server accepts any more connections."""

    def __init__(self) -> None:
        self._at_s = array("d", [0.0])
        self._shows_s = array("d", [0.0])
        self._runs = False

    def turn(self, now: float, *, runs: bool) -> None:
        """It begins to run, or stops."""
        gone_s = now - self._at_s[-1] if self._runs else 0.0
        self._at_s.append(now)
        self._shows_s.append(self._shows_s[-1] + gone_s)
        self._runs = runs

    def shows_s(self, times: FloatArray) -> FloatArray:
        """What it shows at these times, none of which is still to come."""
        at_s, shows_s = np.array(self._at_s), np.array(self._shows_s)
        beyond_s = np.maximum(times - at_s[-1], 0.0) if self._runs else 0.0
        found: FloatArray = np.interp(times, at_s, shows_s) + beyond_s
        return found


class Pieces(NamedTuple):
    """Stays in pieces: of which stay (by its place among those asked for), from and to."""

    row: IntArray
    start_s: FloatArray
    end_s: FloatArray
    share: FloatArray
    """How much of it was a wait for a connection, 0 to 1."""
    has: IntArray
    """Whether the server knew of the request meanwhile."""


def pieces(
    stays: Stays, rows: IntArray, start_s: FloatArray, end_s: FloatArray, full: FullClock
) -> Pieces:
    """Cut these stays where what they wait for changes; only what is from start to end counts."""
    entries = stays.entries
    at = np.flatnonzero(np.isin(entries.code, sorted(NOTES)))
    row_of = np.full(len(stays.part), -1)
    row_of[rows] = np.arange(len(rows))
    at = at[row_of[entries.mark[at]] >= 0]
    row, kind, since_s = row_of[entries.mark[at]], entries.code[at], entries.value[at]
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.empty(0, np.bool_)
    until_s = np.where(last, np.inf, np.append(since_s[1:], np.inf)[: len(row)])
    first_s = end_s.copy()
    noted, where = np.unique(row, return_index=True)
    first_s[noted] = np.clip(since_s[where], start_s[noted], np.maximum(start_s, end_s)[noted])
    since_s = np.clip(since_s, start_s[row], np.maximum(start_s, end_s)[row])
    until_s = np.clip(until_s, start_s[row], np.maximum(start_s, end_s)[row])
    share = (kind == UNWIRED).astype(np.float64)
    lined = np.flatnonzero((kind == LINED) & (until_s > since_s))
    waited_s = full.shows_s(until_s[lined]) - full.shows_s(since_s[lined])
    share[lined] = np.clip(waited_s / (until_s[lined] - since_s[lined]), 0.0, 1.0)
    before = np.zeros(len(rows))
    has_none = np.zeros(len(rows), np.intp)
    has_none[noted] = 1
    return Pieces(
        np.concatenate((np.arange(len(rows)), row)),
        np.concatenate((start_s, since_s)),
        np.concatenate((first_s, until_s)),
        np.concatenate((before, share)),
        np.concatenate((1 - has_none, (kind == WIRED).astype(np.intp))),
    )


def waits(
    stays: Stays, rows: IntArray, start_s: FloatArray, end_s: FloatArray, full: FullClock
) -> list[Intervals]:
    """Waits of these stays for a worker, and for a connection."""
    cut = pieces(stays, rows, start_s, end_s, full)
    found = []
    for station, weight in (
        (stays.station[rows][cut.row], 1.0 - cut.share),
        (np.full(len(cut.row), CONNECTIONS * PROCESSES), cut.share),
    ):
        some = np.flatnonzero(weight > 0)
        found.append(
            made(
                cut.start_s[some], cut.end_s[some], stays.victim[rows][cut.row[some]],
                station[some], weight[some],
            )
        )  # fmt: skip
    return found


def holds(stays: Stays, full: FullClock) -> list[Intervals]:
    """What requests do while they have a connection to the server."""
    own = stays.going & ~stays.branch
    served = np.flatnonzero(own & (stays.part != ADMISSION))
    waiting = np.flatnonzero(own & (stays.part == ADMISSION))
    start_s, back_off = stays.start_s[waiting], stays.noted(BACK_OFF)
    if back_off is not None:
        start_s = start_s + back_off[waiting]
    cut = pieces(stays, waiting, start_s, stays.end_s[waiting], full)
    known = np.flatnonzero(cut.has)
    found = []
    for rows, since_s, until_s in (
        (served, stays.start_s[served], stays.end_s[served]),
        (waiting[cut.row[known]], cut.start_s[known], cut.end_s[known]),
    ):
        station = np.full(len(rows), CONNECTIONS * PROCESSES)
        found.append(made(since_s, until_s, stays.keys(rows), station, 0.0))
    return found
