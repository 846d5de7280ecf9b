"""A calibration as data: knobs of [host] and of runtimes, each with how it was obtained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "simsched.calibration/1"
Path = tuple[str, ...]


class Envelope(BaseModel):
    """A calibration file, before its knobs are judged."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Literal["simsched.calibration/1"] = Field(
        alias="schema", description="Name and version of this format."
    )
    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Name that results show."
    )
    description: str = Field(default="", description="One sentence for lists.")
    machine: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="What was measured: cpu, kernel, cores, hz, date, ..."
    )
    host: dict[str, Any] = Field(
        default_factory=dict, description="Knobs of the scenario's [host] and [host.os]."
    )
    runtimes: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Knobs of schedulers, by the name of the runtime."
    )


class Reading(BaseModel):
    """A value with its spread: the table that may stand for a plain value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    value: Any = Field(description="The knob's value, in the knob's own form.")
    low: Any = Field(default=None, description="5th percentile, or the least of repetitions.")
    high: Any = Field(default=None, description="95th percentile, or the most of repetitions.")
    samples: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Number of measurements."
    )
    how: str = Field(default="", description="How it was obtained, in a few words.")


@dataclass(frozen=True)
class Calibration:
    """A valid calibration.

    Attributes:
        name: name that results show.
        description: one sentence.
        machine: what was measured, for people.
        host: knobs of [host] in their TOML form.
        runtimes: knobs of schedulers in their TOML form, by runtime.
        readings: the same values with spread and origin, by path ("runtimes", "go", "switch").
        sha256: hash of the file's text.
        source: name of a built-in calibration, or the file as it was given.
    """

    name: str
    description: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict, hash=False)
    host: Mapping[str, Any] = field(default_factory=dict, hash=False)
    runtimes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    readings: Mapping[Path, Reading] = field(default_factory=dict, hash=False)
    sha256: str = ""
    source: str = ""

    def reference(self) -> dict[str, str]:
        """What a result says of it."""
        return {"name": self.name, "source": self.source, "sha256": self.sha256}


def is_reading(value: Any) -> bool:
    """Whether a table is a value with its spread, and not a value that is a table itself."""
    if not isinstance(value, dict) or "dist" in value:
        return False
    return "value" in value or (bool(value) and set(value) <= set(Reading.model_fields))


def readings(table: Mapping[str, Any], at: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every knob of a table by its path, as the table of a reading."""
    for key, value in table.items():
        here = (*at, key)
        if is_reading(value):
            yield here, value
        elif isinstance(value, dict) and "dist" not in value:
            yield from readings(value, here)
        else:
            yield here, {"value": value}


def plain(table: Mapping[str, Any], which: str = "value") -> dict[str, Any]:
    """The table with plain values for readings.

    Args:
        table: knobs, some of them as readings.
        which: "value", "low" or "high"; the value where a reading has no such bound.
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        if is_reading(value):
            found[key] = value.get(which, value.get("value"))
        elif isinstance(value, dict) and "dist" not in value:
            found[key] = plain(value, which)
        else:
            found[key] = value
    return found
