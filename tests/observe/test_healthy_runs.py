"""Every scheduler passes every checker on every workload, and is not changed by being watched."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz.running import bytes_of

from simsched.observe.checkers import all_checkers
from simsched.observe.record import COMPLETED, FAILED, REJECTED, TIMED_OUT, UNFINISHED

from .runs import SCHEDULERS, WORKLOADS, judged, unwatched, workload_scenario


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_real_scheduler_breaks_no_invariant(workload: str, scheduler: str) -> None:
    record = judged(workload_scenario(workload, scheduler))
    assert len(record) > 50


def test_the_workloads_go_where_things_break() -> None:
    # Else passing would mean little: they time out, try again, are refused, and are left over.
    outcomes: set[int] = set()
    attempts = 0
    for workload in WORKLOADS:
        record = judged(workload_scenario(workload, "tomcat, short queue"))
        outcomes |= set(record.outcome.tolist())
        attempts = max(attempts, int(record.attempts.max()))
    assert outcomes == {UNFINISHED, COMPLETED, REJECTED, TIMED_OUT}
    assert attempts == 3


def test_a_process_that_dies_leaves_nothing_behind() -> None:
    scenario = workload_scenario("kinds of blocking", "go", duration="300ms")
    record = judged(scenario.with_overrides(["schedulers.goroutine.maxThreads=3"]))
    assert record.activity["process_died"] == 1
    assert record.outcome[-1] == FAILED
    assert record.series["workers"][-1] == 0
    assert record.series["busy_cores"][-1] == 0


def test_a_worker_that_is_killed_leaves_nothing_behind() -> None:
    # The arbiter looks once a second.
    hangs = {"name": "hangs", "weight": 0.05, "steps": [{"blocking": "9s"}]}
    classes = [*WORKLOADS["a pool"]["classes"], hangs]
    record = judged(
        workload_scenario("a pool", "sync workers", classes=classes, duration="3s", drain="2s")
    )
    assert record.activity["workers_killed"] >= 10
    assert np.count_nonzero(record.outcome == FAILED) >= 10
    assert record.activity["lost_worker_s"] > 1


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("workload", ["retries", "closed", "executors"])
def test_being_watched_changes_nothing(workload: str, scheduler: str) -> None:
    scenario = workload_scenario(workload, scheduler)
    assert bytes_of(judged(scenario)) == bytes_of(unwatched(scenario))


def test_checkers_are_new_each_time() -> None:
    first, second = all_checkers(), all_checkers()
    assert [type(c) for c in first] == [type(c) for c in second]
    assert not {id(c) for c in first} & {id(c) for c in second}
