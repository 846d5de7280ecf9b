"""Distributions of a duration. Every parameter is in seconds; sampling lives in ``workload``.

In TOML a duration alone ("5ms") is constant; a table names the family:
``{ dist = "lognormal", mean = "5ms", cv = 1.5 }``, or ``{ column = "cpu1_us" }`` for a column of
the replayed trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simsched.scenario.base import TAG, Finding, Model
from simsched.scenario.scalars import Duration, Name, NumberRange, PositiveDuration
from simsched.scenario.units import format_duration

Cv = Annotated[float, NumberRange(0, 1000, open_low=True)]
"""Coefficient of variation: standard deviation divided by mean."""


class Constant(Model):
    """Always the same duration."""

    dist: Literal["constant"] = "constant"
    value_s: Duration = Field(alias="value", description="The duration itself.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return data if isinstance(data, (dict, Model)) else {"value": data}

    @model_serializer
    def _to_text(self) -> str:
        return format_duration(self.value_s)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        table = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [dict(table["properties"]["value"]), dict(table)]}

    @property
    def mean_s(self) -> float:
        """Mean in seconds."""
        return self.value_s


class Exponential(Model):
    """Exponential with the given mean: coefficient of variation 1."""

    dist: Literal["exponential"] = "exponential"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")


class Lognormal(Model):
    """Lognormal with the mean and coefficient of variation of the durations themselves."""

    dist: Literal["lognormal"] = "lognormal"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")
    cv: Cv = Field(description="Standard deviation over the mean.")


class Gamma(Model):
    """Gamma with the given mean and coefficient of variation (shape = 1 / cv^2)."""

    dist: Literal["gamma"] = "gamma"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")
    cv: Cv = Field(description="Standard deviation over the mean.")


class Weibull(Model):
    """Weibull with the given mean and shape (below 1: heavier than exponential)."""

    dist: Literal["weibull"] = "weibull"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")
    shape: Annotated[float, NumberRange(0.1, 1000)] = Field(
        description="Below 1 with a heavier tail than the exponential, which has 1."
    )


class Pareto(Model):
    """Classic Pareto: minimum xm = mean (shape - 1) / shape; the mean needs shape > 1."""

    dist: Literal["pareto"] = "pareto"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")
    shape: Annotated[float, NumberRange(1, 1000, open_low=True)] = Field(
        description="The smaller, the heavier the tail; at 2 and below the variance is infinite."
    )


class Uniform(Model):
    """Uniform between low and high."""

    dist: Literal["uniform"] = "uniform"
    low_s: Duration = Field(alias="low", description="Shortest.")
    high_s: Duration = Field(alias="high", description="Longest.")

    def findings(self) -> Iterator[Finding]:
        """Low must not exceed high."""
        if self.low_s > self.high_s:
            low, high = format_duration(self.low_s), format_duration(self.high_s)
            yield Finding(("low",), f"low ({low}) is above high ({high})", "swap the two")

    @property
    def mean_s(self) -> float:
        """Mean in seconds."""
        return (self.low_s + self.high_s) / 2


class Hyperexponential(Model):
    """Two exponential branches with balanced means: a mix of short and long, cv above 1."""

    dist: Literal["hyperexponential"] = "hyperexponential"
    mean_s: PositiveDuration = Field(alias="mean", description="Mean.")
    cv: Annotated[float, NumberRange(1, 1000, open_low=True)] = Field(
        description="Standard deviation over the mean, above 1."
    )


Quantile = Annotated[tuple[Annotated[float, NumberRange(0, 1)], Duration], Field(strict=False)]
"""A probability and the duration that this share of the samples does not exceed."""


class Empirical(Model):
    """What was measured: a file of samples, or a table of quantiles joined by straight lines.

    A file holds one value per line, or is CSV or npz with a named ``column``. Values are in the
    unit of the column's suffix (_s, _ms, _us, _ns), seconds without one. Quantiles are pairs
    [probability, duration] from probability 0 to 1.
    """

    dist: Literal["empirical"] = "empirical"
    file: Name | None = Field(
        default=None, description="File of samples, relative to the scenario."
    )
    column: Name | None = Field(
        default=None, description="Column of the file that holds the samples."
    )
    quantiles: Annotated[
        tuple[Quantile, ...] | None,
        Field(strict=False),
    ] = Field(
        default=None,
        description="Pairs [probability, duration] from 0 to 1, joined by straight lines.",
    )

    def findings(self) -> Iterator[Finding]:
        """Exactly one source; quantiles from 0 to 1, never going down."""
        if (self.file is None) == (self.quantiles is None):
            yield Finding((), 'give either "file" or "quantiles" to an empirical distribution')
        if self.column is not None and self.file is None:
            yield Finding(("column",), '"column" names a column of "file", and there is no file')
        if self.quantiles is None:
            return
        points = self.quantiles
        if len(points) < 2 or points[0][0] != 0 or points[-1][0] != 1:
            yield Finding(("quantiles",), "quantiles must run from probability 0 to probability 1")
        for i, (lower, upper) in enumerate(pairwise(points)):
            if upper[0] <= lower[0]:
                yield Finding(("quantiles", i + 1), "probabilities must increase")
            if upper[1] < lower[1]:
                yield Finding(("quantiles", i + 1), "durations must not decrease")

    @property
    def mean_s(self) -> float | None:
        """Mean in seconds; None when the samples are in a file, which is read later."""
        if self.quantiles is None:
            return None
        pairs = pairwise(self.quantiles)
        return sum((p1 - p0) * (v0 + v1) / 2 for (p0, v0), (p1, v1) in pairs)


class Column(Model):
    """A column of the replayed trace; its suffix (_s, _ms, _us, _ns) is the unit, else seconds."""

    dist: Literal["column"] = "column"
    column: Name = Field(
        description="Column of the replayed trace; its suffix (_s, _ms, _us, _ns) is the unit."
    )

    @model_serializer
    def _to_table(self) -> dict[str, str]:
        return {"column": self.column}

    @property
    def mean_s(self) -> None:
        """Unknown before the trace is read."""
        return


FAMILIES: dict[str, type[Model]] = {
    "constant": Constant,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "gamma": Gamma,
    "weibull": Weibull,
    "pareto": Pareto,
    "uniform": Uniform,
    "hyperexponential": Hyperexponential,
    "empirical": Empirical,
    "column": Column,
}


def _tag(value: Any) -> str | None:
    if isinstance(value, Model):
        value = {"dist": getattr(value, "dist", None)}
    if not isinstance(value, dict):
        return TAG + "constant"  # a text, or a mistake that Constant explains best
    dist = value.get("dist", "column" if "column" in value else None)
    return TAG + dist if isinstance(dist, str) and dist in FAMILIES else None


Dist = Annotated[
    Annotated[Constant, Tag(TAG + "constant")]
    | Annotated[Exponential, Tag(TAG + "exponential")]
    | Annotated[Lognormal, Tag(TAG + "lognormal")]
    | Annotated[Gamma, Tag(TAG + "gamma")]
    | Annotated[Weibull, Tag(TAG + "weibull")]
    | Annotated[Pareto, Tag(TAG + "pareto")]
    | Annotated[Uniform, Tag(TAG + "uniform")]
    | Annotated[Hyperexponential, Tag(TAG + "hyperexponential")]
    | Annotated[Empirical, Tag(TAG + "empirical")]
    | Annotated[Column, Tag(TAG + "column")],
    Discriminator(_tag, custom_error_type="which_dist", custom_error_message="unknown dist"),
]
"""Any distribution of a duration."""
