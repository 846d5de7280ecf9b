"""Step programs: what a request of a class does, flattened to a row of operations.

Nested steps (`use` a resource, hold a `lock`) become ACQUIRE ... RELEASE around the steps inside,
so that an engine walks a request with one index and no recursion.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simsched.scenario import BlockingStep, CpuStep, IoStep, LockStep, SleepStep, UseStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simsched.scenario import Dist, RequestClass, Retries, Step

__all__ = [
    "ACQUIRE",
    "BLOCKING",
    "CPU",
    "IO",
    "OP_NAMES",
    "RELEASE",
    "SLEEP",
    "Op",
    "Program",
    "flatten",
    "lock_key",
]

CPU = 0
IO = 1
SLEEP = 2
BLOCKING = 3
ACQUIRE = 4
RELEASE = 5

OP_NAMES = ("cpu", "io", "sleep", "blocking", "acquire", "release")


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a program.

    Attributes:
        code: CPU, IO, SLEEP, BLOCKING, ACQUIRE or RELEASE.
        slot: Column of the request's demand row that holds the seconds; -1 where there is none.
        arg: Key of the resource acquired or released ("db", or "lock:NAME"), else "".
        kind: Kind of a blocking call ("socket", "file", "synchronized", "native") or of a lock
            ("reentrant", "synchronized"), else "".
        name: What a reader calls the step.
    """

    code: int
    slot: int = -1
    arg: str = ""
    kind: str = ""
    name: str = ""


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
        keys = dict.fromkeys(op.arg for op in self.ops if op.code == ACQUIRE)
        object.__setattr__(self, "wait_names", tuple(keys))

    @property
    def slots(self) -> int:
        """Number of columns of a demand row."""
        return len(self.demands)


def lock_key(name: str) -> str:
    """The resource key of a lock; the prefix keeps a lock and a pool of one name apart."""
    return f"lock:{name}"


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
        if isinstance(step, UseStep | LockStep):
            counts += _unnamed_counts(step.steps)
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
            else:
                self._leaf(step)

    def _hold(self, key: str, kind: str, name: str, steps: Sequence[Step]) -> None:
        self.ops.append(Op(ACQUIRE, arg=key, kind=kind, name=name))
        self.walk(steps)
        self.ops.append(Op(RELEASE, arg=key, kind=kind, name=name))

    def _leaf(self, step: CpuStep | IoStep | SleepStep | BlockingStep) -> None:
        code = _leaf_code(step)
        kind = step.kind if isinstance(step, BlockingStep) else ""
        self.ops.append(Op(code, len(self.demands), kind=kind, name=self._name(code, step.name)))
        self.demands.append(step.demand)

    def _name(self, code: int, given: str | None) -> str:
        if given:
            return given
        self._seen[code] += 1
        plain = OP_NAMES[code]
        return plain if self._unnamed[code] == 1 else f"{plain} {self._seen[code]}"
