"""Whether the number of requests that wait grows over a window, or only goes up and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simsched.observe.record import FloatArray, RunRecord
from simsched.stats.estimates import t_tail
from simsched.stats.window import Window, arrived_in, number_waiting

BLOCKS: Final = 10
"""Blocks of the window whose growth is compared with their own spread."""
POINTS_PER_BLOCK: Final = 4
"""Times at which a block is looked at."""
FEW: Final = 4
"""Replications from which a test over replications has any power."""
ALPHA_BLOCKS: Final = 0.005
"""Level of the test over blocks."""
ALPHA_REPLICATIONS: Final = 0.01
"""Level of a test over replications."""


@dataclass(frozen=True)
class Growth:
    """How the number of waiting requests changes over a window."""

    level: float
    """Mean number waiting."""
    growth: float
    """Mean over replications of slope * width, in requests."""
    rising: int
    """Replications with a positive slope."""
    significant: bool
    """Whether it grows by more than chance."""


def growth_of(records: Sequence[RunRecord], window: Window) -> Growth:
    """Regression of the number waiting on time, tested two ways.

    Between blocks: the mean growth of a block against the spread of all blocks. In a stable system
    blocks take back what others added, so this test is stricter than its level says.
    Between replications (from 4 on): the slopes of independent runs, which also holds where
    arrivals come in bursts longer than a block.
    """
    times = np.linspace(window.start_s, window.end_s, BLOCKS * POINTS_PER_BLOCK + 1)
    waiting = np.array([number_waiting(record, times) for record in records])
    centred = times - times.mean()
    slopes = waiting @ centred / float(centred @ centred)
    growths = slopes * window.width_s
    steps = np.diff(waiting[:, ::POINTS_PER_BLOCK], axis=1).ravel()
    significant = exceeds_zero(steps, ALPHA_BLOCKS)
    if len(records) >= FEW:
        significant = significant and exceeds_zero(growths, ALPHA_REPLICATIONS)
    return Growth(
        level=float(waiting.mean()),
        growth=float(growths.mean()),
        rising=int((growths > 0).sum()),
        significant=significant,
    )


def exceeds_zero(values: FloatArray, alpha: float) -> bool:
    """One-sided t-test of mean > 0."""
    mean = float(values.mean())
    if mean <= 0:
        return False
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    return error == 0 or t_tail(mean / error, len(values) - 1) < alpha


def rates(records: Sequence[RunRecord], window: Window) -> tuple[float, float]:
    """Requests per second that arrive and that leave, mean over replications."""
    span = window.width_s * len(records)
    arrived = sum(int(arrived_in(record, window).sum()) for record in records)
    left = 0
    for record in records:
        gone = record.finish_s
        left += int(((gone >= window.start_s) & (gone < window.end_s)).sum())
    return arrived / span, left / span
