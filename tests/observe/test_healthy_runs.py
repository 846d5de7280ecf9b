"""Every scheduler passes every checker on every workload, and is not changed by being watched."""

from __future__ import annotations

import pytest
from fuzz.running import bytes_of

from simsched.observe.checkers import all_checkers

from .runs import SCHEDULERS, WORKLOADS, judged, simulation_of, workload_scenario


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_real_scheduler_breaks_no_invariant(workload: str, scheduler: str) -> None:
    record = judged(workload_scenario(workload, scheduler))
    assert len(record) > 50


def test_the_workloads_go_where_things_break() -> None:
    """Otherwise passing would mean little: they time out, retry, are refused, and are left over."""
    outcomes: set[int] = set()
    attempts = 0
    for workload in WORKLOADS:
        record = judged(workload_scenario(workload, "tomcat, short queue"))
        outcomes |= set(record.outcome.tolist())
        attempts = max(attempts, int(record.attempts.max()))
    assert outcomes == {0, 1, 2, 3}
    assert attempts == 3


def test_a_process_that_dies_leaves_nothing_behind() -> None:
    scenario = workload_scenario("kinds of blocking", "go", duration="300ms")
    scenario = scenario.with_overrides(["schedulers.goroutine.maxThreads=3"])
    record = judged(scenario)
    assert record.activity["thread_limit_exceeded"] == 1
    assert record.outcome[-1] == 4
    assert record.series["workers"][-1] == 0
    assert record.series["busy_cores"][-1] == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_being_watched_changes_nothing(scheduler: str) -> None:
    scenario = workload_scenario("retries", scheduler)
    alone = simulation_of(scenario)
    alone.watching = ()
    watched = judged(scenario)
    assert bytes_of(watched) == bytes_of(unwatched(scenario))


def unwatched(scenario):  # type: ignore[no-untyped-def]
    from kit import spec_of

    from simsched.sim.engine import simulate
    from simsched.workload import draw

    return simulate(scenario, spec_of(scenario), draw(scenario, 0))


def test_checkers_are_new_each_time() -> None:
    first, second = all_checkers(), all_checkers()
    assert [type(c) for c in first] == [type(c) for c in second]
    assert not {id(c) for c in first} & {id(c) for c in second}
