"""Who is on a core when: timelines of threads on a bare host, to be checked on paper.

All times are milliseconds.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from kit import ms

from simsched.sim.clock import DISPATCH
from simsched.sim.observer import Observer

from .machines import Bench

ROUND_ROBIN: dict[str, Any] = {"time_slice": "10ms", "wakeup_preemption": False}


def test_a_thread_runs_alone_without_being_stopped() -> None:
    bench = Bench(time_slice="1ms")
    bench.thread("A", 7, at=2)
    assert bench.slices() == [(2, 9, "A")]


def test_threads_sleep_off_the_core() -> None:
    bench = Bench()
    bench.thread("A", 3, 4, 3)
    bench.thread("B", 2, at=5)
    assert bench.slices() == [(0, 3, "A"), (5, 7, "B"), (7, 10, "A")]


def test_three_bursts_of_50_take_turns_of_10_and_end_at_130_140_150() -> None:
    bench = Bench(**ROUND_ROBIN)
    for name in "ABC":
        bench.thread(name, 50)
    turns = [(10.0 * i, 10.0 * (i + 1), "ABC"[i % 3]) for i in range(15)]
    assert bench.slices() == turns
    assert bench.done == [(130, "A"), (140, "B"), (150, "C")]


def test_without_others_in_line_a_slice_is_followed_by_the_next() -> None:
    bench = Bench(**ROUND_ROBIN)
    bench.thread("A", 34)
    bench.thread("B", 5, at=12)
    # A's second slice ends at 20: only then may B have the core.
    assert bench.slices() == [(0, 20, "A"), (20, 25, "B"), (25, 39, "A")]


def test_a_thread_that_ran_alone_is_stopped_at_its_next_tick() -> None:
    bench = Bench(time_slice="3ms", hz=250, wakeup_preemption=False)
    bench.thread("A", 50)
    bench.thread("B", 1, at=13)
    # The slice of 3 ms is enforced at the tick, after 4 ms, and then at every tick: 16 is the next.
    assert bench.slices()[:2] == [(0, 16, "A"), (16, 17, "B")]


@pytest.mark.parametrize(
    ("cores", "hz", "slice_ms"),
    [
        # ceil(base slice / tick) ticks; the base slice is 0.75 ms (1 + log2 cores), 3 ms at most
        (1, 250, 4),
        (2, 1000, 2),
        (4, 1000, 3),
        (8, 1000, 3),
        (64, 100, 10),
    ],
)
def test_a_slice_ends_at_the_first_tick_after_the_base_slice(
    cores: int, hz: int, slice_ms: float
) -> None:
    bench = Bench(cores, hz=hz, wakeup_preemption=False)
    for i in range(2 * cores):
        bench.thread(f"T{i}", 1000)
    lengths = {round(end - start, 6) for start, end, _ in bench.slices(until=200)}
    assert lengths == {slice_ms}


def test_o28_eight_hogs_on_four_cores_get_slices_of_4_ms_and_half_a_core_each() -> None:
    bench = Bench(4, hz=250, wakeup_preemption=False)  # base slice of 4 cores: 2.25 ms
    for name in "ABCDEFGH":
        bench.thread(name, 100_000)
    shares = {name: bench.share(name, until=400) for name in "ABCDEFGH"}
    assert shares == pytest.approx(dict.fromkeys("ABCDEFGH", 200.0))
    assert {round(end - start, 6) for start, end, _ in bench.slices(400)} == {4.0}


def test_threads_of_one_instant_take_cores_in_order_and_the_rest_queue_in_order() -> None:
    bench = Bench(2, **ROUND_ROBIN)
    for name in "ABCDE":
        bench.thread(name, 4)
    assert sorted(bench.slices()) == [
        (0, 4, "A"),
        (0, 4, "B"),
        (4, 8, "C"),
        (4, 8, "D"),
        (8, 12, "E"),
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("preemption", [True, False])
def test_no_core_idles_while_a_thread_is_runnable(seed: int, preemption: bool) -> None:
    rng = random.Random(seed)
    bench = Bench(3, time_slice="4ms", hz=1000, wakeup_preemption=preemption)
    for i in range(12):
        plan = [rng.uniform(0.1, 20) for _ in range(5)]
        bench.thread(f"T{i}", *plan, at=rng.uniform(0, 30))
    slices = bench.slices()
    moments = sorted({t for start, end, _ in slices for t in (start, end)})
    for left, right in pairwise(moments):
        at = (left + right) / 2
        on_core = sum(start < at < end for start, end, _ in slices)
        wanting = sum(start < at < end for start, end in bench.runnable)
        assert on_core == min(3, wanting), f"at {at} ms"


class TestWakeUpPreemption:
    def test_a_thread_that_slept_takes_the_core_from_a_hog(self) -> None:
        bench = Bench(time_slice="20ms")
        bench.thread("hog", 30)
        bench.thread("io", 1, 6, 1, at=5)
        assert bench.slices() == [
            (0, 5, "hog"),
            (5, 6, "io"),
            (6, 12, "hog"),
            (12, 13, "io"),
            (13, 32, "hog"),
        ]

    def test_but_not_before_the_hog_has_run_for_the_granularity(self) -> None:
        bench = Bench(time_slice="20ms", wakeup_granularity="1ms")
        bench.thread("hog", 5)
        bench.thread("io", 2, at=0.25)
        assert bench.slices() == [(0, 1, "hog"), (1, 3, "io"), (3, 7, "hog")]

    def test_woken_threads_are_served_in_the_order_in_which_they_woke(self) -> None:
        bench = Bench(time_slice="20ms")
        bench.thread("hog", 10)
        bench.thread("x", 1, at=0.5)
        bench.thread("y", 1, at=0.25)
        assert [name for _, _, name in bench.slices()] == ["hog", "y", "x", "hog"]

    def test_the_one_pushed_aside_goes_before_those_that_rotate(self) -> None:
        bench = Bench(time_slice="10ms")
        bench.thread("A", 10, 1, 12)  # uses up a whole slice, so that it has no lag at 11
        bench.thread("B", 30, at=10)
        bench.thread("io", 1, at=14)
        # At 14 A waits for its turn and io preempts B; B goes on before A.
        assert bench.slices()[:4] == [
            (0, 10, "A"),
            (10, 14, "B"),
            (14, 15, "io"),
            (15, 25, "B"),
        ]

    def test_a_thread_that_burns_whole_slices_waits_its_turn_when_it_wakes(self) -> None:
        bench = Bench(time_slice="4ms")
        bench.thread("A", 4, 1, 3)
        bench.thread("B", 20, at=4)
        assert bench.slices() == [(0, 4, "A"), (4, 8, "B"), (8, 11, "A"), (11, 27, "B")]

    def test_switched_off_a_woken_thread_waits_for_the_end_of_the_slice(self) -> None:
        bench = Bench(time_slice="20ms", wakeup_preemption=False)
        bench.thread("hog", 30)
        bench.thread("io", 1, at=5)
        assert bench.slices() == [(0, 20, "hog"), (20, 21, "io"), (21, 31, "hog")]


class TestCosts:
    def test_a_switch_is_paid_by_the_thread_that_comes_to_the_core(self) -> None:
        bench = Bench(time_slice="4ms", switch_cost="100us", wakeup_preemption=False)
        bench.thread("A", 5)
        bench.thread("B", 3)
        # A: 0.1 switch + 4 of its 5; B: 0.1 + 3; A: 0.1 + 1.
        assert bench.slices() == [(0, 4.1, "A"), (4.1, 7.2, "B"), (7.2, 8.3, "A")]
        assert bench.cost == pytest.approx({"A": 0.2, "B": 0.1})
        assert bench.waited == pytest.approx({"A": 3.1, "B": 4.1})

    def test_the_same_thread_comes_back_to_its_core_without_a_switch(self) -> None:
        bench = Bench(switch_cost="100us")
        bench.thread("A", 1, 5, 1)
        assert bench.slices() == [(0, 1.1, "A"), (6.1, 7.1, "A")]

    def test_waking_an_idle_core_takes_the_latency_during_which_it_does_nothing(self) -> None:
        bench = Bench(wakeup_latency="45us")
        bench.thread("A", 1, 5, 1)
        assert bench.slices() == [(0.045, 1.045, "A"), (6.09, 7.09, "A")]
        assert bench.cost["A"] == pytest.approx(0.045)

    def test_a_busy_core_takes_the_next_thread_without_a_wake_up(self) -> None:
        bench = Bench(wakeup_latency="45us", wakeup_preemption=False, time_slice="50ms")
        bench.thread("A", 2)
        bench.thread("B", 2, at=1)
        assert bench.slices() == [(0.045, 2.045, "A"), (2.045, 4.045, "B")]
        assert bench.cost["B"] == 0

    def test_a_thread_prefers_the_core_it_ran_on_last(self) -> None:
        bench = Bench(2, switch_cost="1ms")
        bench.thread("A", 2)  # core 0
        bench.thread("B", 2, 5, 2)  # core 1, and again
        bench.slices()
        assert bench.journal.slices == [(0, 3, 0, "A"), (0, 3, 1, "B"), (8, 10, 1, "B")]


def test_a_cut_ends_a_run_and_tells_what_is_left() -> None:
    bench = Bench()
    bench.thread("A", 10)
    bench.clock.call_at(0.004, 0, lambda _: bench.threads["A"].cut())
    assert bench.slices() == [(0, 4, "A")]
    assert bench.threads["A"].unrun_s == pytest.approx(0.006)


def test_a_cut_of_a_thread_without_a_core_takes_effect_when_it_gets_one() -> None:
    bench = Bench(**ROUND_ROBIN)
    bench.thread("A", 10)
    bench.thread("B", 7)
    bench.clock.call_at(0.003, 0, lambda _: bench.threads["B"].cut())
    bench.slices()
    assert bench.done == [(10, "A"), (10, "B")]
    assert bench.threads["B"].unrun_s == pytest.approx(0.007)


def test_a_cut_during_the_switch_to_a_thread_that_was_cut_before_changes_nothing() -> None:
    bench = Bench(**ROUND_ROBIN, switch_cost="1ms")
    bench.thread("A", 10)
    bench.thread("B", 7)
    for at in (0.003, 0.0115):  # it waits for a core; it is just getting one
        bench.clock.call_at(at, 0, lambda _: bench.threads["B"].cut())
    bench.slices()
    assert bench.done == [(11, "A"), (12, "B")]
    assert bench.threads["B"].unrun_s == pytest.approx(0.007)


def test_a_process_that_dies_during_a_switch_has_spent_half_of_it() -> None:
    bench = Bench(switch_cost="4ms")
    bench.thread("A", 10)
    costs: list[float] = []
    bench.host.observers.overhead = lambda _, seconds: costs.append(seconds)  # type: ignore[assignment]
    bench.clock.call_at(0.003, 0, lambda _: bench.host.kill([bench.threads["A"]]))
    assert bench.slices() == [(0, 3, "A")]
    assert costs == [pytest.approx(-0.001)]  # of the 4 that were booked when it began


def test_the_longer_a_core_has_idled_the_more_a_thread_that_wakes_on_it_loses() -> None:
    bench = Bench(wakeup_latency="1ms", idle_exit_cost="2ms", idle_cold_cost="3ms")
    # Idle until 4: 2 + 3 x sqrt(4) = 8 from 5 on. Idle from 14 to 23, so 2 + 3 x sqrt(9) = 11.
    bench.thread("A", 1, 9, 1, at=4)
    assert bench.slices() == [(5, 14, "A"), (24, 36, "A")]


def test_caches_get_no_colder_after_a_tenth_of_a_second() -> None:
    bench = Bench(wakeup_latency="1ms", idle_cold_cost="1ms")
    bench.thread("A", 1, at=400)
    # Ten times the cost of idling for 1 ms, not twenty times.
    assert bench.slices() == [(401, 412, "A")]


def test_what_waking_up_was_to_cost_is_taken_back_where_it_was_booked() -> None:
    class Booked(Observer):
        def __init__(self) -> None:
            self.at: dict[float, float] = {}  # ms: us

        def overhead(self, now: float, seconds: float) -> None:
            self.at[ms(now)] = self.at.get(ms(now), 0.0) + seconds * 1e6

    bench, booked = Bench(wakeup_latency="2ms", idle_exit_cost="5ms"), Booked()
    bench.host.observers.overhead = booked.overhead  # type: ignore[method-assign]
    bench.thread("A", 10, at=1)
    kill = bench.host.kill
    bench.clock.call_at(6e-3, DISPATCH, lambda _: kill([bench.threads["A"]]), None)
    # Woken at 1, on its core at 3, and to begin at 8: when it is killed at 6, 3 of 5 ms are spent.
    assert bench.slices() == [(3, 6, "A")]
    assert booked.at == {1.0: pytest.approx(3000.0)}
