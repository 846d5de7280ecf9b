"""Timelines as trace events: the JSON that Perfetto and chrome://tracing open.

The form is the "Trace Event Format" of the Chromium project (JSON object format), as far as both
viewers read it:

- one process (``pid``) per scheduler, with names as metadata (``M``);
- a track (``tid``) per core and per worker, of complete events (``X``) that do not overlap;
- a request is a tree of nestable async events (``b``, ``e``) of one id: the request, its steps, and
  the parts of the breakdown that it is in; what it waits for is done at an instant (``n``);
- counters (``C``), one for each queue and resource;
- flows (``s``, ``f``) from the work that made a request go on, to the work with which it goes on.

Times are microseconds of simulated time, to the nanosecond; pieces that are shorter are left out.
Events are in order of time, and equal timelines give equal bytes.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import IO, Any

from simsched.observe.timeline import ASLEEP, RequestSpan, Stay, Timeline, Wake

Event = dict[str, Any]

FIRST_WORKER = 1000
"""``tid`` of the first worker; that of core i is 1 + i."""

STATES: Mapping[str, str] = {
    "overhead": "runtime",
    "run_queue": "waits for a core",
    "gil": "waits for the GIL",
    ASLEEP: "asleep",
}
"""Names of states that need no request."""

WAKES: Mapping[str, str] = {
    "io": "{} is done",
    "permit": "permit of {}",
    "move": "goes to {}",
    "return": "{} has returned",
    "join": "last branch of {}",
}
"""Names of flows, by kind."""

PER_LINE = 100
"""Events on one line of a file."""

NAMED_REQUESTS = 200
"""Up to so many requests have names of their own; viewers put more of them into rows by class."""

_RANKS = {"M": 0, "X": 1}
"""Of events at one instant, those come first that others may refer to."""


def ns(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * 1e9)


def _us(nanoseconds: int) -> float:
    """Microseconds, without a fraction where there is none."""
    return nanoseconds // 1000 if nanoseconds % 1000 == 0 else nanoseconds / 1000


def events_of(timelines: Sequence[Timeline]) -> list[Event]:
    """All events, in order of time."""
    found: list[tuple[int, int, Event]] = []
    for pid, timeline in enumerate(timelines, 1):
        found += _Process(pid, timeline).events()
    found.sort(key=lambda entry: entry[:2])  # stable: an end stays behind its beginning
    return [event for _, _, event in found]


def write_trace(file: IO[bytes], timelines: Sequence[Timeline], about: Mapping[str, Any]) -> int:
    """Write a trace; returns the number of events.

    Args:
        file: where to.
        timelines: one per scheduler.
        about: what the trace says of itself (``otherData``).
    """
    events = events_of(timelines)
    file.write(b'{"displayTimeUnit":"ms",\n"otherData":')
    file.write(_compact(about))
    file.write(b',\n"traceEvents":[\n')
    for first in range(0, len(events), PER_LINE):  # encoding many at once is much faster
        file.write(b",\n" if first else b"")
        file.write(_compact(events[first : first + PER_LINE])[1:-1])
    file.write(b"\n]}\n")
    return len(events)


# One for all: making an encoder takes longer than encoding an event.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _compact(value: object) -> bytes:
    return _ENCODER.encode(value).encode("ascii")


def request_name(request: int, branch: int = 0) -> str:
    """A request, or a branch of one, as trace and page call it."""
    return f"#{request}" if not branch else f"#{request}.{branch}"


def wake_name(wake: Wake) -> str:
    """What leads a request on, as trace and page call it."""
    if wake.kind == "move" and not wake.what:
        return "goes to another thread"
    return WAKES[wake.kind].format(wake.what)


class _Process:
    """The events of one scheduler."""

    def __init__(self, pid: int, timeline: Timeline) -> None:
        self.pid = pid
        self.timeline = timeline
        names = dict.fromkeys(piece.worker for piece in timeline.workers)
        self.tids = {name: FIRST_WORKER + i for i, name in enumerate(names)}

    def events(self) -> Iterator[tuple[int, int, Event]]:
        """Each with its time in nanoseconds and its rank at that instant."""
        parts = (self._names(), self._cores(), self._workers(), self._requests(), self._counts())
        for part in (*parts, self._flows()):
            for time_ns, event in part:
                phase = event["ph"]
                yield (-1 if phase == "M" else time_ns), _RANKS.get(phase, 2), event

    def _event(self, phase: str, time_ns: int, name: str, **more: Any) -> tuple[int, Event]:
        event = {"ph": phase, "pid": self.pid, "ts": _us(time_ns), "name": name, **more}
        return time_ns, event

    def _names(self) -> Iterator[tuple[int, Event]]:
        """Names of the process and its tracks; cores come above workers."""
        line = self.timeline
        yield self._name("process_name", 0, name=f"{line.scheduler} ({line.kind})")
        yield self._name("process_sort_index", 0, sort_index=self.pid)
        cores = sorted({piece.core for piece in line.cores})
        tracks = {1 + core: f"core {core}" for core in cores}
        tracks |= {tid: name for name, tid in self.tids.items()}
        for tid, name in tracks.items():
            yield self._name("thread_name", tid, name=name)
            yield self._name("thread_sort_index", tid, sort_index=tid)

    def _name(self, what: str, tid: int, **args: Any) -> tuple[int, Event]:
        return 0, {"ph": "M", "pid": self.pid, "tid": tid, "ts": 0, "name": what, "args": args}

    def _complete(
        self, tid: int, category: str, name: str, start_s: float, end_s: float, **more: Any
    ) -> Iterator[tuple[int, Event]]:
        start_ns, end_ns = ns(start_s), ns(end_s)
        if end_ns > start_ns:
            dur = _us(end_ns - start_ns)
            yield self._event("X", start_ns, name, tid=tid, cat=category, dur=dur, **more)

    def _cores(self) -> Iterator[tuple[int, Event]]:
        for piece in self.timeline.cores:
            tid = 1 + piece.core
            yield from self._complete(tid, "core", piece.thread, piece.start_s, piece.end_s)

    def _workers(self) -> Iterator[tuple[int, Event]]:
        for piece in self.timeline.workers:
            tid = self.tids[piece.worker]
            name, more = STATES.get(piece.state, piece.state), {}
            if piece.request >= 0:
                called = request_name(piece.request, piece.branch)
                name = " ".join(filter(None, (called, piece.step)))
                more = {"args": {"request": piece.request, "state": piece.state}}
            yield from self._complete(tid, piece.state, name, piece.start_s, piece.end_s, **more)

    # -- requests ----------------------------------------------------------------------------

    def _requests(self) -> Iterator[tuple[int, Event]]:
        line, stays = self.timeline, self.timeline.stays_of()
        ready: dict[tuple[int, int], list[tuple[int, str]]] = {}
        for mark in line.ready:
            key = (mark.request, mark.branch)
            ready.setdefault(key, []).append((ns(mark.time_s), mark.step))
        for span in line.requests:
            own = sorted(stays[span.request], key=lambda stay: stay.branch)
            by_branch = {branch: list(group) for branch, group in groupby(own, lambda s: s.branch)}
            for branch in sorted({0, *by_branch}):
                marks = ready.get((span.request, branch), [])
                yield from self._tree(span, branch, by_branch.get(branch, []), marks)

    def _tree(
        self, span: RequestSpan, branch: int, stays: list[Stay], marks: list[tuple[int, str]]
    ) -> Iterator[tuple[int, Event]]:
        """One request, or one branch of one, as nested slices of one id."""
        identity = hex(self.pid << 48 | branch << 32 | span.request)
        name = span.class_name
        if len(self.timeline.requests) <= NAMED_REQUESTS:
            name = f"{request_name(span.request, branch)} {name}"
        if branch:
            start_ns, end_ns = ns(stays[0].start_s), ns(stays[-1].end_s)
            args: Event = {"request": span.request, "branch": branch}
        else:
            until_s = self.timeline.end_s if span.end_s is None else span.end_s
            start_ns, end_ns = ns(max(span.start_s, self.timeline.start_s)), ns(until_s)
            args = {
                "request": span.request,
                "class": span.class_name,
                "outcome": span.outcome,
                "arrival_us": _us(ns(span.start_s)),
            }
            if span.attempts > 1:
                args["attempts"] = span.attempts

        def event(phase: str, time_ns: int, text: str, **more: Any) -> tuple[int, Event]:
            return self._event(phase, time_ns, text, tid=0, cat="request", id=identity, **more)

        inside = [event("b", start_ns, name, args=args)]
        for (pc, step), group in groupby(stays, lambda stay: (stay.pc, stay.step)):
            inside += self._step(event, step if pc >= 0 else "", list(group))
        inside.append(event("e", end_ns, name))
        yield from inside
        for time_ns, step in marks:
            yield event("n", time_ns, f"{step} is done")

    def _step(self, event: Any, step: str, stays: Iterable[Stay]) -> list[tuple[int, Event]]:
        """The parts of one step, inside a slice of its own if it has a name."""
        parts = []
        for stay in stays:
            start_ns, end_ns = ns(stay.start_s), ns(stay.end_s)
            if end_ns > start_ns:
                parts += [event("b", start_ns, stay.part), event("e", end_ns, stay.part)]
        if step and parts:
            return [event("b", parts[0][0], step), *parts, event("e", parts[-1][0], step)]
        return parts

    # -- counters and flows ------------------------------------------------------------------

    def _counts(self) -> Iterator[tuple[int, Event]]:
        for count in self.timeline.counts:
            yield self._event("C", ns(count.time_s), count.name, tid=0, args={"n": count.value})

    def _flows(self) -> Iterator[tuple[int, Event]]:
        """A flow begins in the slice whose end it leaves, a nanosecond before: it has to be in it.

        It ends where the other slice begins. Without a slice on either side there is no arrow.
        """
        spans: dict[str, list[tuple[int, int]]] = {}
        for piece in self.timeline.workers:
            start_ns, end_ns = ns(piece.start_s), ns(piece.end_s)
            if end_ns > start_ns:
                spans.setdefault(piece.worker, []).append((start_ns, end_ns))
        for number, wake in enumerate(self.timeline.wakes):
            from_ns, to_ns = ns(wake.from_s) - 1, ns(wake.to_s)
            if not _covers(spans.get(wake.from_worker, []), from_ns):
                continue
            if not _covers(spans.get(wake.to_worker, []), to_ns) or to_ns <= from_ns:
                continue
            name = wake_name(wake)
            same: Event = {"cat": wake.kind, "id": hex(self.pid << 48 | number)}
            args = {"request": wake.request, "by": wake.by}
            from_tid, to_tid = self.tids[wake.from_worker], self.tids[wake.to_worker]
            yield self._event("s", from_ns, name, tid=from_tid, **same, args=args)
            yield self._event("f", to_ns, name, tid=to_tid, bp="e", **same)


def _covers(spans: list[tuple[int, int]], time_ns: int) -> bool:
    """Whether one of the spans has begun and not ended at that time."""
    at = bisect_right(spans, (time_ns, 1 << 62)) - 1
    return at >= 0 and time_ns < spans[at][1]
