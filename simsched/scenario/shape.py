"""Which keys a scenario may have at a path: for did-you-mean, and to follow error locations."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.base import TAG, Model
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.model import Scenario
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS

Path = tuple[str | int, ...]
_TAGGED: dict[type, dict[str, type[Model]]] = {}


def models_at(loc: Path) -> list[type[Model]]:
    """Models that the table at an error location may be; union tags in it narrow the choice."""
    here: list[type[Model]] = [Scenario]
    open_table = False  # inside a table whose keys are free names
    for part in loc:
        if isinstance(part, int):
            continue
        if part.startswith(TAG):
            here = [m for m in here if m in _tagged(part.removeprefix(TAG))]
        elif open_table:
            open_table = False
        else:
            annotations = [a for m in here for a in _annotations(m, part)]
            open_table = any(get_origin(a) is dict for a in annotations)
            here = [m for a in annotations for m in _models(a)]
    return [] if open_table else here


def keys_at(loc: Path) -> list[str]:
    """Keys that may stand in the table at an error location."""
    return list(dict.fromkeys(key for model in models_at(loc) for key in keys_of(model)))


def keys_of(model: type[Model]) -> list[str]:
    """TOML keys of one model."""
    return [info.alias or name for name, info in model.model_fields.items()]


def alias_of(loc: Path, python_name: str) -> str | None:
    """The TOML key of a Python attribute name, if someone wrote the latter."""
    for model in models_at(loc):
        info = model.model_fields.get(python_name)
        if info is not None:
            return info.alias
    return None


def options_at(loc: Path) -> list[str]:
    """Texts allowed at an error location whose type is a choice of texts."""
    key = loc[-1]
    found: list[str] = []
    for model in models_at(loc[:-1]):
        for annotation in _annotations(model, str(key)):
            found += [o for o in _literals(annotation) if isinstance(o, str)]
    return found


def without_tags(loc: Path) -> Path:
    """The location as a path of keys and indexes."""
    if loc[-1:] == ("[key]",):  # pydantic's mark for an error in the key itself
        loc = loc[:-1]
    return tuple(part for part in loc if not (isinstance(part, str) and part.startswith(TAG)))


def _tagged(tag: str) -> list[type[Model]]:
    groups: list[dict[str, type[Model]]] = [ARRIVAL_KINDS, FAMILIES, SCHEDULER_KINDS, STEP_KINDS]
    return [group[tag] for group in groups if tag in group]


def _annotations(model: type[Model], key: str) -> Iterator[Any]:
    hints = typing.get_type_hints(model, include_extras=True)
    for name, info in model.model_fields.items():
        if (info.alias or name) == key:
            yield (
                hints[name]
                if get_origin(hints[name]) is not typing.Annotated
                else get_args(hints[name])[0]
            )


def _models(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    elif get_origin(annotation) in (typing.Annotated, Union, types.UnionType, tuple):
        for argument in get_args(annotation):
            yield from _models(argument)
    elif get_origin(annotation) is dict:
        yield from _models(get_args(annotation)[1])


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is typing.Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (typing.Annotated, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _literals(argument)
