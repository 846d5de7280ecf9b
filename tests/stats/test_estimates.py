"""Intervals of means and ratios over replications."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from simsched.stats.estimates import (
    Estimate,
    interval,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
    t_quantile,
    t_tail,
)

from .queues import generator


@pytest.mark.parametrize("replications", [2, 3, 10, 30])
def test_mean_and_interval_are_those_of_numpy_and_scipy(replications: int) -> None:
    values = generator(1).lognormal(0.0, 1.0, replications)
    estimate = mean_estimate(values)
    low, high = stats.t.interval(0.95, replications - 1, loc=values.mean(), scale=stats.sem(values))
    assert estimate.value == pytest.approx(values.mean(), rel=1e-12)
    assert estimate.ci95 == pytest.approx((max(low, 0.0), high), rel=1e-9)


def test_t_quantile_and_tail_agree_with_tables() -> None:
    assert t_quantile(0.975, 9) == pytest.approx(2.262, abs=5e-4)
    assert t_quantile(0.975, 1) == pytest.approx(12.706, abs=5e-4)
    assert t_tail(1.833, 9) == pytest.approx(0.05, abs=5e-5)


def test_one_replication_has_a_value_and_no_interval() -> None:
    assert mean_estimate([4.0]) == Estimate(4.0, None)
    assert ratio_estimate([1], [10]) == Estimate(0.1, None)


def test_replications_without_a_number_are_left_out_and_named() -> None:
    estimate = mean_estimate([1.0, np.nan, 3.0], "completed requests")
    assert estimate.value == 2.0
    assert estimate.reason == "1 of 3 replications have no completed requests"
    nothing = mean_estimate([np.nan, np.nan], "completed requests")
    assert nothing == Estimate(None, None, "no completed requests in any replication")


def test_an_interval_of_what_cannot_be_negative_ends_at_zero() -> None:
    ci95 = mean_estimate([0.0, 0.0, 0.0, 9.0]).ci95
    assert ci95 is not None
    assert ci95[0] == 0.0


def test_an_interval_that_is_not_finite_is_no_interval() -> None:
    assert interval(1.0, np.array([0.0, np.inf])) is None


def test_equal_replications_have_an_interval_of_width_zero() -> None:
    assert mean_estimate([2.0, 2.0, 2.0]).ci95 == (2.0, 2.0)


def test_ratio_is_total_over_total() -> None:
    estimate = ratio_estimate([1, 30], [10, 100])
    assert estimate.value == pytest.approx(31 / 110)


def test_ratio_interval_is_the_mean_interval_where_denominators_are_equal() -> None:
    shares = np.array([3.0, 5.0, 4.0, 9.0])
    by_ratio = ratio_estimate(shares, np.full(4, 100.0)).ci95
    by_mean = mean_estimate(shares / 100).ci95
    assert by_ratio == pytest.approx(by_mean, rel=1e-12)


def test_ratio_interval_covers_where_numerator_and_denominator_vary() -> None:
    covered, macro = 0, 400
    for seed in range(macro):
        rng = generator(2, seed)
        n = rng.poisson(2000, 10)
        ci95 = ratio_estimate(rng.binomial(n, 0.05), n).ci95
        assert ci95 is not None
        covered += ci95[0] <= 0.05 <= ci95[1]
    # Three and a half standard errors of a share of 0.95 in `macro` trials.
    slack = 3.5 * np.sqrt(0.95 * 0.05 / macro)
    assert abs(covered / macro - 0.95) < slack


def test_no_error_seen_is_not_no_error_proven() -> None:
    estimate = ratio_estimate([0, 0], [500, 500])
    assert estimate.value == 0.0
    assert estimate.ci95 is not None
    # Clopper and Pearson: the rate at which 0 of 1000 has probability 2.5 %.
    assert (1 - estimate.ci95[1]) ** 1000 == pytest.approx(0.025, rel=1e-9)


def test_a_share_of_nothing_is_unknown() -> None:
    assert ratio_estimate([0, 0], [0, 0]).value is None


def test_rate_is_count_over_time() -> None:
    assert rate_estimate([100, 110], 10.0).value == pytest.approx(10.5)
    assert rate_estimate([1, 2], 0.0).value is None


def test_dictionary_has_a_reason_only_where_there_is_one() -> None:
    assert Estimate(1.0, (0.5, 1.5)).to_dict() == {"value": 1.0, "ci95": [0.5, 1.5]}
    assert Estimate(None, None, "why").to_dict() == {"value": None, "ci95": None, "reason": "why"}
