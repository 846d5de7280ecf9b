"""Arrival processes against their theory.

A count of a Poisson process has variance equal to its mean; bounds are 4.5 standard errors, and
chi-square statistics must lie between the quantiles of the same chance (3.4e-6 on either side).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from simsched.scenario import Arrivals, Bursty, Closed, ConstantRate, Poisson, Ramp, RateStep, Steps
from simsched.workload.arrivals import draw_arrivals, expected_arrivals
from simsched.workload.base import MAX_REQUESTS, TooManyRequests

Floats = NDArray[np.float64]

SIGMAS = 4.5
TAIL = 3.4e-6

OPEN: dict[str, Arrivals] = {
    "poisson": Poisson(rate_rps=200.0),
    "constant": ConstantRate(rate_rps=200.0),
    "bursty": Bursty(rate_low_rps=50.0, rate_high_rps=800.0, mean_low_s=0.8, mean_high_s=0.2),
    "ramp up": Ramp(from_rps=0.0, to_rps=400.0),
    "ramp down": Ramp(from_rps=400.0, to_rps=0.0),
    "steps": Steps(
        steps=(
            RateStep(at_s=0.0, rate_rps=100.0),
            RateStep(at_s=10.0, rate_rps=0.0),
            RateStep(at_s=15.0, rate_rps=600.0),
            RateStep(at_s=70.0, rate_rps=1.0),
        )
    ),
}


@pytest.mark.parametrize("arrivals", OPEN.values(), ids=OPEN.keys())
def test_arrivals_are_sorted_inside_the_window_and_repeatable(arrivals: Arrivals) -> None:
    times = draw_arrivals(arrivals, 20.0, 1, 0)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < 20.0
    assert times.tobytes() == draw_arrivals(arrivals, 20.0, 1, 0).tobytes()


@pytest.mark.parametrize("name", ["poisson", "constant", "bursty", "steps"])
def test_a_longer_window_begins_with_the_shorter_windows_arrivals(name: str) -> None:
    long = draw_arrivals(OPEN[name], 40.0, 1, 0)
    short = draw_arrivals(OPEN[name], 12.5, 1, 0)
    assert np.array_equal(long[: len(short)], short)
    assert long[len(short)] >= 12.5


@pytest.mark.parametrize("name", ["poisson", "bursty", "ramp up", "steps"])
def test_arrivals_do_not_depend_on_how_many_are_drawn_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = draw_arrivals(OPEN[name], 20.0, 1, 0)
    monkeypatch.setattr("simsched.workload.arrivals.MAX_BLOCK", 7)
    assert np.array_equal(draw_arrivals(OPEN[name], 20.0, 1, 0), at_once)


def test_replications_differ() -> None:
    first, second = (draw_arrivals(OPEN["poisson"], 20.0, 1, r) for r in (0, 1))
    assert first[0] != second[0]


class TestPoisson:
    TIMES = draw_arrivals(Poisson(rate_rps=500.0), 200.0, 3, 0)

    def test_the_count_is_rate_times_duration(self) -> None:
        assert abs(len(self.TIMES) - 100_000) < SIGMAS * math.sqrt(100_000)

    def test_counts_of_windows_are_as_dispersed_as_poisson(self) -> None:
        counts, _ = np.histogram(self.TIMES, bins=2000, range=(0, 200))
        statistic = ((counts - counts.mean()) ** 2).sum() / counts.mean()
        assert stats.chi2.ppf(TAIL, 1999) < statistic < stats.chi2.isf(TAIL, 1999)

    def test_the_time_between_arrivals_is_exponential(self) -> None:
        gaps = np.diff(self.TIMES)
        for x in (0.0002, 0.001, 0.002, 0.006):
            p = math.exp(-500 * x)
            error = math.sqrt(p * (1 - p) / len(gaps))
            assert abs((gaps > x).mean() - p) < SIGMAS * error

    def test_twice_the_rate_is_the_same_requests_in_half_the_time(self) -> None:
        faster = draw_arrivals(Poisson(rate_rps=1000.0), 100.0, 3, 0)
        assert np.array_equal(faster, self.TIMES / 2)


class TestConstant:
    def test_the_first_arrives_at_0_and_the_others_evenly_spaced(self) -> None:
        times = draw_arrivals(ConstantRate(rate_rps=10.0), 0.45, 1, 0)
        assert times.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]

    def test_who_would_arrive_at_the_end_does_not(self) -> None:
        assert draw_arrivals(ConstantRate(rate_rps=10.0), 0.3, 1, 0).tolist() == [0.0, 0.1, 0.2]

    def test_rounding_never_adds_or_loses_an_arrival(self) -> None:
        for rate in range(1, 400):
            assert len(draw_arrivals(ConstantRate(rate_rps=float(rate)), 7.0, 1, 0)) == 7 * rate


class TestRateFunctions:
    """Counts in bins must be Poisson with the integral of the rate over the bin."""

    @staticmethod
    def chi_square(times: Floats, expected: list[float]) -> float:
        counts, _ = np.histogram(times, bins=len(expected), range=(0, 20))
        means = np.array(expected)
        return float(((counts - means) ** 2 / means).sum())

    @pytest.mark.parametrize(("low", "high"), [(0.0, 4000.0), (4000.0, 0.0), (1000.0, 3000.0)])
    def test_a_ramp_changes_its_rate_linearly(self, low: float, high: float) -> None:
        times = draw_arrivals(Ramp(from_rps=low, to_rps=high), 20.0, 5, 0)
        middle = [low + (high - low) * (k + 0.5) / 20 for k in range(20)]
        statistic = self.chi_square(
            times, middle
        )  # bins of 1 s: the mean is the rate in its middle
        assert stats.chi2.ppf(TAIL, 20) < statistic < stats.chi2.isf(TAIL, 20)
        assert abs(len(times) - 40_000 * (low + high) / 4000) < SIGMAS * math.sqrt(len(times))

    def test_a_ramp_without_slope_is_plain_poisson(self) -> None:
        ramp = draw_arrivals(Ramp(from_rps=512.0, to_rps=512.0), 20.0, 5, 0)
        assert np.allclose(ramp, draw_arrivals(Poisson(rate_rps=512.0), 20.0, 5, 0), rtol=1e-14)

    def test_steps_keep_each_rate_until_the_next(self) -> None:
        steps = Steps(
            steps=(RateStep(at_s=0.0, rate_rps=500.0), RateStep(at_s=5.0, rate_rps=2000.0))
        )
        times = draw_arrivals(steps, 20.0, 5, 0)
        statistic = self.chi_square(times, [500.0] * 5 + [2000.0] * 15)
        assert stats.chi2.ppf(TAIL, 20) < statistic < stats.chi2.isf(TAIL, 20)

    def test_nobody_arrives_while_the_rate_is_zero(self) -> None:
        times = draw_arrivals(OPEN["steps"], 20.0, 5, 0)
        assert not ((times >= 10) & (times < 15)).any()
        assert (times < 10).any()
        assert (times >= 15).any()

    def test_steps_of_one_rate_are_plain_poisson(self) -> None:
        steps = Steps(steps=tuple(RateStep(at_s=float(t), rate_rps=100.0) for t in range(20)))
        poisson = draw_arrivals(Poisson(rate_rps=100.0), 20.0, 5, 0)
        assert np.allclose(draw_arrivals(steps, 20.0, 5, 0), poisson, rtol=1e-14)


BURSTS = Bursty(rate_low_rps=20.0, rate_high_rps=300.0, mean_low_s=0.6, mean_high_s=0.3)
BURSTS_WINDOW_S = 2.0


@pytest.fixture(scope="module")
def counts() -> Floats:
    """Arrivals in many short independent windows of the bursty process."""
    drawn = (draw_arrivals(BURSTS, BURSTS_WINDOW_S, 11, r) for r in range(4000))
    return np.array([len(times) for times in drawn], np.float64)


class TestBursty:
    """Two-state MMPP, by many short independent windows.

    The rate has mean m and autocovariance c exp(-r t), with c = p (1 - p) (high - low)^2, p the
    stationary share of the high state and r = 1 / mean_low + 1 / mean_high. Given the rate, counts
    are Poisson, so over a window t their variance is
    m t + 2 c (t / r - (1 - exp(-r t)) / r^2).
    """

    def theory(self) -> tuple[float, float]:
        process, t = BURSTS, BURSTS_WINDOW_S
        p = process.mean_high_s / (process.mean_low_s + process.mean_high_s)
        mean = p * process.rate_high_rps + (1 - p) * process.rate_low_rps
        c = p * (1 - p) * (process.rate_high_rps - process.rate_low_rps) ** 2
        r = 1 / process.mean_low_s + 1 / process.mean_high_s
        return mean * t, mean * t + 2 * c * (t / r - (1 - math.exp(-r * t)) / r**2)

    def test_the_mean_count_is_that_of_the_stationary_rate(self, counts: Floats) -> None:
        mean, variance = self.theory()
        assert expected_arrivals(BURSTS, BURSTS_WINDOW_S) == pytest.approx(mean)
        error = math.sqrt(variance / len(counts))
        assert abs(counts.mean() - mean) < SIGMAS * error

    def test_the_index_of_dispersion_is_that_of_the_formula(self, counts: Floats) -> None:
        mean, variance = self.theory()
        squares = (counts - mean) ** 2
        error = squares.std() / math.sqrt(len(squares))
        assert abs(squares.mean() - variance) < SIGMAS * error
        assert variance / mean > 20  # the bursts must matter for this test to prove anything
        assert squares.mean() / mean > 20

    def test_the_first_state_is_stationary(self) -> None:
        process = Bursty(rate_low_rps=0.0, rate_high_rps=1e4, mean_low_s=3.0, mean_high_s=1.0)
        n = 4000
        high = sum(len(draw_arrivals(process, 0.001, 5, r)) > 0 for r in range(n))
        # In 1 ms a high state shows itself but for exp(-10), and a low one turns high in 1/3000.
        p = 0.25 * (1 - math.exp(-10)) + 0.75 * 0.001 / 3
        assert abs(high / n - p) < SIGMAS * math.sqrt(p * (1 - p) / n) + 0.75 * 0.001 / 3

    def test_states_that_change_quickly_average_out(self) -> None:
        """Thousands of changes: each second has the mean rate, to the end of the window."""
        process = Bursty(rate_low_rps=0.0, rate_high_rps=2e4, mean_low_s=1e-3, mean_high_s=1e-3)
        seconds, _ = np.histogram(draw_arrivals(process, 10.0, 5, 0), bins=10, range=(0, 10))
        r = 2000.0
        variance = 1e4 + 2 * 1e8 / r  # as above, where r t is large
        assert (abs(seconds - 1e4) < SIGMAS * math.sqrt(variance)).all()

    def test_equal_rates_are_plain_poisson(self) -> None:
        process = Bursty(rate_low_rps=100.0, rate_high_rps=100.0, mean_low_s=1.0, mean_high_s=1.0)
        poisson = draw_arrivals(Poisson(rate_rps=100.0), 20.0, 5, 0)
        assert np.allclose(draw_arrivals(process, 20.0, 5, 0), poisson, rtol=1e-14)


class TestLimits:
    def test_the_expected_count_is_the_integral_of_the_rate(self) -> None:
        assert expected_arrivals(OPEN["poisson"], 20.0) == 4000
        assert expected_arrivals(OPEN["bursty"], 20.0) == pytest.approx(4000)
        assert expected_arrivals(OPEN["ramp up"], 20.0) == 4000
        assert expected_arrivals(OPEN["steps"], 20.0) == 1000 + 3000
        assert expected_arrivals(OPEN["steps"], 12.0) == 1000
        assert expected_arrivals(OPEN["steps"], 80.0) == 1000 + 33_000 + 10

    @pytest.mark.parametrize(
        "arrivals",
        [
            Poisson(rate_rps=1e6),
            ConstantRate(rate_rps=1e6),
            Ramp(from_rps=0.0, to_rps=2e6),
            Steps(steps=(RateStep(at_s=0.0, rate_rps=1e6),)),
            Bursty(rate_low_rps=0.0, rate_high_rps=2e6, mean_low_s=1.0, mean_high_s=1.0),
        ],
    )
    def test_more_requests_than_a_run_can_hold_are_refused(self, arrivals: Arrivals) -> None:
        assert expected_arrivals(arrivals, 51.0) > MAX_REQUESTS
        with pytest.raises(TooManyRequests, match=r"51,000,000.*shorter or the rate lower"):
            draw_arrivals(arrivals, 51.0, 1, 0)

    def test_more_changes_of_state_than_a_run_can_hold_are_refused(self) -> None:
        process = Bursty(rate_low_rps=1.0, rate_high_rps=2.0, mean_low_s=1e-9, mean_high_s=1e-9)
        with pytest.raises(TooManyRequests, match="changes of state"):
            draw_arrivals(process, 10.0, 1, 0)

    def test_closed_arrivals_cannot_be_drawn_ahead(self) -> None:
        with pytest.raises(TypeError, match="Closed"):
            draw_arrivals(Closed(users=3), 10.0, 1, 0)
