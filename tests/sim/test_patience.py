"""Whoever watches a run changes how it is computed, and nothing of what comes out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from kit import LOOP, exponential, offload, parallel, scenario_of

from simsched.observe.checkers import all_checkers
from simsched.observe.record import RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import Simulation, simulate
from simsched.sim.observer import Observer
from simsched.sim.task import Task
from simsched.workload import draw

PLAIN = [{"name": "a", "steps": [{"cpu": "1ms"}, {"io": "2ms"}, {"cpu": "1ms"}]}]
MIXED: list[dict[str, Any]] = [
    {
        "name": "a",
        "steps": [
            {"cpu": exponential("0.3ms")},
            {"use": "db", "steps": [{"io": exponential("4ms")}]},
            {"sleep": exponential("3ms")},
            {"io": "0ms"},
            {"cpu": exponential("0.1ms")},
        ],
    },
    {
        "name": "b",
        "steps": [
            {"lock": "m", "steps": [{"cpu": "0.05ms"}, {"io": exponential("0.5ms")}]},
            {"blocking": exponential("0.3ms")},
            {"io": "1ms"},
        ],
    },
]
IMPATIENT_CLIENTS: list[dict[str, Any]] = [
    {**c, "timeout": "12ms", "retries": {"max": 2, "backoff": "1ms"}} for c in MIXED
]
REFUSED_CLIENTS: list[dict[str, Any]] = [
    {**c, "retries": {"max": 2, "backoff": "1ms"}} for c in MIXED
]
OFFLOADED: list[dict[str, Any]] = [
    {
        "name": "a",
        "steps": [
            {"cpu": "1ms"},
            {"lock": "m", "steps": [offload("to_thread", "sleep 2ms"), {"cpu": "1ms"}]},
            parallel("io 1ms", "io 1ms, cpu 1ms"),
            offload("run_in_threadpool", "io 1ms"),
        ],
    }
]
REAL_OS = {"switch_cost": "1.5us", "wakeup_latency": "5us", "hz": 250}
DEFAULT = {"kind": "event_loop"}
POISSON = {"kind": "poisson", "rate": "900/s"}
OVERLOAD = {"kind": "poisson", "rate": "4000/s"}
TICKING = {"kind": "constant", "rate": "500/s"}  # everything happens at whole milliseconds
CLOSED = {"kind": "closed", "users": 30, "think": exponential("20ms")}

SCENARIOS = {
    "ties": scenario_of(PLAIN, LOOP, arrivals=TICKING),
    "plain": scenario_of(PLAIN, DEFAULT, arrivals={**POISSON, "rate": "400/s"}, os=REAL_OS),
    "overload": scenario_of(PLAIN, DEFAULT, arrivals=OVERLOAD, os=REAL_OS),
    "mixed": scenario_of(MIXED, DEFAULT, arrivals=POISSON, resources={"db": 3}, os=REAL_OS),
    "free": scenario_of(MIXED, LOOP, arrivals=POISSON, resources={"db": 3}),
    "closed": scenario_of(MIXED, DEFAULT, arrivals=CLOSED, resources={"db": 3}, os=REAL_OS),
    "refusals": scenario_of(
        REFUSED_CLIENTS,
        {**DEFAULT, "limit_concurrency": 2},
        arrivals=POISSON,
        resources={"db": 3},
        os=REAL_OS,
    ),
    "threads": scenario_of(OFFLOADED, {**LOOP, "loop": "libuv"}, cores=2, arrivals=TICKING),
    "processes": scenario_of(
        OFFLOADED, {**LOOP, "processes": 4}, cores=2, arrivals=TICKING, connections={"count": 8}
    ),
    "workers": scenario_of(
        MIXED,
        {"kind": "sync_workers", "processes": 3},
        arrivals=TICKING,
        resources={"db": 3},
        os=REAL_OS,
    ),
    "threads of workers": scenario_of(
        MIXED,
        {"kind": "gthread", "threads": 4, "processes": 2},
        arrivals=TICKING,
        resources={"db": 3},
        connections={"count": 5},
        os=REAL_OS,
    ),
    "time-outs": scenario_of(
        IMPATIENT_CLIENTS, DEFAULT, arrivals=POISSON, resources={"db": 3}, os=REAL_OS
    ),
}


class Watcher(Observer):
    """Wants to hear of everything when it happens."""

    def attach(self, simulation: Simulation) -> None:
        self.clock = simulation.clock
        self.late = 0

    def arrived(self, now: float, task: Task) -> None:
        self.late += now != self.clock.now

    def entered(self, now: float, task: Task, phase: int) -> None:
        self.late += now != self.clock.now


def bytes_of(record: RunRecord) -> dict[str, bytes]:
    """Everything in a record, to the last bit."""
    flat: dict[str, bytes] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for name, item in inner:
            data = np.asarray(item)
            is_plain = data.dtype != object
            flat[f"{field.name}.{name}"] = data.tobytes() if is_plain else repr(item).encode()
    return flat


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
class TestAWatchedRun:
    def test_has_the_results_of_one_that_nobody_watches(self, scenario: Scenario) -> None:
        spec = scenario.schedulers[0]
        alone = simulate(scenario, spec, draw(scenario, 0))
        watched = simulate(scenario, spec, draw(scenario, 0), observers=[Watcher()])
        assert len(alone) > 50
        assert bytes_of(watched) == bytes_of(alone)

    def test_has_them_under_checkers_that_look_at_each_instant(self, scenario: Scenario) -> None:
        spec = scenario.schedulers[0]
        alone = simulate(scenario, spec, draw(scenario, 0))
        checked = simulate(scenario, spec, draw(scenario, 0), observers=all_checkers())
        assert bytes_of(checked) == bytes_of(alone)

    def test_has_them_again(self, scenario: Scenario) -> None:
        spec = scenario.schedulers[0]
        once, twice = (simulate(scenario, spec, draw(scenario, 0)) for _ in range(2))
        assert bytes_of(once) == bytes_of(twice)

    def test_hears_of_everything_when_it_happens(self, scenario: Scenario) -> None:
        watcher = Watcher()
        simulate(scenario, scenario.schedulers[0], draw(scenario, 0), observers=[watcher])
        assert watcher.late == 0
