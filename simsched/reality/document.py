"""The document of a validation: its models and its JSON Schema.

It is what ``simsched validate --json`` prints and what ``validation.json`` holds. Errors are
relative: (predicted - measured) / measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from simsched.report.result_model import JSON_SCHEMA_DIALECT
from simsched.report.result_scheduler import Part

__all__ = ["SCHEMA", "ValidationDocument", "to_json", "validation_schema"]

SCHEMA = "simsched.validation/1"

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Figures(Part):
    """Quantities of one case, on one side."""

    p50: float = Field(description="Median latency from the intended arrival, seconds.")
    p95: float = Field(description="95th percentile, seconds.")
    p99: float = Field(description="99th percentile, seconds.")
    throughput: float = Field(description="Requests that ended over the time until the last did.")
    cpu: float = Field(description="CPU seconds of the process, overheads included.")


class Errors(Part):
    """A relative error for each quantity, or a size of such errors."""

    p50: float = Field(description="Of the median latency.")
    p95: float = Field(description="Of the 95th percentile.")
    p99: float = Field(description="Of the 99th percentile.")
    throughput: float = Field(description="Of the throughput.")
    cpu: float = Field(description="Of the CPU time.")


class Spread(Errors):
    """Half the range over repetitions, over their median."""

    runs: float = Field(description="How often the trace was measured.")


class Ladder(Part):
    """Both distributions of latency."""

    level: list[float] = Field(description="Shares of requests, 0 to 1.")
    measured_s: list[float] = Field(description="Measured quantiles there, seconds.")
    predicted_s: list[float] = Field(description="Predicted quantiles there, seconds.")


class Case(Part):
    """One measured run and its prediction."""

    id: str = Field(description="Name in the index.")
    runtime: str = Field(description='What ran, and how big, as "go2".')
    family: str = Field(description='The runtime without its size, as "go".')
    kind: str = Field(description='"inproc", or "http" behind a server.')
    load: float = Field(description="Offered CPU load of the trace alone, per core.")
    saturated: bool = Field(description="Whether latencies grew as long as it was measured.")
    requests: int = Field(description="Requests of the trace.")
    errors: Errors = Field(description="Relative errors.")
    measured: Figures = Field(description="As measured.")
    predicted: Figures = Field(description="As predicted.")
    within_5_percent: Share = Field(
        description="Share of requests whose own latency is predicted within 5 %."
    )
    within_1_ms: Share = Field(description="... within 1 ms.")
    median_off_s: float = Field(
        description="Median distance of a request's predicted latency from its measured one."
    )
    unfinished: dict[str, Count] = Field(
        description="Requests that did not end, measured and predicted."
    )
    memory: dict[str, float] = Field(
        description="Highest resident bytes, measured and predicted, and the relative error; empty "
        "where it was not measured. What was measured includes the driver and the trace."
    )
    phases: dict[str, dict[str, float]] = Field(
        description="Mean seconds before the first instruction, in both works, in the wait between "
        "and after the last; measured and predicted. Empty unless asked for."
    )
    stretch: float | None = Field(
        description="Wall time of the work over its length alone: above 1 others had the core. "
        "Null where it was not measured, or threads of one process interrupt each other."
    )
    ladder: Ladder = Field(description="Both distributions of latency.")
    reason: str = Field(description="What the largest error most likely comes from.")


class DemandResult(Part):
    """Something the predictions have to keep."""

    what: str = Field(description="Which cases, and what of their errors.")
    limit: float = Field(description="Most it may be.")
    found: float = Field(description="What it is.")
    cases: int = Field(description="Cases that it looks at.")
    kept: bool = Field(description="Whether it is kept.")


class RuntimeResult(Part):
    """All cases of one runtime under one sort of load."""

    runtime: str = Field(description="The runtime without its size.")
    load: Literal["steady", "overload"] = Field(
        description="Offered CPU load up to 0.9, or above 1."
    )
    cases: int = Field(description="Cases.")
    median: Errors = Field(description="Median size of the error.")
    worst: Errors = Field(description="Largest size of the error.")
    missed: list[str] = Field(
        description="Quantities whose median is beyond what is demanded of all such cases."
    )


class ValidationDocument(Part):
    """Predictions held against a folder of measurements."""

    schema_: Literal["simsched.validation/1"] = Field(
        alias="schema", description="Name and version of this format."
    )
    folder: str = Field(description="The measurements.")
    calibration: str | None = Field(description="Constants that were used; null: the presets' own.")
    calibration_sha256: str | None = Field(description="Hash of the calibration's text.")
    interrupted: bool = Field(description="Whether cases are missing because it was stopped.")
    cases: list[Case] = Field(description="Case by case, in the order of the index.")
    demands: list[DemandResult] = Field(description="What is demanded, and what is kept.")
    runtimes: list[RuntimeResult] = Field(description="The same runtime by runtime.")
    noise: dict[str, Spread] = Field(
        description="Of traces measured repeatedly, the spread of the measurements themselves."
    )
    skipped: list[str] = Field(description="Cases that were left out, with reasons.")


def validation_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the document."""
    schema = ValidationDocument.model_json_schema(by_alias=True)
    schema["title"] = f"Result of simsched validate ({SCHEMA})"
    return {"$schema": JSON_SCHEMA_DIALECT, **schema}


def to_json(document: Mapping[str, Any]) -> str:
    """The document as text.

    Raises:
        pydantic.ValidationError: it is not of the published form.
    """
    ValidationDocument.model_validate(dict(document))
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
