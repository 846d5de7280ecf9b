"""Blame, worked out by hand: who made whom wait, in which step, and for how many milliseconds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from kit import (
    GO,
    LOOP,
    RUN_TO_END,
    VIRTUAL,
    Spec,
    hold,
    ms,
    offload,
    parallel,
    request,
    run,
    scenario_of,
    spec_of,
    steps_of,
    tomcat,
)

from simsched.observe import blame as blame_module
from simsched.observe.blame import Blame
from simsched.observe.record import PARTS
from simsched.sim.engine import Simulation
from simsched.sim.observer import Observers
from simsched.workload import draw

from .blames import blame_of, blamed, step, told_and_booked
from .runs import DEFAULT_OS, POISSON, SCHEDULERS, WORKLOADS, unwatched, workload_scenario

# -- the loop ---------------------------------------------------------------------------------


def test_a_blocking_step_stalls_all_who_come_meanwhile() -> None:
    """A freezes the loop from 0 to 100 ms. B comes at 10 and C at 50; each needs 1 ms."""
    assert blamed(
        LOOP,
        request([step("100ms", "render", "blocking")]),
        request("cpu 1ms", at=10),
        request("cpu 1ms", at=50),
    ) == {
        ("loop", "B", "A render"): 90.0,
        ("loop", "C", "A render"): 50.0,
        ("loop", "C", "B cpu"): 1.0,
    }


def test_the_longest_stall_of_a_loop_has_a_name() -> None:
    record = run(
        LOOP,
        request([step("2ms", "parse"), step("100ms", "render", "blocking")]),
        request("cpu 1ms", at=150),
    ).record
    stall = record.longest_stall
    assert stall is not None
    assert (ms(stall.seconds), stall.culprit, stall.step, ms(stall.step_s)) == (
        102.0, 0, "render", 100.0
    )  # fmt: skip
    assert ms(record.activity["loop_lag_max_s"]) == 102.0


def test_a_stretch_of_computing_is_called_after_its_longest_step() -> None:
    """A computes 1 + 8 ms, awaits 10 ms, and computes 5 ms more. B comes at 2, C at 20 ms."""
    steps = [step("1ms", "parse"), step("8ms", "query"), {"io": "10ms"}, step("5ms", "render")]
    assert blamed(LOOP, request(steps), request("cpu 1ms", 2), request("cpu 1ms", 20)) == {
        ("loop", "B", "A query"): 7.0,
        ("loop", "C", "A render"): 4.0,
    }


def test_who_awaits_does_not_stall_the_loop() -> None:
    assert blamed(LOOP, request("io 100ms"), request("cpu 1ms", at=10)) == {}


def test_waking_up_is_nobodys_fault() -> None:
    """The loop sleeps when A comes: its core needs 2 ms to wake up."""
    slow_to_wake = {"wakeup_latency": "2ms"}
    assert blamed(LOOP, request("cpu 1ms", at=10), os=slow_to_wake) == {
        ("loop", "A", "nobody"): 2.0
    }


# -- threads ----------------------------------------------------------------------------------


def test_a_thread_is_awaited_because_of_all_who_hold_one() -> None:
    """Two threads: A holds one until 101 ms and B one until 60 ms. C comes at 10 ms."""
    assert blamed(
        tomcat(2),
        request([step("1ms", "parse"), step("100ms", "old client", "blocking")]),
        request("io 60ms"),
        request("cpu 1ms", at=10),
        cores=2,
    ) == {
        ("threads", "C", "A old client"): 25.0,
        ("threads", "C", "B io"): 25.0,
    }


def test_the_chain_is_told_link_by_link() -> None:
    """A holds the connection; B waits for it and keeps its thread; C waits for the thread."""
    assert blamed(
        tomcat(2),
        request([hold("use", "db", [step("50ms", "query", "io")])]),
        request([hold("use", "db", "io 10ms")], at=10),
        request("cpu 1ms", at=20),
        resources={"db": 1},
        cores=2,
    ) == {
        ("db", "B", "A query"): 40.0,
        ("threads", "C", "A query"): 15.0,
        ("threads", "C", "B waiting for a resource"): 15.0,
    }


def test_threads_of_one_core_are_stalled_by_who_computes_on_it() -> None:
    """Two threads, one core: A computes 10 ms. B has a thread at once, and a core at 10 ms."""
    assert blamed(tomcat(2), request("cpu 10ms"), request("cpu 1ms, io 5ms"), os=RUN_TO_END) == {
        ("core", "B", "A cpu"): 10.0
    }


# -- processors and carriers ------------------------------------------------------------------


def test_goroutines_wait_for_whoever_has_the_processor() -> None:
    """One P, which A has until 8 ms. C, which came last, is `runnext`; B runs after it, at 9 ms."""
    assert blamed(GO, request("cpu 8ms"), request("cpu 2ms", at=1), request("cpu 1ms", at=2)) == {
        ("Ps", "B", "A cpu"): 7.0,
        ("Ps", "B", "C cpu"): 1.0,
        ("Ps", "C", "A cpu"): 6.0,
    }


def test_a_pinned_carrier_is_held_by_what_the_virtual_thread_waits_for() -> None:
    """One carrier: A computes 1 ms, then is pinned in a native call for 20 ms. B comes at 1 ms."""
    pinned = [step("1ms", "parse"), {**step("20ms", "native call", "blocking"), "kind": "native"}]
    assert blamed(VIRTUAL, request(pinned), request("cpu 1ms", at=1)) == {
        ("carriers", "B", "A native call"): 20.0
    }


def test_an_unmounted_virtual_thread_stalls_nobody() -> None:
    socket = [step("1ms", "parse"), {**step("20ms", "read", "blocking"), "kind": "socket"}]
    assert blamed(VIRTUAL, request(socket), request("cpu 1ms", at=5)) == {}


# -- resources and locks ----------------------------------------------------------------------


def test_a_connection_is_held_by_the_steps_inside() -> None:
    """One connection. A has it until 20 ms; B from then until 31 ms; C asks at 11 ms."""
    assert blamed(
        LOOP,
        request([hold("use", "db", [step("20ms", "query", "io")])]),
        request([hold("use", "db", "io 10ms, cpu 1ms"), {"io": "5ms"}], at=5),
        request([{"cpu": "1ms"}, hold("use", "db", "io 10ms")], at=10),
        resources={"db": 1},
    ) == {
        ("db", "B", "A query"): 15.0,
        ("db", "C", "A query"): 9.0,
        ("db", "C", "B io 1"): 10.0,
        ("db", "C", "B cpu"): 1.0,
    }


def test_two_resources_are_not_taken_for_one_another() -> None:
    """A has db and B has cache, each for 30 ms; C needs cache and D needs db, from 10 ms on."""
    assert blamed(
        LOOP,
        request([hold("use", "db", "io 30ms")]),
        request([hold("use", "cache", "io 30ms")]),
        request([hold("use", "cache", "io 1ms")], at=10),
        request([hold("use", "db", "io 1ms")], at=10),
        resources={"db": 1, "cache": 1},
    ) == {("cache", "C", "B io"): 20.0, ("db", "D", "A io"): 20.0}


def test_a_resource_may_be_called_like_something_else_that_is_waited_for() -> None:
    found = blamed(
        LOOP,
        request([hold("use", "connections", "io 30ms")]),
        request([hold("use", "connections", "io 1ms")], at=10),
        resources={"connections": 1},
    )
    assert found == {("resource:connections", "B", "A io"): 20.0}


def test_a_lock_has_its_name() -> None:
    assert blamed(
        LOOP,
        request([hold("lock", "m", "io 30ms")]),
        request([hold("lock", "m", "cpu 1ms")], at=10),
    ) == {("lock:m", "B", "A io"): 20.0}


def test_who_has_given_up_still_holds() -> None:
    """A gives up at 10 ms, but its thread sits in the call until 50 ms. B comes at 5 ms."""
    assert blamed(
        tomcat(1),
        request([{"io": "5ms"}, step("45ms", "old client", "blocking")], timeout="10ms"),
        request("cpu 1ms", at=5),
    ) == {("threads", "B", "A old client"): 45.0}


def test_a_back_off_is_the_clients_own() -> None:
    """One thread, no queue: B is refused at 1 ms, and tries again at 31 ms, when A has gone."""
    pool = {**tomcat(1), "maxQueueSize": 0}
    retries = {"max": 1, "backoff": "30ms"}
    found = blamed(pool, request("cpu 20ms"), request("cpu 1ms", at=1, retries=retries))
    assert found == {}


# -- executors, processes, the interpreter lock, branches -------------------------------------


@pytest.mark.parametrize(
    ("api", "knobs", "cause"),
    [
        ("run_in_threadpool", {"total_tokens": 1}, "pool:anyio"),
        ("to_thread", {"max_workers": 1}, "pool:executor"),
    ],
)
def test_an_executor_has_a_queue_of_its_own(api: str, knobs: dict[str, int], cause: str) -> None:
    """One thread beside the loop: A has it until 30 ms. B wants it from 10 ms, C only the loop."""
    free = {"hop": "0s", "thread_hop": "0s", "thread_create": "0s", "gil": False}
    blocking = [{"offload": api, "steps": [step("30ms", "resize", "blocking")]}]
    other = [{"offload": api, "steps": steps_of("io 10ms")}]
    assert blamed(
        {**LOOP, **free, **knobs},
        request(blocking), request(other, at=10), request("cpu 1ms", at=20),
        cores=2,
    ) == {(cause, "B", "A resize"): 20.0}  # fmt: skip


SLACK = 0.05  # of a time-out, in milliseconds
PYTHON: Spec = {
    "kind": "thread_pool", "policy": "python", "max_workers": 2, "thread_create": "0s",
    "dispatch": "0s",
}  # fmt: skip


def test_the_last_step_of_a_request_is_not_forgotten_with_the_request() -> None:
    """A has the lock until 5 ms; then B, which ends at 8 ms; then A has it back."""
    train, short = request([step("20ms", "train")]), request([step("3ms", "short")])
    found = blamed(PYTHON, train, short, cores=2)
    assert found[("gil", "A", "B short")] == 3.0
    assert not any(culprit == "nobody" for _, _, culprit in found)


def test_a_thread_blames_the_step_on_the_loop_for_the_lock() -> None:
    """B computes on the loop from 0 on; A's thread asks for the lock after 5 ms, and has 4."""
    hashing = [{"offload": "to_thread", "steps": [step("4ms", "hash")]}]
    rendering = request([step("20ms", "render")])
    found = blamed(LOOP, request(hashing), rendering, cores=2)
    assert 5.0 <= found[("gil", "A", "B render")] <= 5.0 + SLACK
    assert found[("gil", "B", "A hash")] == 4.0


