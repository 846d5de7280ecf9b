"""Objectives pass or fail only where the whole interval says so."""

from __future__ import annotations

from typing import Literal

import pytest

from simsched.stats.estimates import Estimate
from simsched.stats.slo import evaluate, judge

from .scenarios import EXPONENTIAL, scenario


@pytest.mark.parametrize(
    ("op", "limit", "ci95", "state"),
    [
        ("<", 10.0, (8.0, 9.0), "pass"),
        ("<", 10.0, (8.0, 10.0), "pass"),
        ("<", 10.0, (8.0, 11.0), "unknown"),
        ("<", 10.0, (11.0, 12.0), "fail"),
        (">", 10.0, (11.0, 12.0), "pass"),
        (">", 10.0, (10.0, 12.0), "pass"),
        (">", 10.0, (9.0, 12.0), "unknown"),
        (">", 10.0, (8.0, 9.0), "fail"),
    ],
)
def test_the_interval_decides(
    op: Literal["<", ">"], limit: float, ci95: tuple[float, float], state: str
) -> None:
    assert judge(op, limit, Estimate(sum(ci95) / 2, ci95)) == state


def test_without_an_interval_or_a_value_nothing_is_proven() -> None:
    assert judge("<", 10.0, Estimate(1.0)) == "unknown"
    assert judge("<", 10.0, Estimate(None, None, "too few samples")) == "unknown"
    assert judge(">", 10.0, Estimate(None, None, "too few samples")) == "unknown"


def test_a_quantile_lost_among_unfinished_requests_fails_if_they_are_older_than_the_limit() -> None:
    lost = Estimate(None, None, "censored")
    assert judge("<", 10.0, lost, at_least=11.0) == "fail"
    assert judge("<", 10.0, lost, at_least=9.0) == "unknown"


def test_an_upper_bound_above_the_limit_does_not_fail_it() -> None:
    bound = Estimate(12.0, (11.0, 13.0), "censored: this is an upper bound")
    assert judge("<", 10.0, bound, at_least=9.0) == "unknown"
    assert judge("<", 14.0, bound, at_least=9.0) == "pass"


def test_a_limit_of_zero_asks_for_none_seen() -> None:
    assert judge("<", 0.0, Estimate(0.0, (0.0, 0.001))) == "pass"
    assert judge("<", 0.0, Estimate(0.01, (0.0, 0.02))) == "fail"


def test_rules_of_a_scenario_are_reported_as_written() -> None:
    slo = {"p99": "200ms", "max": "1s", "throughput": "70/s"}
    rules = scenario({"cpu": EXPONENTIAL}, slo=slo).slo
    estimates = {
        "latency.p99": Estimate(0.1, (0.09, 0.11)),
        "latency.max": Estimate(1.5),
        "throughput": Estimate(80.0, (75.0, 85.0)),
    }
    entries = evaluate(rules, estimates, {})
    assert [(entry["rule"], entry["state"]) for entry in entries] == [
        ("latency.p99 < 200ms", "pass"),
        ("latency.max < 1s", "fail"),
        ("throughput > 70/s", "pass"),
    ]
    assert entries[0]["metric"] == "latency.p99"
    assert entries[0]["limit"] == pytest.approx(0.2)
    assert entries[0]["observed"] == {"value": 0.1, "ci95": [0.09, 0.11]}


def test_latencies_of_an_overloaded_system_prove_nothing_by_passing() -> None:
    rules = scenario({"cpu": EXPONENTIAL}, slo={"p50": "1s", "p99": "10ms"}).slo
    estimates = {
        "latency.p50": Estimate(0.5, (0.4, 0.6)),
        "latency.p99": Estimate(2.0, (1.0, 3.0)),
    }
    entries = evaluate(rules, estimates, {}, settled=False)
    assert [entry["state"] for entry in entries] == ["unknown", "fail"]


def test_a_maximum_with_open_requests_is_not_known_to_keep_a_limit() -> None:
    rules = scenario({"cpu": EXPONENTIAL}, slo={"max": "1s"}).slo
    estimates = {"latency.max": Estimate(0.9, None, "censored")}
    assert evaluate(rules, estimates, {"latency.max": 0.9})[0]["state"] == "unknown"
    assert evaluate(rules, estimates, {"latency.max": 1.1})[0]["state"] == "fail"
