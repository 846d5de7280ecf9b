"""The result document of one run: its models, its JSON Schema and its one way to be written.

The document is what `simsched run --json` prints and what `result.json` holds. Table, dashboard
and any other reader start from it, so that nothing is shown that cannot be read by a program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from simsched.report.result_scheduler import (
    Blame,
    Breakdown,
    ClassResult,
    Counts,
    Estimate,
    Ladder,
    LongestStall,
    Memory,
    Part,
    Percentiles,
    Pinned,
    ResourceResult,
    SelfCheck,
    Series,
    SloResult,
    Theory,
    Utilization,
    Verdict,
    Warmup,
)

SCHEMA_NAME = "simsched.run/1"
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ScenarioRef(Part):
    """Name and origin of a scenario."""

    name: str = Field(description="Name given in the scenario file.")
    hash: str = Field(description="Hash of the resolved configuration.")
    source: str | None = Field(description="File it was read from; null where it had none.")


class CalibrationRef(Part):
    """Which machine's constants a run had."""

    name: str = Field(description="Name that the calibration gives itself.")
    source: str = Field(description="A built-in calibration, or the file it was read from.")
    sha256: str = Field(description="Hash of the calibration's text.")


class Versions(Part):
    """Versions of what computed the numbers."""

    python: str = Field(description="Python version.")
    numpy: str = Field(description="numpy version; its generators draw the workload.")
    simpy: str = Field(description="SimPy version; it keeps the clock.")
    simsched: str = Field(description="simsched version.")


class OfferedResource(Part):
    """Demand on one resource before anything is simulated."""

    erlangs: float | None = Field(description="Mean permits in use if none ever had to wait.")
    capacity: int = Field(description="Permits.")
    utilization: float | None = Field(description="erlangs over capacity; above 1 is overload.")


class Offered(Part):
    """The load offered to every scheduler, from the scenario alone."""

    rate_rps: float | None = Field(
        description="Arrivals per second; null where users wait for answers (closed)."
    )
    cpu_cores: float | None = Field(description="Cores the requests' own code needs on average.")
    cpu_utilization: float | None = Field(
        description="cpu_cores over the host's cores, or over its CPU quota, less what is stolen."
    )
    resources: dict[str, OfferedResource] = Field(description="Demand by resource name.")
    classes: dict[str, dict[str, Any]] = Field(description="Demand by request class.")


class SchedulerResult(Part):
    """Everything measured of one scheduler."""

    name: str = Field(description="Unique name within the scenario.")
    kind: str = Field(description='Kind of scheduler, as "thread_pool".')
    preset: str | None = Field(description="Preset it was made from; null where there was none.")
    verdict: Verdict = Field(
        description="STABLE: it keeps up. BACKLOGGED: it kept up in the end, but a backlog built "
        "up. OVERLOADED: it cannot keep up: its latencies depend on the length of the run, or "
        "it turns requests away (sheds load)."
    )
    verdict_reason: str = Field(description="One sentence: why this verdict.")
    binding: str = Field(description="One sentence: what limits this scheduler.")
    warnings: list[str] = Field(description="What a reader must know before trusting a number.")
    counts: Counts = Field(description="What became of the requests, all replications together.")
    classes: dict[str, ClassResult] = Field(description="Outcomes and latency by request class.")
    throughput_rps: Estimate = Field(description="Completions per second.")
    latency_s: Ladder = Field(
        description="Latency of completed requests, arrival to answer, seconds."
    )
    queueing_delay_s: Ladder = Field(
        description="admission + run_queue + gil of completed requests, and of the branches they "
        "waited for, seconds."
    )
    breakdown_s: Breakdown = Field(
        description="Where the time of completed requests goes, seconds."
    )
    utilization: Utilization = Field(description="Fractions of capacity in use.")
    memory_bytes: Memory = Field(description="Memory of the process, bytes.")
    blame: list[Blame] = Field(
        default=[],
        description="Who made whom wait, the most seconds first; without rows below 0.1 % of the "
        "victim's latency. The rows of one victim add up to its parts admission, run_queue, "
        "resource, lock and gil.",
    )
    pinned: list[Pinned] = Field(
        default=[],
        description="Which steps pinned carriers of virtual threads, or kept Ps of Go in system "
        "calls until they were handed on, the longest first.",
    )
    longest_stall: LongestStall | None = Field(
        default=None, description="Of event loops; null for other kinds."
    )
    activity: dict[str, float | None] = Field(
        description="Counters of the scheduler's own events; mean per replication, unit in the key."
    )
    stolen_by_core_s: list[float] | None = Field(
        default=None,
        description="By virtual core, seconds in which it had something to run and the hypervisor "
        "had taken it away, mean per replication; null where cores are never taken.",
    )
    resources: dict[str, ResourceResult] = Field(description="Use by resource name.")
    self_check: SelfCheck = Field(description="Laws that must hold in a correct run.")
    theory: Theory | None = Field(description="Closed form, where one applies; else null.")
    slo: list[SloResult] = Field(description="Objectives of the scenario, judged.")
    warmup: Warmup = Field(description="What was removed from the start.")
    per_replication: dict[str, list[float | None]] = Field(
        description="Metric by replication, unit in the key, so that intervals can be redone."
    )
    percentiles: Percentiles = Field(description="Latency distribution as a curve.")
    series: Series = Field(description="Time series, means over replications.")

    @property
    def sheds_load(self) -> bool:
        """Whether it is overloaded and turns the surplus away: those let in do not queue for long.

        Their latencies are measurements, though only of them; others grow as long as the run goes.
        """
        return self.verdict == "OVERLOADED" and self.verdict_reason.startswith("sheds load")


