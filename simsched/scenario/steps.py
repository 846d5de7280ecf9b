"""What a request does: steps, and the class of requests that share them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from simsched.scenario.base import TAG, Finding, Model
from simsched.scenario.distributions import Dist
from simsched.scenario.scalars import (
    Duration,
    IntRange,
    Name,
    NumberRange,
    PositiveDuration,
    Size,
)

BlockingKind = Literal["socket", "file", "synchronized", "native"]
LockKind = Literal["reentrant", "synchronized"]
MAX_OPERATIONS = 100_000
"""Most operations of one class, with its repeats written out: each takes memory per request."""

OffloadApi = Literal["to_thread", "run_in_threadpool", "getaddrinfo"]


class CpuStep(Model):
    """Runs code for the demanded CPU time.

    ``releases_gil``: it is native code that gives the interpreter lock away while it computes.
    """

    demand: Dist = Field(alias="cpu", description="CPU time on one core.")
    releases_gil: bool = Field(
        default=False, description="Native code that runs without Python's interpreter lock."
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class IoStep(Model):
    """Waits for the network through the runtime's own API."""

    demand: Dist = Field(alias="io", description="Time until the answer comes.")
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class SleepStep(Model):
    """Waits for a timer of the runtime."""

    demand: Dist = Field(alias="sleep", description="Time until the timer fires.")
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class BlockingStep(Model):
    """Waits in a call that blocks the calling OS thread, unless the runtime knows this kind."""

    demand: Dist = Field(alias="blocking", description="Time for which the call blocks.")
    kind: BlockingKind = Field(
        default="socket",
        description="What blocks: a blocking socket, a file, a Java monitor, or native code.",
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class UseStep(Model):
    """Holds one unit of a resource while the inner steps run."""

    resource: Name = Field(alias="use", description="Name of a table [resources.NAME].")
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] = Field(
        description="What is done while the unit is held."
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class LockStep(Model):
    """Holds a lock, shared by all requests that name it, while the inner steps run."""

    lock: Name = Field(description="Name of the lock; all requests that name it share it.")
    kind: LockKind = Field(
        default="reentrant",
        description='"synchronized": a Java monitor, which pins virtual threads before JDK 24.',
    )
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] = Field(
        description="What is done while the lock is held."
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class OffloadStep(Model):
    """Runs the inner steps on a thread of an executor, where the runtime is an event loop.

    ``api`` names the call: ``to_thread`` (the loop's default executor), ``run_in_threadpool``
    (AnyIO's threads, as in Starlette and FastAPI) or ``getaddrinfo`` (name resolution). Every other
    runtime is on a thread already, and runs the steps there.
    """

    api: OffloadApi = Field(
        alias="offload",
        description="How the steps get to a thread: asyncio.to_thread or run_in_executor, "
        "AnyIO's threads (Starlette, FastAPI), or a name look-up.",
    )
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] = Field(
        description="What is done on the thread."
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


Branch = Annotated[tuple["Step", ...], Field(strict=False, min_length=1)]


class ParallelStep(Model):
    """Runs branches at the same time, and goes on when all have ended."""

    branches: Annotated[
        tuple[Branch, ...], Field(alias="parallel", strict=False, min_length=2, max_length=64)
    ] = Field(description="2 to 64 arrays of steps that run at the same time.")
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


class RepeatStep(Model):
    """Runs the inner steps a number of times, with new demands each time."""

    times: Annotated[int, IntRange(1, 10_000)] = Field(
        alias="repeat", description="How often the steps are run."
    )
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] = Field(
        description="What is repeated; each time with demands of its own."
    )
    name: Name | None = Field(
        default=None, description="Name in results instead of the kind of step."
    )


STEP_KINDS: dict[str, type[Model]] = {
    "cpu": CpuStep,
    "io": IoStep,
    "sleep": SleepStep,
    "blocking": BlockingStep,
    "use": UseStep,
    "lock": LockStep,
    "offload": OffloadStep,
    "parallel": ParallelStep,
    "repeat": RepeatStep,
}


def _tag(value: Any) -> str | None:
    if isinstance(value, Model):
        return next((TAG + key for key, kind in STEP_KINDS.items() if type(value) is kind), None)
    if not isinstance(value, dict):
        return None
    keys = [key for key in STEP_KINDS if key in value]
    return TAG + keys[0] if len(keys) == 1 else None


