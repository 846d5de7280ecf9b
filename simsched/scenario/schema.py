"""JSON Schema of scenario files, for editors and other tools."""

from __future__ import annotations

from typing import Any

from simsched.scenario.model import Scenario
from simsched.scenario.presets import preset_names
from simsched.scenario.specs import SCHEDULER_KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of a scenario's TOML.

    It knows keys, types and units. Rules between keys (unknown resources, deadlocks) are checked by
    loading.
    """
    schema: dict[str, Any] = _plain_unions(Scenario.model_json_schema(by_alias=True))
    for model in SCHEDULER_KINDS.values():
        properties = schema["$defs"][model.__name__]["properties"]
        # With a preset the kind and its required knobs come from there.
        properties["preset"] = {
            "anyOf": [{"enum": list(preset_names())}, {"type": "string", "pattern": r"\.toml$"}]
        }
    return {"$schema": DIALECT, **schema, "title": "simsched scenario"}


def _plain_unions(value: Any) -> Any:
    """The schema with anyOf for oneOf: an entry with only a preset fits every kind."""
    if isinstance(value, dict):
        return {
            "anyOf" if key == "oneOf" else key: _plain_unions(item)
            for key, item in value.items()
            if key != "discriminator"
        }
    if isinstance(value, list):
        return [_plain_unions(item) for item in value]
    return value
