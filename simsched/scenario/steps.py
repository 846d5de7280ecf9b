"""What a request does: steps, and the class of requests that share them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from simsched.scenario.base import TAG, Model
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


class CpuStep(Model):
    """Runs language code for the demanded CPU time."""

    demand: Dist = Field(alias="cpu")
    name: Name | None = None


class IoStep(Model):
    """Waits for the network through the runtime's own API."""

    demand: Dist = Field(alias="io")
    name: Name | None = None


class SleepStep(Model):
    """Waits for a timer of the runtime."""

    demand: Dist = Field(alias="sleep")
    name: Name | None = None


class BlockingStep(Model):
    """Waits in a call that blocks the calling OS thread, unless the runtime knows this kind."""

    demand: Dist = Field(alias="blocking")
    kind: BlockingKind = "socket"
    name: Name | None = None


class UseStep(Model):
    """Holds one unit of a resource while the inner steps run."""

    resource: Name = Field(alias="use")
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)]
    name: Name | None = None


class LockStep(Model):
    """Holds a lock, shared by all requests that name it, while the inner steps run."""

    lock: Name
    kind: LockKind = "reentrant"
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)]
    name: Name | None = None


STEP_KINDS: dict[str, type[Model]] = {
    "cpu": CpuStep,
    "io": IoStep,
    "sleep": SleepStep,
    "blocking": BlockingStep,
    "use": UseStep,
    "lock": LockStep,
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
    | Annotated[LockStep, Tag(TAG + "lock")],
    Discriminator(_tag, custom_error_type="which_step", custom_error_message="unknown step"),
]
"""Any step."""

UseStep.model_rebuild()
LockStep.model_rebuild()


class Retries(Model):
    """What a client does after a timeout or a rejection: tries again, later each time.

    The n-th retry waits backoff * factor^(n-1) * (1 + jitter * U), U uniform in -1..1.
    """

    max: Annotated[int, IntRange(0, 100)]
    backoff_s: Duration = Field(alias="backoff")
    factor: Annotated[float, NumberRange(1, 100)] = 2.0
    jitter: Annotated[float, NumberRange(0, 1)] = 0.0


class RequestClass(Model):
    """Requests of one kind: their share of the mix, what they hold, and what they do.

    ``weight`` is relative to the other classes; ``memory_bytes`` is held while in flight.
    """

    name: Name
    weight: Annotated[float, NumberRange(0, 1e9, open_low=True)] = 1.0
    memory_bytes: Size = Field(alias="memory", default=0)
    timeout_s: PositiveDuration | None = Field(alias="timeout", default=None)
    retries: Retries | None = None
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1)]
