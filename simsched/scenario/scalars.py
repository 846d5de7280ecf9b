"""Validated scalar fields, each with its own error text, its TOML form and its JSON Schema.

A field is declared ``duration_s: Duration = Field(alias="duration")``: in Python it is a float in
seconds, in TOML a text with a unit. Every refusal says what was expected and what was found,
because that sentence is what the author of a scenario reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from simsched.scenario import units
from simsched.scenario.suggest import did_you_mean
from simsched.scenario.units import UnitError

TOML_CONTEXT = {"toml": True}
"""Validation context of values that come from TOML, where quantities must carry a unit."""

MAX_NAME_LENGTH = 100


def show(value: object) -> str:
    """A value as its author wrote it, short enough for one line of an error message."""
    if isinstance(value, (str, bool, int)) and not isinstance(value, float):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        text = "a table"
    elif isinstance(value, (list, tuple)):
        text = "an array"
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def fault(expected: str, value: object, hint: str = "") -> PydanticCustomError:
    """The error for a value that is not what was expected; errors.py turns it into a Problem."""
    return PydanticCustomError(
        "bad_value",
        "expected {expected}, got {got}",
        {"expected": expected, "got": show(value), "hint": hint},
    )


def broken(message: str, hint: str = "", expected: str = "") -> PydanticCustomError:
    """The error for values that are fine alone but not together."""
    return PydanticCustomError(
        "bad_rule", "{message}", {"message": message, "hint": hint, "expected": expected}
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Quantity:
    """A number with a unit: text in TOML, a plain number in base units in Python.

    ``auto`` lets the text "auto" stand for None: the program decides.
    """

    parse: Callable[[object], float]
    check: Callable[[float], None]
    form: Callable[[Any], str]
    schema: dict[str, Any] = field(hash=False)
    integer: bool = False
    positive: bool = False
    auto: str = ""

    def validate(self, value: object, info: ValidationInfo) -> float | None:
        """The number in base units; raises a custom error that says what was expected."""
        if self.auto and (value == self.auto or value is None):
            return None
        try:
            if _is_number(value) and not (info.context or {}).get("toml"):
                number = float(value)  # type: ignore[arg-type]
                self.check(number)
            else:
                number = self.parse(value)
            if self.positive and number <= 0:
                raise UnitError("a value above zero")
        except UnitError as error:
            also = f', or "{self.auto}"' if self.auto else ""
            raise fault(error.expected + also, value, error.hint) from None
        return int(number) if self.integer else number

    def _serialize(self, value: float | None) -> str | None:
        if value is None:
            return self.auto or None
        return self.form(value)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialize),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if not self.auto:
            return dict(self.schema)
        return {"anyOf": [{"const": self.auto}, dict(self.schema)]}


@dataclass(frozen=True)
class IntRange:
    """A whole number from ``low`` to ``high``; ``auto`` lets that text stand for None."""

    low: int
    high: int
    auto: str = ""

    @property
    def expected(self) -> str:
        """The noun phrase of error messages."""
        upper = f" and <= {self.high}" if self.high < 2**31 - 1 else ""
        also = f', or "{self.auto}"' if self.auto else ""
        return f"an integer >= {self.low}{upper}{also}"

    def validate(self, value: object) -> int | None:
        """The integer; raises a custom error for other types, booleans and out of range."""
        if self.auto and (value == self.auto or value is None):
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise fault(self.expected, value)
        if not self.low <= value <= self.high:
            raise fault(self.expected, value)
        return value

    def _serialize(self, value: int | None) -> int | str | None:
        return (self.auto or None) if value is None else value

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialize),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [{"const": self.auto}, number]} if self.auto else number


@dataclass(frozen=True)
class WordOrCount:
    """One of a few words, or a whole number from 1 to ``high``."""

    words: tuple[str, ...]
    high: int

    def validate(self, value: object) -> str | int:
        """The word or the number; raises a custom error for anything else."""
        if isinstance(value, str) and value in self.words:
            return value
        if type(value) is int and 1 <= value <= self.high:
            return value
        words = " or ".join(f'"{word}"' for word in self.words)
        hint = did_you_mean(value, self.words) if isinstance(value, str) else ""
        raise fault(f"{words} or an integer >= 1", value, hint)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        number = {"type": "integer", "minimum": 1, "maximum": self.high}
        return {"anyOf": [{"enum": list(self.words)}, number]}


@dataclass(frozen=True)
class NumberRange:
    """A plain number in an interval; ``open_low`` excludes the lower end."""

    low: float
    high: float
    open_low: bool = False

    @property
    def expected(self) -> str:
        """The noun phrase of error messages."""
        sign = ">" if self.open_low else ">="
        return f"a number {sign} {self.low:g} and <= {self.high:g}"

    def validate(self, value: object) -> float:
        """The number as a float; raises a custom error for other types and out of range."""
        if not _is_number(value):
            raise fault(self.expected, value)
        number = float(value)  # type: ignore[arg-type]
        too_low = number <= self.low if self.open_low else number < self.low
        if not math.isfinite(number) or too_low or number > self.high:
            raise fault(self.expected, value)
        return number

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        low = "exclusiveMinimum" if self.open_low else "minimum"
        return {"type": "number", low: self.low, "maximum": self.high}


def check_name(value: object) -> str:
    """A name: 1 to 100 printable characters. Anything else in it is escaped where it is shown."""
    expected = f"a name of 1 to {MAX_NAME_LENGTH} characters without control characters"
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME_LENGTH:
        raise fault(expected, value)
    if not all(character.isprintable() for character in value):
        raise fault(expected, value, "remove line breaks, tabs and other control characters")
    return value


@dataclass(frozen=True)
class NameText:
    """A name shown to people: see :func:`check_name`."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(check_name)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH}


