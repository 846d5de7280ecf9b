"""The part of the result document that speaks of one scheduler.

Times are seconds, sizes bytes, rates per second, utilisations fractions of capacity (0 to 1).
Every model is strict: an unknown key, a string for a number, NaN or infinity is an error.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]
Verdict = Literal["STABLE", "BACKLOGGED", "OVERLOADED"]
SloState = Literal["pass", "fail", "unknown"]

CHECK_NAMES = ("conservation", "littles_law", "utilization_law")


class Part(BaseModel):
    """Base of all parts of the document: frozen, strict, nothing unknown, only finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Estimate(Part):
    """A number with its uncertainty over replications."""

    value: float | None = Field(
        description="The estimate, in the unit of its key; null where there is too little evidence."
    )
    ci95: Interval | None = Field(
        description="95 % confidence interval [low, high] over replications, in the unit of value; "
        "null with one replication or no value."
    )
    reason: str | None = Field(
        default=None,
        description="Why the value is null, or why it is a bound only (censored by unfinished "
        "requests). Absent otherwise.",
    )

    @model_validator(mode="after")
    def _is_explained(self) -> Self:
        if self.value is None and not self.reason:
            raise ValueError("a null value needs a reason")
        if self.ci95 is not None and self.ci95[0] > self.ci95[1]:
            raise ValueError("the interval ends before it starts")
        return self


class Ladder(Part):
    """A distribution of a time, in seconds, from its mean to its highest value."""

    mean: Estimate = Field(description="Mean over requests, seconds.")
    p50: Estimate = Field(description="Median, seconds.")
    p90: Estimate = Field(description="90th percentile, seconds.")
    p95: Estimate = Field(description="95th percentile, seconds.")
    p99: Estimate = Field(description="99th percentile, seconds.")
    p999: Estimate = Field(description="99.9th percentile, seconds.")
    max: Estimate = Field(description="Highest value seen, seconds; it grows with the run.")


class Counts(Part):
    """What became of the requests. `arrived` is the sum of the others."""

    arrived: Count = Field(
        description="Requests that arrived after the warm-up, over all replications."
    )
    completed: Count = Field(description="Requests answered.")
    rejected: Count = Field(description="Requests refused for want of a place.")
    timed_out: Count = Field(description="Requests whose last attempt ran into its timeout.")
    failed: Count = Field(description="Requests that ended in any other error.")
    unfinished: Count = Field(description="Requests still in the system when the run stopped.")

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        ended = self.completed + self.rejected + self.timed_out + self.failed + self.unfinished
        if ended != self.arrived:
            raise ValueError(f"outcomes add up to {ended}, but {self.arrived} requests arrived")
        return self

    @property
    def errors(self) -> int:
        """Requests that ended without an answer: rejected, timed out or failed."""
        return self.rejected + self.timed_out + self.failed

    @property
    def error_rate(self) -> float | None:
        """Errors over arrivals, 0 to 1; None where nothing arrived."""
        return self.errors / self.arrived if self.arrived else None


class ClassResult(Part):
    """One request class under one scheduler."""

    counts: Counts = Field(description="Outcomes of this class's requests.")
    latency_s: Ladder = Field(
        description="Latency of completed requests, arrival to answer, seconds."
    )


class Breakdown(Part):
    """Where the time goes: means over completed requests that add up to the mean latency."""

    admission: Estimate = Field(description="Waiting to be taken in by the scheduler, seconds.")
    run_queue: Estimate = Field(description="Runnable, waiting for a worker or a core, seconds.")
    cpu: Estimate = Field(description="Running the request's own code, seconds.")
    io: Estimate = Field(description="Waiting for idiomatic network I/O or a timer, seconds.")
    blocking: Estimate = Field(description="Inside blocking calls, seconds.")
    resource: Estimate = Field(description="Waiting for a permit of a resource, seconds.")
    lock: Estimate = Field(description="Waiting for a lock, seconds.")
    gil: Estimate = Field(description="Waiting for the interpreter lock, seconds.")
    overhead: Estimate = Field(
        description="Scheduler and operating system work on its behalf, seconds."
    )
    join: Estimate = Field(
        default=Estimate(value=0.0, ci95=None),
        description="Waiting for the slowest branch of `parallel` steps, seconds; 0 where absent.",
    )


