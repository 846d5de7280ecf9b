"""What all checkers share: they judge a run from outside, and refuse to go on when it is wrong.

A checker keeps books of its own from the events it hears and compares them with what the
simulation does next. It is not part of what it judges, so that one mistake cannot hide in both.
Checkers cost about as much time as the simulation itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from simsched.schedulers.future_calls import BROKEN
from simsched.sim.clock import DISPATCH, Call
from simsched.sim.observer import Observer

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.task import Task

SETTLED = DISPATCH + (1 << 40)
"""Priority after all else that can happen at an instant."""


class CheckFailed(Exception):
    """A run broke an invariant.

    Attributes:
        invariant: which one.
        time_s: simulated time at which it was noticed.
    """

    def __init__(self, invariant: str, time_s: float, where: str, expected: str, seen: str) -> None:
        self.invariant = invariant
        self.time_s = time_s
        place = f", {where}" if where else ""
        super().__init__(
            f"{invariant} broken at {time_s:.9g} s{place}: expected {expected}; saw {seen}"
        )


class Checker(Observer):
    """An observer that raises :class:`CheckFailed`.

    ``attach`` is called before the scheduler is built; ``finish`` after the run, with its record.
    """

    invariant: ClassVar[str]
    simulation: Simulation

    def attach(self, simulation: Simulation) -> None:
        """Get to know the run that is about to begin."""
        self.simulation = simulation

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        """The run is over, and this is what it reports."""

    def fail(self, expected: str, seen: str, task: Task | None = None, where: str = "") -> NoReturn:
        """Raise CheckFailed for what happens now, to ``task`` if it is about one."""
        if task is not None:
            where = place_of(task)
        raise CheckFailed(self.invariant, self.simulation.clock.now, where, expected, seen)


class SettledChecker(Checker, ABC):
    """A checker that looks at each instant in which something happened, when all of it has.

    Inside an instant, work may wait for a moment beside an idle worker: the order of events in it
    is not the order in which things become possible.
    """

    _looks_at_s = -1.0

    def touch(self) -> None:
        """Something has happened: look when this instant is over."""
        clock = self.simulation.clock
        if clock.now != self._looks_at_s:
            self._looks_at_s = clock.now
            clock.call_at(clock.now, SETTLED, self._look)

    def _look(self, _: Call) -> None:
        self._looks_at_s = -1.0
        self.settled(self.simulation.clock.now)

    @abstractmethod
    def settled(self, now: float) -> None:
        """The instant is over."""


def place_of(task: Task) -> str:
    """Which request, attempt and step, in words."""
    program = task.program
    if task.pc < len(task.ops):
        step = f'step {task.pc} "{task.ops[task.pc].name}"'
    else:
        step = "after its last step"
    attempt = f", attempt {task.attempt}" if task.attempt > 1 else ""
    return f'request {task.index} of class "{program.name}"{attempt}, {step}'


def early_timers_s(spec: Any) -> float:
    """How early a timer may be: libuv rounds a delay, and cuts off what its own time is beyond."""
    if getattr(spec, "loop", "asyncio") == "asyncio":
        return 0.0
    return 2.0 * float(spec.timer_resolution_s)


def threw(simulation: Simulation, branch: Task) -> bool:
    """Whether an exception has ended a branch. Its request cannot end its own step then."""
    return simulation.spec.kind == "fork_join" and branch.stage == BROKEN


def differs(a: float, b: float, relative: float = 1e-9, absolute_s: float = 1e-9) -> bool:
    """Whether two sums of the same seconds differ by more than rounding can explain."""
    return abs(a - b) > absolute_s + relative * max(abs(a), abs(b))
