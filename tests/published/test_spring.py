"""Spring Boot against what was published: a plateau that Tomcat's connections set, and a floor."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.record import COMPLETED, TIMED_OUT

from . import spring
from .rows import RATE_WITHIN, WITHIN


@pytest.mark.slow
def test_o3_at_full_size() -> None:
    small, large, netty = spring.plateaus()
    for row in (small, large):  # whatever the number of users
        assert row[1] == pytest.approx(8192 / 2.1, rel=RATE_WITHIN)
        assert row[1] == pytest.approx(row[2], rel=RATE_WITHIN)
    assert netty[1] == pytest.approx(60010 / 2.1, rel=RATE_WITHIN)
    assert netty[1] == pytest.approx(netty[2], rel=RATE_WITHIN)


@pytest.mark.slow
def test_o3_users_without_a_connection_give_up_after_a_minute() -> None:
    outcome = spring.users("virtual-threads", 20009, spring.LONG_ENOUGH).outcome
    assert np.count_nonzero(outcome == TIMED_OUT) == 20009 - 8192


@pytest.mark.slow
def test_at_5000_a_second_virtual_threads_take_100_to_101_ms() -> None:
    ((_, predicted, published),) = spring.five_thousand_a_second()
    assert 100.0 <= predicted <= 101.0
    assert predicted == pytest.approx(published, rel=RATE_WITHIN)
    assert set(spring.at_5000_rps().outcome.tolist()) == {COMPLETED}


@pytest.mark.slow
def test_a_pool_of_200_ends_200_sleepers_a_second_and_virtual_threads_all() -> None:
    for _, predicted, published in spring.ten_thousand_sleepers():
        assert predicted == pytest.approx(published, rel=RATE_WITHIN)


def test_sleeping_in_synchronized_takes_turns_on_one_carrier_before_jdk_24() -> None:
    (_, turns_s, published_s), (_, at_once_s, about_s) = spring.a_thousand_in_synchronized()
    assert turns_s == pytest.approx(published_s, rel=RATE_WITHIN)
    # Published as "about 0.1 s"; starting and mounting a thousand threads takes some milliseconds.
    assert at_once_s == pytest.approx(about_s, rel=WITHIN)
