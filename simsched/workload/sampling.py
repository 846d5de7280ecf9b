"""Drawing the numbers of a distribution.

Each sampler takes its random numbers in order, one request after another, so the first n values
of a longer draw are the values of the draw of n.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsched.scenario import (
    Column,
    Constant,
    Empirical,
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Pareto,
    Uniform,
    Weibull,
)
from simsched.workload.samples import read_samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from simsched.scenario import Dist

    Floats = NDArray[np.float64]

__all__ = ["sample"]


def sample(
    dist: Dist,
    rng: np.random.Generator,
    n: int,
    columns: Mapping[str, Floats] | None = None,
    base_dir: Path = Path(),
) -> Floats:
    """Draw `n` values of a distribution, in seconds.

    Args:
        dist: The distribution.
        rng: Where the random numbers come from; left untouched by constants and columns.
        n: How many values.
        columns: Columns of the replayed trace in seconds, by name, each of length `n`.
        base_dir: Folder that the sample files of empirical distributions are relative to.

    Returns:
        A new array of `n` values, finite and not negative.

    Raises:
        TableError: If a sample file cannot be used.
        KeyError: If a column is asked for that is not in `columns`.
    """
    if isinstance(dist, Constant):
        return np.full(n, dist.value_s)
    if isinstance(dist, Column):
        if columns is None:
            raise KeyError(f"no trace is replayed, so there is no column {dist.column!r}")
        return columns[dist.column].copy()
    if isinstance(dist, Empirical):
        return _empirical(dist, rng, n, base_dir)
    if isinstance(dist, Exponential):
        return rng.standard_exponential(n) * dist.mean_s
    if isinstance(dist, Uniform):
        return dist.low_s + rng.random(n) * (dist.high_s - dist.low_s)
    if isinstance(dist, Lognormal):
        return lognormal(rng, n, dist.mean_s, dist.cv)
    if isinstance(dist, Gamma):
        return gamma(rng, n, dist.mean_s, dist.cv)
    if isinstance(dist, Weibull):
        scale = dist.mean_s / math.gamma(1 + 1 / dist.shape)
        return rng.weibull(dist.shape, n) * scale
    if isinstance(dist, Pareto):
        # Classic Pareto: x_min = mean (a - 1) / a, and ln(X / x_min) is exponential with rate a.
        low = dist.mean_s * (dist.shape - 1) / dist.shape
        return low * np.exp(rng.standard_exponential(n) / dist.shape)
    if isinstance(dist, Hyperexponential):
        return hyperexponential(rng, n, dist.mean_s, dist.cv)
    raise TypeError(f"unknown distribution {dist!r}")


def lognormal(rng: np.random.Generator, n: int, mean: float, cv: float) -> Floats:
    """Lognormal by mean and coefficient of variation: sigma^2 = ln(1 + cv^2)."""
    variance = math.log1p(cv * cv)
    return mean * np.exp(math.sqrt(variance) * rng.standard_normal(n) - variance / 2)


def gamma(rng: np.random.Generator, n: int, mean: float, cv: float) -> Floats:
    """Gamma by mean and coefficient of variation: shape 1 / cv^2."""
    return rng.standard_gamma(1 / (cv * cv), n) * (mean * cv * cv)


def hyperexponential(rng: np.random.Generator, n: int, mean: float, cv: float) -> Floats:
    """Two exponential phases with balanced means: each brings half of the mean.

    Phase 1 has probability p = (1 + sqrt((cv^2 - 1) / (cv^2 + 1))) / 2 and mean mean / (2 p)
    (Whitt 1982, "Approximating a point process by a renewal process", section 3).
    One uniform number decides the phase, and what it leaves over is the exponential's uniform.
    """
    p = (1 + math.sqrt((cv * cv - 1) / (cv * cv + 1))) / 2
    u = rng.random(n)
    first = u < p
    # Rounding can make the rest exactly 1, whose exponential would be infinite.
    rest = np.minimum(np.where(first, u / p, (u - p) / (1 - p)), np.nextafter(1.0, 0.0))
    return -np.log1p(-rest) * (mean / 2) / np.where(first, p, 1 - p)


def _empirical(dist: Empirical, rng: np.random.Generator, n: int, base_dir: Path) -> Floats:
    u = rng.random(n)
    if dist.file is not None:
        samples = read_samples(base_dir / dist.file, dist.column)
        return samples[(u * len(samples)).astype(np.int64)]
    # Inverse of the distribution function, linear between the given quantiles.
    p, value_s = np.array(dist.quantiles, dtype=np.float64).T
    return np.asarray(np.interp(u, p, value_s), np.float64)
