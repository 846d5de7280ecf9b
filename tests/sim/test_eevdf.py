"""The turns that Linux gives threads since 6.6, on paper. All times are milliseconds.

The base slice is 2. With ticks they come at 4, 8, 12, ...; without, a slice ends where it ends.
v is a thread's virtual runtime, d its deadline, V the average of the runnable ones.
"""

from __future__ import annotations

from typing import Any

from .machines import Bench

TICKS: dict[str, Any] = {"scheduler": "eevdf", "time_slice": "2ms", "hz": 250}
EXACT: dict[str, Any] = {**TICKS, "hz": 0}


def test_threads_that_only_compute_take_turns_of_whole_ticks() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 10)
    bench.thread("B", 6)
    # At 4, A has v = 4 and B 0: V = 2, and only B is not ahead of it. At 8 both have 4 and d = 6.
    assert bench.slices() == [(0, 4, "A"), (4, 8, "B"), (8, 12, "A"), (12, 14, "B"), (14, 16, "A")]


def test_without_ticks_they_take_turns_of_a_base_slice() -> None:
    bench = Bench(**EXACT)
    bench.thread("A", 5)
    bench.thread("B", 3)
    assert bench.slices() == [(0, 2, "A"), (2, 4, "B"), (4, 6, "A"), (6, 7, "B"), (7, 8, "A")]


def test_a_wake_up_finds_that_a_slice_is_over_before_the_tick_does() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 10)
    bench.thread("B", 1, at=7)
    # Alone, A got a new slice at 4, until v = 6. At 7 it gets the next, until 9, as B's is.
    assert bench.slices() == [(0, 7, "A"), (7, 8, "B"), (8, 11, "A")]


def test_a_thread_within_its_slice_goes_on_until_the_kernel_looks_again() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 10)
    bench.thread("B", 1, at=5)
    # A has until v = 6 and B until 7. A's slice is over at 6; the next tick is at 8.
    assert bench.slices() == [(0, 8, "A"), (8, 9, "B"), (9, 11, "A")]


def test_any_wake_up_is_a_look() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 10)
    bench.thread("B", 1, at=5)
    bench.thread("C", 1, at=6.5)
    # At 6.5 A has v = 6.5 and B 5; C is put at V = 5.75. A is ahead of it, B is due first.
    assert bench.slices() == [(0, 6.5, "A"), (6.5, 7.5, "B"), (7.5, 8.5, "C"), (8.5, 12, "A")]


def test_who_has_waited_is_owed_time_and_goes_first_when_it_wakes_again() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 20)
    bench.thread("D", 0.5, 1.5, 0.5, 1.5, 0.5, at=1)
    # D is put at v = 1 and waits until the tick at 4. At 4.5 it has v = 1.5 and A 4: V = 2.75, so
    # it is owed 1.25. At 6 A has 5.5, within its slice; D at 5.5 - 2 x 1.25 = 3 makes V 4.25, and A
    # is ahead of that. At 6.5, V = 4.5 and D's v = 3.5: it is owed 1, and preempts again at 8.
    turns = [(0, 4, "A"), (4, 4.5, "D"), (4.5, 6, "A"), (6, 6.5, "D"), (6.5, 8, "A")]
    assert bench.slices()[:6] == [*turns, (8, 8.5, "D")]


def test_a_new_slice_follows_the_old_one_as_long_as_a_thread_is_behind() -> None:
    bench = Bench(**TICKS)
    bench.thread("A", 20)
    bench.thread("D", 0.5, 1.5, 5, at=1)
    # As before, D has v = 3 at 6 and a slice until 5, and A has 5.5. The tick at 8 finds D at 5:
    # V = 5.25, and D is the only one not ahead. Its next slice, until 7, is over at 10.
    turns = [(0, 4, "A"), (4, 4.5, "D"), (4.5, 6, "A"), (6, 11, "D"), (11, 25.5, "A")]
    assert bench.slices() == turns


def test_three_threads_on_two_cores_share_them() -> None:
    bench = Bench(cores=2, **TICKS)
    bench.thread("A", 8)
    bench.thread("B", 8)
    bench.thread("C", 8)
    bench.slices()
    # C has B's core from 4 on, whose timer is the older one. A is ahead of the average then, but so
    # is B, with the same deadline: A goes on until it is done, and B follows it.
    assert bench.done == [(8, "A"), (12, "B"), (12, "C")]


def test_a_short_sleep_does_not_make_up_for_having_had_more_than_others() -> None:
    bench = Bench(**EXACT)
    bench.thread("B", 1.5, 0.1, 1.5)
    bench.thread("A", 10)
    # B sleeps with v = 1.5 and A at 0. At 1.6 A has 0.1: B goes on competing with its 1.5, and with
    # the half millisecond that is left of its slice.
    turns = [(0, 1.5, "B"), (1.5, 3.5, "A"), (3.5, 4, "B"), (4, 6, "A"), (6, 7, "B")]
    assert bench.slices()[:5] == turns


def test_a_long_sleep_does() -> None:
    bench = Bench(**EXACT)
    bench.thread("B", 1.5, 1.6, 1.5)
    bench.thread("A", 10)
    # At 3.1 A has v = 1.6, more than B had. B starts there with a slice of its own, behind A's.
    assert bench.slices() == [(0, 1.5, "B"), (1.5, 3.5, "A"), (3.5, 5, "B"), (5, 13, "A")]


def test_nothing_is_remembered_once_all_have_slept() -> None:
    bench = Bench(**EXACT)
    bench.thread("B", 1.5, 0.6, 1.5)
    bench.thread("A", 0.5, 0.05, 10)
    # A's burst ends at 2, and B's sleep at 2.1: all sleep for 0.05 in between. A and B meet as
    # equals at 2.1, with A's slice begun at 2.05.
    turns = [(0, 1.5, "B"), (1.5, 2, "A"), (2.05, 4.05, "A"), (4.05, 5.55, "B"), (5.55, 13.55, "A")]
    assert bench.slices() == turns


def test_without_wakeup_preemption_a_thread_that_is_owed_time_waits_for_the_tick() -> None:
    bench = Bench(**TICKS, wakeup_preemption=False)
    bench.thread("A", 20)
    bench.thread("D", 0.5, 0.5, 0.5, at=1)
    # As above D is owed 1.25 when it sleeps at 4.5. At 5, A has v = 4.5, within its slice until 6.
    assert bench.slices()[:4] == [(0, 4, "A"), (4, 4.5, "D"), (4.5, 8, "A"), (8, 8.5, "D")]


def test_a_thread_on_an_idle_core_pays_for_leaving_the_idle_state() -> None:
    bench = Bench(**TICKS, wakeup_latency="45us", idle_exit_cost="15us")
    bench.thread("A", 1)
    assert bench.slices() == [(0.045, 1.06, "A")]
    assert bench.done == [(1.06, "A")]
