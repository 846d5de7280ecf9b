"""The verdict: no false alarm on stable queues, no overload missed, reasons with numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from simsched.observe.record import FAILED, PARTS, REJECTED, TIMED_OUT, FloatArray, RunRecord
from simsched.stats.verdict import Verdict, decide
from simsched.stats.warmup import find_warmup

from .queues import generator, lindley_start, mm1, mm1_replications, poisson_arrivals, record_from


def verdict(
    records: list[RunRecord], arrivals: str = "poisson", terminating: bool = False
) -> Verdict:
    return decide(records, find_warmup(records, terminating=terminating), arrivals)


def queue(arrival_s: FloatArray, service_s: FloatArray, duration_s: float) -> RunRecord:
    """One FIFO server."""
    return record_from(arrival_s, lindley_start(arrival_s, service_s), service_s, duration_s)


def varying(
    rate: Callable[[FloatArray], FloatArray], peak: float, duration_s: float, seed: int
) -> list[RunRecord]:
    """Ten runs of one exponential server of rate 1, Poisson arrivals of a varying rate."""
    records = []
    for r in range(10):
        rng = generator(seed, r)
        candidates = poisson_arrivals(rng, peak, duration_s)
        keep = rng.uniform(0.0, peak, len(candidates)) < rate(candidates)
        arrival = candidates[keep]
        records.append(queue(arrival, rng.exponential(1.0, len(arrival)), duration_s))
    return records


# -- a stationary queue --------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.7, 0.8])
def test_a_queue_with_room_is_stable(rho: float) -> None:
    for seed in range(5):
        found = verdict(mm1_replications(rho, 5000, seed=40 + seed))
        assert found.verdict == "STABLE", found.reason
        assert not found.drifting


@pytest.mark.parametrize("rho", [0.9, 0.95])
@pytest.mark.parametrize("customers", [500, 5000, 30_000])
def test_a_busy_queue_is_never_called_overloaded(rho: float, customers: int) -> None:
    for seed in range(4):
        found = verdict(mm1_replications(rho, customers, seed=50 + seed))
        assert found.verdict != "OVERLOADED", found.reason


def test_a_busy_queue_is_stable_when_the_run_is_long_enough() -> None:
    for seed in range(3):
        found = verdict(mm1_replications(0.9, 40_000, seed=60 + seed))
        assert found.verdict == "STABLE", found.reason


@pytest.mark.slow
@pytest.mark.parametrize("replications", [1, 3, 10])
def test_false_alarms_are_rarer_than_one_in_a_hundred(replications: int) -> None:
    alarms = trials = 0
    for rho in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        for customers in (500, 2000, 10_000):
            for seed in range(50):
                records = mm1_replications(rho, customers, 900 + seed, replications)
                alarms += verdict(records).verdict == "OVERLOADED"
                trials += 1
    assert alarms / trials < 0.01


@pytest.mark.parametrize(
    ("rho", "customers", "replications"),
    [(1.05, 10_000, 10), (1.05, 50_000, 3), (1.2, 2000, 10), (1.2, 10_000, 1), (2.0, 500, 10)],
)
def test_an_overloaded_queue_is_called_so(rho: float, customers: int, replications: int) -> None:
    for seed in range(3):
        found = verdict(mm1_replications(rho, customers, 70 + seed, replications))
        assert found.verdict == "OVERLOADED", found.reason
        assert found.drifting


def test_the_reason_of_an_overload_names_rates_growth_and_replications() -> None:
    reason = verdict(mm1_replications(1.2, 6000, seed=80)).reason
    assert reason.startswith("work arrives faster than it is served: between 1250 s and 5000 s")
    assert "req/s arrive" in reason
    assert "in 10 of 10 replications" in reason


@pytest.mark.parametrize(("gap", "expected"), [(1 / 1.05, "OVERLOADED"), (1 / 0.95, "STABLE")])
@pytest.mark.parametrize("replications", [1, 10])
def test_a_deterministic_queue_needs_no_luck(gap: float, expected: str, replications: int) -> None:
    arrival = np.arange(0.0, 1000.0, gap)
    record = queue(arrival, np.ones(len(arrival)), 1000.0)
    assert verdict([record] * replications, "constant").verdict == expected


def test_many_requests_in_service_are_no_backlog() -> None:
    """An open system of pure delays: the number in it is large and noisy, nobody waits."""
    records = []
    for r in range(10):
        rng = generator(81, r)
        arrival = poisson_arrivals(rng, 100.0, 100.0)
        delay = rng.exponential(5.0, len(arrival))
        records.append(record_from(arrival, arrival, delay, 100.0, part="io"))
    assert verdict(records).verdict == "STABLE"


# -- arrival rates that change -------------------------------------------------------------------


def test_a_ramp_beyond_capacity_ends_overloaded() -> None:
    records = varying(lambda t: 2.0 * t / 5000.0, 2.0, 5000.0, seed=82)
    assert verdict(records, "ramp", terminating=True).verdict == "OVERLOADED"
    assert verdict(records, "ramp").verdict == "OVERLOADED"


def test_a_ramp_within_capacity_is_stable_though_its_queue_grows() -> None:
    records = varying(lambda t: 0.85 * t / 5000.0, 1.0, 5000.0, seed=83)
    found = verdict(records, "ramp", terminating=True)
    assert found.verdict == "STABLE", found.reason


def test_a_ramp_of_requests_that_only_wait_for_io_is_stable() -> None:
    records = []
    for r in range(10):
        rng = generator(84, r)
        arrival = 100.0 * np.sqrt(np.sort(rng.uniform(0.0, 1.0, 20_000)))
        delay = rng.exponential(2.0, len(arrival))
        records.append(record_from(arrival, arrival, delay, 100.0, part="io"))
    assert verdict(records, "ramp", terminating=True).verdict == "STABLE"


def burst(start: float, end: float) -> list[RunRecord]:
    return varying(lambda t: np.where((t >= start) & (t < end), 3.0, 0.3), 3.0, 5000.0, seed=85)


def test_a_burst_that_has_drained_by_the_end_is_stable() -> None:
    found = verdict(burst(500.0, 1000.0), "steps", terminating=True)
    assert found.verdict == "STABLE", found.reason


def test_a_burst_that_has_not_drained_is_a_backlog() -> None:
    found = verdict(burst(2500.0, 3300.0), "steps", terminating=True)
    assert found.verdict == "BACKLOGGED", found.reason
    assert "requests wait when arrivals end" in found.reason


def test_a_burst_that_lasts_to_the_end_is_an_overload() -> None:
    found = verdict(burst(3000.0, 5000.0), "steps", terminating=True)
    assert found.verdict == "OVERLOADED", found.reason


def test_requests_that_still_wait_after_the_drain_are_a_backlog() -> None:
    """One of four runs ends in a burst: too rare for a trend, too many left to call it stable."""
    records = []
    for r in range(4):
        rng = generator(600, r)
        calm = poisson_arrivals(rng, 0.3, 3000.0)
        burst = 2500.0 + poisson_arrivals(rng, 3.0, 500.0 if r == 3 else 1.0)
        arrival = np.sort(np.concatenate([calm, burst]))
        service = rng.exponential(1.0, len(arrival))
        start = lindley_start(arrival, service)
        records.append(record_from(arrival, start, service, 3000.0, drain_s=300.0))
    found = verdict(records, "bursty")
    assert found.verdict == "BACKLOGGED", found.reason
    assert "of requests still wait 300 s after the last arrival" in found.reason


def test_bursts_within_the_mean_capacity_are_not_an_overload() -> None:
    """Two-state arrivals, three times the capacity in bursts, 0.6 of it on average."""
    for seed in range(5):
        records = []
        for r in range(10):
            rng = generator(200 + seed, r)
            duration_s, pieces, now, high = 50_000.0, [], 0.0, False
            while now < duration_s:
                stay = rng.exponential(20.0 if high else 180.0)
                pieces.append(now + poisson_arrivals(rng, 3.0 if high else 1 / 3, stay))
                now, high = now + stay, not high
            arrival = np.concatenate(pieces)
            arrival = arrival[arrival < duration_s]
            records.append(queue(arrival, rng.exponential(1.0, len(arrival)), duration_s))
        found = verdict(records, "bursty")
        assert found.verdict != "OVERLOADED", found.reason


def test_a_trace_is_judged_by_whether_its_rate_changes() -> None:
    steady = mm1_replications(1.1, 5000, seed=86)
    assert verdict(steady, "trace").verdict == "OVERLOADED"
    ramp = varying(lambda t: 0.85 * t / 5000.0, 1.0, 5000.0, seed=83)
    assert verdict(ramp, "trace").verdict == "STABLE"


# -- load that is turned away --------------------------------------------------------------------


def turn_away(record: RunRecord, share: float, seed: int, outcome: int = REJECTED) -> RunRecord:
    chosen = generator(seed).uniform(size=len(record)) < share
    record.outcome[chosen] = outcome
    record.finish_s[chosen] = record.arrival_s[chosen] + (0.0 if outcome == REJECTED else 5.0)
    record.parts_s[chosen] = 0.0
    return record


@pytest.mark.parametrize("replications", [1, 10])
def test_rejecting_much_is_an_overload_though_the_queue_is_short(replications: int) -> None:
    records = [turn_away(mm1(0.5, 3000, 87, r), 0.12, r) for r in range(replications)]
    found = verdict(records)
    assert found.verdict == "OVERLOADED"
    assert found.reason.startswith("sheds load: 1")
    assert found.reason.endswith("% of requests are rejected")
    assert not found.drifting


def test_rejecting_a_few_is_not() -> None:
    records = [turn_away(mm1(0.5, 3000, 87, r), 0.005, r) for r in range(10)]
    assert verdict(records).verdict == "STABLE"


def test_giving_up_after_a_wait_is_load_that_is_shed() -> None:
    records = [turn_away(mm1(0.5, 3000, 88, r), 0.2, r, TIMED_OUT) for r in range(10)]
    found = verdict(records)
    assert found.verdict == "OVERLOADED"
    assert "given up after waiting (timeout)" in found.reason


@pytest.mark.parametrize("waited_s", [0.0, 5.0])
def test_connections_that_are_refused_or_time_out_are_load_that_is_shed(waited_s: float) -> None:
    """A full accept queue refuses at once, or lets the client try until its kernel gives up."""
    records = [turn_away(mm1(0.5, 3000, 88, r), 0.2, r, FAILED) for r in range(10)]
    for record in records:
        failed = record.outcome == FAILED
        record.finish_s[failed] = record.arrival_s[failed] + waited_s
    found = verdict(records)
    assert found.verdict == "OVERLOADED"
    assert found.reason.endswith("% of requests fail to get a connection, or after waiting")


def test_a_worker_that_is_killed_in_the_middle_of_a_request_is_no_overload() -> None:
    records = [turn_away(mm1(0.5, 3000, 88, r), 0.2, r, FAILED) for r in range(10)]
    for record in records:
        record.parts_s[record.outcome == FAILED, PARTS.index("blocking")] = 5.0
    assert verdict(records).verdict == "STABLE"


def test_a_timeout_shorter_than_the_work_is_no_overload() -> None:
    records = [turn_away(mm1(0.5, 3000, 88, r), 0.2, r, TIMED_OUT) for r in range(10)]
    for record in records:
        late = record.outcome == TIMED_OUT
        record.parts_s[late, PARTS.index("io")] = 5.0  # all of its time in I/O, none waiting
    assert verdict(records).verdict == "STABLE"


def test_rejections_in_one_burst_are_a_backlog_and_when_is_told() -> None:
    records = [mm1(0.5, 3000, 89, r) for r in range(10)]
    for record in records:
        within = (record.arrival_s > 2000.0) & (record.arrival_s < 2400.0)
        record.outcome[within] = REJECTED
        record.finish_s[within] = record.arrival_s[within]
    found = verdict(records)
    assert found.verdict == "BACKLOGGED"
    assert "rejected, all of them between" in found.reason


# -- closed workloads ----------------------------------------------------------------------------


def test_a_closed_workload_is_not_overloaded_by_drift() -> None:
    found = verdict(mm1_replications(1.2, 5000, seed=90), "closed")
    assert found.verdict == "STABLE"
    assert found.reason.startswith("a closed workload waits for its own answers")


def test_without_any_request_the_verdict_is_stable() -> None:
    empty = record_from(np.empty(0), np.empty(0), np.empty(0), 10.0)
    assert verdict([empty, empty]).verdict == "STABLE"


def test_a_process_that_died_is_an_overload_and_named_so() -> None:
    record = queue(np.linspace(0.0, 9.9, 100), np.full(100, 0.01), 10.0)
    dead = replace(record, activity={"process_died": 1.0})
    found = verdict([record, dead])
    assert found.verdict == "OVERLOADED"
    assert found.reason.startswith("the process died in 1 of 2 replications")
