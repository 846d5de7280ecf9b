"""A preset is a plain scheduler and a little more: it takes at most twice as long to simulate.

The limit is a promise, not a measurement; `python -m tests.benchmarks.preset_speed` prints those.
"""

from __future__ import annotations

import pytest

from .preset_speed import PAIRS, Subject, side_by_side

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize(("of", "plain"), PAIRS, ids=[of.preset for of, _ in PAIRS])
def test_a_preset_takes_at_most_twice_as_long_as_its_plain_scheduler(
    of: Subject, plain: Subject
) -> None:
    assert side_by_side(of, plain).ratio <= 2.0