class ResultDocument(Part):
    """Result of running one scenario on several schedulers, all offered the same requests."""

    schema_: Literal["simsched.run/1"] = Field(
        alias="schema", description="Name and version of this format."
    )
    version: str = Field(description="simsched version that wrote the document.")
    scenario: ScenarioRef = Field(description="Which scenario was run.")
    config: dict[str, Any] = Field(description="Resolved configuration: it reproduces this run.")
    calibration: CalibrationRef | None = Field(
        default=None, description="Calibration that was used; null: the presets' own constants."
    )
    command: list[str] = Field(description="Command line that was given.")
    seed: int = Field(description="Root of all random streams.")
    replications: int = Field(ge=1, description="Independent runs per scheduler.")
    duration_s: float = Field(gt=0, description="Length of the arrival window, seconds.")
    warmup_s: float | None = Field(
        description="Warm-up asked for, seconds; null = found automatically. What was cut is in "
        "schedulers[].warmup."
    )
    study: Literal["steady", "terminating"] = Field(
        description="Whether a steady state is estimated, or a period from its start."
    )
    engine: str = Field(description="Engine that simulated.")
    versions: Versions = Field(description="Versions that may change the numbers.")
    offered: Offered = Field(description="Load offered, from the scenario alone.")
    schedulers: list[SchedulerResult] = Field(
        min_length=1, description="One per scheduler, in the scenario's order."
    )


def result_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the result document."""
    schema = ResultDocument.model_json_schema(by_alias=True)
    schema["title"] = f"Result of simsched run ({SCHEMA_NAME})"
    return {"$schema": JSON_SCHEMA_DIALECT, **schema}


def validate_result(doc: Mapping[str, Any] | ResultDocument) -> ResultDocument:
    """The document as typed, frozen objects.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
    """
    if isinstance(doc, ResultDocument):
        return doc
    return ResultDocument.model_validate(dict(doc))


def to_json(doc: Mapping[str, Any] | ResultDocument) -> str:
    """The document as text: equal documents give equal bytes.

    Keys keep the order of the published form, floats the shortest digits that read back equal,
    and a list of plain values stands on one line.

    Raises:
        pydantic.ValidationError: The document is not of the published form.
        ValueError: The configuration holds NaN or infinity.
        TypeError: The configuration holds something JSON has no form for.
    """
    plain = validate_result(doc).model_dump(by_alias=True, exclude_unset=True)
    return _encode(plain, "") + "\n"


def _encode(value: object, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{_scalar(str(key))}: {_encode(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(deeper + row for row in rows) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        rows = [_encode(item, deeper) for item in value]
        return "[\n" + ",\n".join(deeper + row for row in rows) + f"\n{indent}]"
    return _scalar(value)


def _scalar(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
