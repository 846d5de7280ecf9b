"""A diary read in bulk says what it says when it is added up mark by mark."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.marks import read
from simsched.sim.task import (
    ADMISSION,
    COST,
    CPU,
    ENDED,
    IO,
    N_PARTS,
    NO_CORE,
    OVERHEAD,
    RUN_QUEUE,
)


def by_hand(diary: list[float]) -> list[float]:
    """Seconds per part, added up in the order in which they were noted down."""
    parts = [0.0] * N_PARTS
    phase, since_s = int(diary[0]), diary[1]
    for code, value in zip(diary[2::2], diary[3::2], strict=True):
        if code <= ENDED:
            parts[phase] += value - since_s
            phase, since_s = int(code), value
        else:
            parts[phase] -= value
            parts[OVERHEAD if code == COST else RUN_QUEUE] += value
    return parts


def random_diary(rng: np.random.Generator) -> list[float]:
    now = float(rng.uniform(0, 10))
    diary: list[float] = [ADMISSION, now]
    for _ in range(rng.integers(0, 12)):
        now += float(rng.exponential(1e-3))
        kind = int(rng.choice([RUN_QUEUE, CPU, IO, COST, NO_CORE]))
        diary += (kind, now if kind <= ENDED else float(rng.exponential(1e-5)))
    return [*diary, ENDED, now + 1e-3]


def test_one_request() -> None:
    diary = [ADMISSION, 1.0, RUN_QUEUE, 2.0, CPU, 4.0, COST, 0.5, NO_CORE, 1.0, IO, 8.0, ENDED, 16]
    reading = read([diary])
    assert (reading.began_s[0], reading.ended_s[0]) == (1.0, 16.0)
    # 4 s on the thread, of which 0.5 s were overhead and 1 s a wait for a core
    seconds = dict(enumerate(reading.parts_s[0]))
    assert {part: s for part, s in seconds.items() if s} == {
        ADMISSION: 1.0, RUN_QUEUE: 3.0, CPU: 2.5, IO: 8.0, OVERHEAD: 0.5
    }  # fmt: skip
    # It waits to be executed from 1 to 4 s. The wait for a core is the host's to tell.
    assert reading.queue_changes.tolist() == [1.0, -4.0]


def test_one_that_is_still_queued_leaves_the_queue_at_its_end() -> None:
    reading = read([[RUN_QUEUE, 3.0, ENDED, 5.0], [IO, 3.0, ENDED, 6.0]])
    assert reading.queue_changes.tolist() == [3.0, -5.0]


def test_many_sums_are_those_of_adding_up_one_by_one_to_the_last_bit() -> None:
    rng = np.random.default_rng(5)
    diaries = [random_diary(rng) for _ in range(500)]
    assert read(diaries).parts_s.tolist() == [by_hand(diary) for diary in diaries]


def test_parts_add_up_to_the_time_from_the_first_mark_to_the_last() -> None:
    rng = np.random.default_rng(6)
    reading = read([random_diary(rng) for _ in range(500)])
    np.testing.assert_allclose(
        reading.parts_s.sum(axis=1), reading.ended_s - reading.began_s, rtol=0, atol=1e-13
    )


def test_nothing_may_be_booked_after_the_end() -> None:
    with pytest.raises(AssertionError, match="after the end"):
        read([[CPU, 1.0, ENDED, 2.0, IO, 3.0]])