def _check_size(value: float) -> None:
    if not (math.isfinite(value) and value == int(value) and 0 <= value <= units.MAX_BYTES):
        raise UnitError("a whole number of bytes, not negative")


def _check_fraction(value: float) -> None:
    if not 0 <= value <= 1:
        raise UnitError("a fraction between 0 and 1")


_NUMBER = r"^\s*[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*"
_DURATION = {"type": "string", "pattern": _NUMBER + r"(ns|us|µs|μs|ms|s|min|h)\s*$"}
_SIZE = {"type": "string", "pattern": _NUMBER + r"(B|[kMGT]B|[KMGT]iB)\s*$"}
_RATE = {"type": "string", "pattern": _NUMBER + r"/(us|ms|s|min|h)\s*$"}
_FRACTION = {"type": "string", "pattern": _NUMBER + r"%\s*$"}

_duration = (units.parse_duration, units.check_duration, units.format_duration, _DURATION)
_size = (units.parse_size, _check_size, units.format_size, _SIZE)
_rate = (units.parse_rate, units.check_rate, units.format_rate, _RATE)

Duration = Annotated[float, Quantity(*_duration)]
"""Seconds, zero or more."""
PositiveDuration = Annotated[float, Quantity(*_duration, positive=True)]
"""Seconds, above zero."""
AutoDuration = Annotated[float | None, Quantity(*_duration, auto="auto")]
"""Seconds, or None for the text "auto"."""
AutoPositiveDuration = Annotated[float | None, Quantity(*_duration, positive=True, auto="auto")]
"""Seconds above zero, or None for the text "auto"."""
Size = Annotated[int, Quantity(*_size, integer=True)]
"""Bytes, zero or more."""
PositiveSize = Annotated[int, Quantity(*_size, integer=True, positive=True)]
"""Bytes, above zero."""
Rate = Annotated[float, Quantity(*_rate)]
"""Requests per second, zero or more."""
PositiveRate = Annotated[float, Quantity(*_rate, positive=True)]
"""Requests per second, above zero."""
Fraction = Annotated[
    float, Quantity(units.parse_fraction, _check_fraction, units.format_fraction, _FRACTION)
]
"""A share from 0 to 1, written as a percentage."""
Name = Annotated[str, NameText()]
"""A name shown to people."""