class Utilization(Part):
    """Time-weighted mean use, as a fraction of capacity."""

    cpu: Estimate = Field(
        description="Busy cores over all cores, or over the CPU quota, or over those that a "
        "hypervisor leaves; overhead included."
    )
    workers: Estimate = Field(
        description="Busy workers over those there may be, over those alive where there is no "
        "limit, 0 to 1."
    )
    overhead: Estimate = Field(description="Cores spent on scheduling over all cores, 0 to 1.")


class AtPeak(Part):
    """What memory was made of at its peak, besides the base; means over replications."""

    stacks: Count = Field(description="Stacks of OS threads, bytes.")
    tasks: Count = Field(description="Goroutines, virtual threads, coroutines or jobs, bytes.")
    requests: Count = Field(description="Memory that requests in flight hold, bytes.")
    connections: Count = Field(description="Connections of requests in flight, bytes.")
    garbage: Count = Field(
        0, description="What the garbage collector leaves unused beside them, bytes."
    )


class Memory(Part):
    """Memory of the process, in bytes."""

    mean: Estimate = Field(description="Time-weighted mean, bytes.")
    peak: Estimate = Field(description="Highest value, mean over replications, bytes.")
    base: Count = Field(description="Memory of the idle process, or of all of them, bytes.")
    at_peak: AtPeak = Field(description="What was held at the peak on top of the base, bytes.")


class ResourceResult(Part):
    """Use of one resource."""

    capacity: int = Field(description="Permits.")
    utilization: Estimate = Field(description="Permits taken over capacity, whole run, 0 to 1.")
    wait_s: Estimate = Field(description="Mean wait for a permit per acquisition, seconds.")
    asked: Count | None = Field(
        default=None,
        description="Where it has `timeout` or `max_waiting`: how often a permit was asked for, "
        "whole run, over all replications.",
    )
    timeouts: Count | None = Field(
        default=None,
        description="How often that took longer than `timeout`, whole run, over all replications.",
    )
    refusals: Count | None = Field(
        default=None,
        description="How often `max_waiting` waited already, whole run, over all replications.",
    )


class Blame(Part):
    """How long requests of one class waited because of another class in one of its steps."""

    cause: str = Field(
        description='What was waited for: a slot of the runtime ("loop", "threads", "workers", '
        '"Ps", "carriers"), "core" (the host\'s own queue), "quota" (its CPU quota is used up), '
        '"connections" (between clients and server), '
        '"gil", "pool:NAME" (an executor; with ", others free" one thread of it that others could '
        'not stand in for), or the name of a resource ("resource:NAME" if it '
        'is called like one of these) or "lock:NAME".'
    )
    victim: str = Field(description="Request class that waited.")
    culprit: str | None = Field(
        description="Request class that had it; null where nobody had: the runtime's own doing."
    )
    step: str | None = Field(
        description="What the culprit did meanwhile: the name of a step (of a stretch of "
        "computing, the longest one), or what it waited for itself."
    )
    seconds: Estimate = Field(
        description="Mean per request of the victim, whole run, warm-up included, seconds."
    )
    share: Estimate = Field(
        description="Share of the time in the system of the victim's requests, whole run, 0 to 1."
    )
    total_s: float = Field(
        description="Sum over requests and replications, whole run, request seconds."
    )


class Pinned(Part):
    """For how long requests of one class, in one step, kept slots that could do nothing else."""

    culprit: str = Field(description="Request class that kept them.")
    step: str = Field(description="The step, or what it waited for, as in blame.")
    carriers: Estimate = Field(description="Carriers, or Ps, kept by it on average, whole run.")
    share: Estimate = Field(
        description="The same over their number, without spare carriers: above 1 only where "
        "spares compensate."
    )
    total_s: float = Field(
        description="Sum over requests and replications, whole run, seconds of slots."
    )


class LongestStall(Part):
    """The longest time for which an event loop did not look for what had become ready."""

    seconds: float = Field(description="Its length, seconds; highest of all replications.")
    culprit: str | None = Field(
        description="Request class with the longest single step in it; null if there was none."
    )
    step: str | None = Field(description="That step, as in blame.")
    step_s: float = Field(description="How long the loop was at that one step, seconds.")


