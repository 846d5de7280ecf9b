"""The load a scenario offers, with what only its data files tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.scenario import OfferedLoad, Trace, offered_load
from simsched.scenario.steps import operations

if TYPE_CHECKING:
    from simsched.scenario import Scenario


def offered(scenario: Scenario) -> OfferedLoad:
    """Offered load of a scenario; a trace it replays is read for rate, means and class shares.

    Raises:
        ScenarioError: the trace cannot be used.
    """
    if not isinstance(scenario.arrivals, Trace):
        return offered_load(scenario)
    import numpy as np

    from simsched.workload import trace_stats
    from simsched.workload.replay import read_trace

    shares: dict[str, float] | None = None
    rows = read_trace(scenario)
    if rows.class_id is not None:
        counts = np.bincount(rows.class_id, minlength=len(scenario.classes))
        names = [request.name for request in scenario.classes]
        shares = dict(zip(names, (counts / counts.sum()).tolist(), strict=True))
    return offered_load(scenario, trace_stats(scenario), shares)


def expected_steps(scenario: Scenario, load: OfferedLoad) -> float:
    """About how many steps one scheduler executes in one replication."""
    rate = load.rate_rps if load.rate_rps is not None else load.bound_rps
    steps = max(operations(request) for request in scenario.classes)
    return (rate or 0.0) * scenario.duration_s * steps
