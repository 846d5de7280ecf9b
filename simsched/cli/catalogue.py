"""What a scenario can be made of, read from the models themselves."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_args

from simsched.calibration import calibration_names, find_calibration
from simsched.cli import examples
from simsched.scenario import load_preset, preset_names
from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.slo import SLO_KEYS
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS, BlockingKind, LockKind

BLOCKING_KINDS = {
    "socket": "a socket read or write by blocking code: parks a goroutine or a virtual thread",
    "file": "a file read: holds an OS thread; a virtual thread pins its carrier",
    "synchronized": "a wait inside synchronized: pins a virtual thread before JDK 24",
    "native": "a call into native code: pins a virtual thread on every JDK",
}
LOCK_KINDS = {
    "reentrant": "a lock of the runtime's library: who waits is suspended",
    "synchronized": "a Java monitor: who waits pins its carrier before JDK 24",
}
OBJECTIVES = {
    "p50": 'median latency below, as "20ms"',
    "p90": "90th percentile of latency below",
    "p95": "95th percentile of latency below",
    "p99": "99th percentile of latency below",
    "p999": "99.9th percentile of latency below",
    "mean": "mean latency below",
    "max": "longest latency below",
    "error_rate": 'share of requests rejected, timed out or failed below, as "0.1%"',
    "throughput": 'completed requests above, as "900/s"',
    "utilization": 'CPU utilisation below, as "80%"',
    "memory": 'peak memory below, as "512MiB"',
}

Entry = dict[str, Any]


def catalogue() -> dict[str, list[Entry]]:
    """Everything a scenario can name, by section; each entry has a name and a description."""
    return {
        "examples": [_entry(name, examples.description(name)) for name in examples.names()],
        "presets": [_preset(name) for name in preset_names()],
        "calibrations": [
            _entry(name, find_calibration(name).description) for name in calibration_names()
        ],
        "schedulers": _models(SCHEDULER_KINDS, hide={"kind", "name", "preset"}),
        "arrivals": _models(ARRIVAL_KINDS, hide={"kind"}),
        "steps": _models(STEP_KINDS, hide={"name"}),
        "blocking": [_entry(kind, BLOCKING_KINDS.get(kind, "")) for kind in get_args(BlockingKind)],
        "locks": [_entry(kind, LOCK_KINDS.get(kind, "")) for kind in get_args(LockKind)],
        "distributions": _models(FAMILIES, hide={"dist"}),
        "slo": [_entry(key, OBJECTIVES.get(key, "")) for key in SLO_KEYS],
    }


def _entry(name: str, description: str, **more: Any) -> Entry:
    return {"name": name, "description": description, **more}


def _preset(name: str) -> Entry:
    preset = load_preset(name)
    kind = preset.scheduler["kind"]
    return _entry(name, preset.description, models=preset.models, kind=kind)


def _models(kinds: Mapping[str, Any], hide: set[str]) -> list[Entry]:
    """The models by name: the first sentence of their docstring, and the keys they take."""
    return [
        _entry(name, _first_sentence(model), keys=_keys(model, hide))
        for name, model in kinds.items()
    ]


def _first_sentence(model: Any) -> str:
    text = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
    return text.split(". ", 1)[0].replace("``", '"').rstrip(".")


def _keys(model: Any, hide: set[str]) -> list[str]:
    fields = model.model_fields.items()
    return [field.alias or name for name, field in fields if name not in hide]
