"""Fifteen traps that other simulators have fallen into, each as what must be true here."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import GO, LOOP, VIRTUAL, exponential, request, run, scenario_of, tomcat
from scipy import stats as scipy_stats

from simsched.observe.checkers import all_checkers
from simsched.scenario import Scenario, ScenarioError, loads_scenario
from simsched.sim.engine import Simulation, simulate
from simsched.stats.estimates import mean_estimate
from simsched.study.run import run as run_study
from simsched.workload import draw

ALL = [tomcat(4), LOOP, GO, VIRTUAL]
KINDS = [spec["kind"] for spec in ALL]
EXPONENTIAL_10MS = exponential("10ms")


def open_scenario(spec: dict[str, Any], rate: str, **options: Any) -> Scenario:
    """One class of exponential CPU work, Poisson arrivals, one core."""
    return scenario_of(
        [{"name": "work", "steps": [{"cpu": EXPONENTIAL_10MS}]}],
        spec,
        arrivals={"kind": "poisson", "rate": rate},
        **options,
    )


def test_trap_01_the_seed_decides_every_byte() -> None:
    scenario = open_scenario(LOOP, "60/s", duration="5s", replications=3)
    first, second = run_study(scenario), run_study(scenario)
    other = run_study(scenario.with_overrides(["scenario.seed=2"]))
    assert first.to_json() == second.to_json()
    assert (
        first.schedulers["event_loop"]["latency_s"] != other.schedulers["event_loop"]["latency_s"]
    )


# What each knob is changed to in trap 2, in a scenario in which it matters.
RICH = """
[scenario]
name = "knobs"
duration = "2s"
replications = 2
[host]
cores = 2
[workload.arrivals]
kind = "poisson"
rate = "400/s"
[resources.db]
capacity = 3
[[workload.requests]]
name = "a"
memory = "10KiB"
timeout = "25ms"
retries = { max = 2, backoff = "20ms" }
steps = [
  { cpu = { dist = "exponential", mean = "3ms" } },
  { use = "db", steps = [{ io = { dist = "exponential", mean = "4ms" } }] },
  { sleep = "1500us" },
  { blocking = { dist = "exponential", mean = "3ms" }, kind = "file" },
  { lock = "cache", steps = [{ cpu = "200us" }] },
]
[[workload.requests]]
name = "hog"
weight = 0.02
steps = [{ cpu = "60ms" }]
[[schedulers]]
"""
SCENARIO_KNOBS = {
    "scenario.duration": '"3s"',
    "scenario.seed": "7",
    "scenario.replications": "3",
    "scenario.warmup": '"500ms"',
    "scenario.study": '"terminating"',
    "scenario.drain": '"0s"',
    "host.cores": "3",
    "host.memory": '"1MiB"',
    "host.os.time_slice": '"20ms"',
    "host.os.hz": "10",
    "host.os.switch_cost": '"200us"',
    "host.os.wakeup_latency": '"2ms"',
    "host.os.wakeup_preemption": "false",
    "host.os.wakeup_granularity": '"30ms"',
    "workload.arrivals.rate": '"300/s"',
    "workload.requests.a.weight": "3",
    "workload.requests.a.memory": '"1MiB"',
    "workload.requests.a.timeout": '"15ms"',
    "workload.requests.a.retries.max": "1",
    "workload.requests.a.retries.backoff": '"90ms"',
    "workload.requests.a.retries.factor": "5.0",
    "workload.requests.a.retries.jitter": "0.9",
    "resources.db.capacity": "2",
}
MEMORY_KNOBS = {f"memory.{name}": '"5MiB"' for name in ("base", "thread", "task", "connection")}
TOMCAT = 'kind = "thread_pool"\npolicy = "tomcat"\nmaxThreads = 12\nminSpareThreads = 2\n'
JDK = (
    'kind = "thread_pool"\npolicy = "jdk"\ncorePoolSize = 4\nmaximumPoolSize = 12\nworkQueue = 6\n'
    'keepAliveTime = "1ms"\n'
)
SCHEDULER_KNOBS: dict[str, tuple[str, dict[str, str]]] = {
    "tomcat": (
        TOMCAT,
        {
            "maxThreads": "6",
            "minSpareThreads": "9",
            "maxQueueSize": "3",
            "threadsMaxIdleTime": '"1ms"',
            "thread_create": '"5ms"',
            "dispatch": '"1ms"',
        },
    ),
    "jdk": (
        JDK,
        {
            "corePoolSize": "2",
            "maximumPoolSize": "6",
            "workQueue": '"unbounded"',
            "keepAliveTime": '"60s"',
            "allowCoreThreadTimeOut": "true",
            "rejectedExecutionHandler": '"discard_oldest"',
            "thread_create": '"5ms"',
            "dispatch": '"1ms"',
        },
    ),
    "event_loop": (
        'kind = "event_loop"\n',
        {
            "timer_resolution": '"50ms"',
            "iteration": '"1ms"',
            "handle": '"1ms"',
            "task_create": '"1ms"',
        },
    ),
    "goroutine": (
        'kind = "goroutine"\n',
        {
            "GOMAXPROCS": "1",
            "create": '"1ms"',
            "switch": '"1ms"',
            "steal": '"1ms"',
            "thread_create": '"5ms"',
            "maxThreads": "2",
            "asyncpreempt": "false",
        },
    ),
    "virtual_thread": (
        'kind = "virtual_thread"\njdk = 21\nkeepAlive = "100ms"\n',
        {
            "jdk": "25",
            "parallelism": "4",
            "maxPoolSize": "2",
            "minRunnable": "2",
            "keepAlive": '"1ms"',
            "create": '"1ms"',
            "switch": '"1ms"',
            "steal": '"1ms"',
            "thread_create": '"5ms"',
        },
    ),
}


def outcome(scenario: Scenario) -> str:
    """Everything a run says, apart from the configuration it repeats."""
    document = json.loads(run_study(scenario).to_json())
    return json.dumps([document["schedulers"], document["offered"]])


@pytest.mark.parametrize("name", SCHEDULER_KNOBS)
def test_trap_02_every_scheduler_knob_changes_something(name: str) -> None:
    text, knobs = SCHEDULER_KNOBS[name]
    # One loop under the load of two cores never idles; how timers round shows on an idle one.
    rate = "40/s" if name == "event_loop" else "400/s"
    base = loads_scenario((RICH + text).replace("400/s", rate))
    before = outcome(base)
    ignored = [
        knob
        for knob, value in (knobs | MEMORY_KNOBS).items()
        if outcome(base.with_overrides([f"schedulers.0.{knob}={value}"])) == before
    ]
    assert ignored == []


def test_trap_02_every_other_field_changes_something() -> None:
    base = loads_scenario(RICH + TOMCAT)
    before = outcome(base)
    ignored = [
        path
        for path, value in SCENARIO_KNOBS.items()
        if outcome(base.with_overrides([f"{path}={value}"])) == before
    ]
    assert ignored == []


def test_trap_02_no_knob_is_left_out_of_these_lists() -> None:
    for name, (text, knobs) in SCHEDULER_KNOBS.items():
        spec = loads_scenario(RICH + text).resolved()["schedulers"][0]
        identity = {"name", "kind", "preset", "policy", "memory"}
        assert set(spec) - identity == set(knobs), name


def test_trap_03_overload_is_said_and_its_quantiles_are_censored() -> None:
    scenario = open_scenario(LOOP, "200/s", duration="10s", replications=4, drain="1s")
    entry = run_study(scenario).schedulers["event_loop"]
    assert entry["verdict"] == "OVERLOADED"
    assert entry["counts"]["unfinished"] > 0
    p90 = entry["latency_s"]["p90"]
    assert p90["value"] is None
    assert "unfinished" in p90["reason"]


def test_trap_04_a_discipline_does_what_its_name_says() -> None:
    work = [request("cpu 50ms") for _ in range(3)]
    sliced = run(tomcat(3), *work, os={"time_slice": "10ms", "wakeup_preemption": False})
    assert sliced.done == {"A": 130.0, "B": 140.0, "C": 150.0}
    assert run(LOOP, *work).done == {"A": 50.0, "B": 100.0, "C": 150.0}
    assert run(tomcat(1), *work).done == {"A": 50.0, "B": 100.0, "C": 150.0}


def test_trap_05_a_loop_uses_one_core_of_eight() -> None:
    scenario = open_scenario(LOOP, "800/s", cores=8, duration="5s", drain="0s")
    record = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    assert float(record.series["busy_cores"].max()) <= 1.0 + 1e-9


@pytest.mark.parametrize("spec", ALL, ids=KINDS)
def test_trap_06_nobody_idles_while_work_waits(spec: dict[str, Any]) -> None:
    scenario = open_scenario(spec, "180/s", cores=2, duration="5s")
    simulate(scenario, scenario.schedulers[0], draw(scenario, 0), observers=all_checkers())


class Blindfold(list[float]):
    """Demands that cannot be read before their step has come."""

    task: Any = None

    def __getitem__(self, slot: Any) -> Any:
        op = self.task.ops[self.task.pc]
        assert op.slot == slot, f"{self.task!r} looked at the demand of a step it does not stand at"
        return super().__getitem__(slot)


@pytest.mark.parametrize("spec", ALL, ids=KINDS)
def test_trap_07_no_policy_looks_at_what_lies_ahead(spec: dict[str, Any]) -> None:
    scenario = scenario_of(
        [{"name": "w", "steps": [{"cpu": EXPONENTIAL_10MS}, {"io": "5ms"}, {"cpu": "2ms"}]}],
        spec,
        arrivals={"kind": "poisson", "rate": "60/s"},
        duration="3s",
    )
    simulation = Simulation(scenario, scenario.schedulers[0], draw(scenario, 0))
    submit = simulation.scheduler.submit

    def blindfolded(task: Any) -> None:
        demands = Blindfold(task.demands)
        demands.task = task
        task.demands = demands
        submit(task)

    simulation.scheduler.submit = blindfolded  # type: ignore[method-assign]
    record = simulation.run()
    assert int((record.outcome == 1).sum()) == len(record) > 100


def test_trap_08_formulas_agree_with_numpy_and_scipy() -> None:
    values = np.random.default_rng(8).gamma(2.0, 3.0, 12)
    estimate = mean_estimate(values)
    half = scipy_stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert estimate.value == pytest.approx(values.mean(), rel=1e-12)
    assert estimate.ci95 == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-12)


@pytest.mark.parametrize("spec", ALL, ids=KINDS)
def test_trap_09_a_request_costs_no_more_work_in_overload(spec: dict[str, Any]) -> None:
    """Counted in function calls, C ones included: exact on any machine, whatever else it does."""

    def calls_per_request(rate: str) -> float:
        scenario = open_scenario(spec, rate, duration="20s", drain="40s")
        simulation = Simulation(scenario, scenario.schedulers[0], draw(scenario, 0))
        count = 0

        def tally(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        previous = sys.getprofile()
        sys.setprofile(tally)
        try:
            record = simulation.run()
        finally:
            sys.setprofile(previous)
        return count / len(record)

    assert calls_per_request("200/s") <= 1.5 * calls_per_request("80/s")


def test_trap_10_a_new_class_or_observer_leaves_the_other_draws_alone() -> None:
    one = scenario_of([{"name": "a", "steps": [{"cpu": EXPONENTIAL_10MS}]}], LOOP, duration="5s")
    requests = [
        {"name": "a", "steps": [{"cpu": EXPONENTIAL_10MS}]},
        {"name": "b", "steps": [{"io": EXPONENTIAL_10MS}, {"cpu": EXPONENTIAL_10MS}]},
    ]
    arrivals = {"kind": "poisson", "rate": "100/s"}
    one = scenario_of(requests[:1], LOOP, arrivals=arrivals, duration="5s")
    two = scenario_of(requests, LOOP, arrivals=arrivals, duration="5s")
    before, after = draw(one, 0), draw(two, 0)
    assert before.arrival_s.tobytes() == after.arrival_s.tobytes()  # type: ignore[union-attr]
    still_a = [i for i in range(len(after)) if after.class_id_of(i) == 0]  # type: ignore[arg-type]
    assert len(still_a) > 100
    assert all(before.demand_row(i) == after.demand_row(i) for i in still_a)
    bare = simulate(one, one.schedulers[0], before)
    watched = simulate(one, one.schedulers[0], before, observers=all_checkers())
    assert bare.finish_s.tobytes() == watched.finish_s.tobytes()


@pytest.mark.parametrize("spec", ALL, ids=KINDS)
def test_trap_11_in_flight_is_arrived_minus_ended(spec: dict[str, Any]) -> None:
    scenario = open_scenario(spec, "80/s", duration="10s", drain="0s")
    record = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    ended = np.where(np.isnan(record.finish_s), record.duration_s, record.finish_s)
    time_in_system = float((np.minimum(ended, record.duration_s) - record.arrival_s).sum())
    area = float(record.series["in_system"].sum() * record.bin_s)
    assert area == pytest.approx(time_in_system, rel=1e-9)


@pytest.mark.parametrize("rate", ['"0/s"', '"-5/s"', '"nan/s"', '"inf/s"', "nan", "inf", "0"])
def test_trap_12_rates_that_are_none_are_refused(rate: str) -> None:
    with pytest.raises(ScenarioError, match="rate"):
        loads_scenario((RICH + TOMCAT).replace('rate = "400/s"', f"rate = {rate}"))


def test_trap_13_no_test_has_a_tolerance_wide_enough_to_prove_nothing() -> None:
    here = Path(__file__).resolve()
    wide = []
    for path in here.parents[1].rglob("*.py"):
        for match in re.finditer(r"rel=([0-9.]+(?:e-?\d+)?)", path.read_text("utf-8")):
            if path != here and float(match[1]) > 1e-3:
                wide.append(f"{path.name}: {match[0]}")
    assert wide == []


def test_trap_14_a_pinned_result_is_paired_with_the_invariants() -> None:
    """Two requests on one core, worked out by hand, with every checker on."""
    scenario = scenario_of(
        [{"name": "w", "steps": [{"cpu": "3ms"}, {"io": "4ms"}, {"cpu": "2ms"}]}],
        LOOP,
        arrivals={"kind": "constant", "rate": "1000/s"},
        duration="2ms",
        study="terminating",
    )
    record = simulate(scenario, scenario.schedulers[0], draw(scenario, 0), observers=all_checkers())
    # A computes 0-3, waits 3-7, computes 7-9; B (arrives 1) computes 3-6, waits 6-10, 10-12.
    assert (record.finish_s * 1e3).tolist() == pytest.approx([9.0, 12.0], rel=1e-12)
    entry = run_study(scenario.with_overrides(["scenario.replications=1"])).schedulers["event_loop"]
    assert all(check["ok"] for check in entry["self_check"].values())


def test_trap_15_a_time_out_frees_the_worker_when_the_runtime_would() -> None:
    late = request("io 100ms, cpu 1ms", timeout="10ms")
    pool = run(tomcat(1), late, request("cpu 5ms", at=20.0))
    assert pool.outcomes["A"] == "timed_out"
    assert pool.done["B"] == 105.0  # the only thread is in its blocking call until 100 ms
    loop = run(LOOP, late, request("cpu 5ms", at=20.0))
    assert loop.done["B"] == 25.0
    assert loop.journal.let_go == [(10.0, "A")]
    parked = run(VIRTUAL, late, request("cpu 5ms", at=20.0))
    assert parked.done["B"] == 25.0
    assert parked.journal.let_go == [(10.0, "A")]
    assert dataclasses.is_dataclass(parked)
