"""A task: one attempt of one request, as a scheduler sees it.

A scheduler may look at the steps a task has behind it and at the one it stands at. It must not
decide anything by the *length* of what lies ahead: no real scheduler knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.sim.clock import Call
    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread
    from simsched.sim.resources import Resource
    from simsched.workload.program import Op, Program

# Where a task spends its time, in the order of ``record.PARTS``.
ADMISSION, RUN_QUEUE, CPU, IO, BLOCKING, RESOURCE, LOCK, GIL, OVERHEAD, JOIN = range(10)
N_PARTS = 10

# How a request ends: values of ``RunRecord.outcome``.
UNFINISHED, COMPLETED, REJECTED, TIMED_OUT, FAILED = range(5)

# What else than a part can be in ``Task.marks``: the end, and corrections of the present part.
ENDED = N_PARTS  # its time is when the attempt ended
# Seconds of it that are overhead, or a wait for a core, or for the interpreter lock.
COST, NO_CORE, NO_GIL = ENDED + 1, ENDED + 2, ENDED + 3
# Notes, which move no time: seconds of it that the client waited before it sent the request again;
# the steps that came before the diary; the place where the task goes on; seconds of the wait for a
# core in which that was stopped (a CPU quota was used up); that the task waits without letting its
# worker go; when that was taken from it; from when on the request had no connection, stood in the
# accept queue, and was known to the server; and from `PERMITS` on three for each resource: when a
# permit was asked for in vain, taken, and given back.
BACK_OFF, STEPS, MOVED, NO_QUOTA = ENDED + 4, ENDED + 5, ENDED + 6, ENDED + 7
PINNED, LOST, UNWIRED, LINED, WIRED = range(ENDED + 8, ENDED + 13)
PERMITS = ENDED + 13

NO_BRANCHES: list[Task] = []  # shared by all tasks that have none, and never added to


class Task:
    """One attempt of one request, or one branch of a ``parallel`` step of it.

    ``marks`` is its diary, kept by the ledger: a flat list of part, time, part, time, ..., each
    pair saying since when the task has been in which part of the breakdown. Writing is all that
    happens during a run; :mod:`simsched.observe.marks` adds up afterwards.

    A scheduler keeps its own state of a task in ``stage``, ``left_s`` and ``worker``.
    """

    __slots__ = (
        "attempt", "branches", "broken", "cancelled", "class_id", "connection", "deadline",
        "demands", "held", "index", "left_s", "marks", "ops", "over", "parent", "pc", "pins",
        "process", "program", "stage", "thread", "user", "wait", "wake", "worker",
    )  # fmt: skip

    def __init__(
        self, index: int, class_id: int, program: Program, demands: list[float], now: float
    ) -> None:
        self.index = index
        self.class_id = class_id
        self.program = program
        self.ops: tuple[Op, ...] = program.ops
        self.demands = demands
        self.marks: list[float] = [ADMISSION, now]
        self.held: list[Resource] = []
        self.attempt = 1
        self.user = -1
        self.pc = 0  # the step it stands at
        self.deadline: Call | None = None
        self.cancelled = False  # the client has given up; the task has not yet noticed
        self.broken = False  # a pool has given it no permit: no step follows, and it has failed
        self.over = False  # this attempt has left the scheduler
        # for the scheduler:
        self.stage = 0
        self.left_s = 0.0
        self.pins = 0
        self.wait: Call | None = None  # the pending I/O completion or timer
        self.wake: Event | None = None  # what a thread that carries the task sleeps on
        self.worker: object = None
        self.thread: OsThread | None = None  # the one that ran its code last
        self.process = 0  # index of the process that has it
        self.connection: Connection | None = None  # the one it came on, if those are modelled
        self.parent: Task | None = None  # whose branch this is, of a ``parallel`` step
        self.branches: list[Task] = NO_BRANCHES  # its own ones that have not ended yet

    @classmethod
    def branch(cls, parent: Task, ops: tuple[Op, ...], now: float) -> Task:
        """One branch of the ``parallel`` step at which ``parent`` stands.

        It has steps, permits and a diary of its own, and draws from the demands of its request.
        """
        task = cls(parent.index, parent.class_id, parent.program, parent.demands, now)
        task.ops = ops
        task.marks = [RUN_QUEUE, now]
        task.attempt = parent.attempt
        task.user = parent.user
        task.process = parent.process
        task.parent = parent
        return task

    def failed(self) -> bool:
        """Whether it is broken by now: the wait that has just ended may have done that."""
        return self.broken

    @property
    def phase(self) -> int:
        """The part of the breakdown the task is in."""
        return int(self.marks[self._latest()])

    @property
    def since_s(self) -> float:
        """When the task entered that part."""
        return self.marks[self._latest() + 1]

    def _latest(self) -> int:
        """Where the latest mark is that is no correction."""
        at = -2
        while self.marks[at] > ENDED:
            at -= 2
        return at

    def __repr__(self) -> str:
        return f"<Task {self.index} {self.program.name} step {self.pc}/{len(self.ops)}>"
