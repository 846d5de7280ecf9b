"""Hyper-threads: who shares a physical core with whom, and how long a burst takes then.

All times are milliseconds. Cores 0 and 2 of four are one physical core, 1 and 3 the other one.
"""

from __future__ import annotations

from typing import Any

import pytest

from simsched.sim.host import Host

from .machines import Bench

HALF: dict[str, Any] = {"threads_per_core": 2, "sibling_speed": 0.5}
USUAL: dict[str, Any] = {"threads_per_core": 2}  # 0.62
ROUND_ROBIN: dict[str, Any] = {"time_slice": "10ms", "wakeup_preemption": False}


def stays(bench: Bench) -> list[tuple[float, float, int, str]]:
    bench.slices()
    return bench.journal.slices


def test_as_many_threads_as_physical_cores_do_not_disturb_each_other() -> None:
    bench = Bench(4, HALF)
    bench.thread("A", 10)
    bench.thread("B", 7)
    assert stays(bench) == [(0, 7, 1, "B"), (0, 10, 0, "A")]


def test_two_on_one_physical_core_are_slower_until_one_sleeps() -> None:
    bench = Bench(4, HALF)
    bench.thread("A", 10)
    bench.thread("B", 20)
    bench.thread("C", 3, at=4)
    # A has done 4 when C comes to share its core. C takes 6 for its 3, and A does 3 meanwhile. Then
    # A has 3 left, and its core for itself.
    assert stays(bench) == [(4, 10, 2, "C"), (0, 13, 0, "A"), (0, 20, 1, "B")]


def test_at_the_usual_speed_both_together_do_a_quarter_more_than_one() -> None:
    bench = Bench(2, USUAL)
    bench.thread("A", 10)
    bench.thread("C", 6.2)
    # C: 6.2 at a speed of 0.62. A has done as much by then, and 3.8 remain.
    assert stays(bench) == [(0, 10, 1, "C"), (0, 13.8, 0, "A")]


def test_a_burst_is_stretched_as_often_as_the_other_thread_wakes() -> None:
    bench = Bench(2, HALF)
    bench.thread("A", 10)
    bench.thread("C", 1, 2, 1, at=1)
    # A alone to 1; shared to 3; alone to 5; shared to 7: it has done 1 + 1 + 2 + 1, and 5 remain.
    assert stays(bench) == [(1, 3, 1, "C"), (5, 7, 1, "C"), (0, 12, 0, "A")]


def test_where_no_physical_core_is_idle_altogether_two_share_one() -> None:
    bench = Bench(4, HALF)
    bench.thread("A", 1, 4, 1)  # core 0, and away from 1 to 5
    bench.thread("B", 20)  # core 1
    bench.thread("C", 10, at=2)  # core 0
    # At 5 the last core of A is taken, and so are both physical ones: it shares.
    assert stays(bench)[:2] == [(0, 1, 0, "A"), (5, 7, 2, "A")]


def test_it_leaves_its_last_core_for_a_whole_one() -> None:
    bench = Bench(4, HALF)
    bench.thread("A", 1, 8, 1)  # core 0
    bench.thread("B", 2)  # core 1
    bench.thread("C", 20, at=0.5)  # core 2, beside A
    # A takes 1.5 because of C. At 9.5 C is on core 2, beside core 0; core 1 has no busy neighbour.
    assert stays(bench)[-2:] == [(9.5, 10.5, 1, "A"), (0.5, 21, 2, "C")]


def test_preempted_threads_have_left_what_they_have_not_done() -> None:
    bench = Bench(2, HALF, **ROUND_ROBIN)
    for name in "ABC":
        bench.thread(name, 10)
    # Always two of them run, each at half speed: turns of 10 for 5 of work, until C is alone.
    assert sorted(stays(bench)) == [
        (0, 10, 0, "A"), (0, 10, 1, "B"), (10, 20, 0, "C"), (10, 20, 1, "A"),
        (20, 30, 0, "B"), (20, 30, 1, "C"),
    ]  # fmt: skip


def test_a_cut_tells_the_work_that_is_left_not_the_time() -> None:
    bench = Bench(2, HALF)
    bench.thread("A", 10)
    bench.thread("B", 10)
    bench.clock.call_at(0.004, 0, lambda _: bench.threads["A"].cut())
    assert stays(bench) == [(0, 4, 0, "A"), (0, 12, 1, "B")]
    assert bench.threads["A"].unrun_s == pytest.approx(0.008)


def test_all_hyper_threads_busy_do_what_the_capacity_says() -> None:
    bench = Bench(4, USUAL, **ROUND_ROBIN)
    for i in range(8):
        bench.thread(f"T{i}", 62)
    bench.slices()
    # 8 x 62 ms of work at 4 x 0.62 cores.
    assert max(time for time, _ in bench.done) == pytest.approx(200)


def test_a_quota_counts_time_and_not_work() -> None:
    bench = Bench(2, {**HALF, "cpu_quota": 1.0}, time_slice="1000s")
    bench.thread("A", 40)
    bench.thread("B", 40)
    # 100 ms of CPU time per period are 50 on each, for 25 of work.
    assert sorted(bench.slices()) == [(0, 50, "A"), (0, 50, "B"), (100, 130, "A"), (100, 130, "B")]


def test_hosts_without_hyper_threads_or_quota_know_nothing_of_either() -> None:
    assert type(Bench(4).host) is Host
