"""The turns that Linux gives threads since 6.6, on paper. All times are milliseconds."""

from __future__ import annotations

from typing import Any

from .machines import Bench

EEVDF: dict[str, Any] = {"scheduler": "eevdf", "time_slice": "2ms", "wakeup_lag": "100us"}


def test_threads_take_turns_of_a_base_slice() -> None:
    bench = Bench(**EEVDF)
    bench.thread("A", 5)
    bench.thread("B", 3)
    # B wakes an instant after A, which computes alone until then: its first slice is over at once.
    turns = bench.slices()
    assert sum(end - start for start, end, name in turns if name == "B") == 3
    assert turns[-1][1:] == (8, "A")


def test_a_thread_that_computes_alone_is_preempted_at_once() -> None:
    bench = Bench(**EEVDF)
    bench.thread("A", 10)
    bench.thread("B", 1, at=5.5)
    assert bench.slices() == [(0, 5.5, "A"), (5.5, 6.5, "B"), (6.5, 11, "A")]


def test_the_second_to_wake_waits_for_the_end_of_the_slice() -> None:
    bench = Bench(**EEVDF)
    bench.thread("A", 10)
    bench.thread("B", 5, at=5)
    bench.thread("C", 1, at=6)
    # B has the core at once, until 7. A went to the tail at 5, and C is behind it.
    turns = [(0, 5, "A"), (5, 7, "B"), (7, 9, "A"), (9, 10, "C"), (10, 12, "B")]
    assert bench.slices()[:5] == turns


def test_who_wakes_goes_to_the_tail() -> None:
    bench = Bench(**EEVDF)
    bench.thread("A", 20)
    bench.thread("B", 1, 3, 1, at=4)
    bench.thread("C", 20, at=4.5)
    # B: 4 to 5, and awake again at 8, when C and A take turns of 2: A has 5 to 7, C 7 to 9.
    turns = [(0, 4, "A"), (4, 5, "B"), (5, 7, "A"), (7, 9, "C"), (9, 11, "A"), (11, 12, "B")]
    assert bench.slices()[:6] == turns


def test_who_needs_next_to_nothing_goes_first_but_not_before_the_slice_is_over() -> None:
    bench = Bench(**EEVDF)
    bench.thread("A", 20)
    bench.thread("B", 20, at=4)
    bench.thread("D", 0.05, 3, 0.05, at=4)
    # D waits for B's turn the first time. It has used 0.05 when it wakes at 9.05: it is before A,
    # but not before the end of B's turn.
    turns = [(0, 4, "A"), (4, 6, "B"), (6, 6.05, "D"), (6.05, 8.05, "A")]
    turns += [(8.05, 10.05, "B"), (10.05, 10.1, "D"), (10.1, 12.1, "A")]
    assert bench.slices()[:7] == turns


def test_a_thread_on_an_idle_core_pays_for_leaving_the_idle_state() -> None:
    bench = Bench(**EEVDF, wakeup_latency="45us", idle_exit_cost="15us")
    bench.thread("A", 1)
    assert bench.slices() == [(0.045, 1.06, "A")]
    assert bench.done == [(1.06, "A")]
