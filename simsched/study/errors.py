"""What can go wrong with an experiment once its scenario is valid."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class SimulationError(Exception):
    """A simulation failed; the message says in which run, when, and at which request.

    Attributes:
        scheduler: name of the scheduler that was simulated.
        replication: replication, counted from 0.
        time_s: simulated time at which it failed; None where it failed before it started.
        request: index of the request that was being served; None where it is not known.
        step: name of the step that request stood at; None where it is not known.
        cause: type and message of the exception that was raised.
    """

    def __init__(
        self,
        scheduler: str,
        replication: int,
        cause: str,
        time_s: float | None = None,
        request: int | None = None,
        step: str | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.replication = replication
        self.time_s = time_s
        self.request = request
        self.step = step
        self.cause = cause
        super().__init__(self._message())

    def _message(self) -> str:
        places = [f'scheduler "{self.scheduler}"', f"replication {self.replication}"]
        if self.time_s is not None:
            places.append(f"at {self.time_s:.9g} s of simulated time")
        if self.request is not None:
            places.append(f"request {self.request}")
        if self.step is not None:
            places.append(f"step {self.step}")
        return f"{', '.join(places)}: {self.cause}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Exceptions are pickled by their arguments, which here are not the message."""
        place = (self.time_s, self.request, self.step)
        return type(self), (self.scheduler, self.replication, self.cause, *place)


def describe(error: BaseException) -> str:
    """Type and message of an exception, on one line."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def task_at_fault(trace: TracebackType | None) -> tuple[int | None, str | None]:
    """Request and step that the innermost frame of a traceback was busy with, if any was.

    Reading them from the traceback costs a run that succeeds nothing, as an observer would.
    """
    from simsched.sim.task import Task

    request: int | None = None
    step: str | None = None
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            if isinstance(value, Task):
                request, step = value.index, _step_of(value.program.name, value.ops, value.pc)
        trace = trace.tb_next
    return request, step


def _step_of(class_name: str, ops: tuple[Any, ...], at: int) -> str:
    name = ops[at].name if 0 <= at < len(ops) else ""
    number = f"{at + 1} of {len(ops)}" if at < len(ops) else "after the last"
    return f'{number} of class "{class_name}"' + (f" ({name})" if name else "")
