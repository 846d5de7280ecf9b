"""Which requests and workers of a timeline are drawn, and the axis of time they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simsched.observe.timeline import ASLEEP
from simsched.report.units import duration_scale

if TYPE_CHECKING:
    from simsched.observe.timeline import Stay, Timeline, WorkerSlice

MAX_ROWS = 40
"""Requests and their branches of one figure."""

MAX_WORKERS = 24
MAX_BARS = 1500
"""Of one figure; a page has two figures per scheduler."""


@dataclass(frozen=True)
class Axis:
    """Simulated time as it is drawn: from a round moment on, in a unit that fits.

    Attributes:
        zero_s: the moment that is drawn as 0.
        end_s: where the axis ends.
        size_s: the unit.
        symbol: its symbol.
    """

    zero_s: float
    end_s: float
    size_s: float
    symbol: str

    def at(self, time_s: float) -> float:
        """A moment on the axis."""
        return (time_s - self.zero_s) / self.size_s

    def length(self, seconds: float) -> float:
        """A length on the axis."""
        return seconds / self.size_s

    def text(self, time_s: float) -> str:
        """A moment in words, rounded to a millionth of the axis."""
        digits = max(0, 6 - math.ceil(math.log10(max(self.length(self.end_s - self.zero_s), 1e-9))))
        number = f"{self.at(time_s):,.{digits}f}"
        if "." in number:
            number = number.rstrip("0").rstrip(".")
        return f"{number} {self.symbol}"

    @property
    def title(self) -> str:
        """The title of the axis."""
        if not self.zero_s:
            return f"simulated time ({self.symbol})"
        return f"time after {self.zero_s:.9g} s ({self.symbol})"

    @property
    def range(self) -> list[float]:
        """From 0 to the end."""
        return [0.0, self.at(self.end_s)]


@dataclass(frozen=True)
class Choice:
    """What is drawn.

    Attributes:
        requests: which requests, in order.
        axis: the time they take, on whichever scheduler they take longest.
        of: how many requests there are to choose from.
    """

    requests: tuple[int, ...]
    axis: Axis
    of: int


def choose(timelines: Sequence[Timeline], most: int = MAX_ROWS) -> Choice:
    """All requests, or those around the one that took longest on any scheduler.

    They are requests that all schedulers have in the window, if there are any.
    """
    latencies: dict[int, float] = {}
    stays: Counter[int] = Counter()
    rows: Counter[int] = Counter()
    for timeline in timelines:
        for span in timeline.requests:
            latency_s = span.latency_s(timeline.end_s)
            latencies[span.request] = max(latency_s, latencies.get(span.request, 0.0))
        stays |= Counter(stay.request for stay in timeline.stays)
        branches = {(stay.request, stay.branch) for stay in timeline.stays if stay.branch}
        rows |= Counter(request for request, _ in branches)
    shared = set(latencies).intersection(
        *({span.request for span in timeline.requests} for timeline in timelines)
    )
    known = sorted(shared or latencies)
    if not known:
        end_s = max((timeline.end_s for timeline in timelines), default=1.0)
        return Choice((), _axis(timelines[0].start_s if timelines else 0.0, end_s), 0)
    worst = max(known, key=lambda request: (latencies[request], -request))
    centre = known.index(worst)
    first = max(0, min(centre - most // 2, len(known) - most))
    chosen = known[first : first + most]
    while len(chosen) > 1 and (
        sum(stays[request] for request in chosen) > MAX_BARS
        or sum(1 + rows[request] for request in chosen) > most
    ):
        far = chosen[0] if worst - chosen[0] > chosen[-1] - worst else chosen[-1]
        chosen.remove(far)
    spans = [
        (span.start_s, timeline.end_s if span.end_s is None else span.end_s)
        for timeline in timelines
        for span in timeline.requests
        if span.request in set(chosen)
    ]
    start_s = max(timelines[0].start_s, min(start for start, _ in spans))
    return Choice(tuple(chosen), _axis(start_s, max(end for _, end in spans)), len(known))


def _axis(start_s: float, end_s: float) -> Axis:
    """From a round moment shortly before ``start_s``."""
    length_s = max(end_s - start_s, 1e-9)
    step_s = 10.0 ** math.floor(math.log10(length_s))
    zero_s = math.floor(start_s / step_s + 1e-9) * step_s if start_s > 0 else 0.0
    size_s, symbol = duration_scale(end_s - zero_s)
    return Axis(zero_s, end_s, size_s, symbol)


def stays_drawn(timeline: Timeline, choice: Choice) -> list[Stay]:
    """The stays of the chosen requests, bounded."""
    chosen = set(choice.requests)
    return [stay for stay in timeline.stays if stay.request in chosen][:MAX_BARS]


@dataclass(frozen=True)
class Workers:
    """The workers that are drawn.

    Attributes:
        names: their names, from top to bottom.
        slices: what they do while they are awake.
        known: how many workers there are.
        awake: how many of them are awake at all.
        blur_s: pieces of one kind that are closer than this are drawn as one; 0: none are.
    """

    names: tuple[str, ...]
    slices: tuple[WorkerSlice, ...]
    known: int
    awake: int
    blur_s: float


def workers_drawn(timeline: Timeline, choice: Choice) -> Workers:
    """The workers that are awake in the window; if they are many, those that are it longest."""
    axis = choice.axis
    awake: dict[str, float] = {}
    slices: list[WorkerSlice] = []
    for piece in timeline.workers:
        start_s, end_s = max(piece.start_s, axis.zero_s), min(piece.end_s, axis.end_s)
        awake.setdefault(piece.worker, 0.0)
        if piece.state != ASLEEP and end_s > start_s:
            awake[piece.worker] += end_s - start_s
            slices.append(piece._replace(start_s=start_s, end_s=end_s))
    longest = sorted(awake, key=lambda name: -awake[name])[:MAX_WORKERS]
    names = tuple(name for name in awake if name in set(longest) and awake[name])
    slices = [piece for piece in slices if piece.worker in set(names)]
    blur_s, shown = 0.0, slices
    while len(shown) > MAX_BARS:
        blur_s = 2.0 * blur_s or (axis.end_s - axis.zero_s) / 4000.0
        shown = _blurred(slices, blur_s)
    count = sum(seconds > 0.0 for seconds in awake.values())
    return Workers(names, tuple(shown), len(awake), count, blur_s)


def _blurred(slices: Sequence[WorkerSlice], blur_s: float) -> list[WorkerSlice]:
    """Neighbours of one kind on one worker become one piece, which is nobody's in particular."""
    found: list[WorkerSlice] = []
    latest: dict[tuple[str, str], int] = {}
    for piece in slices:
        key = (piece.worker, piece.state)
        at = latest.get(key)
        if at is not None and piece.start_s - found[at].end_s < blur_s:
            found[at] = found[at]._replace(request=-1, step="", end_s=piece.end_s)
        else:
            latest[key] = len(found)
            found.append(piece)
    return found
