"""MSER-5 and the warm-up that is removed."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.record import COMPLETED, REJECTED, FloatArray
from simsched.stats.warmup import find_warmup, latency_series, mser

from .queues import generator, mm1, mm1_replications


def noise(seed: int, size: int) -> FloatArray:
    return generator(seed).normal(0.0, 1.0, size)


def test_statistic_is_the_variance_of_what_remains_over_its_number() -> None:
    values = generator(10).gamma(2.0, 1.0, 503)
    result = mser(values)
    assert result is not None
    means = values[:500].reshape(100, 5).mean(axis=1)
    expected = [np.var(means[d:]) / (100 - d) for d in range(len(result.statistic))]
    np.testing.assert_allclose(result.statistic, expected, rtol=1e-9)
    assert result.cut == 5 * int(np.argmin(expected))


def test_a_step_is_cut_where_it_ends() -> None:
    values = noise(11, 2000)
    values[:200] += 20.0
    result = mser(values)
    assert result is not None
    assert result.cut == 200
    assert result.in_first_half


def test_a_decay_is_cut_when_it_no_longer_shows() -> None:
    values = noise(12, 5000) + 20.0 * np.exp(-np.arange(5000) / 100)
    result = mser(values)
    assert result is not None
    # The bias is 20 at the start, 1 (the noise) after 300 observations, 0.1 after 530.
    assert 200 <= result.cut <= 530


def test_a_series_without_transient_is_hardly_cut() -> None:
    cuts = [result.cut for seed in range(20) if (result := mser(noise(100 + seed, 2000)))]
    assert len(cuts) == 20
    assert np.median(cuts) < 0.1 * 2000


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_drift_has_no_cut_in_the_first_half(start: float) -> None:
    i = np.arange(2000)
    drift = 40.0 * np.maximum(i / 2000 - start, 0.0)
    result = mser(noise(13, 2000) + drift)
    assert result is not None
    assert result.in_first_half == (start == 0.5 and result.cut <= 1000)
    if start == 0.0:
        assert not result.in_first_half


def test_a_constant_series_is_not_cut_by_rounding() -> None:
    values = 0.005 + 1e-15 * noise(14, 1000)
    result = mser(values)
    assert result is not None
    assert result.cut == 0


def test_exactly_the_transient_before_a_constant_is_cut() -> None:
    values = np.full(1000, 0.1)
    values[:50] = 3.0
    result = mser(values)
    assert result is not None
    assert result.cut == 50


def test_too_short_a_series_is_not_judged() -> None:
    assert mser(noise(15, 99)) is None
    assert mser(noise(15, 100)) is not None


# -- over records ------------------------------------------------------------------------------


def test_a_busy_queue_that_starts_empty_has_a_warm_up_in_the_first_half() -> None:
    records = mm1_replications(0.9, 20_000, seed=16)
    warmup = find_warmup(records)
    assert warmup.steady
    assert warmup.method == "mser5"
    assert warmup.latency_cut_s is not None
    assert warmup.in_system_cut_s is not None
    assert warmup.cut_s >= max(warmup.latency_cut_s, warmup.in_system_cut_s) - 1e-9
    assert warmup.cut_s <= records[0].duration_s / 2 + records[0].bin_s
    removed = sum(int((record.arrival_s < warmup.cut_s).sum()) for record in records)
    assert warmup.removed_requests == removed


def test_the_cut_lies_on_a_bin_edge_so_that_time_averages_are_exact() -> None:
    records = mm1_replications(0.8, 5000, seed=17)
    warmup = find_warmup(records)
    ratio = warmup.cut_s / records[0].bin_s
    assert ratio == pytest.approx(round(ratio), abs=1e-6)


def test_an_overloaded_queue_has_no_steady_state_and_nothing_is_deleted() -> None:
    warmup = find_warmup(mm1_replications(1.2, 10_000, seed=18))
    assert warmup.steady is False
    assert warmup.cut_s == 0.0
    assert warmup.removed_requests == 0
    assert warmup.reason is not None
    assert warmup.reason.startswith("no steady state")


def test_a_fixed_warm_up_is_obeyed_and_judged() -> None:
    records = mm1_replications(0.5, 5000, seed=19)
    warmup = find_warmup(records, fixed_s=1234.5)
    assert warmup.method == "fixed"
    assert warmup.cut_s == 1234.5
    assert warmup.steady
    assert warmup.reason is None


def test_a_fixed_warm_up_that_is_too_short_is_told() -> None:
    records = mm1_replications(0.9, 20_000, seed=16)
    found = find_warmup(records).cut_s
    assert found > 1.0
    reason = find_warmup(records, fixed_s=1.0).reason
    assert reason is not None
    assert "the warm-up of 1 s is short" in reason


def test_a_terminating_study_deletes_nothing_and_asks_for_no_steady_state() -> None:
    warmup = find_warmup(mm1_replications(1.2, 5000, seed=18), terminating=True)
    assert (warmup.method, warmup.cut_s, warmup.steady) == ("none", 0.0, None)


def test_a_run_too_short_to_judge_says_so() -> None:
    warmup = find_warmup([mm1(0.5, 30, seed=20, bins=50)])
    assert warmup.steady is False
    assert warmup.reason == "the run is too short to look for a steady state"


def test_latency_series_is_the_mean_of_the_ith_arrivals() -> None:
    records = mm1_replications(0.5, 300, seed=21, replications=3)
    times, values = latency_series(records)
    n = min(len(record) for record in records)
    assert len(values) == n
    i = n // 2
    expected = [record.finish_s[i] - record.arrival_s[i] for record in records]
    assert values[i] == pytest.approx(np.mean(expected))
    assert times[i] == pytest.approx(np.mean([record.arrival_s[i] for record in records]))


def test_latency_series_leaves_out_rejected_requests() -> None:
    record = mm1(0.5, 300, seed=22, drain_s=100.0)
    record.outcome[::2] = REJECTED
    record.finish_s[::2] = record.arrival_s[::2]
    _, values = latency_series([record])
    assert len(values) == int((record.outcome == COMPLETED).sum())
    assert values.min() > 0


def test_evidence_is_kept_for_the_plot() -> None:
    warmup = find_warmup(mm1_replications(0.8, 5000, seed=17))
    names = [item.name for item in warmup.evidence]
    assert names == ["latency", "in_system"]
    for item in warmup.evidence:
        assert len(item.time_s) == len(item.values)
        assert len(item.mser.statistic) > 0
