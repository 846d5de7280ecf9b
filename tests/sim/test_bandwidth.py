"""A CPU quota: who runs when, and who is stopped when, to be checked on paper.

All times are milliseconds; the period is 100 ms unless it is said.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from .machines import Bench

ROUND_ROBIN: dict[str, Any] = {"time_slice": "1000s", "wakeup_preemption": False}
PERIOD = 100.0
FOREVER = 1e9


def container(cores: int, quota: float, slice_ms: float = 5.0, **more: Any) -> Bench:
    """A host with a quota, on which a thread keeps its core as long as it may."""
    return Bench(
        cores, {"cpu_quota": quota, **more}, bandwidth_slice=f"{slice_ms}ms", **ROUND_ROBIN
    )


def runs(bench: Bench, name: str, until: float) -> list[tuple[float, float]]:
    return [(start, end) for start, end, who in bench.slices(until) if who == name]


def used(bench: Bench, name: str, until: float) -> dict[int, float]:
    """Milliseconds on a core, by period."""
    found: dict[int, float] = defaultdict(float)
    for start, end in runs(bench, name, until):
        found[int(start // PERIOD)] += end - start
    return found


def throttled(bench: Bench) -> tuple[float, float]:
    """Milliseconds for which cores were stopped, and periods in which any was."""
    counts = bench.counts
    return 1e3 * counts.get("throttled_s", 0.0), counts.get("throttled_periods", 0)


class TestO27:
    """Quota 200 ms of 100 ms: 16 threads that always run get 12.5 ms of it each, then nothing."""

    def test_o27_sixteen_threads_run_for_12_5_ms_and_are_frozen_for_87_5(self) -> None:
        bench = container(16, 2.0, slice_ms=2.5)  # 12.5 ms are 5 slices of each core
        for i in range(16):
            bench.thread(f"T{i}", FOREVER)
        for i in range(16):
            assert runs(bench, f"T{i}", until=390) == [
                (0, 12.5), (100, 112.5), (200, 212.5), (300, 312.5),
            ]  # fmt: skip

    def test_slices_of_5_ms_give_half_of_the_cores_15_ms_and_the_others_10(self) -> None:
        """After 10 ms the pool has 40 ms left: 8 more slices."""
        bench = container(16, 2.0)
        for i in range(16):
            bench.thread(f"T{i}", FOREVER)
        first = [used(bench, f"T{i}", until=90)[0] for i in range(16)]
        assert sorted(first) == pytest.approx([10.0] * 8 + [15.0] * 8)
        assert sum(first) / 16 == pytest.approx(12.5)

    def test_two_threads_are_never_stopped(self) -> None:
        bench = container(16, 2.0)
        bench.thread("A", FOREVER)
        bench.thread("B", FOREVER)
        bench.slices(until=1000)
        assert bench.journal.slices == []  # neither has ever left its core
        assert throttled(bench) == (0, 0)

    def test_stopped_time_is_counted_as_the_kernel_counts_it(self) -> None:
        """cpu.stat: periods in which any core was stopped, and time summed over the cores."""
        bench = container(16, 2.0, slice_ms=2.5)
        for i in range(16):
            bench.thread(f"T{i}", FOREVER)
        bench.slices(until=1000 - 1e-6)
        bench.host.end(1.0)
        stopped, periods = throttled(bench)
        assert periods == 10
        assert stopped == pytest.approx(10 * 16 * 87.5)

    def test_a_thread_that_waits_for_the_next_period_waits_for_a_core(self) -> None:
        bench = container(16, 2.0, slice_ms=2.5)
        for i in range(16):
            bench.thread(f"T{i}", 20)
        bench.slices()
        assert bench.waited == pytest.approx({f"T{i}": 87.5 for i in range(16)})
        assert {time for time, _ in bench.done} == {107.5}


class TestSlices:
    def test_half_a_core_runs_for_half_of_each_period(self) -> None:
        bench = container(1, 0.5)
        bench.thread("A", 120)
        assert runs(bench, "A", until=1000) == [(0, 50), (100, 150), (200, 220)]

    def test_a_core_that_rests_keeps_a_millisecond_and_gives_the_rest_back(self) -> None:
        """A has drawn 5 and used 2: 2 go back and 1 stays with core 0. So 8 are left."""
        bench = container(2, 0.1)
        bench.thread("A", 2)
        bench.thread("B", 20, at=10)
        # B is put on core 0, too, where that millisecond is.
        assert runs(bench, "B", until=150) == [(10, 18), (100, 110)]

    def test_what_a_core_has_kept_is_beyond_the_quota_of_the_next_period(self) -> None:
        bench = container(2, 0.1)
        bench.thread("A", 2)
        bench.thread("B", 30, at=100)
        # Core 0 still has 1 ms, and draws 4, 5 and 1 from the new pool of 10.
        assert runs(bench, "B", until=190) == [(100, 111)]

    def test_unused_quota_of_a_period_is_lost(self) -> None:
        bench = container(1, 0.5)
        bench.thread("A", 80, at=300)
        assert runs(bench, "A", until=1000) == [(300, 350), (400, 430)]

    def test_but_for_as_much_as_burst_allows(self) -> None:
        bench = container(1, 0.5, cpu_burst="20ms")
        bench.thread("A", 80, at=300)
        assert runs(bench, "A", until=1000) == [(300, 370), (400, 410)]

    def test_a_shorter_period_stops_for_a_shorter_time(self) -> None:
        bench = container(1, 0.5, cpu_period="10ms")
        bench.thread("A", 12)
        assert runs(bench, "A", until=1000) == [(0, 5), (10, 15), (20, 22)]

    def test_time_given_back_goes_to_the_stopped_ones_5_ms_later(self) -> None:
        """Of a pool of 20, four cores take 5 each; three of them use 2, and give 2 back at 5.5."""
        bench = container(4, 0.2)
        bench.thread("A", 20)
        for name in "BCD":
            bench.thread(name, 2, at=3.5)
        assert runs(bench, "A", until=190) == [(0, 5), (10.5, 16.5), (100, 109)]

    def test_unless_it_is_no_more_than_a_slice(self) -> None:
        bench = container(4, 0.15)
        bench.thread("A", 20)
        for name in "BC":
            bench.thread(name, 2, at=3.5)
        assert runs(bench, "A", until=190) == [(0, 5), (100, 115)]

    def test_a_thread_that_is_woken_on_a_core_without_time_is_stopped_at_once(self) -> None:
        bench = container(1, 0.1)
        bench.thread("A", 10)
        bench.thread("B", 1, at=50)
        assert runs(bench, "B", until=1000) == [(100, 101)]
        assert bench.waited["B"] == pytest.approx(50)


class TestEdges:
    def test_a_burst_that_ends_with_the_slice_is_not_cut_in_two(self) -> None:
        bench = container(1, 0.5)
        bench.thread("A", 50)
        assert runs(bench, "A", until=1000) == [(0, 50)]
        assert bench.done == [(50, "A")]

    def test_a_switch_that_has_begun_is_finished_and_owed(self) -> None:
        bench = Bench(1, {"cpu_quota": 0.02}, switch_cost="3ms", **ROUND_ROBIN)
        bench.thread("A", 2)
        # The switch takes 3 ms of a quota of 2: the third is owed, so that in the next period only
        # one is left, and in the one after that the other one comes.
        assert runs(bench, "A", until=1000) == [(0, 3), (100, 101), (200, 201)]

    def test_a_cut_of_a_stopped_thread_takes_effect_when_it_goes_on(self) -> None:
        bench = container(1, 0.5)
        bench.thread("A", 70)
        bench.clock.call_at(0.060, 0, lambda _: bench.threads["A"].cut())
        bench.slices()
        assert bench.done == [(100, "A")]
        assert bench.threads["A"].unrun_s == pytest.approx(0.020)

    def test_a_process_that_is_killed_while_it_is_stopped_is_gone(self) -> None:
        bench = container(1, 0.5)
        bench.thread("A", 70)
        bench.clock.call_at(0.060, 0, lambda _: bench.host.kill([bench.threads["A"]]))
        assert bench.slices() == [(0, 50, "A")]
        assert bench.done == []

    @pytest.mark.parametrize("quota", [0.3, 1.0, 1.7, 2.5])
    @pytest.mark.parametrize("threads", [1, 3, 9])
    def test_no_more_than_the_quota_is_used_and_no_less_if_there_is_work(
        self, quota: float, threads: int
    ) -> None:
        bench = Bench(4, {"cpu_quota": quota}, hz=250)
        for i in range(threads):
            bench.thread(f"T{i}", FOREVER)
        sum_ms = sum(bench.share(f"T{i}", until=1000) for i in range(threads))
        assert sum_ms == pytest.approx(1000 * min(quota, threads))
