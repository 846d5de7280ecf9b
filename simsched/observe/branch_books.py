"""The ledger's books of branches: what they computed, and what requests waited for in them.

A branch has a diary of its own. Of the branches of one step the last to end accounts for all the
time that their request was in "join": it was made when the request began to wait, and the request
goes on when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simsched.observe.series import FloatArray, UnitLog
from simsched.sim.task import CPU, N_PARTS

if TYPE_CHECKING:
    from simsched.sim.task import Task

# What the ledger notes of a diary that is a branch's: whether its request waited for it to end.
BRANCH, SLOWEST = -2, -3


class BranchBooks:
    """Branches under way, how many there were over time, and what they did."""

    def __init__(self) -> None:
        self.live: dict[Task, None] = {}
        self.log = UnitLog()
        self.parts_s: FloatArray = np.zeros(N_PARTS)  # of all branches together
        # Index of the request and CPU of each branch; index and parts of the slowest ones.
        self._cpu: list[tuple[npt.NDArray[np.int32], FloatArray]] = []
        self._join: list[tuple[npt.NDArray[np.int32], FloatArray]] = []
        self._gil: dict[Task, dict[tuple[int, str], float]] = {}  # by class and step of the holder

    def forked(self, now: float, branch: Task) -> None:
        """One more."""
        self.live[branch] = None
        self.log.add(now)

    def joined(self, now: float, branch: Task) -> None:
        """One less."""
        del self.live[branch]
        self.log.add(-now)

    def waits_for_gil(self, branch: Task, culprit: int, step: str, seconds: float) -> None:
        """A branch under way has waited for the interpreter lock, which somebody had."""
        waits = self._gil.setdefault(branch, {})
        waits[culprit, step] = waits.get((culprit, step), 0.0) + seconds

    def waited_for_gil(self, branch: Task) -> dict[tuple[int, str], float]:
        """All such waits of a branch that has ended; told once."""
        return self._gil.pop(branch, {})

    def pack(self, closed: npt.NDArray[np.int32], parts_s: FloatArray) -> None:
        """Take what diaries say. Rows of ``closed`` begin with request and BRANCH or SLOWEST."""
        if not len(closed):
            return
        self.parts_s += parts_s.sum(axis=0)
        self._cpu.append((closed[:, 0], parts_s[:, CPU]))
        slowest = closed[:, 1] == SLOWEST
        self._join.append((closed[slowest, 0], parts_s[slowest]))

    def join_parts_s(self, requests: int) -> FloatArray:
        """See `RunRecord.join_parts_s`."""
        return _sum_by_request(self._join, (requests, N_PARTS))

    def cpu_s(self, requests: int) -> FloatArray:
        """See `RunRecord.branch_cpu_s`."""
        return _sum_by_request(self._cpu, (requests,))


def waits_for(request: Task | None, branch: Task, now_left: bool) -> bool:
    """Whether it is this branch for which the request waits to the end.

    ``now_left``: the branch has just ended. Else the run has, and of the branches that go on the
    one that was made last stands for all.
    """
    parent = branch.parent
    if parent is None or parent is not request:
        return False  # a branch of a branch, or nobody waits for the attempt any more
    return not parent.branches if now_left else parent.branches[-1] is branch


def _sum_by_request(
    blocks: list[tuple[npt.NDArray[np.int32], FloatArray]], shape: tuple[int, ...]
) -> FloatArray:
    """A row for each request, or none at all where no request had branches."""
    if not blocks:
        return np.empty((0, *shape[1:]))
    rows = np.zeros(shape)
    for index, amounts in blocks:
        np.add.at(rows, index, amounts)
    return rows
