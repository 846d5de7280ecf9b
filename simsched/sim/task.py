"""A task: one attempt of one request, as a scheduler sees it.

A scheduler may look at the steps a task has behind it and at the one it stands at. It must not
decide anything by the *length* of what lies ahead: no real scheduler knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.sim.clock import Call
    from simsched.sim.resources import Resource
    from simsched.workload.program import Op, Program

# Where a task spends its time: indices into ``Task.parts``, in the order of ``record.PARTS``.
ADMISSION, RUN_QUEUE, CPU, IO, BLOCKING, RESOURCE, LOCK, GIL, OVERHEAD = range(9)
N_PARTS = 9

# How a request ends: values of ``RunRecord.outcome``.
UNFINISHED, COMPLETED, REJECTED, TIMED_OUT, FAILED = range(5)


class Task:
    """One attempt of one request.

    ``parts`` sums the seconds spent in each part of the breakdown; ``phase`` is the part the task
    is in now and ``since_s`` since when. A scheduler keeps its own state of a task in ``stage``,
    ``left_s`` and ``worker``.
    """

    __slots__ = (
        "attempt", "cancelled", "class_id", "deadline", "demands", "held", "index", "left_s",
        "ops", "over", "parts", "pc", "phase", "pins", "program", "since_s", "stage", "user",
        "wait", "wake", "worker",
    )  # fmt: skip

    def __init__(
        self, index: int, class_id: int, program: Program, demands: list[float], now: float
    ) -> None:
        self.index = index
        self.class_id = class_id
        self.program = program
        self.ops: tuple[Op, ...] = program.ops
        self.demands = demands
        self.since_s = now
        self.parts = [0.0] * N_PARTS
        self.held: list[Resource] = []
        self.attempt = 1
        self.user = -1
        self.pc = 0  # the step it stands at
        self.phase = ADMISSION
        self.deadline: Call | None = None
        self.cancelled = False  # the client has given up; the task has not yet noticed
        self.over = False  # this attempt has left the scheduler
        # for the scheduler:
        self.stage = 0
        self.left_s = 0.0
        self.pins = 0
        self.wait: Call | None = None  # the pending I/O completion or timer
        self.wake: Event | None = None  # what a thread that carries the task sleeps on
        self.worker: object = None

    def __repr__(self) -> str:
        return f"<Task {self.index} {self.program.name} step {self.pc}/{len(self.ops)}>"
