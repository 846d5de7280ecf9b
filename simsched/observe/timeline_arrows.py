"""Why a request goes on: what led from one thread's work to another's.

An arrow is decided upon in two steps. What may become of it is known where the request stops (it
awaits something, its thread hands it over, its last branch ends), and where it leads to only when a
thread computes for it again, or blocks with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from simsched.observe.lanes import WAITS, step_name
from simsched.observe.timeline import Wake
from simsched.sim.task import CPU, RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.sim.os_thread import OsThread

HANDED_OVER = frozenset({"move", "return"})
"""Kinds of arrows that lead to another thread, or nowhere."""


POOL = "pool:"
"""How places of executors are told apart from loops."""


class _Cause(NamedTuple):
    """All of an arrow but its end."""

    kind: str
    by: int
    what: str
    worker: str
    from_s: float


class Arrows:
    """Follows requests and their branches from where they stop to where they go on.

    Args:
        told: what is told of arrows.
    """

    def __init__(self, told: Callable[[Wake], None]) -> None:
        self._told = told
        self._last: dict[Task, tuple[str, float]] = {}  # where and until when it last computed
        self._causes: dict[Task, _Cause] = {}
        self._blocks: dict[Task, tuple[float, OsThread]] = {}  # before it has computed anything
        self._places: dict[Task, str] = {}  # the executor or loop it was moved to last
        self._gave: tuple[float, Task, str] | None = None

    # -- where a request stops ---------------------------------------------------------------

    def step_ended(self, task: Task) -> None:
        """What it awaited outside of the runtime is done, and no thread has waited with it."""
        last = self._last.get(task)
        if last is not None:
            self._set(task, _Cause("io", task.index, step_name(task), *last))

    def gave(self, now: float, task: Task, name: str) -> None:
        """Whoever takes a permit of that resource at the same instant has it from this task."""
        self._gave = (now, task, name)

    def took(self, now: float, task: Task, name: str) -> None:
        """It has a permit that it has waited for."""
        if self._gave is not None and self._gave[0] == now and self._gave[2] == name:
            giver = self._gave[1]
            if giver.thread is not None:
                self._set(task, _Cause("permit", giver.index, name, giver.thread.name, now))

    def moved(self, now: float, task: Task, place: str, *, runs: bool) -> None:
        """It is about to queue for the threads of an executor, or for a loop.

        ``runs``: a thread runs it, and hands it over. Else it has waited, and was called off.
        """
        before, self._places[task] = self._places.get(task, ""), place
        self._causes.pop(task, None)
        if runs and before.startswith(POOL) and not place.startswith(POOL):
            self._hand_over(now, task, "return", before.removeprefix(POOL))
        elif runs:
            self._hand_over(now, task, "move", place.removeprefix(POOL))

    def entered(self, now: float, task: Task, part: int, to_part: int) -> None:
        """It goes from one part of the breakdown to another."""
        blocks = self._blocks.pop(task, None)
        if blocks is not None and to_part == CPU:  # its thread has waited with it
            self._goes_on(task, *blocks)
        elif blocks is not None:
            self._causes.pop(task, None)
        elif part == CPU and to_part == RUN_QUEUE and task not in self._causes:
            self._hand_over(now, task, "move", "")  # preempted, or it gives way
        elif part == CPU and to_part in WAITS and task in self._causes and task.thread is not None:
            self._blocks[task] = now, task.thread

    def joined(self, now: float, branch: Task) -> None:
        """A branch has ended; the last one lets its request go on."""
        parent = branch.parent
        if parent is None or parent.branches:
            return
        last = (branch.thread.name, now) if branch.thread is not None else self._last.get(branch)
        if last is not None:
            self._set(parent, _Cause("join", parent.index, step_name(parent), *last))

    def forget(self, task: Task) -> None:
        """It is over, or followed no further."""
        self._last.pop(task, None)
        self._causes.pop(task, None)
        self._blocks.pop(task, None)
        self._places.pop(task, None)

    def _hand_over(self, now: float, task: Task, kind: str, what: str) -> None:
        last = (task.thread.name, now) if task.thread is not None else self._last.get(task)
        if last is not None:
            self._set(task, _Cause(kind, task.index, what, *last))

    def _set(self, task: Task, cause: _Cause) -> None:
        self._causes[task] = cause
        self._blocks.pop(task, None)

    # -- where it goes on --------------------------------------------------------------------

    def worked(self, began_s: float, now: float, task: Task, thread: OsThread) -> None:
        """A thread has computed for it, from ``began_s`` until now."""
        self._goes_on(task, began_s, thread)
        self._last[task] = (thread.name, now)

    def _goes_on(self, task: Task, began_s: float, thread: OsThread) -> None:
        cause = self._causes.pop(task, None)
        if cause is None:
            return
        kind, by, what, worker, from_s = cause
        if worker == thread.name and kind in HANDED_OVER:
            return  # its thread just goes on
        self._told(Wake(kind, task.index, by, what, worker, from_s, thread.name, began_s))
