"""Pools whose patience ends: a longest wait, and a longest queue. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import (
    FUTURES,
    GO,
    LOOP,
    REACTOR,
    VIRTUAL,
    Request,
    Run,
    Spec,
    hold,
    offload,
    parallel,
    request,
    run,
    tomcat,
)

from simsched.observe.record import PARTS
from simsched.scenario import Scenario, ScenarioError, loads_scenario
from simsched.stats.closed_form import closed_form

VALID = """
[scenario]
name = "shop"
duration = "10s"
[host]
cores = 4
[workload.arrivals]
kind = "poisson"
rate = "500/s"
[[workload.requests]]
name = "page"
steps = [{ use = "db", steps = [{ io = "5ms" }] }]
[resources.db]
capacity = 20
[[schedulers]]
preset = "tomcat"
"""
EVERY = pytest.mark.parametrize(
    "spec",
    [
        tomcat(8),
        LOOP,
        LOOP | {"loop": "uvloop"},
        GO,
        VIRTUAL,
        REACTOR,
        FUTURES | {"io": "blocking", "parallelism": 8},
        FUTURES | {"io": "async", "parallelism": 8},
    ],
    ids=["pool", "asyncio", "uvloop", "go", "virtual", "reactor", "blocking", "futures"],
)
FIVE = {"capacity": 1, "timeout": "5ms"}
TWO_WAIT = {"capacity": 1, "max_waiting": 2}


def use(inside: str, at: float = 0.0, **more: Any) -> Request:
    return request([hold("use", "db", inside)], at, **more)


def limited(spec: Spec, pool: Spec, *requests: Request, **more: Any) -> Run:
    return run(spec, *requests, resources={"db": pool}, cores=4, **more)


def waited(finished: Run) -> list[float]:
    return [round(x * 1e3, 6) for x in finished.record.parts_s[:, PARTS.index("resource")]]


def counted(finished: Run) -> dict[str, int]:
    """How often the pool gave a permit, and how often it did not, as far as it has limits."""
    known: dict[str, Any] = {**finished.record.waits["db"]}
    return {k: known[k] for k in ("acquisitions", "timeouts", "refusals") if k in known}


def test_a_pool_without_limits_counts_what_it_gives() -> None:
    finished = limited(LOOP, {"capacity": 1}, use("io 12ms"), use("io 1ms", 1))
    assert counted(finished) == {"acquisitions": 2}


@EVERY
class TestTimeout:
    def test_who_has_waited_that_long_fails(self, spec: Spec) -> None:
        # A holds the only unit until 12. B fails at 6, C at 9; D gets the unit at 12.
        work = [use("io 12ms"), use("io 1ms", 1), use("io 1ms", 4), use("io 1ms", 8)]
        finished = limited(spec, FIVE, *work)
        assert finished.journal.ends == [
            (6, "B failed"),
            (9, "C failed"),
            (12, "A completed"),
            (13, "D completed"),
        ]
        assert waited(finished) == [0, 5, 5, 4]
        assert finished.activity["pool_timeouts"] == 2
        assert counted(finished) == {"acquisitions": 2, "timeouts": 2}

    def test_it_gives_back_what_it_holds_and_does_no_step_more(self, spec: Spec) -> None:
        both = [hold("use", "other", [hold("use", "db", "io 1ms"), {"io": "50ms"}]), {"cpu": "1ms"}]
        other = request([hold("use", "other", "io 2ms")], 2)
        pools: dict[str, int | Spec] = {"db": FIVE, "other": 1}
        finished = run(spec, use("io 20ms"), request(both, 1), other, resources=pools, cores=4)
        # B has `other` from 1 to 6, when it fails; C has it from then on.
        assert finished.journal.ends == [(6, "B failed"), (8, "C completed"), (20, "A completed")]

    def test_a_unit_in_time_is_a_unit(self, spec: Spec) -> None:
        finished = limited(spec, FIVE, use("io 4ms"), use("io 9ms", 1))
        assert finished.done == {"A": 4, "B": 13}
        assert "pool_timeouts" not in finished.activity

    def test_a_client_that_gives_up_first_has_given_up(self, spec: Spec) -> None:
        finished = limited(spec, FIVE, use("io 20ms"), use("io 1ms", 1, timeout="3ms"))
        assert finished.outcomes == {"A": "completed", "B": "timed_out"}

    def test_a_failure_is_not_tried_again(self, spec: Spec) -> None:
        again = {"retries": {"max": 3, "backoff": "1ms"}}
        finished = limited(spec, FIVE, use("io 20ms"), use("io 1ms", 1, **again))
        assert finished.journal.ends == [(6, "B failed"), (20, "A completed")]

    def test_a_branch_that_fails_fails_its_request(self, spec: Spec) -> None:
        branches = parallel([hold("use", "db", "io 1ms")], "io 3ms")
        finished = limited(spec, FIVE, use("io 20ms"), request([branches, {"io": "9ms"}], 1))
        assert finished.journal.ends == [(6, "B failed"), (20, "A completed")]

    def test_the_connection_of_its_client_stays(self, spec: Spec) -> None:
        work = [use("io 12ms"), use("io 1ms", 1)]
        finished = limited(spec, FIVE, *work, connections={"keep_alive": True})
        assert finished.outcomes == {"A": "completed", "B": "failed"}
        assert "connections_reset" not in finished.activity


@EVERY
class TestMaxWaiting:
    def test_who_finds_so_many_waiting_fails_at_once(self, spec: Spec) -> None:
        # A holds the unit, B and C wait. D fails; E finds C alone, as B has the unit.
        work = [use("io 10ms"), *(use("io 10ms", at) for at in (1, 2, 3, 11))]
        finished = limited(spec, TWO_WAIT, *work)
        assert finished.journal.ends == [
            (3, "D failed"),
            (10, "A completed"),
            (20, "B completed"),
            (30, "C completed"),
            (40, "E completed"),
        ]
        assert finished.activity["pool_refusals"] == 1
        assert counted(finished) == {"acquisitions": 4, "refusals": 1}

    def test_with_none_a_busy_pool_refuses_everybody(self, spec: Spec) -> None:
        pool = TWO_WAIT | {"max_waiting": 0}
        finished = limited(spec, pool, use("io 10ms"), use("io 1ms", 1), use("io 1ms", 10.5))
        assert finished.journal.ends == [
            (1, "B failed"),
            (10, "A completed"),
            (11.5, "C completed"),
        ]
        assert waited(finished) == [0, 0, 0]


@pytest.mark.parametrize("spec", [LOOP, REACTOR], ids=["asyncio", "reactor"])
def test_a_wait_in_a_thread_beside_a_loop_ends_as_well(spec: Spec) -> None:
    there = [offload("to_thread", [hold("use", "db", "io 1ms")]), {"io": "9ms"}]
    finished = limited(spec, FIVE, use("io 20ms"), request(there, 1))
    assert finished.journal.ends == [(6, "B failed"), (20, "A completed")]


def test_a_pinned_wait_ends_as_well() -> None:
    inside = [hold("lock", "m", [hold("use", "db", "io 1ms")], kind="synchronized")]
    finished = limited(VIRTUAL | {"jdk": 21}, FIVE, use("io 20ms"), request(inside, 1))
    assert finished.journal.ends == [(6, "B failed"), (20, "A completed")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('timeout = "0s"', "timeout"),
        ("timeout = 30", "timeout"),
        ("max_waiting = -1", "max_waiting"),
        ("max_waitng = 5", 'did you mean "max_waiting"'),
        ('connectionTimeout = "30s"', "connectionTimeout"),
    ],
)
def test_bad_limits_are_told_where_they_are(line: str, says: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loads_scenario(VALID.replace("capacity = 20", f"capacity = 20\n{line}"))
    assert "resources.db" in str(error.value)
    assert says in str(error.value)


def test_no_formula_is_given_for_a_pool_that_fails_some() -> None:
    def of(pool: Spec) -> Scenario:
        return Scenario.from_dict(
            {
                "scenario": {"name": "a", "duration": "1s"},
                "host": {"cores": 4},
                "workload": {
                    "arrivals": {"kind": "poisson", "rate": "100/s"},
                    "requests": [{"name": "a", "steps": [hold("use", "db", "io 5ms")]}],
                },
                "resources": {"db": {"capacity": 1, **pool}},
                "schedulers": [GO],
            }
        )

    plain, *limits = (of(p) for p in ({}, {"timeout": "5ms"}, {"max_waiting": 2}))
    assert closed_form(plain, plain.schedulers[0]) is not None
    assert [closed_form(s, s.schedulers[0]) for s in limits] == [None, None]
