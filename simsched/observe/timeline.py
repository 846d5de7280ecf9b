"""A timeline: what one scheduler did in a window of time, in pieces that can be drawn.

It is what :class:`~simsched.observe.timeline_log.TimelineLog` writes down, and what a trace file, a
Gantt chart, or a test that a reader can check on paper is made from. All times are simulated
seconds. Pieces without length are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, Self, TypeVar

ASLEEP = "asleep"
"""State of a worker that has nothing to do; its other states are parts of the breakdown."""


class CoreSlice(NamedTuple):
    """A thread on a core."""

    core: int
    thread: str
    start_s: float
    end_s: float


class WorkerSlice(NamedTuple):
    """What a worker (an OS thread of the runtime) was doing.

    ``state`` is "cpu" (it computes for a request), "overhead" (for the runtime), "run_queue" (it
    is runnable but has no core yet), "gil" (it waits for the interpreter lock), "io", "blocking",
    "resource" or "lock" (it is blocked with its request in such a step), or "asleep".
    """

    worker: str
    state: str
    request: int
    """-1 where it is none."""
    branch: int
    """0: the request itself; else which of its branches, counted from 1."""
    step: str
    start_s: float
    end_s: float


class Stay(NamedTuple):
    """A request, or a branch of one, in one part of the breakdown and one step."""

    request: int
    branch: int
    part: str
    step: str
    """"" between steps."""
    pc: int
    """Which step it is, counted from 0; -1 between steps."""
    start_s: float
    end_s: float


class RequestSpan(NamedTuple):
    """The whole life of a request, as far as the window shows it."""

    request: int
    class_name: str
    start_s: float
    end_s: float | None
    """None: it was still under way at the end of the window."""
    outcome: str
    attempts: int

    def latency_s(self, until_s: float) -> float:
        """From its arrival to its end, or to ``until_s`` if it has none."""
        return (until_s if self.end_s is None else self.end_s) - self.start_s


class Count(NamedTuple):
    """From ``time_s`` on, a counter has a value."""

    name: str
    time_s: float
    value: int


class Ready(NamedTuple):
    """What a request waits for outside of the runtime is done."""

    request: int
    branch: int
    step: str
    time_s: float


class Wake(NamedTuple):
    """Why a request goes on: an arrow from one worker's work to another's.

    ``kind`` is "io" (from where it began to wait, to where it goes on), "permit" (from where
    another request gave a permit back), "move" (from the thread that handed it over, to the thread
    that took it on), "return" (from the thread of an executor that has done a call), or "join"
    (from where its last branch ended).
    """

    kind: str
    request: int
    by: int
    """The request that gave the permit; for all other kinds the request itself."""
    what: str
    """The step, the resource, or the executor; "" for a move to no executor."""
    from_worker: str
    from_s: float
    to_worker: str
    to_s: float


class _Piece(Protocol):
    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...

    def _replace(self, *, end_s: float) -> Self: ...


P = TypeVar("P", bound=_Piece)


@dataclass(frozen=True)
class Timeline:
    """What one scheduler did in ``[start_s, end_s]``, each list in order of time.

    Attributes:
        scheduler: its name.
        kind: its kind.
        start_s: where the window begins.
        end_s: where it ends, or where the run did.
        cut: whether there was too much to tell, so that it ends before what was asked for.
    """

    scheduler: str
    kind: str
    start_s: float
    end_s: float
    cut: bool = False
    cores: list[CoreSlice] = field(default_factory=list)
    workers: list[WorkerSlice] = field(default_factory=list)
    requests: list[RequestSpan] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    wakes: list[Wake] = field(default_factory=list)

    def until(self, end_s: float) -> Timeline:
        """The same, ending at ``end_s`` if it does not end before."""
        if end_s >= self.end_s:
            return self
        return replace(
            self,
            end_s=end_s,
            cores=_clipped(self.cores, end_s),
            workers=_clipped(self.workers, end_s),
            requests=[_as_of(span, end_s) for span in self.requests if span.start_s < end_s],
            stays=_clipped(self.stays, end_s),
            ready=[mark for mark in self.ready if mark.time_s <= end_s],
            counts=[count for count in self.counts if count.time_s <= end_s],
            wakes=[wake for wake in self.wakes if wake.to_s < end_s],
        )

    def stays_of(self) -> dict[int, list[Stay]]:
        """The stays of each request, branches included."""
        found: dict[int, list[Stay]] = {span.request: [] for span in self.requests}
        for stay in self.stays:
            found.setdefault(stay.request, []).append(stay)
        return found


def _clipped(pieces: list[P], end_s: float) -> list[P]:
    kept = (piece for piece in pieces if piece.start_s < end_s)
    return [piece if piece.end_s <= end_s else piece._replace(end_s=end_s) for piece in kept]


def _as_of(span: RequestSpan, end_s: float) -> RequestSpan:
    """A request as it was known at ``end_s``."""
    if span.end_s is not None and span.end_s <= end_s:
        return span
    return span._replace(end_s=None, outcome="unfinished")
