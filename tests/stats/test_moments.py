"""Means and variances of distributions, against large samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from simsched.observe.record import FloatArray
from simsched.scenario import Dist
from simsched.stats.moments import Moments, mixture, moments, total

from .queues import generator
from .scenarios import scenario


def dist_of(table: Any) -> Dist:
    step = scenario({"cpu": table}).classes[0].steps[0]
    assert hasattr(step, "demand")
    demand: Dist = step.demand
    return demand


def samples(table: dict[str, Any], n: int) -> FloatArray:
    """Draws made from the definitions, without the package's own sampling."""
    rng = generator(400)
    kind, mean = table["dist"], 0.01
    if kind == "exponential":
        return rng.exponential(mean, n)
    if kind == "gamma":
        cv2 = float(table["cv"]) ** 2
        return rng.gamma(1 / cv2, mean * cv2, n)
    if kind == "lognormal":
        sigma2 = np.log1p(table["cv"] ** 2)
        return rng.lognormal(float(np.log(mean) - sigma2 / 2), float(np.sqrt(sigma2)), n)
    if kind == "weibull":
        shape = float(table["shape"])
        return rng.weibull(shape, n) * (mean / math.gamma(1 + 1 / shape))
    if kind == "pareto":
        shape = float(table["shape"])
        tail: FloatArray = 1 + rng.pareto(shape, n)
        return tail * (mean * (shape - 1) / shape)
    return rng.uniform(0.004, 0.016, n)


@pytest.mark.parametrize(
    "table",
    [
        {"dist": "exponential", "mean": "10ms"},
        {"dist": "gamma", "mean": "10ms", "cv": 0.5},
        {"dist": "lognormal", "mean": "10ms", "cv": 0.8},
        {"dist": "weibull", "mean": "10ms", "shape": 1.7},
        {"dist": "pareto", "mean": "10ms", "shape": 12.0},
        {"dist": "uniform", "low": "4ms", "high": "16ms"},
    ],
    ids=lambda table: str(table["dist"]),
)
def test_moments_are_those_of_a_large_sample(table: dict[str, Any]) -> None:
    found = moments(dist_of(table))
    assert found is not None
    drawn = samples(table, 400_000)
    batches = drawn.reshape(100, -1)
    for value, each in (
        (found.mean_s, batches.mean(axis=1)),
        (found.variance_s2, batches.var(axis=1, ddof=1)),
    ):
        # 100 independent batches: four standard errors of their mean.
        assert abs(each.mean() - value) < 4 * each.std(ddof=1) / 10


def test_a_constant_does_not_vary() -> None:
    assert moments(dist_of("10ms")) == Moments(0.01, 0.0)


def test_a_hyperexponential_has_the_variation_it_is_given() -> None:
    found = moments(dist_of({"dist": "hyperexponential", "mean": "10ms", "cv": 3}))
    assert found is not None
    assert found.cv2 == pytest.approx(9.0)


def test_quantiles_joined_by_lines_are_a_mixture_of_uniform_pieces() -> None:
    table = {"dist": "empirical", "quantiles": [[0, "1ms"], [0.5, "3ms"], [1, "11ms"]]}
    found = moments(dist_of(table))
    pieces = mixture([(0.5, Moments(0.002, 0.002**2 / 12)), (0.5, Moments(0.007, 0.008**2 / 12))])
    assert found is not None
    assert pieces is not None
    assert found == pytest.approx(pieces, rel=1e-9)


def test_unknown_or_infinite_moments_are_none() -> None:
    assert moments(dist_of({"dist": "pareto", "mean": "10ms", "shape": 2.0})) is None
    assert moments(dist_of({"dist": "empirical", "file": "samples.txt"})) is None


def test_sums_add_and_mixtures_mix() -> None:
    a, b = Moments(1.0, 2.0), Moments(3.0, 4.0)
    assert total([a, b]) == Moments(4.0, 6.0)
    assert total([a, None]) is None
    mixed = mixture([(1.0, a), (1.0, b)])
    assert mixed is not None
    # Variance within plus variance between.
    assert mixed == pytest.approx((2.0, 3.0 + 1.0))
    assert mixture([(1.0, None)]) is None
    assert mixture([]) is None
