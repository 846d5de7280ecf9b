"""Spring Boot against what was published: a plateau that Tomcat's connections set, and a floor."""

from __future__ import annotations

import pytest

from simsched.observe.record import COMPLETED

from . import spring
from .rows import RATE_WITHIN, WITHIN


@pytest.mark.slow
def test_o3_at_full_size() -> None:
    small, large, *netty = spring.plateaus()
    for row in (small, large):  # whatever the number of users
        assert row[1] == pytest.approx(8192 / 2.1, rel=RATE_WITHIN)
        assert row[1] == pytest.approx(row[2], rel=RATE_WITHIN)
    for (_, predicted, published), users in zip(netty, (20009, 60010, 60010), strict=True):
        assert predicted == pytest.approx(users / 2.1, rel=RATE_WITHIN)
        assert predicted == pytest.approx(published, rel=RATE_WITHIN)


@pytest.mark.slow
def test_o3_users_without_a_connection_give_up_after_a_minute() -> None:
    assert spring.errors(spring.users("loom-tomcat", 20009, spring.LONG_ENOUGH)) == 20009 - 8192


@pytest.mark.slow
def test_at_5000_a_second_virtual_threads_take_100_to_101_ms() -> None:
    for what, predicted, published in spring.five_thousand_a_second():
        assert 100.0 <= predicted <= 101.0
        # The load generator and the garbage collector share the host: 2 ms of p99 are theirs.
        within = RATE_WITHIN if "p50" in what else WITHIN
        assert predicted == pytest.approx(published, rel=within)
    for server in ("loom-tomcat", "loom-netty"):
        assert set(spring.steady(server, 5000, "3s").outcome.tolist()) == {COMPLETED}


@pytest.mark.slow
def test_of_10000_connections_tomcat_leaves_1808_waiting_and_netty_none() -> None:
    (_, errors, _), (_, p50_ms, published_ms) = spring.ten_thousand_connections()
    assert errors == 10_000 - 8192
    assert p50_ms == pytest.approx(published_ms, rel=RATE_WITHIN)
    assert set(spring.steady("loom-netty", 10_000, "3s").outcome.tolist()) == {COMPLETED}


@pytest.mark.slow
def test_a_pool_that_is_large_enough_is_as_good_as_virtual_threads() -> None:
    (_, pool, seen), (_, virtual, seen_too) = spring.five_hundred_threads_of_jmeter()
    assert pool / virtual == pytest.approx(seen / seen_too, rel=RATE_WITHIN)
    for predicted, published in ((pool, seen), (virtual, seen_too)):
        assert predicted == pytest.approx(published, rel=RATE_WITHIN)


@pytest.mark.slow
def test_a_pool_of_200_ends_200_sleepers_a_second_and_virtual_threads_all() -> None:
    for _, predicted, published in spring.ten_thousand_sleepers():
        assert predicted == pytest.approx(published, rel=RATE_WITHIN)


def test_sleeping_in_synchronized_takes_turns_on_one_carrier_before_jdk_24() -> None:
    (_, turns_s, published_s), (_, at_once_s, about_s) = spring.a_thousand_in_synchronized()
    assert turns_s == pytest.approx(published_s, rel=RATE_WITHIN)
    # Published as "about 0.1 s"; starting and mounting a thousand threads takes some milliseconds.
    assert at_once_s == pytest.approx(about_s, rel=WITHIN)
