"""What the steps of a diary are called, where the diary itself only counts them.

A diary does not say at which step a task stands. But each wait of a program (``io``, ``sleep``,
``blocking``) makes one mark, so the number of such marks so far gives the place in the program:
it names the wait that follows, and the stretch of computing before it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from simsched.sim.task import ADMISSION, JOIN, LOCK, N_PARTS, RESOURCE, RUN_QUEUE
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.sim.task import Task
    from simsched.workload.program import Op

NOBODY: Final = 0
"""The key of what no request is to blame for."""
RUNTIME: Final = "overhead"
"""Name of a stretch of computing without a step: the runtime's own work for a request."""
WAITS: Final = frozenset({op_code.IO, op_code.SLEEP, op_code.BLOCKING})

_OTHERS = {
    ADMISSION: "waiting to run",
    RUN_QUEUE: "waiting to run",
    RESOURCE: "waiting for a resource",
    LOCK: "waiting for a lock",
    JOIN: "waiting for branches",
}

IndexArray = npt.NDArray[np.intp]


class StepNames:
    """Numbers ("keys") for pairs of class and step, and tables that give them for a diary."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, str]] = [(-1, "")]
        self._keys: dict[tuple[int, str], int] = {}
        self.programs: dict[int, int] = {}
        self._kept: list[tuple[Op, ...]] = []  # so that no identity is used twice
        self._computing: list[list[int]] = []  # by program: key of each stretch
        self._waiting: list[list[int]] = []  # by program: key of each wait
        self._other: list[list[int]] = []  # by program and part
        self._tables: tuple[IndexArray, ...] | None = None

    def key(self, class_id: int, step: str) -> int:
        """The number of a pair."""
        pair = class_id, step
        number = self._keys.get(pair)
        if number is None:
            number = self._keys[pair] = len(self.pairs)
            self.pairs.append(pair)
        return number

    def add(self, task: Task) -> int:
        """Give the program that the task follows (a branch follows one of its own) a number.

        ``programs`` has it from then on, by the identity of the steps.
        """
        ops, demands = task.ops, task.program.demands

        def longest(stretch: list[Op]) -> str:
            if not stretch:
                return RUNTIME
            return max(stretch, key=lambda op: demands[op.slot].mean_s or 0.0).name

        stretches: list[list[Op]] = [[]]
        waits: list[str] = []
        for op in ops:
            if op.code in WAITS:
                waits.append(op.name)
                stretches.append([])
            elif op.code == op_code.CPU:
                stretches[-1].append(op)
        of = task.class_id
        number = self.programs[id(ops)] = len(self._kept)
        self._kept.append(ops)
        self._computing.append([self.key(of, longest(stretch)) for stretch in stretches])
        self._waiting.append([self.key(of, name) for name in waits] or [NOBODY])
        others = [self.key(of, _OTHERS[p]) if p in _OTHERS else NOBODY for p in range(N_PARTS)]
        self._other.append(others)
        self._tables = None
        return number

    def computing(self, program: IndexArray, position: IndexArray) -> IndexArray:
        """Keys of the stretches of computing after ``position`` waits."""
        starts, keys, _, _, _ = self._flat()
        found: IndexArray = keys[np.minimum(starts[program] + position, starts[program + 1] - 1)]
        return found

    def waiting(self, program: IndexArray, position: IndexArray) -> IndexArray:
        """Keys of the waits that follow ``position`` others."""
        _, _, starts, keys, _ = self._flat()
        found: IndexArray = keys[np.minimum(starts[program] + position, starts[program + 1] - 1)]
        return found

    def other(self, program: IndexArray, part: IndexArray) -> IndexArray:
        """Keys of what is neither a step nor computing."""
        return self._flat()[4][program, part]

    def _flat(self) -> tuple[IndexArray, ...]:
        if self._tables is None:
            tables: list[IndexArray] = []
            for lists in (self._computing, self._waiting):
                tables.append(np.array([0, *accumulate(map(len, lists))], np.intp))
                tables.append(np.array([key for keys in lists for key in keys], np.intp))
            self._tables = (*tables, np.array(self._other, np.intp))
        return self._tables
