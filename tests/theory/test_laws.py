"""Laws that hold between two runs: scaling, monotony, symmetry, and being watched."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from kit import (
    GO,
    LOOP,
    RUN_TO_END,
    VIRTUAL,
    Journal,
    Spec,
    exponential,
    hold,
    run_trace,
    scenario_of,
    spec_of,
    tomcat,
)

from simsched.observe.record import RunRecord
from simsched.sim.engine import simulate
from simsched.workload import RequestTrace, draw

from .recursions import Floats

POOL = tomcat(16)
FCFS = {"loop": LOOP, "virtual": VIRTUAL, "threads that wait": tomcat(3)}
EVERY: dict[str, Spec] = {"pool": POOL, "loop": LOOP, "go": GO, "virtual": VIRTUAL}
ROUND_ROBIN = {"wakeup_preemption": False, "time_slice": "1ms"}
N = 500

schedulers = pytest.mark.parametrize("spec", EVERY.values(), ids=EVERY.keys())


def workload(rate: float, slots: int = 1, seed: int = 5) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(1 / rate, N)), rng.exponential(0.01, (N, slots))


def latency(record: RunRecord, arrival_s: Floats) -> Floats:
    result: Floats = record.finish_s - arrival_s
    return result


class TestScaling:
    """Four times as slow a world is the same world: binary scaling, so equal to the last bit."""

    @pytest.mark.parametrize("spec", [POOL, LOOP, VIRTUAL], ids=["pool", "loop", "virtual"])
    @pytest.mark.parametrize("steps", ["cpu 1s", "cpu 1s, io 1s, cpu 1s", "cpu 1s, sleep 1s"])
    def test_latencies_scale_with_all_times(self, spec: Spec, steps: str) -> None:
        arrival_s, demands_s = workload(40, slots=steps.count(",") + 1)
        os = {"time_slice": "4ms", "wakeup_granularity": "2ms"}
        slow_os = {"time_slice": "16ms", "wakeup_granularity": "8ms"}
        one = run_trace(spec, steps, arrival_s, demands_s, cores=2, os=os)
        four = run_trace(spec, steps, 4 * arrival_s, 4 * demands_s, cores=2, os=slow_os)
        assert four.finish_s == pytest.approx(4 * one.finish_s, rel=1e-12)
        assert four.parts_s == pytest.approx(4 * one.parts_s, abs=1e-9)

    # Go is not among them: sysmon's 20 us and 10 ms are absolute.


class TestMonotony:
    @pytest.mark.parametrize("spec", FCFS.values(), ids=FCFS.keys())
    def test_more_load_lets_nobody_wait_less(self, spec: Spec) -> None:
        step = "io 1s" if spec["kind"] == "thread_pool" else "cpu 1s"
        arrival_s, demands_s = workload(80)
        cores = 1
        before = run_trace(spec, step, arrival_s, demands_s, cores=cores)
        after = run_trace(spec, step, arrival_s / 1.15, demands_s, cores=cores)
        gained = latency(before, arrival_s) - latency(after, arrival_s / 1.15)
        assert gained.max() <= 1e-9

    @schedulers
    def test_more_load_never_lowers_the_mean(self, spec: Spec) -> None:
        arrival_s, demands_s = workload(150, slots=3)
        means = [
            latency(
                run_trace(
                    spec, "cpu 1s, io 1s, cpu 1s", arrival_s / k, demands_s, cores=4, os=ROUND_ROBIN
                ),
                arrival_s / k,
            ).mean()
            for k in (1.0, 1.2, 1.4, 1.6)
        ]
        assert means == sorted(means)

    @pytest.mark.parametrize("spec", [VIRTUAL, tomcat(8)], ids=["virtual", "pool"])
    def test_a_core_more_lets_nobody_end_later_where_all_run_to_the_end(self, spec: Spec) -> None:
        arrival_s, demands_s = workload(190)
        ends = [
            run_trace(spec, "cpu 1s", arrival_s, demands_s, cores=c, os=RUN_TO_END).finish_s
            for c in (1, 2, 3, 4)
        ]
        for fewer, more in pairwise(ends):
            assert (more - fewer).max() <= 1e-9

    @schedulers
    def test_more_cores_never_raise_the_mean(self, spec: Spec) -> None:
        arrival_s, demands_s = workload(60, slots=3)
        means = [
            latency(
                run_trace(
                    spec, "cpu 1s, io 1s, cpu 1s", arrival_s, demands_s, cores=c, os=ROUND_ROBIN
                ),
                arrival_s,
            ).mean()
            for c in (1, 2, 4, 8)
        ]
        assert means == sorted(means, reverse=True)

    def test_a_thread_more_lets_nobody_end_later(self) -> None:
        arrival_s, demands_s = workload(250)
        ends = [run_trace(tomcat(n), "io 1s", arrival_s, demands_s).finish_s for n in (2, 3, 4)]
        for fewer, more in pairwise(ends):
            assert (more - fewer).max() <= 1e-9


def mixed(spec: Spec, cores: int = 2) -> tuple[Any, RequestTrace]:
    """A scenario with three classes, and its trace."""
    cpu, io = {"cpu": exponential("3ms")}, {"io": exponential("8ms")}
    classes: list[dict[str, Any]] = [
        {"name": "page", "steps": [cpu, io, cpu]},
        {"name": "query", "weight": 2, "steps": [hold("use", "db", [io]), cpu]},
        {"name": "report", "steps": [{"blocking": exponential("4ms")}, cpu], "timeout": "60ms"},
    ]
    scenario = scenario_of(
        classes,
        spec,
        cores=cores,
        os={"time_slice": "2ms"},
        arrivals={"kind": "poisson", "rate": "180/s"},
        resources={"db": 2},
        duration="2s",
        drain="100s",
    )
    trace = draw(scenario, 0)
    assert isinstance(trace, RequestTrace)
    return scenario, trace


class TestSymmetry:
    @schedulers
    def test_the_order_and_the_names_of_classes_mean_nothing(self, spec: Spec) -> None:
        scenario, trace = mixed(spec)
        names = {"page": "x", "query": "a", "report": "m"}
        order = [2, 0, 1]
        place = np.argsort(order).astype(np.int32)
        permuted = RequestTrace(
            programs=tuple(
                replace(trace.programs[c], name=names[trace.programs[c].name]) for c in order
            ),
            arrival_s=trace.arrival_s,
            class_id=place[trace.class_id],
            demands=tuple(trace.demands[c] for c in order),
            row=trace.row,
            duration_s=trace.duration_s,
            seed=trace.seed,
            replication=trace.replication,
        )
        one = simulate(scenario, spec_of(scenario), trace)
        other = simulate(scenario, spec_of(scenario), permuted)
        assert np.array_equal(one.finish_s, other.finish_s, equal_nan=True)
        assert np.array_equal(one.outcome, other.outcome)
        assert np.array_equal(one.parts_s, other.parts_s)
        assert np.array_equal(place[one.class_id], other.class_id)

    @schedulers
    def test_a_burst_in_two_parts_is_one_burst(self, spec: Spec) -> None:
        arrival_s, demands_s = workload(120)
        halves = np.hstack((demands_s / 2, demands_s / 2))
        os = {"time_slice": "4ms", "wakeup_preemption": False}
        whole = run_trace(spec, "cpu 1s", arrival_s, demands_s, cores=2, os=os)
        split = run_trace(spec, "cpu 1s, cpu 1s", arrival_s, halves, cores=2, os=os)
        assert split.finish_s == pytest.approx(whole.finish_s, abs=1e-9)

    @schedulers
    def test_steps_without_length_change_nothing(self, spec: Spec) -> None:
        arrival_s, demands_s = workload(120)
        padded = np.hstack((np.zeros_like(demands_s), demands_s))
        os = {"time_slice": "4ms", "wakeup_preemption": False}
        plain = run_trace(spec, "cpu 1s", arrival_s, demands_s, cores=2, os=os)
        with_zero = run_trace(spec, "cpu 0s, cpu 1s", arrival_s, padded, cores=2, os=os)
        assert with_zero.finish_s == pytest.approx(plain.finish_s, abs=1e-9)

    @schedulers
    def test_the_same_run_twice_is_the_same(self, spec: Spec) -> None:
        scenario, trace = mixed(spec, cores=4)
        one, other = (simulate(scenario, spec_of(scenario), trace) for _ in range(2))
        assert np.array_equal(one.finish_s, other.finish_s, equal_nan=True)
        assert np.array_equal(one.parts_s, other.parts_s)
        assert one.activity == other.activity

    @schedulers
    def test_being_watched_changes_nothing(self, spec: Spec) -> None:
        scenario, trace = mixed(spec)
        alone = simulate(scenario, spec_of(scenario), trace)
        watched = simulate(scenario, spec_of(scenario), trace, observers=[Journal()])
        assert np.array_equal(alone.finish_s, watched.finish_s, equal_nan=True)
        assert np.array_equal(alone.parts_s, watched.parts_s)
        assert alone.activity == watched.activity

    @schedulers
    def test_the_breakdown_adds_up_to_the_latency(self, spec: Spec) -> None:
        scenario, trace = mixed(spec)
        record = simulate(scenario, spec_of(scenario), trace)
        spent = record.parts_s.sum(axis=1)
        assert spent == pytest.approx(record.finish_s - record.arrival_s, abs=1e-9)
        assert record.parts_s.min() >= -1e-9