class Check(BaseModel):
    """A law that must hold in any correct run, with the numbers it was judged by."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    ok: bool | None = Field(description="Whether the law held; null where it cannot be judged.")


class LittlesLaw(Check):
    """Requests in the system = arrival rate x time in the system."""

    l: float | None = Field(description="Time-weighted mean of requests in the system.")  # noqa: E741
    lambda_w: float | None = Field(description="Arrival rate times mean time in system (requests).")
    difference: float | None = Field(description="l - lambda_w (requests).")
    tolerance: float | None = Field(description="Difference that chance explains (requests).")


class SelfCheck(BaseModel):
    """Laws checked on this run. More laws may appear beside the three named ones."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Check] = Field(init=False)

    conservation: Check = Field(description="Every request that arrived ended in one outcome.")
    littles_law: LittlesLaw = Field(description="Little's law, L = lambda W.")
    utilization_law: Check = Field(description="Utilisation = offered demand over capacity.")

    def items(self) -> list[tuple[str, Check]]:
        """Name and judgement of every law, the three named ones first."""
        named = [(name, getattr(self, name)) for name in CHECK_NAMES]
        return [*named, *(self.__pydantic_extra__ or {}).items()]


class Theory(Part):
    """A closed form that this scenario happens to satisfy, beside the simulated value."""

    model: str = Field(description='Name of the queueing model, as "M/M/c".')
    mean_latency_s: float | None = Field(description="Mean latency by the formula, seconds.")
    mean_wait_s: float | None = Field(description="Mean wait by the formula, seconds.")
    simulated_mean_s: Estimate = Field(description="Mean latency simulated, seconds.")
    inside_ci: bool | None = Field(description="Whether the formula lies inside the interval.")
    assumptions: str = Field(description="What has to hold for the formula to apply.")


class SloResult(Part):
    """One service-level objective, judged with the uncertainty of what was observed."""

    rule: str = Field(description='The rule as a person reads it, as "latency.p99 < 200ms".')
    metric: str = Field(description='Name of the metric, as "latency.p99".')
    limit: float = Field(description="Limit in the metric's base unit (seconds, bytes, 1/s, 0-1).")
    observed: Estimate = Field(description="What was observed, in the same unit.")
    state: SloState = Field(
        description="pass or fail where the whole interval is on one side of the limit, else "
        "unknown."
    )


class Warmup(Part):
    """How much of the start was thrown away, and why."""

    method: Literal["mser5", "fixed", "none"] = Field(description="How the cut was found.")
    cut_s: float = Field(description="Requests that arrived earlier are not measured, seconds.")
    steady: bool | None = Field(description="Whether a steady state was found; null if not sought.")
    latency_cut_s: float | None = Field(description="Cut by the latency series, seconds.")
    in_system_cut_s: float | None = Field(description="Cut by requests in system, seconds.")
    removed_requests: Count = Field(description="Requests removed, over all replications.")


class Percentiles(Part):
    """The latency distribution as a curve of equally long lists."""

    p: list[Fraction] = Field(description="Fractions, increasing, 0 <= p < 1.")
    latency_s: list[float | None] = Field(description="Latency at each p, seconds; null = unknown.")
    ci95: list[Interval | None] = Field(description="95 % interval at each p, seconds, or null.")
    enough: list[bool] = Field(description="Whether enough samples lie beyond each p.")

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if len({len(self.p), len(self.latency_s), len(self.ci95), len(self.enough)}) != 1:
            raise ValueError("the lists of a percentile curve must be equally long")
        if any(a >= b for a, b in zip(self.p, self.p[1:], strict=False)):
            raise ValueError("p must increase")
        return self


class Series(Part):
    """Time series from the start of the run, warm-up included; means over replications."""

    time_s: list[float] = Field(description="Middle of each bin, seconds from the start.")
    in_system: list[float] = Field(description="Requests in the system.")
    queued: list[float] = Field(description="Requests waiting for a worker or a core.")
    busy_cores: list[float] = Field(description="Cores that run something.")
    busy_workers: list[float] = Field(description="Workers that hold a request.")
    memory_bytes: list[float] = Field(description="Memory of the process, bytes.")
    arrivals_rps: list[float] = Field(description="Arrivals per second.")
    completions_rps: list[float] = Field(description="Completions per second.")

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        lengths = {name: len(getattr(self, name)) for name in type(self).model_fields}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the series must be equally long, not {lengths}")
        return self