def test_of_the_waits_for_the_lock_in_branches_those_of_the_slowest_count() -> None:
    """B's branches compute in two threads that are there already: 20 ms, and 4 after an io of 2.

    The one waits for the lock while the other has it. The long one is the slower one, which waits
    for 4 ms in all; what the short one waits in its shadow delays nobody.
    """
    first = [offload("to_thread", "io 1ms")]
    long = [offload("to_thread", [step("20ms", "long")])]
    short = [{"io": "2ms"}, offload("to_thread", [step("4ms", "short")])]
    record = run(
        LOOP, request([parallel(first, first)]), request([parallel(long, short)], at=10), cores=4
    ).record
    assert blame_of(record) == {("gil", "B", "B short"): 4.0}
    assert ms(record.join_parts_s[1, PARTS.index("gil")]) == 4.0


def test_the_loop_of_another_process_stalls_nobody() -> None:
    """Two processes: A has one for 20 ms. B and C share the other or wait for none."""
    record = run(
        {**LOOP, "processes": 2}, request("cpu 20ms"), request("cpu 1ms", at=5), cores=2
    ).record
    waited = record.parts_s[1, :2].sum()
    told = sum(row.seconds for row in record.blame if row.victim == 1)
    assert told == pytest.approx(waited, abs=1e-12)


