"""What the experiments share: rows of the table, the machines, and closed loops of clients."""

from __future__ import annotations

from typing import Any

import numpy as np

from simsched.observe.record import COMPLETED, RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

Row = tuple[str, float, float]
"""What it is, predicted, published."""

WITHIN = 0.15
"""How far a prediction may be from what was measured or published on one machine."""
RATE_WITHIN = 0.02
"""... where it is the arithmetic of a limit: connections or users over the time of a round."""
RATIO_WITHIN = 0.20
"""... from a ratio that was published of another machine."""

GUEST: dict[str, Any] = {
    "cores": 2,
    "os": {"wakeup_latency": "45us", "wakeup_cost": "12us"},
}
"""Measured, a guest with 2 virtual cores. Waking an idle core takes 41 to 73 us. It costs the waker
5.5 us if that has just fallen asleep, 9 us after 0.2 ms and 17 us after 2 ms: the middle is taken.
"""
DESKTOP: dict[str, Any] = {"cores": 8, "os": {"wakeup_latency": "5us"}}
"""Bare metal."""

Steps = list[dict[str, Any]]


def closed_scenario(
    scheduler: dict[str, Any],
    users: int,
    classes: list[Steps],
    *,
    connections: dict[str, Any] | None = None,
    think: str = "0s",
    host: dict[str, Any] | None = None,
    duration: str = "10s",
) -> Scenario:
    """So many clients, each with one request at a time; without ``host`` on the guest."""
    workload: dict[str, Any] = {
        "arrivals": {"kind": "closed", "users": users, "think": think},
        "requests": [{"name": f"c{i}", "steps": steps} for i, steps in enumerate(classes)],
    }
    if connections is not None:
        workload["connections"] = connections
    return Scenario.from_dict(
        {
            "scenario": {"name": "published", "duration": duration},
            "host": host or GUEST,
            "workload": workload,
            "schedulers": [scheduler],
        }
    )


def closed_loop(scheduler: dict[str, Any], users: int, steps: Steps, **more: Any) -> RunRecord:
    """Each client asks again as soon as it has its answer, and has thought."""
    scenario = closed_scenario(scheduler, users, [steps], **more)
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


def latencies_ms(record: RunRecord, after_s: float = 0.0, class_id: int = 0) -> Any:
    """Latencies of what came after ``after_s`` and was completed within the run."""
    chosen = (record.outcome == COMPLETED) & (record.finish_s <= record.duration_s)
    chosen &= (record.arrival_s >= after_s) & (record.class_id == class_id)
    return 1e3 * (record.finish_s - record.arrival_s)[chosen]


def throughput_rps(record: RunRecord, after_s: float = 0.0) -> float:
    """Completions per second."""
    ended_s = record.finish_s[record.outcome == COMPLETED]
    n = np.count_nonzero((ended_s > after_s) & (ended_s <= record.duration_s))
    return float(n) / (record.duration_s - after_s)


def quantile(values: Any, q: float) -> float:
    """The smallest value that a fraction ``q`` does not exceed."""
    return float(np.quantile(values, q, method="inverted_cdf"))
