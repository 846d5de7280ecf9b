"""Puts a calibration under a scenario's own text and over its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from simsched.calibration.model import Calibration
from simsched.calibration.runtimes import BASES, runtime_of
from simsched.scenario.scalars import TOML_CONTEXT
from simsched.scenario.shape import without_tags
from simsched.scenario.spec_base import preset_stem
from simsched.scenario.specs import SCHEDULER_KINDS

SERVER_KEYS = (("request",), ("memory", "base"), ("memory", "connection"))
"""What a server adds to its runtime. Where a preset gives them, it speaks of its server, and the
bare runtime's do not replace them: only the table with the preset's own name does."""


def calibrate(data: dict[str, Any], written: Any, calibration: Calibration) -> None:
    """Apply a calibration to a scenario's data, in place.

    Args:
        data: the data, with presets expanded.
        written: the entries of [[schedulers]] before that: what they say themselves stays.
        calibration: a valid calibration.
    """
    host = data.get("host")
    if isinstance(host, dict):
        for key, value in calibration.host.items():
            host[key] = _under(host.get(key), value)
    entries = data.get("schedulers")
    if not isinstance(entries, list) or not isinstance(written, list):
        return
    for i, (entry, own) in enumerate(zip(entries, written, strict=True)):
        if isinstance(entry, dict) and isinstance(own, dict):
            entries[i] = _calibrated(entry, own, calibration)


def _under(own: Any, value: Any) -> Any:
    """The calibrated value of a key for which the text has ``own`` (None: nothing)."""
    if isinstance(own, dict) and isinstance(value, Mapping):
        return {**value, **own}
    return value if own is None else own


def _calibrated(
    entry: dict[str, Any], own: dict[str, Any], calibration: Calibration
) -> dict[str, Any]:
    runtime, preset = runtime_of(entry), preset_stem(own.get("preset"))
    tables: list[Mapping[str, Any]] = []
    # A bare runtime's preset may be made another's (asyncio with loop = "uvloop"): no server, then.
    is_server = preset is not None and preset not in BASES
    if runtime is not None and runtime != preset:
        bare = calibration.runtimes.get(runtime, {})
        tables.append(_without_server(bare, entry) if is_server else bare)
    if preset is not None and (is_server or preset == runtime):
        tables.append(calibration.runtimes.get(preset, {}))
    result = dict(entry)
    for table in tables:
        for key, value in table.items():
            result[key] = _over(result.get(key), own.get(key), value)
    return _fitting(result, entry, own)


def _over(now: Any, own: Any, value: Any) -> Any:
    """A calibrated value over the preset's and under the entry's own."""
    if not isinstance(value, Mapping):
        return value if own is None else own
    if own is not None and not isinstance(own, dict):
        return own
    return {**(now if isinstance(now, dict) else {}), **value, **(own or {})}


def _without_server(table: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The table without what the entry's preset says of its server."""
    kept = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in table.items()
    }
    for *outer, key in SERVER_KEYS:
        here, there = kept, entry
        for part in outer:
            here, there = here.get(part, {}), there.get(part, {})
        if isinstance(here, dict) and isinstance(there, Mapping) and key in there:
            here.pop(key, None)
    return kept


def _fitting(result: dict[str, Any], entry: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The entry without calibrated knobs that are none of it, as of a lock it does not have."""
    model = SCHEDULER_KINDS.get(str(result.get("kind")))
    if model is None:
        return result
    try:
        model.model_validate(result, context=TOML_CONTEXT, by_alias=True, by_name=False)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            key = without_tags(item["loc"])[0] if item["loc"] else None
            if item["type"] != "bad_rule" or not isinstance(key, str) or key in own:
                continue
            if key in entry:
                result[key] = entry[key]
            else:
                result.pop(key, None)
    return result