def test_what_somebody_else_knows_is_told_and_kept() -> None:
    """An event of the hub, as whoever has the interpreter lock would tell it."""
    scenario = scenario_of([{"name": "a", "steps": steps_of("cpu 1ms")}] * 1, LOOP)
    simulation = Simulation(scenario, spec_of(scenario), draw(scenario, 0))
    hub: Observers = simulation.observers
    hub.blamed(0.5, "gil", 0, 0, "render", 0.25)
    hub.blamed(0.7, "gil", 0, 0, "render", 0.5)
    record = simulation.run()
    assert [tuple(row) for row in record.blame] == [("gil", 0, 0, "render", 0.75)]


# -- sums -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
@pytest.mark.parametrize("workload", list(WORKLOADS))
def test_blame_adds_up_to_the_waiting_in_the_breakdown(workload: str, scheduler: str) -> None:
    """All but the back-off before a retry, and what given-up attempts waited in branches for."""
    classes = [
        {key: value for key, value in body.items() if key not in ("retries", "timeout")}
        if "retries" in body
        else body
        for body in WORKLOADS[workload]["classes"]
    ]
    settings: dict[str, Any] = {
        "arrivals": POISSON,
        "cores": 2,
        "os": DEFAULT_OS,
        "duration": "150ms",
    }
    settings |= {**WORKLOADS[workload], "classes": classes}
    record = unwatched(scenario_of(scheduler=SCHEDULERS[scheduler], **settings))
    told, booked = told_and_booked(record)
    for key, seconds in booked.items():
        assert told.get(key, 0.0) == pytest.approx(seconds, rel=1e-6, abs=1e-9), key


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
@pytest.mark.parametrize("workload", ["a pool", "time-outs"])
def test_blame_adds_up_where_cores_are_stopped(workload: str, scheduler: str) -> None:
    """Under a quota that runs out, with a short period."""
    record = unwatched(
        workload_scenario(
            workload, scheduler, host={"cpu_quota": 0.8, "cpu_period": "10ms"}, duration="100ms"
        )
    )
    assert record.activity.get("throttled_s", 0.0) > 0
    told, booked = told_and_booked(record)
    for key, seconds in booked.items():
        assert told.get(key, 0.0) == pytest.approx(seconds, rel=1e-6, abs=1e-9), key


def test_adding_up_early_and_in_slices_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is long enough for some blocks; here everything is added up as soon as possible."""
    scenario = workload_scenario("locks", "event loop", duration="5s", arrivals=POISSON)
    late = unwatched(scenario)
    monkeypatch.setattr(blame_module, "SLICE", 50)
    monkeypatch.setattr(Blame, "is_due", lambda _: True)
    early = unwatched(scenario)
    assert [row[:4] for row in early.blame] == [row[:4] for row in late.blame]
    np.testing.assert_allclose(
        [row.seconds for row in early.blame], [row.seconds for row in late.blame], rtol=1e-9
    )


def test_the_same_run_tells_the_same_to_the_last_bit() -> None:
    scenario = workload_scenario("a pool", "go")
    assert unwatched(scenario).blame == unwatched(scenario).blame


def test_rows_are_sorted_and_finite() -> None:
    rows = unwatched(workload_scenario("locks", "tomcat")).blame
    assert rows == sorted(rows)
    assert all(row.seconds > 0 and math.isfinite(row.seconds) for row in rows)
