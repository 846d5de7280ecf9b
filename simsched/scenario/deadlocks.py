"""Finds requests that could wait for each other for ever, before they do.

A request that holds A and asks for B makes an edge A -> B. A cycle of such edges between things
that only one request can hold (locks, resources of capacity 1) can deadlock, unless all its edges
are made under one common lock (Coffman's circular wait, with gate locks).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import count, islice

from simsched.scenario.base import Finding

LOCK = "lock:"
"""First part of a lock's key."""

MAX_CYCLES, MAX_STEPS = 20, 2000
"""Limits of the search for cycles; a tangle with more has long been shown to be one."""


@dataclass(frozen=True)
class Hold:
    """One place where a request takes a resource or lock.

    Attributes:
        path: where it is written.
        class_name: the request class.
        key: the resource's name, or "lock:" and the lock's name.
        held: keys already held there, outermost first.
        lock_kind: "" for a resource.
    """

    path: tuple[str | int, ...]
    class_name: str
    key: str
    held: tuple[str, ...]
    lock_kind: str

    @property
    def label(self) -> str:
        """What it is, in words."""
        return label(self.key) if self.lock_kind else f'resource "{self.key}"'


def label(key: str) -> str:
    """A resource or lock key in words."""
    if key.startswith(LOCK):
        return f'lock "{key.removeprefix(LOCK)}"'
    return f'resource "{key}"'


@dataclass(frozen=True)
class Edge:
    """While ``outer`` is held, ``hold.key`` is asked for; ``guards`` are held around both."""

    outer: str
    hold: Hold
    guards: frozenset[str]


def deadlocks(holds: list[Hold], capacities: Mapping[str, int | None]) -> Iterator[Finding]:
    """Nested use of the same thing, and circular waits between exclusive things."""
    for hold in holds:
        if hold.key in hold.held:
            yield Finding(
                hold.path,
                f'class "{hold.class_name}" takes {hold.label} while it already holds it: '
                "it could wait for itself for ever",
                "remove the inner one",
            )
    for cycle in circular_waits(holds, capacities, exclusive_only=True):
        yield Finding(
            cycle[-1].hold.path,
            "possible deadlock: " + describe(cycle),
            "take them in the same order everywhere",
        )


def describe(cycle: list[Edge]) -> str:
    """The cycle as a sentence."""
    return "; ".join(
        f'class "{e.hold.class_name}" holds {label(e.outer)} and waits for {e.hold.label}'
        for e in cycle
    )


def circular_waits(
    holds: list[Hold], capacities: Mapping[str, int | None], *, exclusive_only: bool
) -> list[list[Edge]]:
    """Cycles of hold-and-wait edges, each once, in the order of the text.

    Args:
        holds: every acquisition.
        capacities: units per resource; None where unknown.
        exclusive_only: only locks and resources of capacity 1.
    """

    def exclusive(key: str) -> bool:
        return key.startswith(LOCK) or capacities.get(key) == 1

    edges: dict[str, dict[Edge, None]] = {}
    for hold in holds:
        for i, outer in enumerate(hold.held):
            wanted = not exclusive_only or (exclusive(outer) and exclusive(hold.key))
            if wanted and outer != hold.key:
                guards = frozenset(key for key in hold.held[:i] if exclusive(key))
                edges.setdefault(outer, {})[Edge(outer, hold, guards)] = None
    try:
        TopologicalSorter({k: [e.hold.key for e in es] for k, es in edges.items()}).prepare()
    except CycleError as error:
        # Search from the cycle that is known, so that the limit on the search cannot miss it.
        starts = dict.fromkeys([key for key in edges if key in error.args[1]]) | edges
        return _unguarded_cycles(list(starts), edges)
    return []


def _unguarded_cycles(starts: list[str], edges: Mapping[str, Iterable[Edge]]) -> list[list[Edge]]:
    """Cycles that no common lock prevents, one for each set of keys."""
    cycles: list[list[Edge]] = []
    seen: set[frozenset[str]] = set()
    for start in starts:
        for cycle in islice(_cycles_from(start, edges), MAX_CYCLES):
            keys = frozenset(edge.outer for edge in cycle)
            guarded = frozenset.intersection(*(edge.guards for edge in cycle))
            if keys not in seen and not guarded:
                seen.add(keys)
                cycles.append(cycle)
        if len(cycles) >= MAX_CYCLES:
            break
    return cycles


def _cycles_from(start: str, edges: Mapping[str, Iterable[Edge]]) -> Iterator[list[Edge]]:
    """Simple cycles through ``start``, depth first, among the keys that lead back to it."""
    sources: dict[str, set[str]] = {}
    for key, out in edges.items():
        for edge in out:
            sources.setdefault(edge.hold.key, set()).add(key)
    back, frontier = {start}, [start]
    while frontier:
        found = sources.get(frontier.pop(), set()) - back
        back |= found
        frontier += found
    steps = count()

    def visit(key: str, trail: list[Edge]) -> Iterator[list[Edge]]:
        for edge in edges.get(key, ()):
            if edge.hold.key not in back or next(steps) > MAX_STEPS:
                continue
            if edge.hold.key == start:
                yield [*trail, edge]
            elif all(edge.hold.key != past.outer for past in trail):
                yield from visit(edge.hold.key, [*trail, edge])

    yield from visit(start, [])
