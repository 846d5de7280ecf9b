"""Predict how one request mix behaves on different concurrency runtimes.

The door for scripts and notebooks is the same as for the command line::

    from simsched import load_scenario, run

    result = run(load_scenario("configs/io_heavy.toml"))
    print(result.schedulers["tomcat"]["latency_s"]["p99"])

Names are loaded on first use, so that ``import simsched`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsched._version import __version__

if TYPE_CHECKING:
    from simsched.reality.replay import Validation, validate
    from simsched.scenario import Scenario, ScenarioError, load_scenario
    from simsched.study.run import RunResult, run
    from simsched.study.tracing import Trace, trace

__all__ = [
    "RunResult",
    "Scenario",
    "ScenarioError",
    "Trace",
    "Validation",
    "__version__",
    "load_scenario",
    "run",
    "trace",
    "validate",
]

_HOMES = {
    "load_scenario": "simsched.scenario",
    "Scenario": "simsched.scenario",
    "ScenarioError": "simsched.scenario",
    "run": "simsched.study.run",
    "RunResult": "simsched.study.run",
    "trace": "simsched.study.tracing",
    "Trace": "simsched.study.tracing",
    "validate": "simsched.reality.replay",
    "Validation": "simsched.reality.replay",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)
