"""Small scenarios, as a user writes them."""

from __future__ import annotations

from typing import Any

from simsched.scenario import Scenario, SchedulerSpec

POISSON = {"kind": "poisson", "rate": "80/s"}
EXPONENTIAL = {"dist": "exponential", "mean": "10ms"}
LOOP = {"kind": "event_loop"}
GO = {"kind": "goroutine"}
VIRTUAL = {"kind": "virtual_thread"}
TOMCAT = {"kind": "thread_pool", "maxThreads": 200}


def scenario(
    *steps: dict[str, Any],
    scheduler: dict[str, Any] | None = None,
    arrivals: dict[str, Any] | None = None,
    cores: int = 1,
    **more: Any,
) -> Scenario:
    """One class "a" with the given steps; `more` are further tables or keys of the class."""
    tables: dict[str, Any] = {key: more.pop(key) for key in ("resources", "slo") if key in more}
    run = {"name": "test", "duration": "10s", **more.pop("run", {})}
    requests = more.pop("requests", [{"name": "a", "steps": list(steps), **more}])
    return Scenario.from_dict(
        {
            "scenario": run,
            "host": {"cores": cores},
            "workload": {"arrivals": arrivals or POISSON, "requests": requests},
            "schedulers": [scheduler or LOOP],
            **tables,
        }
    )


def spec_of(a_scenario: Scenario) -> SchedulerSpec:
    """Its only scheduler."""
    return a_scenario.schedulers[0]
