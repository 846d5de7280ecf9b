"""Step programs: what a request of a class does, flattened to a row of operations.

Nested steps (`use` a resource, hold a `lock`) become ACQUIRE ... RELEASE around the steps inside,
and `offload` becomes OFFLOAD ... RETURN, so that an engine walks a request with one index and no
recursion. Repeated steps are written out. Only `parallel` keeps its shape: a FORK holds the
operations of its branches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from simsched.scenario import (
    BlockingStep,
    CpuStep,
    IoStep,
    LockStep,
    OffloadStep,
    ParallelStep,
    RepeatStep,
    SleepStep,
    UseStep,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simsched.scenario import Dist, RequestClass, Retries, Step

__all__ = [
    "ACQUIRE",
    "BLOCKING",
    "CPU",
    "FORK",
    "IO",
    "OFFLOAD",
    "OP_NAMES",
    "RELEASE",
    "RETURN",
    "SLEEP",
    "Op",
    "Program",
    "every",
    "flatten",
    "inline",
    "lock_key",
    "without_offload",
]

CPU = 0
IO = 1
SLEEP = 2
BLOCKING = 3
ACQUIRE = 4
RELEASE = 5
OFFLOAD = 6
RETURN = 7
FORK = 8

OP_NAMES = (
    "cpu", "io", "sleep", "blocking", "acquire", "release", "offload", "return", "parallel",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a program.

    Attributes:
        code: CPU, IO, SLEEP, BLOCKING, ACQUIRE, RELEASE, OFFLOAD, RETURN or FORK.
        slot: Column of the request's demand row that holds the seconds; -1 where there is none.
        arg: Key of the resource acquired or released ("db", or "lock:NAME"), or the call that
            offloads ("to_thread", ...), else "".
        kind: Kind of a blocking call ("socket", "file", "synchronized", "native") or of a lock
            ("reentrant", "synchronized"), "native" for a CPU burst without the interpreter lock,
            else "".
        name: What a reader calls the step.
        branches: Operations of each branch of a FORK; their slots are columns of the same row.
    """

    code: int
    slot: int = -1
    arg: str = ""
    kind: str = ""
    name: str = ""
    branches: tuple[tuple[Op, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """The operations of one request class, with what else an engine must know of the class.

    Attributes:
        name: Name of the request class.
        ops: Operations in the order they happen.
        demands: Distribution of each slot of the demand row, by slot.
        timeout_s: Seconds from a request's arrival to its time-out, or None.
        retries: Retry policy, or None.
        memory_bytes: Bytes a request holds while it is in flight.
        weight: Share of this class among the requests, relative to the other classes.
        wait_names: Keys of the resources and locks a request may queue for, in the order of
            their first acquisition, each once.
    """

    name: str
    ops: tuple[Op, ...]
    demands: tuple[Dist, ...]
    timeout_s: float | None = None
    retries: Retries | None = None
    memory_bytes: int = 0
    weight: float = 1.0
    wait_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        keys = dict.fromkeys(op.arg for op in every(self.ops) if op.code == ACQUIRE)
        object.__setattr__(self, "wait_names", tuple(keys))

    @property
    def slots(self) -> int:
        """Number of columns of a demand row."""
        return len(self.demands)


def cpu_slots(ops: Iterable[Op]) -> list[int]:
    """The columns of a demand row that are CPU time, those of branches included."""
    found = []
    for op in ops:
        if op.code == CPU:
            found.append(op.slot)
        for branch in op.branches:
            found += cpu_slots(branch)
    return found


def lock_key(name: str) -> str:
    """The resource key of a lock; the prefix keeps a lock and a pool of one name apart."""
    return f"lock:{name}"


def every(ops: Iterable[Op]) -> Iterator[Op]:
    """All operations in the order of the text, those of branches after their FORK."""
    for op in ops:
        yield op
        for branch in op.branches:
            yield from every(branch)


def without_offload(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The same on a runtime that has no loop to keep free: what is offloaded runs in place."""
    return tuple(
        replace(op, branches=tuple(map(without_offload, op.branches))) if op.branches else op
        for op in ops
        if op.code not in (OFFLOAD, RETURN)
    )


def threads_inline(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The same on a loop: what is offloaded is done by one thread, its branches in turn."""
    flat: list[Op] = []
    offloaded = False
    for op in ops:
        offloaded = op.code == OFFLOAD or (offloaded and op.code != RETURN)
        if op.code != FORK:
            flat.append(op)
        elif offloaded:
            flat.extend(inline((op,)))
        else:
            flat.append(replace(op, branches=tuple(map(threads_inline, op.branches))))
    return tuple(flat)


def inline(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The same on a plain thread: nothing is offloaded, and branches run one after the other."""
    flat: list[Op] = []
    for op in ops:
        if op.code == FORK:
            for branch in op.branches:
                flat.extend(inline(branch))
        elif op.code not in (OFFLOAD, RETURN):
            flat.append(op)
    return tuple(flat)


def flatten(request_class: RequestClass) -> Program:
    """Flatten the steps of a request class."""
    flattener = _Flattener(_unnamed_counts(request_class.steps))
    flattener.walk(request_class.steps)
    return Program(
        name=request_class.name,
        ops=tuple(flattener.ops),
        demands=tuple(flattener.demands),
        timeout_s=request_class.timeout_s,
        retries=request_class.retries,
        memory_bytes=request_class.memory_bytes,
        weight=request_class.weight,
    )


def _leaf_code(step: Step) -> int:
    if isinstance(step, CpuStep):
        return CPU
    if isinstance(step, IoStep):
        return IO
    if isinstance(step, SleepStep):
        return SLEEP
    if isinstance(step, BlockingStep):
        return BLOCKING
    raise TypeError(f"unknown step {step!r}")


def _unnamed_counts(steps: Iterable[Step]) -> Counter[int]:
    """How many steps of each code have no name of their own: one "cpu", several "cpu 1", ..."""
    counts: Counter[int] = Counter()
    for step in steps:
        if isinstance(step, UseStep | LockStep | OffloadStep | RepeatStep):
            counts += _unnamed_counts(step.steps)
        elif isinstance(step, ParallelStep):
            counts += _unnamed_counts(chain.from_iterable(step.branches))
        elif not step.name:
            counts[_leaf_code(step)] += 1
    return counts


class _Flattener:
    def __init__(self, unnamed: Counter[int]) -> None:
        self.ops: list[Op] = []
        self.demands: list[Dist] = []
        self._unnamed = unnamed
        self._seen: Counter[int] = Counter()

    def walk(self, steps: Sequence[Step]) -> None:
        """Append the operations of `steps`."""
        for step in steps:
            if isinstance(step, UseStep):
                self._hold(step.resource, "", step.name or step.resource, step.steps)
            elif isinstance(step, LockStep):
                self._hold(lock_key(step.lock), step.kind, step.name or step.lock, step.steps)
            elif isinstance(step, OffloadStep):
                name = step.name or step.api
                self.ops.append(Op(OFFLOAD, arg=step.api, name=name))
                self.walk(step.steps)
                self.ops.append(Op(RETURN, arg=step.api, name=name))
            elif isinstance(step, RepeatStep):
                self._repeat(step)
            elif isinstance(step, ParallelStep):
                self._fork(step)
            else:
                self._leaf(step)

    def _hold(self, key: str, kind: str, name: str, steps: Sequence[Step]) -> None:
        self.ops.append(Op(ACQUIRE, arg=key, kind=kind, name=name))
        self.walk(steps)
        self.ops.append(Op(RELEASE, arg=key, kind=kind, name=name))

    def _repeat(self, step: RepeatStep) -> None:
        seen = self._seen.copy()
        for _ in range(step.times):
            self._seen = seen.copy()  # a step has the same name in every round
            self.walk(step.steps)

    def _fork(self, step: ParallelStep) -> None:
        outer, branches = self.ops, []
        for branch in step.branches:
            self.ops = []
            self.walk(branch)
            branches.append(tuple(self.ops))
        self.ops = outer
        self.ops.append(Op(FORK, name=step.name or "parallel", branches=tuple(branches)))

    def _leaf(self, step: CpuStep | IoStep | SleepStep | BlockingStep) -> None:
        code = _leaf_code(step)
        kind = step.kind if isinstance(step, BlockingStep) else ""
        if isinstance(step, CpuStep) and step.releases_gil:
            kind = "native"
        self.ops.append(Op(code, len(self.demands), kind=kind, name=self._name(code, step.name)))
        self.demands.append(step.demand)

    def _name(self, code: int, given: str | None) -> str:
        if given:
            return given
        self._seen[code] += 1
        plain = OP_NAMES[code]
        return plain if self._unnamed[code] == 1 else f"{plain} {self._seen[code]}"
