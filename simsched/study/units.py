"""The unit of work: one scheduler, one replication.

A unit depends on nothing but itself, so units may run in any process and order and give the same
records. All schedulers of a replication face the same requests (common random numbers): the trace
is a function of scenario and replication, and is drawn once per process and thread, not once per
scheduler.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simsched.observe.timeline_window import Enough
from simsched.scenario import Scenario, ScenarioError
from simsched.sim.clients import Standstill
from simsched.sim.engine import Simulation
from simsched.study.errors import SimulationError, describe, task_at_fault
from simsched.workload import TooManyRequests, draw
from simsched.workload.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.observe.record import RunRecord
    from simsched.sim.observer import Observer
    from simsched.workload import ClosedTrace, RequestTrace


@dataclass(frozen=True)
class Unit:
    """One simulation.

    Attributes:
        study: token of the experiment: traces are shared within one experiment only, as a data file
            may change between two.
        scenario: the scenario.
        scheduler: index into the scenario's schedulers.
        replication: replication, from 0.
        check: whether the checkers watch.
    """

    study: str
    scenario: Scenario
    scheduler: int
    replication: int
    check: bool = False

    @property
    def label(self) -> str:
        """The unit as people read it."""
        name = self.scenario.schedulers[self.scheduler].name
        return f"{name}, replication {self.replication + 1} of {self.scenario.replications}"

    @property
    def order(self) -> tuple[int, int]:
        """Sort key: replication by replication, schedulers as in the scenario."""
        return self.replication, self.scheduler


class _TraceCache(threading.local):
    """The trace drawn last by this thread; a closed workload's trace is no thing to share."""

    key: tuple[str, int] | None = None
    trace: RequestTrace | ClosedTrace | None = None


_cache = _TraceCache()


def simulate_unit(unit: Unit, watching: Sequence[Observer] = ()) -> RunRecord:
    """Run one simulation.

    Args:
        unit: which one.
        watching: observers beside those that the unit asks for.

    Raises:
        Enough: one of them has seen what it wanted.
        ScenarioError: the workload cannot be drawn (a bad data file, too many requests).
        SimulationError: anything else, with the place where it happened.
    """
    spec = unit.scenario.schedulers[unit.scheduler]
    simulation: Simulation | None = None
    try:
        trace = trace_of(unit)
        observers = [*_observers(unit), *watching]
        simulation = Simulation(unit.scenario, spec, trace, unit.replication, observers)
        return simulation.run()
    except (ScenarioError, Enough):
        raise
    except (TooManyRequests, Standstill) as error:  # of a closed workload, found out on the way
        refuse(unit.scenario, ("workload", "arrivals"), str(error), cause=error)
    except Exception as error:
        request, step = task_at_fault(error.__traceback__)
        time_s = None if simulation is None else float(simulation.clock.now)
        raise SimulationError(
            spec.name, unit.replication, describe(error), time_s, request, step
        ) from error


def trace_of(unit: Unit) -> RequestTrace | ClosedTrace:
    """The workload of the unit's replication."""
    key = (unit.study, unit.replication)
    if _cache.key != key or _cache.trace is None:
        forget_trace()  # before the next is drawn: one is big enough
        _cache.trace = draw(unit.scenario, unit.replication)
        _cache.key = key
    return _cache.trace


def forget_trace() -> None:
    """Let go of the trace that this thread drew last."""
    _cache.key = _cache.trace = None


def _observers(unit: Unit) -> list[Observer]:
    if not unit.check:
        return []
    from simsched.observe.checkers import all_checkers

    return list(all_checkers())
