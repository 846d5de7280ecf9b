"""Arrival times of the open workloads.

Every Poisson-like process is one unit-rate Poisson process, drawn from the stream "arrivals",
bent by the inverse of its cumulative rate (the time-change theorem; Cinlar 1975, inversion for
nonhomogeneous processes). So a higher rate is the same requests closer together, a longer run
begins with the shorter run's requests, and steps that all have one rate equal plain Poisson.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simsched.scenario import Bursty, ConstantRate, Poisson, Ramp, Steps
from simsched.workload.base import check_count
from simsched.workload.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simsched.scenario import Arrivals

    Floats = NDArray[np.float64]

__all__ = ["draw_arrivals", "expected_arrivals"]

MAX_BLOCK = 1 << 20


def draw_arrivals(arrivals: Arrivals, duration_s: float, seed: int, replication: int) -> Floats:
    """Arrival times in seconds, ascending, in [0, duration_s).

    ``constant`` arrives at k / rate for k = 0, 1, 2, ...: the first at 0, the others evenly spaced.
    ``bursty`` starts in the stationary distribution of its two states. ``ramp`` changes its rate
    linearly from 0 to `duration_s`; ``steps`` keeps each rate until the next `at`.

    Args:
        arrivals: An open arrival process of the scenario, but not a replayed trace.
        duration_s: Length of the arrival window in seconds.
        seed: The scenario's seed.
        replication: Index of the replication.

    Raises:
        TooManyRequests: If more than MAX_REQUESTS arrivals are expected.
        TypeError: For closed and trace arrivals, which have no process to draw from.
    """
    check_count(expected_arrivals(arrivals, duration_s), "the arrivals")
    if isinstance(arrivals, ConstantRate):
        return _evenly_spaced(arrivals.rate_rps, duration_s)
    rng = stream(seed, replication, "arrivals")
    if isinstance(arrivals, Ramp):
        return _ramp(arrivals.from_rps, arrivals.to_rps, duration_s, rng)
    if isinstance(arrivals, Poisson):
        at_s, rates = np.zeros(1), np.array([arrivals.rate_rps])
    elif isinstance(arrivals, Steps):
        at_s = np.array([s.at_s for s in arrivals.steps])
        rates = np.array([s.rate_rps for s in arrivals.steps])
    elif isinstance(arrivals, Bursty):
        at_s, rates = _bursty_rates(
            arrivals, duration_s, stream(seed, replication, "arrivals:states")
        )
    else:
        raise TypeError(f"{type(arrivals).__name__} arrivals are not drawn from a process")
    return _piecewise_constant(at_s, rates, duration_s, rng)


def expected_arrivals(arrivals: Arrivals, duration_s: float) -> float:
    """Expected number of arrivals in [0, duration_s): the integral of the rate."""
    if isinstance(arrivals, Poisson | ConstantRate):
        return arrivals.rate_rps * duration_s
    if isinstance(arrivals, Bursty):
        return arrivals.mean_rate_rps * duration_s
    if isinstance(arrivals, Ramp):
        return (arrivals.from_rps + arrivals.to_rps) / 2 * duration_s
    if isinstance(arrivals, Steps):
        ends = [*(s.at_s for s in arrivals.steps[1:]), math.inf]
        return math.fsum(
            step.rate_rps * max(0.0, min(end, duration_s) - step.at_s)
            for step, end in zip(arrivals.steps, ends, strict=True)
        )
    raise TypeError(f"{type(arrivals).__name__} arrivals have no rate of their own")


def _evenly_spaced(rate_rps: float, duration_s: float) -> Floats:
    if rate_rps == 0:
        return np.empty(0)
    times = np.arange(math.ceil(duration_s * rate_rps) + 1) / rate_rps
    return times[times < duration_s]


def _unit_poisson(end: float, rng: np.random.Generator) -> Floats:
    """Times of a unit-rate Poisson process in [0, end).

    The sum runs on from block to block, so that no time depends on `end` or on the blocks.
    """
    blocks = []
    last = 0.0
    while last < end:
        left = end - last
        gaps = rng.standard_exponential(min(MAX_BLOCK, int(left + 4 * math.sqrt(left)) + 16))
        gaps[0] += last
        times = np.cumsum(gaps, out=gaps)
        last = float(times[-1])
        blocks.append(times)
    times = np.concatenate(blocks) if blocks else np.empty(0)
    return times[: np.searchsorted(times, end, side="left")]


def _piecewise_constant(
    at_s: Floats, rates: Floats, duration_s: float, rng: np.random.Generator
) -> Floats:
    """A Poisson process whose rate is rates[k] from at_s[k] on; at_s[0] is 0."""
    inside = at_s < duration_s
    at_s, rates = at_s[inside], rates[inside]
    ends = np.append(at_s[1:], duration_s)
    cumulative = np.concatenate(([0.0], np.cumsum(rates * (ends - at_s))))
    unit = _unit_poisson(float(cumulative[-1]), rng)
    # side="right" skips pieces of rate 0, whose cumulative rate does not grow.
    piece = np.searchsorted(cumulative, unit, side="right") - 1
    times = at_s[piece] + (unit - cumulative[piece]) / rates[piece]
    return _below(np.minimum(times, ends[piece]), duration_s)


def _ramp(from_rps: float, to_rps: float, duration_s: float, rng: np.random.Generator) -> Floats:
    """Rate from + slope*t: the cumulative rate from*t + slope*t^2/2, solved for t.

    The root is written so that nothing cancels, whichever the sign of the slope.
    """
    slope = (to_rps - from_rps) / duration_s
    unit = _unit_poisson((from_rps + to_rps) / 2 * duration_s, rng)
    rate_then = np.sqrt(np.maximum(from_rps * from_rps + 2 * slope * unit, 0.0))
    return _below(2 * unit / (from_rps + rate_then), duration_s)


def _below(times: Floats, duration_s: float) -> Floats:
    """Rounding may put the last times on the end of the window, or a hair before another."""
    times = np.maximum.accumulate(times)
    return times[: np.searchsorted(times, duration_s, side="left")]


def _bursty_rates(
    arrivals: Bursty, duration_s: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Where the two-state process changes its rate within the window, and to what.

    State durations are exponential; the first state is drawn from the stationary distribution
    (shares of the mean durations), and by lack of memory its remainder is exponential too.
    """
    means = np.array([arrivals.mean_low_s, arrivals.mean_high_s])
    check_count(2 * duration_s / float(means.sum()), "the changes of state of bursty arrivals")
    state = int(rng.random() >= means[0] / means.sum())
    blocks = [np.zeros(1)]
    last = 0.0
    while last < duration_s:
        # An even block ends where it began, so the state at its start never changes.
        gaps = rng.standard_exponential(1024)
        gaps[0::2] *= means[state]
        gaps[1::2] *= means[1 - state]
        gaps[0] += last
        changes = np.cumsum(gaps, out=gaps)
        last = float(changes[-1])
        blocks.append(changes)
    at_s = np.concatenate(blocks)
    at_s = at_s[: max(1, int(np.searchsorted(at_s, duration_s, side="left")))]
    rates = np.empty(len(at_s))
    two = (arrivals.rate_low_rps, arrivals.rate_high_rps)
    rates[0::2] = two[state]
    rates[1::2] = two[1 - state]
    return at_s, rates
