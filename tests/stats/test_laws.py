"""Conservation, Little's law and the utilisation law: they hold, and they catch errors."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.record import COMPLETED, PARTS, UNFINISHED, RunRecord
from simsched.stats.laws import (
    class_counts,
    conservation,
    counts,
    littles_law,
    self_check,
    utilization_law,
)

from .queues import mm1, mm1_replications


@pytest.fixture(params=[0.5, 0.9, 1.3], ids=["half", "busy", "overloaded"])
def records(request: pytest.FixtureRequest) -> list[RunRecord]:
    return mm1_replications(request.param, 4000, seed=30, replications=5)


def test_all_laws_hold_for_exact_records_even_in_overload(records: list[RunRecord]) -> None:
    for name, law in self_check(records, ["a"], cut_s=0.0).items():
        assert law["ok"], name


def test_they_hold_after_any_warm_up(records: list[RunRecord]) -> None:
    for share in (0.1, 0.333, 0.5):
        assert littles_law(records, share * records[0].duration_s)["ok"]


def test_counts_add_up_over_replications_and_classes(records: list[RunRecord]) -> None:
    for i, record in enumerate(records):
        record.class_id[:] = (np.arange(len(record)) + i) % 3
    total = counts(records)
    by_class = class_counts(records, ["a", "b", "c"])
    assert total["arrived"] == sum(len(record) for record in records)
    assert total["arrived"] == sum(v for k, v in total.items() if k != "arrived")
    for key, value in total.items():
        assert sum(entry[key] for entry in by_class.values()) == value
    assert conservation(records, ["a", "b", "c"])["ok"]


def test_counts_after_the_warm_up_leave_out_earlier_arrivals(records: list[RunRecord]) -> None:
    cut_s = records[0].duration_s / 3
    expected = sum(int((record.arrival_s >= cut_s).sum()) for record in records)
    assert counts(records, cut_s)["arrived"] == expected


# -- errors are found ----------------------------------------------------------------------------


def broken(record: RunRecord) -> list[str]:
    found = conservation([record], ["a"])
    assert not found["ok"]
    return [str(problem) for problem in found["problems"]]


def test_a_request_lost_from_the_ledger_is_found() -> None:
    record = mm1(0.5, 1000, seed=31)
    for name in ("arrival_s", "finish_s", "outcome", "class_id", "attempts", "parts_s"):
        setattr(record, name, np.delete(getattr(record, name), 500, axis=0))
    assert any("arrivals were counted" in text for text in broken(record))
    assert not littles_law([record], 0.0)["ok"]
    assert not utilization_law([record], 0.0)["ok"]


def test_a_request_that_ends_without_an_outcome_is_found() -> None:
    record = mm1(0.5, 1000, seed=31)
    record.outcome[10] = UNFINISHED
    assert any("has an end" in text for text in broken(record))


def test_a_request_that_ends_before_it_arrives_is_found() -> None:
    record = mm1(0.5, 1000, seed=31)
    record.finish_s[10] = record.arrival_s[10] - 0.5
    assert any("before it arrives" in text for text in broken(record))


def test_a_completion_counted_twice_is_found() -> None:
    record = mm1(0.5, 1000, seed=31)
    record.series["completions"][7] += 1
    assert any("completions were counted" in text for text in broken(record))


def test_a_class_that_is_not_in_the_scenario_is_found() -> None:
    record = mm1(0.5, 1000, seed=31)
    record.class_id[3] = 5
    assert any("do not add up" in text for text in broken(record))


def test_littles_law_finds_a_counter_that_is_off_by_one_for_one_bin() -> None:
    record = mm1(0.5, 4000, seed=32)
    record.series["in_system"][150] += 1.0
    law = littles_law([record], 0.0)
    assert not law["ok"]
    assert abs(law["difference"]) == pytest.approx(1 / len(record.series["in_system"]), rel=1e-6)


def test_littles_law_finds_an_error_of_any_single_replication() -> None:
    records = mm1_replications(0.5, 4000, seed=32, replications=5)
    records[3].series["in_system"][20] += 0.1
    assert not littles_law(records, 0.0)["ok"]


def test_utilization_law_finds_cpu_time_that_no_request_asked_for() -> None:
    record = mm1(0.5, 1000, seed=33)
    record.totals["busy_core_s"] += 0.01
    assert not utilization_law([record], 0.0)["ok"]
    record.totals["overhead_core_s"] += 0.01
    assert utilization_law([record], 0.0)["ok"]


def test_utilization_law_counts_work_for_requests_that_timed_out() -> None:
    record = mm1(0.5, 1000, seed=33)
    record.totals["busy_core_s"] += 2.0
    record.totals["late_cpu_s"] = 2.0
    assert utilization_law([record], 0.0)["ok"]


# -- the statistical form ------------------------------------------------------------------------


def test_in_a_steady_state_the_textbook_forms_hold_within_their_intervals() -> None:
    records = mm1_replications(0.7, 20_000, seed=34)
    cut_s = 0.2 * records[0].duration_s
    little = littles_law(records, cut_s)["window"]
    assert little["inside_ci"]
    assert abs(little["difference"]) < 0.01 * littles_law(records, cut_s)["l"]
    busy = utilization_law(records, cut_s)["window"]
    assert busy["inside_ci"]
    assert busy["demand_s"] == pytest.approx(1.0, abs=0.03)


def test_in_overload_the_textbook_form_of_littles_law_does_not_hold() -> None:
    records = [mm1(1.5, 5000, 35, r, drain_s=5000.0) for r in range(5)]
    assert littles_law(records, 0.0)["window"]["inside_ci"] is False


def test_one_replication_cannot_tell() -> None:
    assert littles_law([mm1(0.5, 2000, seed=36)], 0.0)["window"]["inside_ci"] is None


def test_without_totals_the_statistical_form_decides() -> None:
    records = mm1_replications(0.5, 5000, seed=37)
    for record in records:
        record.totals.clear()
    assert utilization_law(records, 0.0)["ok"]
    for record in records:
        record.series["busy_cores"] *= 1.2
    assert not utilization_law(records, 0.0)["ok"]


def test_parts_of_the_latency_are_the_latency() -> None:
    record = mm1(0.8, 2000, seed=38)
    done = record.outcome == COMPLETED
    latency = record.finish_s[done] - record.arrival_s[done]
    np.testing.assert_allclose(record.parts_s[done].sum(axis=1), latency, rtol=1e-9, atol=1e-9)
    assert record.parts_s.shape[1] == len(PARTS)
