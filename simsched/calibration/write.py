"""A calibration file as text, in the format that ``load_calibration`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby

from simsched.calibration.constants import Constant
from simsched.calibration.model import SCHEMA

__all__ = ["calibration_toml"]


def calibration_toml(
    name: str, description: str, machine: Mapping[str, str | int], constants: Iterable[Constant]
) -> str:
    """The text of a calibration file.

    Args:
        name: what results show.
        description: one sentence.
        machine: the table [machine], for people.
        constants: knobs, those of one table after each other.
    """
    lines = [
        "# Constants of one machine, over the presets and under a scenario's own text:",
        "# simsched run FILE --calibration THIS_FILE",
        "",
        f"schema = {_text(SCHEMA)}",
        f"name = {_text(name)}",
        f"description = {_text(description)}",
        "",
        "[machine]",
        *(f"{key} = {_text(value)}" for key, value in machine.items()),
    ]
    for table, members in groupby(constants, key=lambda constant: constant.path[:-1]):
        lines += ["", f"[{'.'.join(table)}]"]
        lines += [f"{constant.path[-1]} = {_reading(constant)}" for constant in members]
    return "\n".join(lines) + "\n"


def _reading(constant: Constant) -> str:
    pairs = {
        "value": constant.value,
        "low": constant.low,
        "high": constant.high,
        "samples": constant.samples,
        "how": _text(constant.how),
    }
    inside = ", ".join(f"{key} = {value}" for key, value in pairs.items() if value is not None)
    return f"{{ {inside} }}"


def _text(value: str | int) -> str:
    """A TOML text or integer; JSON's escapes of a text are TOML's, too."""
    return json.dumps(value, ensure_ascii=False)
