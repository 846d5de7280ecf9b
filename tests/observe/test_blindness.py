"""No scheduler knows the future: what has not begun yet cannot have been a reason for anything.

The :class:`Blindness` checker catches who reads ahead. Here the same is shown from outside: two
workloads that differ only in steps which have not begun by a time T look the same until T.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import spec_of

from simsched.scenario import Scenario
from simsched.schedulers.thread_pool import ThreadPool
from simsched.sim.engine import Simulation
from simsched.sim.observer import EVENTS, Observer
from simsched.sim.task import Task
from simsched.workload import RequestTrace, draw

from .mistakes import shortest_job_first
from .runs import SCHEDULERS, workload_scenario

Event = tuple[float, str, str]


class Chronicle(Observer):
    """All that happens, and which steps have begun when."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.began_s: dict[tuple[int, int], float] = {}  # request, slot: the first attempt's
        self.now = 0.0

    def attach(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def note(self, name: str, *arguments: Any) -> None:
        texts = [str(getattr(a, "name", a)) for a in arguments]
        self.events.append((self.simulation.clock.now, name, " ".join(texts)))


def _noting(name: str) -> Any:
    def method(self: Chronicle, *arguments: Any) -> None:
        self.note(name, *arguments)
        if name == "step_started":
            now, task = arguments
            assert isinstance(task, Task)
            self.began_s.setdefault((task.index, task.ops[task.pc].slot), now)

    return method


for _name in EVENTS:
    setattr(Chronicle, _name, _noting(_name))


def chronicle_of(scenario: Scenario, trace: RequestTrace) -> Chronicle:
    chronicle = Chronicle()
    Simulation(scenario, spec_of(scenario), trace, observers=[chronicle]).run()
    return chronicle


def other_future(trace: RequestTrace, known: dict[tuple[int, int], float], t: float) -> None:
    """Change every demand whose step has not begun by `t`."""
    factor = np.random.default_rng(7).uniform(0.1, 10.0, size=(len(trace), 16))
    for i in range(len(trace)):
        row = trace.demands[trace.class_id[i]][trace.row[i]]
        for slot in range(len(row)):
            if known.get((i, slot), np.inf) > t:
                row[slot] *= factor[i, slot]


def until(events: list[Event], t: float) -> list[Event]:
    return [event for event in events if event[0] <= t]


def same_until(scenario: Scenario, t: float) -> bool:
    """Whether the run looks the same until `t` with another future."""
    trace = draw(scenario, 0)
    assert isinstance(trace, RequestTrace)
    first = chronicle_of(scenario, trace)
    other_future(trace, first.began_s, t)
    second = chronicle_of(scenario, trace)
    assert second.events != first.events
    return until(second.events, t) == until(first.events, t)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("workload", ["retries", "a pool", "kinds of blocking", "overload"])
def test_the_past_does_not_depend_on_the_future(workload: str, scheduler: str) -> None:
    scenario = workload_scenario(workload, scheduler)
    assert same_until(scenario, 0.05)
    assert same_until(scenario, 0.1)


def test_who_serves_the_shortest_first_gives_itself_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThreadPool, "take", shortest_job_first(ThreadPool.take))
    assert not same_until(workload_scenario("overload", "tomcat"), 0.1)
