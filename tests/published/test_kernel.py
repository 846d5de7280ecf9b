"""Time slices as the kernel's developers measured them."""

from __future__ import annotations

import pytest

from .kernel import PUBLISHED, SLICES_MS, average_run_ms, table

WITHIN = 0.1


def test_every_slice_is_as_long_as_measured() -> None:
    rows = table()
    assert len(rows) == 12
    assert {what: p for what, p, _ in rows} == {
        what: pytest.approx(published, rel=WITHIN) for what, _, published in rows
    }


@pytest.mark.parametrize(("hz", "ticks"), [(1000, SLICES_MS), (100, (10, 10, 10, 20, 30, 40))])
def test_undisturbed_a_slice_is_rounded_up_to_whole_ticks(
    hz: int, ticks: tuple[float, ...]
) -> None:
    for slice_ms, whole in zip(SLICES_MS, ticks, strict=True):
        seen = average_run_ms(slice_ms, hz, disturbed=False)
        assert seen == pytest.approx(whole, abs=0.01 * whole)


@pytest.mark.parametrize("hz", PUBLISHED)
def test_wake_ups_at_ticks_cut_nothing_short_that_ends_there_anyway(hz: int) -> None:
    """The shortest slice keeps more of its length than the longest one does."""
    short, long = (average_run_ms(s, hz) / max(s, 1e3 / hz) for s in (3, 32))
    assert short > 0.9
    assert long < 0.6
