"""Mean and variance of the distributions a scenario may name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from simsched.scenario import Dist


class Moments(NamedTuple):
    """Mean in seconds and variance in seconds squared."""

    mean_s: float
    variance_s2: float

    @property
    def cv2(self) -> float:
        """Squared coefficient of variation; 0 for a mean of 0."""
        return self.variance_s2 / self.mean_s**2 if self.mean_s > 0 else 0.0


def moments(dist: Dist) -> Moments | None:
    """Moments of a distribution; None where they are in a file or the variance is infinite."""
    from simsched import scenario as model

    if isinstance(dist, model.Empirical):
        return _of_quantiles(dist.quantiles)
    mean = dist.mean_s
    if mean is None:
        return None
    cv2: float | None = None
    if isinstance(dist, model.Constant):
        cv2 = 0.0
    elif isinstance(dist, model.Exponential):
        cv2 = 1.0
    elif isinstance(dist, model.Lognormal | model.Gamma | model.Hyperexponential):
        cv2 = dist.cv**2
    elif isinstance(dist, model.Weibull):
        # var / mean^2 = G(1 + 2/k) / G(1 + 1/k)^2 - 1; in logarithms, as G(21) is large.
        k = dist.shape
        cv2 = math.expm1(math.lgamma(1 + 2 / k) - 2 * math.lgamma(1 + 1 / k))
    elif isinstance(dist, model.Pareto):
        # Classic Pareto: var / mean^2 = 1 / (a (a - 2)), infinite up to a = 2.
        cv2 = 1 / (dist.shape * (dist.shape - 2)) if dist.shape > 2 else None
    elif isinstance(dist, model.Uniform):
        return Moments(mean, (dist.high_s - dist.low_s) ** 2 / 12)
    return None if cv2 is None else Moments(mean, cv2 * mean**2)


def _of_quantiles(quantiles: tuple[tuple[float, float], ...] | None) -> Moments | None:
    """Of an inverse distribution function made of straight lines: uniform pieces."""
    if quantiles is None:
        return None
    mean = square = 0.0
    for (p0, v0), (p1, v1) in pairwise(quantiles):
        mean += (p1 - p0) * (v0 + v1) / 2
        square += (p1 - p0) * (v0 * v0 + v0 * v1 + v1 * v1) / 3
    return Moments(mean, max(square - mean**2, 0.0))


def total(parts: Iterable[Moments | None]) -> Moments | None:
    """Moments of a sum of independent durations; None where one is unknown."""
    mean = variance = 0.0
    for part in parts:
        if part is None:
            return None
        mean += part.mean_s
        variance += part.variance_s2
    return Moments(mean, variance)


def mixture(parts: Iterable[tuple[float, Moments | None]]) -> Moments | None:
    """Moments of a draw from one of several distributions, given as (weight, moments)."""
    weight = mean = square = 0.0
    for share, part in parts:
        if part is None:
            return None
        weight += share
        mean += share * part.mean_s
        square += share * (part.variance_s2 + part.mean_s**2)
    if weight == 0:
        return None
    mean /= weight
    return Moments(mean, max(square / weight - mean**2, 0.0))
