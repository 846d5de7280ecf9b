"""The names of runtimes in a calibration, and which of them an entry of [[schedulers]] has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simsched.scenario.presets import load_preset, preset_names

BASES: Mapping[str, dict[str, Any]] = {
    "asyncio": {"kind": "event_loop", "loop": "asyncio"},
    "uvloop": {"kind": "event_loop", "loop": "uvloop"},
    "node": {"kind": "event_loop", "loop": "libuv"},
    "cpython-threads": {"kind": "thread_pool", "policy": "python"},
    "jdk-threads": {
        "kind": "thread_pool",
        "policy": "jdk",
        "corePoolSize": 1,
        "maximumPoolSize": 1,
        "workQueue": "unbounded",
    },
    "go": {"kind": "goroutine"},
    "virtual-threads": {"kind": "virtual_thread"},
    "netty": {"kind": "reactor"},
    "fork-join": {"kind": "fork_join"},
    "gunicorn-sync": {"kind": "sync_workers"},
    "gunicorn-gthread": {"kind": "gthread"},
}
"""Runtimes by kind and policy, as the least entry that has them."""

CHOICES = ("preset", "name", "kind", "policy", "loop")
"""Keys that say what an entry is; a calibration does not."""


def runtime_names() -> tuple[str, ...]:
    """Names that a table under [runtimes] may have: of runtimes, then of further presets."""
    return (*BASES, *(name for name in preset_names() if name not in BASES))


def base_of(name: str) -> dict[str, Any]:
    """An entry of that runtime, or of the preset of that name."""
    return dict(BASES[name]) if name in BASES else load_preset(name).scheduler


def runtime_of(entry: Mapping[str, Any]) -> str | None:
    """The runtime of an entry by its kind; None if it has no known kind."""
    kind = entry.get("kind")
    if kind == "event_loop":
        loops = {"asyncio": "asyncio", "uvloop": "uvloop", "libuv": "node"}
        return loops.get(str(entry.get("loop", "asyncio")))
    if kind == "thread_pool":
        python = entry.get("policy", "tomcat") == "python"
        return "cpython-threads" if python else "jdk-threads"
    return next((name for name, base in BASES.items() if base["kind"] == kind), None)
