"""WebFlux on Netty against what was published: a plateau that users set, and a floor of 100 ms."""

from __future__ import annotations

import pytest

from simsched.observe.record import COMPLETED

from . import reactor
from .rows import RATE_WITHIN


def test_users_who_think_2_s_and_wait_100_ms_make_a_plateau_of_users_over_2_1_s() -> None:
    # A tenth of the published 20009, whose rate is 9528/s by the same formula (seen: 9485).
    assert reactor.throughput_rps(reactor.users(2001)) == pytest.approx(2001 / 2.1, rel=RATE_WITHIN)


@pytest.mark.slow
def test_so_do_the_20009_users_that_were_published() -> None:
    (row,) = reactor.twenty_thousand_users()
    assert row[1] == pytest.approx(20009 / 2.1, rel=RATE_WITHIN)
    assert row[1] == pytest.approx(row[2], rel=RATE_WITHIN)


def test_at_5000_a_second_a_wait_of_100_ms_takes_100_to_101_ms() -> None:
    for _, predicted, published in reactor.five_thousand_a_second():
        assert 100.0 <= predicted <= 101.0
        assert predicted == pytest.approx(published, rel=RATE_WITHIN)
    assert set(reactor.at_5000_rps().outcome.tolist()) == {COMPLETED}
