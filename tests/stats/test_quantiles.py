"""Quantiles: numpy's numbers, intervals that cover, too few samples, censoring."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsched.observe.record import FloatArray
from simsched.stats.estimates import t_quantile
from simsched.stats.quantiles import Sample, curve_points, sorted_quantiles

from .queues import generator, mm1


def exponentials(seed: int, replications: int, size: int) -> list[FloatArray]:
    return [generator(seed, r).exponential(1.0, size) for r in range(replications)]


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 12345])
def test_quantiles_of_complete_samples_are_numpys(size: int) -> None:
    values = np.sort(generator(3, size).lognormal(0.0, 2.0, size))
    p = np.array([0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0])
    expected = np.quantile(values, p)
    np.testing.assert_allclose(sorted_quantiles(values, size, p), expected, rtol=1e-12)


def test_pooled_quantile_is_that_of_all_requests_together() -> None:
    values = exponentials(4, 10, 3000)
    estimate = Sample(values).quantile(0.99)
    assert estimate.value == pytest.approx(np.quantile(np.concatenate(values), 0.99), rel=1e-12)


def test_interval_is_the_spread_of_replications_about_the_pooled_quantile() -> None:
    values = exponentials(5, 8, 4000)
    estimate = Sample(values).quantile(0.95)
    assert estimate.value is not None
    assert estimate.ci95 is not None
    each = np.array([np.quantile(v, 0.95) for v in values])
    spread = math.sqrt(((each - estimate.value) ** 2).sum() / 7)
    half = t_quantile(0.975, 7) * spread / math.sqrt(8)
    assert estimate.ci95 == pytest.approx((estimate.value - half, estimate.value + half), rel=1e-12)


def coverage_of_independent_samples(macro: int, p: float) -> float:
    truth = -math.log(1 - p)
    covered = 0
    for seed in range(macro):
        ci95 = Sample(exponentials(1000 + seed, 10, 2000)).quantile(p).ci95
        assert ci95 is not None
        covered += ci95[0] <= truth <= ci95[1]
    return covered / macro


def test_interval_covers_the_true_quantile_of_independent_samples() -> None:
    macro = 300
    slack = 3.5 * math.sqrt(0.95 * 0.05 / macro)
    assert abs(coverage_of_independent_samples(macro, 0.9) - 0.95) < slack


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "customers"), [(0.5, 10_000), (0.7, 30_000)])
def test_interval_covers_the_p99_of_a_queue(rho: float, customers: int) -> None:
    # Time in M/M/1 is exponential with rate 1 - rho, whose p99 is known.
    truth = -math.log(0.01) / (1 - rho)
    macro, covered = 200, 0
    for seed in range(macro):
        values = []
        for r in range(10):
            record = mm1(rho, customers, 7000 + seed, r, drain_s=1e6)
            values.append((record.finish_s - record.arrival_s)[500:])
        ci95 = Sample(values).quantile(0.99).ci95
        assert ci95 is not None
        covered += ci95[0] <= truth <= ci95[1]
    assert 0.90 <= covered / macro <= 0.99


def test_intervals_over_requests_would_miss_the_p99_of_a_busy_queue() -> None:
    """Why intervals are over replications: order statistics of correlated latencies lie."""
    truth = -math.log(0.01) / (1 - 0.9)
    macro, covered = 60, 0
    for seed in range(macro):
        record = mm1(0.9, 20_000, 9000 + seed, drain_s=1e6)
        values = np.sort(record.finish_s - record.arrival_s)
        n = len(values)
        half = 1.96 * math.sqrt(n * 0.99 * 0.01)
        low, high = values[int(0.99 * n - half)], values[int(0.99 * n + half)]
        covered += low <= truth <= high
    assert covered / macro < 0.5


# -- too few samples ---------------------------------------------------------------------------


def test_a_quantile_needs_twenty_samples_beyond_it_in_each_replication() -> None:
    enough = Sample(exponentials(6, 10, 2000)).quantile(0.99)
    assert enough.value is not None
    short = Sample(exponentials(6, 10, 1999)).quantile(0.99)
    assert short.value is None
    assert short.ci95 is None
    assert short.reason == "too few samples: 1999 per replication, 2000 are needed for p99"


def test_and_a_hundred_in_all() -> None:
    # Two replications need 50 each; one needs 100.
    assert Sample(exponentials(6, 2, 5000)).quantile(0.99).value is not None
    assert Sample(exponentials(6, 2, 4990)).quantile(0.99).value is None
    assert Sample(exponentials(6, 1, 10_000)).quantile(0.99).value is not None
    assert Sample(exponentials(6, 1, 9990)).quantile(0.99).value is None


def test_low_quantiles_need_samples_below_them() -> None:
    assert Sample(exponentials(6, 10, 1000)).quantile(0.01).value is None
    assert Sample(exponentials(6, 10, 2000)).quantile(0.01).value is not None


def test_one_replication_has_a_quantile_and_no_interval() -> None:
    estimate = Sample(exponentials(6, 1, 20_000)).quantile(0.99)
    assert estimate.value is not None
    assert estimate.ci95 is None


def test_no_request_at_all_gives_reasons_everywhere() -> None:
    ladder = Sample([np.empty(0), np.empty(0)]).ladder()
    assert all(estimate.value is None and estimate.reason for estimate in ladder.values())


# -- unfinished requests -----------------------------------------------------------------------


def censored(share: float, age: float) -> Sample:
    """1000 values 1..1000 in each of 10 replications, the largest replaced by open-ended ones."""
    cut = round(1000 * (1 - share))
    values = [np.arange(1.0, cut + 1)] * 10
    return Sample(values, [np.full(1000 - cut, age)] * 10)


def test_unfinished_requests_count_as_slower_than_any_quantile() -> None:
    sample = censored(0.05, age=5000.0)
    complete = Sample([np.arange(1.0, 1001.0)] * 10)
    assert sample.quantile(0.9).value == complete.quantile(0.9).value


def test_a_quantile_below_the_censoring_says_that_some_are_unfinished() -> None:
    reason = censored(0.05, age=5000.0).quantile(0.9).reason
    assert reason == "censored: 500 of 10000 requests unfinished, each already slower than this"


def test_a_quantile_above_a_young_unfinished_request_is_an_upper_bound() -> None:
    reason = censored(0.05, age=2.0).quantile(0.9).reason
    assert reason == "censored: 500 of 10000 requests unfinished: this is an upper bound"


def test_a_quantile_among_the_unfinished_is_unknown() -> None:
    estimate = censored(0.05, age=5000.0).quantile(0.97)
    assert estimate.value is None
    assert estimate.reason == "censored: 500 of 10000 requests unfinished"


def test_but_its_lower_bound_is_known() -> None:
    sample = censored(0.05, age=5000.0)
    assert sample.lower_bound(0.97) == 5000.0


def test_no_interval_where_some_replications_do_not_know_the_quantile() -> None:
    values = [np.arange(1.0, 1001.0)] * 9 + [np.arange(1.0, 501.0)]
    ages = [np.empty(0)] * 9 + [np.full(500, 5000.0)]
    estimate = Sample(values, ages).quantile(0.9)
    assert estimate.value is not None
    assert estimate.ci95 is None
    assert estimate.reason is not None
    assert "in 1 replications it is not known" in estimate.reason


def test_mean_and_maximum_of_censored_samples_say_that_they_are_too_low() -> None:
    ladder = censored(0.05, age=5000.0).ladder()
    assert ladder["mean"].value == pytest.approx(np.arange(1.0, 951.0).mean())
    assert ladder["mean"].reason is not None
    assert "the true mean is higher" in ladder["mean"].reason
    assert ladder["max"].value == 5000.0
    assert ladder["max"].reason is not None


# -- the curve ---------------------------------------------------------------------------------


def test_curve_holds_the_named_percentiles_and_about_sixty_points() -> None:
    p = curve_points()
    assert 50 <= len(p) <= 70
    assert p[-1] == 0.9999
    assert {0.5, 0.9, 0.95, 0.99, 0.999} <= set(p.tolist())
    # Evenly spread in the number of nines: no gap of more than a tenth of a decade but the start.
    assert np.diff(-np.log10(1 - p)).max() < 0.1


def test_curve_agrees_with_the_ladder_and_marks_points_with_too_few_samples() -> None:
    sample = Sample(exponentials(8, 10, 3000))
    curve = sample.curve()
    at = curve["p"].index(0.99)
    assert curve["latency_s"][at] == pytest.approx(sample.quantile(0.99).value)
    assert curve["enough"][at]
    assert curve["ci95"][at] == list(sample.quantile(0.99).ci95 or ())
    assert not curve["enough"][-1]
    assert curve["ci95"][-1] is None
    known = [x for x in curve["latency_s"] if x is not None]
    assert known == sorted(known)


def test_curve_is_unknown_where_requests_are_unfinished() -> None:
    curve = censored(0.05, age=5000.0).curve()
    assert curve["latency_s"][-1] is None
