"""The entry of a scheduler in the result document."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from simsched.observe.record import COMPLETED, PARTS, RunRecord
from simsched.report.result_model import SchedulerResult
from simsched.scenario import Scenario
from simsched.stats.summary import summarise

from .queues import mm1, mm1_replications
from .scenarios import scenario, spec_of


def queue_scenario(rate: str = "0.8/s", **options: Any) -> Scenario:
    """The scenario that `queues.mm1` plays: one loop, exponential demands of 1 s."""
    options.setdefault("slo", {"p50": "1000s", "error_rate": "1%", "throughput": "0.7/s"})
    demand = {"dist": "exponential", "mean": "1s"}
    arrivals = {"kind": "poisson", "rate": rate}
    return scenario({"cpu": demand}, arrivals=arrivals, **options)


def entry_of(records: list[RunRecord], made: Scenario | None = None) -> dict[str, Any]:
    made = made or queue_scenario()
    return summarise(records, made, spec_of(made))


@pytest.fixture(scope="module")
def records() -> list[RunRecord]:
    return mm1_replications(0.8, 20_000, seed=500)


@pytest.fixture(scope="module")
def entry(records: list[RunRecord]) -> dict[str, Any]:
    return entry_of(records)


@pytest.mark.parametrize("rho", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("replications", [1, 3])
def test_the_entry_is_valid_json_of_the_published_schema(rho: float, replications: int) -> None:
    found = entry_of(mm1_replications(rho, 3000, 501, replications))
    text = json.dumps(found, allow_nan=False)
    SchedulerResult.model_validate_json(text)


def test_a_run_without_requests_has_a_valid_entry_too() -> None:
    empty = mm1(0.5, 1, seed=502)
    for name in ("arrival_s", "finish_s", "outcome", "class_id", "attempts", "parts_s"):
        setattr(empty, name, getattr(empty, name)[:0])
    empty.series["arrivals"][:] = 0
    empty.series["completions"][:] = 0
    found = entry_of([empty, empty])
    SchedulerResult.model_validate_json(json.dumps(found, allow_nan=False))
    assert found["latency_s"]["p99"]["value"] is None


def test_a_part_that_is_nothing_is_nothing_whatever_the_rounding() -> None:
    """A CPU part of 0 s is the end of a stay minus its beginning and its overhead: -1e-15 s."""
    rounded = mm1_replications(0.5, 3000, 505, 3)
    for i, record in enumerate(rounded):
        record.parts_s[:, PARTS.index("gil")] = (i - 3) * 1e-16
        record.parts_s[:, PARTS.index("run_queue")] = 2e-15
    found = entry_of(rounded)
    SchedulerResult.model_validate_json(json.dumps(found, allow_nan=False))
    assert found["breakdown_s"]["gil"] == {"value": 0.0, "ci95": [0.0, 0.0]}
    assert found["queueing_delay_s"]["p50"]["value"] == 0.0


def test_the_idle_memory_is_that_of_all_processes() -> None:
    loops = {"kind": "event_loop", "processes": 3, "memory": {"base": "50MB"}}
    made = queue_scenario(scheduler=loops)
    found = entry_of(mm1_replications(0.5, 3000, 506, 2), made)
    assert found["memory_bytes"]["base"] == 150_000_000


def test_no_replication_is_an_error() -> None:
    made = queue_scenario()
    with pytest.raises(ValueError, match="no replication"):
        summarise([], made, spec_of(made))


def test_latency_counts_completed_requests_that_arrived_after_the_warm_up(
    records: list[RunRecord], entry: dict[str, Any]
) -> None:
    cut = entry["warmup"]["cut_s"]
    means, pooled = [], []
    for record in records:
        chosen = (record.arrival_s >= cut) & (record.outcome == COMPLETED)
        latency = (record.finish_s - record.arrival_s)[chosen]
        means.append(latency.mean())
        pooled.append(latency)
    assert entry["latency_s"]["mean"]["value"] == pytest.approx(np.mean(means), rel=1e-12)
    # The few unfinished requests count as the slowest of all.
    values = np.sort(np.concatenate(pooled))
    middle = 0.5 * (len(values) + entry["counts"]["unfinished"] - 1)
    expected = np.interp(middle, np.arange(len(values)), values)
    assert entry["latency_s"]["p50"]["value"] == pytest.approx(expected, rel=1e-12)


def test_parts_of_the_breakdown_add_up_to_the_mean_latency(entry: dict[str, Any]) -> None:
    parts = entry["breakdown_s"]
    assert tuple(parts) == PARTS
    total = sum(part["value"] for part in parts.values())
    assert total == pytest.approx(entry["latency_s"]["mean"]["value"], rel=1e-9)


def test_the_mean_lies_where_theory_says(entry: dict[str, Any]) -> None:
    assert entry["theory"]["model"] == "M/M/1"
    assert entry["theory"]["mean_latency_s"] == pytest.approx(5.0)
    assert entry["theory"]["simulated_mean_s"] == entry["latency_s"]["mean"]
    assert entry["theory"]["inside_ci"] is True


def test_utilization_is_time_weighted_over_the_window(
    records: list[RunRecord], entry: dict[str, Any]
) -> None:
    first = round(entry["warmup"]["cut_s"] / records[0].bin_s)
    expected = np.mean([record.series["busy_cores"][first:].mean() for record in records])
    assert entry["utilization"]["cpu"]["value"] == pytest.approx(expected, rel=1e-9)


def test_counts_add_up_and_leave_out_the_warm_up(
    records: list[RunRecord], entry: dict[str, Any]
) -> None:
    arrived = sum(len(record) for record in records)
    assert entry["counts"]["arrived"] == arrived - entry["warmup"]["removed_requests"]
    assert entry["self_check"]["conservation"]["arrived"] == arrived
    assert entry["counts"] == entry["classes"]["a"]["counts"]


def test_throughput_counts_completions_in_the_window(
    records: list[RunRecord], entry: dict[str, Any]
) -> None:
    cut, end = entry["warmup"]["cut_s"], records[0].duration_s
    rates = [((r.finish_s >= cut) & (r.finish_s < end)).sum() / (end - cut) for r in records]
    assert entry["throughput_rps"]["value"] == pytest.approx(np.mean(rates), rel=1e-12)
    assert entry["per_replication"]["throughput_rps"] == pytest.approx(rates)


def test_per_replication_values_allow_to_redo_the_interval(entry: dict[str, Any]) -> None:
    from scipy import stats

    means = np.array(entry["per_replication"]["latency_mean_s"])
    expected = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
    assert entry["latency_s"]["mean"]["ci95"] == pytest.approx(expected, rel=1e-9)


def test_objectives_are_judged(entry: dict[str, Any]) -> None:
    states = {rule["metric"]: rule["state"] for rule in entry["slo"]}
    assert states == {"latency.p50": "pass", "error_rate": "pass", "throughput": "pass"}


def test_series_are_short_enough_to_draw_and_keep_their_integral(
    records: list[RunRecord], entry: dict[str, Any]
) -> None:
    series = entry["series"]
    assert len(series["time_s"]) <= 300
    n = np.mean([len(record) for record in records])
    width = records[0].duration_s / len(series["time_s"])
    assert sum(series["arrivals_rps"]) * width == pytest.approx(n)


def test_many_bins_are_joined_by_their_widths() -> None:
    fine = entry_of([mm1(0.8, 3000, 503, bins=1000)])
    record = mm1(0.8, 3000, 503, bins=1000)
    series = fine["series"]
    assert len(series["time_s"]) == 250
    expected = record.series["in_system"].reshape(250, 4).mean(axis=1)
    np.testing.assert_allclose(series["in_system"], expected, rtol=1e-9)


def test_activity_and_memory_are_means_over_replications(entry: dict[str, Any]) -> None:
    assert entry["memory_bytes"]["peak"]["value"] == 2e6
    assert entry["memory_bytes"]["at_peak"]["stacks"] == 5e5
    made = mm1_replications(0.5, 1000, seed=504, replications=2)
    made[0].activity = {"steals": 4.0}
    made[1].activity = {"steals": 6.0, "preemptions": 1.0}
    assert entry_of(made)["activity"] == {"preemptions": 0.5, "steals": 5.0}


# -- warnings --------------------------------------------------------------------------------------


def warnings_of(records: list[RunRecord], **options: Any) -> str:
    return "\n".join(entry_of(records, queue_scenario(**options))["warnings"])


def test_a_sound_run_has_no_warnings_but_those_of_the_far_tail() -> None:
    records = [mm1(0.5, 40_000, 505, r, drain_s=1000.0) for r in range(10)]
    assert warnings_of(records, run={"warmup": "auto"}) == ""


def test_what_no_percentile_shows_is_told() -> None:
    """Workers that were killed, and clients that had to knock twice."""
    records = mm1_replications(0.5, 4000, 505, 2)
    records[0].activity = {"workers_killed": 3.0, "syn_retries": 0.0, "steals": 9.0}
    records[1].activity = {"workers_killed": 6.0, "syn_retries": 0.0, "steals": 9.0}
    told = [line for line in warnings_of(records).splitlines() if "per replication" in line]
    assert [line for line in told if "samples" not in line] == [
        "4.5 times a worker was silent for too long and was killed, with its request "
        "(per replication)"
    ]


def test_few_replications_are_told() -> None:
    assert "one replication: no confidence intervals" in warnings_of([mm1(0.5, 4000, 506)])
    three = mm1_replications(0.5, 4000, 506, 3)
    assert "3 replications: intervals are wide" in warnings_of(three)


def test_too_few_samples_are_told_with_the_number_that_is_needed() -> None:
    text = warnings_of(mm1_replications(0.5, 4000, 507))
    assert "latency p999: too few samples" in text
    assert "20000 are needed for p99.9" in text


def test_unfinished_requests_and_no_steady_state_are_told() -> None:
    text = warnings_of(mm1_replications(1.5, 4000, 508))
    assert "no steady state found" in text
    assert "were unfinished at the end" in text


def test_memory_above_that_of_the_host_is_told() -> None:
    made = queue_scenario()
    data = made.resolved()
    data["host"]["memory"] = "1MiB"
    found = entry_of(mm1_replications(0.5, 2000, 509), Scenario.from_dict(data))
    assert "memory peaks at 1.91 MiB, above the host's 1 MiB" in found["warnings"]


def test_a_broken_law_is_the_first_thing_told() -> None:
    records = mm1_replications(0.5, 2000, 510)
    records[4].series["in_system"][10] += 1
    found = entry_of(records)
    assert found["warnings"][0].startswith("self-check failed: littles law")


# -- studies ---------------------------------------------------------------------------------------


def test_a_terminating_study_measures_everything() -> None:
    records = mm1_replications(0.5, 3000, 511)
    found = entry_of(records, queue_scenario(run={"study": "terminating"}))
    assert found["warmup"] == {
        "method": "none",
        "cut_s": 0.0,
        "steady": None,
        "latency_cut_s": None,
        "in_system_cut_s": None,
        "removed_requests": 0,
    }
    assert found["counts"]["arrived"] == sum(len(record) for record in records)
    assert found["theory"] is None


def test_overload_is_reported_with_censored_percentiles() -> None:
    """Completed requests alone would look fine: percentiles are of all that arrived."""
    records = mm1_replications(2.0, 4000, 512)
    found = entry_of(records)
    assert found["verdict"] == "OVERLOADED"
    assert found["counts"]["unfinished"] > 0.4 * found["counts"]["arrived"]
    p99 = found["latency_s"]["p99"]
    assert p99["value"] is None
    assert p99["reason"].startswith("censored")
    assert found["slo"][0]["state"] != "pass"


def test_classes_are_separate() -> None:
    records = mm1_replications(0.5, 8000, 513)
    for record in records:
        record.class_id[:] = np.arange(len(record)) % 2
    step = {"cpu": {"dist": "exponential", "mean": "1s"}}
    names = [{"name": "even", "steps": [step]}, {"name": "odd", "steps": [step]}]
    found = entry_of(records, queue_scenario(requests=names))
    cut = found["warmup"]["cut_s"]
    odd = [
        (r.finish_s - r.arrival_s)[
            (r.class_id == 1) & (r.outcome == COMPLETED) & (r.arrival_s >= cut)
        ]
        for r in records
    ]
    mean = found["classes"]["odd"]["latency_s"]["mean"]["value"]
    assert mean == pytest.approx(np.mean([x.mean() for x in odd]), rel=1e-12)
    total = sum(c["counts"]["arrived"] for c in found["classes"].values())
    assert total == found["counts"]["arrived"]
