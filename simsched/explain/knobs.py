"""Knobs, read from the models: key, what it takes, unit, default, and what it means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from simsched.scenario import units
from simsched.scenario.base import Model
from simsched.scenario.distributions import Constant
from simsched.scenario.scalars import IntRange, NameText, NumberRange, Quantity, WordOrCount
from simsched.scenario.suggest import one_of

_QUANTITIES: dict[Callable[[object], float], tuple[str, str]] = {
    units.parse_duration: ("a duration", "s"),
    units.parse_size: ("a size", "bytes"),
    units.parse_rate: ("a rate", "1/s"),
    units.parse_fraction: ("a percentage", ""),
}
_MAX_INT = 2**31 - 1


@dataclass(frozen=True)
class Knob:
    """One key of a table.

    Attributes:
        key: as it is written in TOML; with a dot where the table is nested.
        takes: what may be written, as "a duration" or 'one of "a", "b"'.
        unit: unit of the number in Python and in JSON; "" where there is none.
        default: the default as it would be written in TOML; None: the key must be given, or is
            absent where it is not (see `required`).
        required: whether the key must be given.
        description: what it is, and what the real systems call it.
        only: policies that have this knob; empty: all.
        value: the value of a preset, as written in its file; None: it does not set it.
        source: where that value comes from, as the preset's file says.
    """

    key: str
    takes: str
    unit: str
    default: str | None
    required: bool
    description: str
    only: tuple[str, ...] = ()
    value: str | None = None
    source: str = ""


def knobs_of(
    model: type[Model], hide: frozenset[str] = frozenset(), *, prefix: str = "", at: Any = None
) -> list[Knob]:
    """The keys of a model in the order of its fields, those of nested tables at the end.

    Args:
        model: the table.
        hide: keys to leave out.
        prefix: what the keys begin with.
        at: what the table is by default; None: its fields have defaults of their own.
    """
    found: list[Knob] = []
    nested: list[Knob] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in hide:
            continue
        table = table_of(field)
        if table is not None:
            default = None if field.is_required() else field.default
            nested += knobs_of(table, prefix=f"{prefix}{key}.", at=default)
        else:
            found.append(_knob(f"{prefix}{key}", name, field, at))
    return found + nested


def table_of(field: FieldInfo) -> type[Model] | None:
    """The model of a field that is a table with keys of its own, as ``memory`` or ``listen``."""
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return None


def _knob(key: str, name: str, field: FieldInfo, at: Any) -> Knob:
    takes, unit = _takes(field)
    description = field.description or ""
    if at is None and field.is_required():
        return Knob(key, takes, unit, None, True, description)
    value = field.get_default(call_default_factory=True) if at is None else getattr(at, name)
    return Knob(key, takes, unit, toml_form(field, value), False, description)


def _takes(field: FieldInfo) -> tuple[str, str]:
    """What may be written for a field, and the unit of the number it becomes."""
    for rule in _rules(field):
        if isinstance(rule, Quantity):
            noun, unit = _QUANTITIES[rule.parse]
            above = " above zero" if rule.positive else ""
            return f"{noun}{above}{_or_auto(rule.auto)}", unit
        if isinstance(rule, (IntRange, NumberRange)):
            return rule.expected, ""
        if isinstance(rule, WordOrCount):
            words = ", ".join(f'"{word}"' for word in rule.words)
            return f"{words} or an integer >= 1", ""
        if isinstance(rule, NameText):
            return "a name", ""
    if field.annotation is bool:
        return "true or false", ""
    choices = [value for part in _parts(field.annotation) for value in _choices(part)]
    if choices:
        return one_of(choices), ""
    if any(part is Constant for part in _parts(field.annotation)):
        return "a duration or a distribution", "s"
    return _structure(field), ""


def _structure(field: FieldInfo) -> str:
    """What a field is that has neither unit nor range."""
    inner = [part for part in _parts(field.annotation) if get_origin(part) is tuple]
    if not inner:
        return "a table"
    depth = sum(get_origin(part) is tuple for part in _parts(get_args(inner[0])[0]))
    return "an array of arrays of steps" if depth else "an array of tables"


def _or_auto(auto: str) -> str:
    return f', or "{auto}"' if auto else ""


def _rules(field: FieldInfo) -> Iterator[Any]:
    """Annotations of a field, also those inside of "X or None"."""
    yield from field.metadata
    for part in get_args(field.annotation):
        yield from getattr(part, "__metadata__", ())


def _parts(annotation: Any) -> Iterator[Any]:
    """The members of a union, through annotations, and whatever else it is, itself."""
    if hasattr(annotation, "__metadata__"):
        yield from _parts(annotation.__origin__)
    elif get_origin(annotation) in (None, tuple, dict) or get_origin(annotation) is Literal:
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _parts(part)


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def toml_form(field: FieldInfo, value: Any) -> str | None:
    """A value of a field as it would be written in TOML; None for a key that is absent."""
    quantity = next((rule for rule in _rules(field) if hasattr(rule, "auto")), None)
    if value is None:
        auto = getattr(quantity, "auto", "")
        return f'"{auto}"' if auto else None
    if isinstance(quantity, Quantity):
        return f'"{quantity.form(value)}"'
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value)
    if isinstance(value, Constant):
        return f'"{units.format_duration(value.value_s)}"'
    return "[]" if isinstance(value, tuple) else None


def is_unlimited(text: str | None) -> bool:
    """Whether a number stands for "no limit", as Java's greatest integer does."""
    return text == str(_MAX_INT)