Step = Annotated[
    Annotated[CpuStep, Tag(TAG + "cpu")]
    | Annotated[IoStep, Tag(TAG + "io")]
    | Annotated[SleepStep, Tag(TAG + "sleep")]
    | Annotated[BlockingStep, Tag(TAG + "blocking")]
    | Annotated[UseStep, Tag(TAG + "use")]
    | Annotated[LockStep, Tag(TAG + "lock")]
    | Annotated[OffloadStep, Tag(TAG + "offload")]
    | Annotated[ParallelStep, Tag(TAG + "parallel")]
    | Annotated[RepeatStep, Tag(TAG + "repeat")],
    Discriminator(_tag, custom_error_type="which_step", custom_error_message="unknown step"),
]
"""Any step."""


def inner_steps(step: Any) -> Iterator[tuple[tuple[str | int, ...], tuple[Any, ...]]]:
    """The rows of steps inside a step, each with its path below the step."""
    if isinstance(step, ParallelStep):
        for i, branch in enumerate(step.branches):
            yield ("parallel", i), branch
    elif isinstance(step, (UseStep, LockStep, OffloadStep, RepeatStep)):
        yield ("steps",), step.steps


UseStep.model_rebuild()
LockStep.model_rebuild()
OffloadStep.model_rebuild()
ParallelStep.model_rebuild()
RepeatStep.model_rebuild()


class Retries(Model):
    """What a client does after a timeout or a rejection: tries again, later each time.

    The n-th retry waits backoff * factor^(n-1) * (1 + jitter * U), U uniform in -1..1.
    """

    max: Annotated[int, IntRange(0, 100)] = Field(description="Further attempts after the first.")
    backoff_s: Duration = Field(alias="backoff", description="Wait before the first of them.")
    factor: Annotated[float, NumberRange(1, 100)] = Field(
        default=2.0, description="Each further wait is so many times the one before."
    )
    jitter: Annotated[float, NumberRange(0, 1)] = Field(
        default=0.0, description="Share by which a wait varies at random, up or down."
    )


class RequestClass(Model):
    """Requests of one kind: their share of the mix, what they hold, and what they do.

    ``weight`` is relative to the other classes; ``memory_bytes`` is held while in flight.
    """

    name: Name = Field(description="Name of the class in results.")
    weight: Annotated[float, NumberRange(0, 1e9, open_low=True)] = Field(
        default=1.0, description="Share of the mix, relative to the other classes."
    )
    memory_bytes: Size = Field(
        alias="memory", default=0, description="Memory held from arrival to answer."
    )
    timeout_s: PositiveDuration | None = Field(
        alias="timeout",
        default=None,
        description="The client's patience per attempt. Absent: endless.",
    )
    retries: Retries | None = Field(
        default=None,
        description="What the client does after a time-out or a rejection. Absent: it gives up.",
    )
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)] = Field(
        description="What a request does, in order."
    )

    def findings(self) -> Iterator[Finding]:
        """No work is offloaded twice, and repeats do not make the class endless."""
        yield from _offloaded_twice(self.steps, ("steps",), "")
        count = operations(self)
        if count > MAX_OPERATIONS:
            yield Finding(
                _longest_repeat(self.steps, ("steps",)),
                f"with its repeats written out, the class has {count:,} operations, more than "
                f"{MAX_OPERATIONS:,}",
                "repeat less often, or put longer demands into fewer steps",
            )


def _offloaded_twice(steps: Any, path: tuple[str | int, ...], outer: str) -> Iterator[Finding]:
    for i, step in enumerate(steps):
        api = outer
        if isinstance(step, OffloadStep):
            if outer:
                yield Finding(
                    (*path, i, "offload"),
                    f'"{step.api}" inside "{outer}": the work is on a thread already',
                    "put the steps straight into the outer offload",
                )
            api = step.api
        for below, inner in inner_steps(step):
            yield from _offloaded_twice(inner, (*path, i, *below), api)


def operations(request: RequestClass) -> int:
    """How many operations a request is, its repeats written out."""
    return sum(map(_operations, request.steps))


def _operations(step: Any) -> int:
    """How many operations the engine sees of a step."""
    inside = sum(_operations(s) for _, inner in inner_steps(step) for s in inner)
    if isinstance(step, RepeatStep):
        return step.times * inside
    return inside + (2 if isinstance(step, (UseStep, LockStep, OffloadStep)) else 1)


def _longest_repeat(steps: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where the repeat with the most operations is, the outermost of nested ones."""
    sizes = [_operations(step) for step in steps]
    i = sizes.index(max(sizes))
    if isinstance(steps[i], RepeatStep):
        return (*path, i, "repeat")
    rows = list(inner_steps(steps[i]))
    if not rows:
        return (*path, i)
    below, inner = max(rows, key=lambda row: sum(map(_operations, row[1])))
    return _longest_repeat(inner, (*path, i, *below))
