"""In whatever scenario, the seconds blamed are those that the breakdown has."""

from __future__ import annotations

import pytest
from fuzz.scenarios import scenario_of

from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

from .blames import told_and_booked


def is_all_told(scenario: Scenario) -> bool:
    """The back-off before a retry is nobody's, and given-up attempts may have branches."""
    return all(c.timeout_s is None and c.retries is None for c in scenario.classes)


@pytest.mark.slow  # 100 seeds take some ten seconds
@pytest.mark.parametrize("first", range(0, 400, 100))
def test_blame_adds_up_in_fuzzed_scenarios(first: int) -> None:
    n = 0
    for seed in range(first, first + 100):
        scenario = scenario_of(seed)
        if not is_all_told(scenario):
            continue
        for spec in scenario.schedulers:
            told, booked = told_and_booked(simulate(scenario, spec, draw(scenario, 0)))
            n += 1
            for key, seconds in booked.items():
                where = f"{key} of {spec.name} in seed {seed}"
                assert told.get(key, 0.0) == pytest.approx(seconds, rel=1e-6, abs=1e-9), where
    assert n >= 20
