"""Small scenarios for the tests of the workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simsched.scenario import Scenario

POISSON = {"kind": "poisson", "rate": "100/s"}


def request_class(name: str, *steps: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "steps": list(steps), **more}


def exponential(mean: str) -> dict[str, Any]:
    return {"dist": "exponential", "mean": mean}


def scenario(
    *classes: Mapping[str, Any],
    arrivals: Mapping[str, Any] = POISSON,
    duration: str = "10s",
    seed: int = 1,
    resources: Sequence[str] = (),
    base_dir: Path | None = None,
) -> Scenario:
    if not classes:
        classes = (request_class("get", {"cpu": exponential("1ms")}),)
    return Scenario.from_dict(
        {
            "scenario": {"name": "test", "duration": duration, "seed": seed},
            "host": {"cores": 2},
            "workload": {"arrivals": dict(arrivals), "requests": [dict(c) for c in classes]},
            "resources": {name: {"capacity": 5} for name in resources},
            "schedulers": [{"kind": "event_loop"}],
        },
        base_dir=base_dir,
    )
