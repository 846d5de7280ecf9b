"""Rules between the tables of a scenario.

They run on a :class:`Draft`, which may have holes where a table is invalid, so that one mistake
does not hide another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simsched.scenario.arrivals import Arrivals, Closed, Trace
from simsched.scenario.base import Finding
from simsched.scenario.deadlocks import Hold, deadlocks
from simsched.scenario.distributions import Column
from simsched.scenario.steps import LockStep, RequestClass, UseStep, inner_steps
from simsched.scenario.suggest import did_you_mean, one_of

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Draft:
    """The parts of a scenario that are valid by themselves, keyed by their index.

    ``arrivals`` is None, and a class or capacity is missing, where the text is wrong; names are
    known all the same.
    """

    arrivals: Arrivals | None = None
    classes: Mapping[int, RequestClass] = field(default_factory=dict)
    class_names: Mapping[int, str] = field(default_factory=dict)
    capacities: Mapping[str, int | None] = field(default_factory=dict)
    scheduler_names: Mapping[int, str] = field(default_factory=dict)
    locked_classes: Mapping[int, Sequence[Any]] = field(default_factory=dict)


def check(draft: Draft) -> Iterator[Finding]:
    """Every broken rule between tables of the draft."""
    yield from _duplicates(draft.class_names, ("workload", "requests"), "class")
    yield from _duplicates(draft.scheduler_names, ("schedulers",), "scheduler")
    yield from _columns(draft)
    yield from _unknown_classes(draft)
    holds = [hold for i, c in draft.classes.items() for hold in holds_of(c, i)]
    yield from _unknown_resources(draft, holds)
    yield from _lock_kinds(holds)
    yield from deadlocks(holds, draft.capacities)


def _duplicates(names: Mapping[int, str], path: Path, what: str) -> Iterator[Finding]:
    first: dict[str, int] = {}
    where = ".".join(str(part) for part in path)
    for index, name in names.items():
        if name in first:
            yield Finding(
                (*path, index, "name"),
                f'{what} name "{name}" is already used by {where}[{first[name]}]',
                f'give each {what} its own name = "..."',
            )
        first.setdefault(name, index)


def _unknown_classes(draft: Draft) -> Iterator[Finding]:
    """Classes that a scheduler has rules for exist."""
    names = list(draft.class_names.values())
    for i, classes in draft.locked_classes.items():
        for j, name in enumerate(classes):
            if isinstance(name, str) and name not in names:
                yield Finding(
                    ("schedulers", i, "LockOSThread", j),
                    f'there is no class "{name}"',
                    did_you_mean(name, names) or one_of(names),
                )


def _columns(draft: Draft) -> Iterator[Finding]:
    arrivals = draft.arrivals
    hint = 'columns are read from the trace of arrivals kind = "trace"'
    if isinstance(arrivals, Closed) and isinstance(arrivals.think, Column):
        yield Finding(
            ("workload", "arrivals", "think"), "a think time cannot be a trace column", hint
        )
    if arrivals is None or isinstance(arrivals, Trace):
        return
    for index, request in draft.classes.items():
        for path, step in walk(request.steps, ("workload", "requests", index, "steps")):
            demand = getattr(step, "demand", None)
            if isinstance(demand, Column):
                key = type(step).model_fields["demand"].alias or "demand"
                yield Finding(
                    (*path, key),
                    f'column "{demand.column}" needs a trace, and arrivals are "{arrivals.kind}"',
                    hint,
                )


def walk(steps: tuple[Any, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    """Every step with its path, outer before inner."""
    for i, step in enumerate(steps):
        yield (*path, i), step
        for below, inner in inner_steps(step):
            yield from walk(inner, (*path, i, *below))


def holds_of(request: RequestClass, index: int) -> Iterator[Hold]:
    """Every use of a resource or lock in the class, with what is held around it.

    The branches of a parallel step run while the request holds what it took before them.
    """

    def visit(steps: tuple[Any, ...], path: Path, held: tuple[str, ...]) -> Iterator[Hold]:
        for i, step in enumerate(steps):
            here = (*path, i)
            if isinstance(step, UseStep):
                yield Hold((*here, "use"), request.name, step.resource, held, "")
                inside = (*held, step.resource)
            elif isinstance(step, LockStep):
                key = "lock:" + step.lock
                yield Hold((*here, "lock"), request.name, key, held, step.kind)
                inside = (*held, key)
            else:
                inside = held
            for below, inner in inner_steps(step):
                yield from visit(inner, (*here, *below), inside)

    yield from visit(request.steps, ("workload", "requests", index, "steps"), ())


def _unknown_resources(draft: Draft, holds: list[Hold]) -> Iterator[Finding]:
    for hold in holds:
        if not hold.lock_kind and hold.key not in draft.capacities:
            known = ", ".join(f'"{name}"' for name in draft.capacities)
            listed = f"resources are {known}" if known else ""
            hint = did_you_mean(hold.key, draft.capacities) or listed
            yield Finding(
                hold.path,
                f'unknown resource "{hold.key}"',
                hint or f"add a table [resources.{hold.key}] with capacity = ...",
            )


def _lock_kinds(holds: list[Hold]) -> Iterator[Finding]:
    kinds: dict[str, Hold] = {}
    for hold in holds:
        first = kinds.setdefault(hold.key, hold)
        if hold.lock_kind != first.lock_kind:
            yield Finding(
                hold.path,
                f'{hold.label} is "{hold.lock_kind}" here and "{first.lock_kind}" in class '
                f'"{first.class_name}"',
                "one lock has one kind",
            )
