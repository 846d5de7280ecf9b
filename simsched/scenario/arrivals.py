"""How requests arrive: open processes, a closed population, or a replayed trace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from simsched.scenario.base import TAG, Finding, Model
from simsched.scenario.distributions import Constant, Dist
from simsched.scenario.scalars import Duration, IntRange, Name, PositiveDuration, PositiveRate, Rate


class Poisson(Model):
    """Independent arrivals at a constant mean rate."""

    kind: Literal["poisson"] = "poisson"
    rate_rps: PositiveRate = Field(alias="rate", description="Mean arrival rate.")


class ConstantRate(Model):
    """Arrivals exactly 1/rate apart."""

    kind: Literal["constant"] = "constant"
    rate_rps: PositiveRate = Field(
        alias="rate", description="Arrival rate: requests are exactly 1/rate apart."
    )


class Bursty(Model):
    """Two-state Markov-modulated Poisson process: calm and burst, exponential dwell times."""

    kind: Literal["bursty"] = "bursty"
    rate_low_rps: Rate = Field(alias="rate_low", description="Rate while it is calm.")
    rate_high_rps: PositiveRate = Field(alias="rate_high", description="Rate during a burst.")
    mean_low_s: PositiveDuration = Field(alias="mean_low", description="Mean length of the calm.")
    mean_high_s: PositiveDuration = Field(alias="mean_high", description="Mean length of a burst.")

    def findings(self) -> Iterator[Finding]:
        """The burst must be the faster state."""
        if self.rate_low_rps > self.rate_high_rps:
            yield Finding(("rate_low",), "rate_low is above rate_high", "swap the two")

    @property
    def mean_rate_rps(self) -> float:
        """Long-run mean rate: the two rates weighted by the mean time in each state."""
        weighted = self.rate_low_rps * self.mean_low_s + self.rate_high_rps * self.mean_high_s
        return weighted / (self.mean_low_s + self.mean_high_s)


class Ramp(Model):
    """Poisson arrivals whose rate goes linearly from ``from`` to ``to`` over the duration."""

    kind: Literal["ramp"] = "ramp"
    from_rps: Rate = Field(alias="from", description="Rate at the start.")
    to_rps: Rate = Field(alias="to", description="Rate at the end of the duration.")

    def findings(self) -> Iterator[Finding]:
        """Some requests must arrive."""
        if self.from_rps == 0 and self.to_rps == 0:
            yield Finding(("to",), "both ends of the ramp are 0/s: no request would arrive")


class RateStep(Model):
    """From ``at`` on, requests arrive at ``rate``."""

    at_s: Duration = Field(alias="at", description="From when on.")
    rate_rps: Rate = Field(alias="rate", description="Arrival rate from then on.")


class Steps(Model):
    """Poisson arrivals at a piecewise constant rate."""

    kind: Literal["steps"] = "steps"
    steps: Annotated[tuple[RateStep, ...], Field(strict=False)] = Field(
        description='Entries { at = "10s", rate = "600/s" }, the first at "0s".'
    )

    def findings(self) -> Iterator[Finding]:
        """The first step is at 0, the others follow in order, and some rate is above zero."""
        if not self.steps:
            yield Finding(("steps",), "at least one step is needed")
            return
        if self.steps[0].at_s != 0:
            yield Finding(("steps", 0, "at"), 'the first step must be at "0s"')
        for i, (before, after) in enumerate(pairwise(self.steps)):
            if after.at_s <= before.at_s:
                yield Finding(("steps", i + 1, "at"), "steps must be in order of time")
        if all(step.rate_rps == 0 for step in self.steps):
            yield Finding(("steps",), "every rate is 0/s: no request would arrive")


class Closed(Model):
    """A fixed population: each user sends, waits for the response, thinks, and sends again."""

    kind: Literal["closed"] = "closed"
    users: Annotated[int, IntRange(1, 10_000_000)] = Field(
        description="Users, each with one request at a time."
    )
    think: Dist = Field(
        default=Constant(value_s=0.0), description="Time from an answer to the user's next request."
    )


class Trace(Model):
    """Arrivals replayed from a CSV, Parquet or npz file.

    Columns: ``arrival_s``, optionally ``class``, and one per demand that a step names. The file is
    relative to the folder of the scenario.
    """

    kind: Literal["trace"] = "trace"
    file: Name = Field(
        description="CSV, Parquet or npz with a column arrival_s, relative to the scenario."
    )


ARRIVAL_KINDS: dict[str, type[Model]] = {
    "poisson": Poisson,
    "constant": ConstantRate,
    "bursty": Bursty,
    "ramp": Ramp,
    "steps": Steps,
    "closed": Closed,
    "trace": Trace,
}


def _tag(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return TAG + kind if isinstance(kind, str) and kind in ARRIVAL_KINDS else None


Arrivals = Annotated[
    Annotated[Poisson, Tag(TAG + "poisson")]
    | Annotated[ConstantRate, Tag(TAG + "constant")]
    | Annotated[Bursty, Tag(TAG + "bursty")]
    | Annotated[Ramp, Tag(TAG + "ramp")]
    | Annotated[Steps, Tag(TAG + "steps")]
    | Annotated[Closed, Tag(TAG + "closed")]
    | Annotated[Trace, Tag(TAG + "trace")],
    Discriminator(_tag, custom_error_type="which_arrivals", custom_error_message="unknown kind"),
]
"""Any arrival process."""


def mean_rate_rps(arrivals: Arrivals, duration_s: float) -> float | None:
    """Mean arrival rate over the duration; None for a closed workload and for a trace."""
    if isinstance(arrivals, (Closed, Trace)):
        return None
    if isinstance(arrivals, Bursty):
        return arrivals.mean_rate_rps
    if isinstance(arrivals, Ramp):
        return (arrivals.from_rps + arrivals.to_rps) / 2
    if isinstance(arrivals, Steps):
        ends = [*(step.at_s for step in arrivals.steps[1:]), duration_s]
        spans = zip(arrivals.steps, ends, strict=True)
        inside = ((step, max(0.0, min(end, duration_s) - step.at_s)) for step, end in spans)
        return sum(step.rate_rps * length for step, length in inside) / duration_s
    return arrivals.rate_rps


def peak_rate_rps(arrivals: Arrivals, duration_s: float) -> float | None:
    """Highest arrival rate within the duration; None for a closed workload and for a trace."""
    if isinstance(arrivals, Bursty):
        return arrivals.rate_high_rps
    if isinstance(arrivals, Ramp):
        return max(arrivals.from_rps, arrivals.to_rps)
    if isinstance(arrivals, Steps):
        return max(step.rate_rps for step in arrivals.steps if step.at_s < duration_s)
    return mean_rate_rps(arrivals, duration_s)
