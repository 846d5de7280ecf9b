"""Quantiles over replications: sectioning, sufficiency, right-censoring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from simsched.observe.record import FloatArray
from simsched.stats.estimates import Estimate, interval, mean_estimate

LADDER: Final[dict[str, float]] = {
    "p50": 0.5,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "p999": 0.999,
}
"""Quantiles that are reported by name."""

MIN_BEYOND_REPLICATION: Final = 20
"""Samples beyond a quantile that one replication needs on average."""
MIN_BEYOND_POOLED: Final = 100
"""Samples beyond a quantile that all replications need together."""


def sorted_quantiles(values: FloatArray, total: int, p: FloatArray) -> FloatArray:
    """Quantiles of `total` observations of which the smallest ones, `values`, are known.

    Linear between order statistics (Hyndman & Fan type 7, numpy's default); inf where an order
    statistic beyond the known ones is needed. `values` is sorted and `total` at least 1.
    """
    position = p * (total - 1)
    low = np.floor(position).astype(np.int64)
    share = position - low
    high = np.minimum(low + (share > 0), total - 1)
    padded = np.append(values, np.inf)
    beyond = high >= len(values)
    lower = padded[np.minimum(low, len(values))]
    upper = padded[np.minimum(high, len(values))]
    with np.errstate(invalid="ignore"):
        inner = lower + (upper - lower) * share
    return np.where(beyond, np.inf, inner)


class Sample:
    """One quantity of many requests, in replications, part of it right-censored.

    Args:
        values: per replication, the values that are known.
        censored: per replication, the values reached so far by those that are not known yet
            (the age of requests unfinished at the end). They count as larger than any quantile.
        what: name of what is sampled, in the plural.
    """

    def __init__(
        self,
        values: Sequence[FloatArray],
        censored: Sequence[FloatArray] | None = None,
        what: str = "completed requests",
    ) -> None:
        self.what = what
        self.values = [np.sort(v) for v in values]
        self.censored = [np.empty(0) for _ in values] if censored is None else list(censored)
        self.pooled = np.sort(np.concatenate(self.values)) if self.values else np.empty(0)
        self.ages = np.concatenate(self.censored) if self.censored else np.empty(0)
        self.sizes = [len(v) + len(c) for v, c in zip(self.values, self.censored, strict=True)]

    @property
    def total(self) -> int:
        """Number of requests, the unfinished ones included."""
        return len(self.pooled) + len(self.ages)

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.values)

    def _censoring(self) -> str:
        return f"censored: {len(self.ages)} of {self.total} requests unfinished"

    def replication_means(self) -> FloatArray:
        """Mean of the known values of each replication; nan where there is none."""
        return np.array([float(v.mean()) if len(v) else np.nan for v in self.values])

    def replication_quantiles(self, p: float) -> FloatArray:
        """The quantile of each replication: inf where censored, nan without samples."""
        at = np.array([p])
        return np.array(
            [
                sorted_quantiles(v, size, at)[0] if size else np.nan
                for v, size in zip(self.values, self.sizes, strict=True)
            ]
        )

    def mean(self) -> Estimate:
        """Mean of the known values. With censored ones it is too low, and says so."""
        estimate = mean_estimate(self.replication_means(), self.what)
        if len(self.ages) == 0 or estimate.value is None:
            return estimate
        return Estimate(
            estimate.value, estimate.ci95, f"{self._censoring()}: the true mean is higher"
        )

    def maximum(self) -> Estimate:
        """Largest value seen in all replications. A maximum has no interval: it only grows."""
        if self.total == 0:
            return Estimate(None, None, f"no {self.what} in any replication")
        if len(self.ages) == 0:
            return Estimate(float(self.pooled[-1]))
        largest = max(float(self.ages.max()), float(self.pooled[-1]) if len(self.pooled) else 0.0)
        return Estimate(largest, None, f"{self._censoring()}: the true maximum is higher")

    def shortage(self, p: float) -> str | None:
        """Why the samples are too few for quantile `p`, or None if they are enough.

        Enough is 20 samples beyond the quantile per replication on average and 100 in all.
        """
        beyond = min(p, 1 - p)
        needed = max(MIN_BEYOND_REPLICATION, MIN_BEYOND_POOLED / max(self.replications, 1))
        mean_size = self.total / max(self.replications, 1)
        if mean_size * beyond >= needed * (1 - 1e-9):
            return None
        samples = math.ceil(needed / beyond * (1 - 1e-9)) if beyond > 0 else None
        wanted = "none are enough" if samples is None else f"{samples} are needed"
        return f"too few samples: {mean_size:.0f} per replication, {wanted} for p{100 * p:g}"

    def quantile(self, p: float) -> Estimate:
        """Quantile by sectioning over replications (Asmussen & Glynn 2007, III.5).

        pooled quantile +- t * S / sqrt(R) with S^2 = sum((q_r - q_pooled)^2) / (R - 1), q_r the
        quantile of replication r. None where samples are too few or where the quantile lies among
        the unfinished requests, whose values nobody knows.
        """
        short = self.shortage(p)
        if short is not None:
            return Estimate(None, None, short)
        pooled = float(sorted_quantiles(self.pooled, self.total, np.array([p]))[0])
        if math.isinf(pooled):
            return Estimate(None, None, self._censoring())
        each = self.replication_quantiles(p)
        each = each[~np.isnan(each)]
        ci95 = interval(pooled, each - pooled)
        return Estimate(pooled, ci95, self._censored_reason(pooled, each))

    def _censored_reason(self, pooled: float, each: FloatArray) -> str | None:
        if len(self.ages) == 0:
            return None
        if np.isinf(each).any():
            lost = int(np.isinf(each).sum())
            return f"{self._censoring()}; no interval: in {lost} replications it is not known"
        if float(self.ages.min()) >= pooled:
            return f"{self._censoring()}, each already slower than this"
        return f"{self._censoring()}: this is an upper bound"

    def lower_bound(self, p: float) -> float | None:
        """What quantile `p` is at least: unfinished requests counted at the age they reached."""
        if self.total == 0:
            return None
        return float(np.quantile(np.concatenate([self.pooled, self.ages]), p))

    def ladder(self) -> dict[str, Estimate]:
        """Mean, the quantiles of LADDER, and the maximum."""
        quantiles = {name: self.quantile(p) for name, p in LADDER.items()}
        return {"mean": self.mean(), **quantiles, "max": self.maximum()}

    def curve(self) -> dict[str, Any]:
        """Percentile curve for a page: about 60 points, evenly spread in log(1 - p).

        Where `enough` is false the point is the bare order statistic, without an interval; where
        it is unknown (censored, no samples) it is None.
        """
        p = curve_points()
        estimates = [self.quantile(float(x)) for x in p]
        raw = sorted_quantiles(self.pooled, max(self.total, 1), p)
        return {
            "p": [float(x) for x in p],
            "latency_s": [float(x) if math.isfinite(x) else None for x in raw],
            "ci95": [None if e.ci95 is None else list(e.ci95) for e in estimates],
            "enough": [e.value is not None for e in estimates],
        }


def curve_points() -> FloatArray:
    """Probabilities of the percentile curve: log-spread up to 0.9999, the named ones among them."""
    spread = 1 - np.logspace(-0.02, -4, 56)
    named = np.array([*LADDER.values(), 0.75, 0.9999])
    return np.unique(np.round(np.concatenate([spread, named]), 6))
