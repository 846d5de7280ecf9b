"""Named real systems: scheduler settings as data files, each constant with its source.

A preset file has a [preset] table (description, models) and a [scheduler] table, which goes under
the entry that names it: what the entry says itself wins.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import tomli

from simsched.scenario.errors import Problem, ScenarioError
from simsched.scenario.suggest import did_you_mean, one_of
from simsched.scenario.translate import Complaint

ORDER = (
    "tomcat",
    "jdk-thread-pool",
    "jdk-httpserver",
    "cpython-threads",
    "cpython-free-threaded",
    "gunicorn-sync",
    "gunicorn-gthread",
    "asyncio",
    "uvicorn",
    "uvicorn-uvloop",
    "fastapi-async",
    "fastapi-def",
    "node",
    "go",
    "go-http",
    "webflux",
    "netty",
    "virtual-threads",
    "virtual-threads-21",
    "jdk-httpserver-virtual",
    "completable-future",
    "completable-future-21",
)
"""Built-in presets, in the order they are listed."""


@dataclass(frozen=True)
class Preset:
    """A preset: its name, one sentence, the system it models, and the scheduler settings."""

    name: str
    description: str
    models: str
    scheduler: dict[str, Any]


def preset_names() -> tuple[str, ...]:
    """Names of the built-in presets."""
    return ORDER


def preset_text(name: str) -> str:
    """The TOML text of a built-in preset, comments included.

    Raises:
        ScenarioError: there is no such preset.
    """
    if name not in ORDER:
        hint = did_you_mean(name, ORDER)
        message = f'unknown preset "{name}"'
        raise ScenarioError([Problem("", None, None, "", message, one_of(ORDER), hint)])
    return (resources.files("simsched") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


@cache
def _built_in(name: str) -> Preset:
    return _preset(name, tomli.loads(preset_text(name)))


def load_preset(name: str) -> Preset:
    """A built-in preset.

    Raises:
        ScenarioError: there is no such preset.
    """
    return deepcopy(_built_in(name))


def _preset(name: str, data: dict[str, Any]) -> Preset:
    about = data.get("preset")
    scheduler = data.get("scheduler")
    if set(data) != {"preset", "scheduler"} or not isinstance(scheduler, dict):
        raise ValueError("a preset file has the tables [preset] and [scheduler]")
    if not isinstance(about, dict) or set(about) != {"description", "models"}:
        raise ValueError('the table [preset] has the keys "description" and "models"')
    if not all(isinstance(text, str) for text in about.values()):
        raise ValueError("description and models are texts")
    for key in ("preset", "name"):
        if key in scheduler:
            raise ValueError(f"[scheduler] of a preset must not have the key {key!r}")
    return Preset(name, about["description"], about["models"], scheduler)


def expand_presets(data: dict[str, Any], base_dir: Path | None) -> list[Complaint]:
    """Put each scheduler's preset under its entry, in place.

    Args:
        data: the scenario's data.
        base_dir: folder of preset files; None forbids them.

    Returns:
        What is wrong with the presets named; those entries are left as they are.
    """
    entries = data.get("schedulers")
    found: list[Complaint] = []
    if not isinstance(entries, list):
        return found
    for i, entry in enumerate(entries):
        name = entry.get("preset") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue  # absent, or of a wrong type, which validation reports
        try:
            preset = _find(name, base_dir)
        except ValueError as error:
            message, hint = error.args[0], error.args[1] if len(error.args) > 1 else ""
            found.append(Complaint(("schedulers", i, "preset"), message, hint=hint))
            continue
        clash = _clash(entry, preset)
        if clash:
            key, message, hint = clash
            found.append(Complaint(("schedulers", i, key), message, hint=hint))
            continue
        entries[i] = merge(entry, preset.scheduler)
    return found


def _find(name: str, base_dir: Path | None) -> Preset:
    """The preset of that name or file; ValueError(message, hint) if it cannot be had."""
    if name in ORDER:
        return load_preset(name)
    if not name.endswith(".toml"):
        raise ValueError(
            f'unknown preset "{name}"',
            did_you_mean(name, ORDER) or f"presets are {', '.join(ORDER)}",
        )
    if base_dir is None:
        raise ValueError("a preset file needs a scenario file that it is relative to")
    try:
        return _preset(name, tomli.loads((base_dir / name).read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f'cannot read preset "{name}": {error.strerror}') from None
    except ValueError as error:
        raise ValueError(f'preset "{name}": {error}') from None


def _clash(entry: dict[str, Any], preset: Preset) -> tuple[str, str, str] | None:
    """An entry cannot turn a preset into something else."""
    for key in ("kind", "policy"):
        fixed = preset.scheduler.get(key)
        if key in entry and entry[key] != fixed:
            is_ = f'{key} "{fixed}"' if fixed else f"no {key}"
            return (
                key,
                f'preset "{preset.name}" has {is_}, and this entry says "{entry[key]}"',
                f"remove {key}, or remove preset and give every knob yourself",
            )
    return None


def merge(entry: dict[str, Any], under: dict[str, Any]) -> dict[str, Any]:
    """The entry over the preset; tables are merged key by key."""
    merged = deepcopy(under)
    if "minSpareThreads" in merged and "minSpareThreads" not in entry:
        # A smaller maxThreads lowers the preset's minimum too, as Tomcat does:
        # AbstractEndpoint.getMinSpareThreads is min(minSpareThreads, maxThreads).
        limit = entry.get("maxThreads")
        if type(limit) is int and limit >= 1:
            merged["minSpareThreads"] = min(merged["minSpareThreads"], limit)
    for key, value in entry.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged
