"""Compensation of a ForkJoinPool as it was measured, without any tolerance."""

from __future__ import annotations

import pytest

from . import fork_join
from .fork_join import MEASURED, POOL_MEASURED, beside

EXACT = [
    (least, blocked, seen)
    for least, measured in MEASURED.items()
    for blocked, seen in measured.items()
    if seen == int(seen)
]


@pytest.mark.parametrize(("least", "blocked", "running"), EXACT)
def test_o22_so_many_others_run_beside_blocked_tasks(
    least: int, blocked: int, running: int
) -> None:
    assert beside(blocked, least).running == running


def test_o22_three_or_four_beside_six_with_a_minimum_of_four() -> None:
    assert beside(6, 4).running in (3, 4)


@pytest.mark.parametrize(("blocked", "threads"), POOL_MEASURED.items())
def test_o22_the_pool_grows_by_what_the_minimum_wants(blocked: int, threads: int) -> None:
    assert beside(blocked, 4).workers == threads


def test_the_table_has_a_row_for_each_figure() -> None:
    rows = fork_join.compensation()
    assert len(rows) == sum(map(len, MEASURED.values())) + len(POOL_MEASURED)
