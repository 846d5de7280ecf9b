"""Go's garbage collector: cycles, mark workers, assists, stops. By hand, in ms."""

from __future__ import annotations

from typing import Any

import pytest
from kit import GO, Run, ms, request, run, scenario_of

from simsched.observe.record import RunRecord
from simsched.scenario import offered_load
from simsched.scenario.spec_go import GoGc
from simsched.schedulers.go_gc import workers_of
from simsched.sim.observer import Observer

HEAP: dict[str, Any] = {"live_heap": "10MB", "allocation": "1MB", "mark": "1ms", "pause": "0s"}


def collecting(ps: int = 1, **knobs: Any) -> dict[str, Any]:
    """So many Ps without costs. By default a cycle marks for 10 ms, after ten requests."""
    return GO | {"GOMAXPROCS": ps, "gc": HEAP | knobs}


class Chunks(Observer):
    """When each piece of marking ended: nothing else costs anything here."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def overhead(self, now: float, seconds: float) -> None:
        if seconds:
            self.ends.append(ms(now))


def same(one: RunRecord, other: RunRecord) -> bool:
    return one.finish_s.tobytes() == other.finish_s.tobytes() and one.activity == other.activity


def counts(finished: Run) -> tuple[float, float]:
    """Cycles, and CPU for marking in ms."""
    activity = finished.activity
    return activity.get("gc_cycles", 0), ms(activity.get("gc_cpu_s", 0))


class TestCycles:
    def test_one_begins_whenever_the_live_heap_has_been_allocated_once_more(self) -> None:
        arrivals = [request("cpu 1us", at=i) for i in range(40)]
        assert counts(run(collecting(mark="1us"), *arrivals)) == (4, 0.04)

    def test_twice_the_gogc_halves_them(self) -> None:
        arrivals = [request("cpu 1us", at=i) for i in range(40)]
        assert counts(run(collecting(mark="1us", GOGC=200), *arrivals)) == (2, 0.02)

    def test_a_small_heap_may_grow_to_four_mebibytes_first(self) -> None:
        room = [
            GoGc(live_heap_bytes=1_000_000, allocation_bytes=1000, gogc=gogc).room_bytes
            for gogc in (50, 100, 200)
        ]
        assert room == [(2 << 20) - 1e6, (4 << 20) - 1e6, (8 << 20) - 1e6]

    def test_a_collector_that_never_begins_changes_nothing(self) -> None:
        arrivals = [request("cpu 1ms, io 2ms, cpu 15ms", at=i) for i in range(40)]
        without = run(GO | {"GOMAXPROCS": 2}, *arrivals, cores=2).record
        idle = run(collecting(2, live_heap="10GB"), *arrivals, cores=2).record
        assert same(without, idle)
        assert "gc_cycles" not in without.activity


class TestWorkers:
    def test_a_quarter_of_the_ps_marks_and_shares_make_up_for_what_is_no_whole_number(self) -> None:
        assert [workers_of(n) for n in (1, 2, 3)] == [(0, 0.25)] * 3
        assert [workers_of(n) for n in (4, 5, 7, 8, 16)] == [(1, 0), (1, 0), (2, 0), (2, 0), (4, 0)]
        dedicated, share = workers_of(6)
        assert dedicated == 1
        assert 6 * share == pytest.approx(0.5)

    def test_while_it_marks_three_of_four_busy_ps_serve(self) -> None:
        # The 200th request begins at 49, and so does the cycle, which is 10 ms of CPU. Those that
        # begin before a worker has done anything help for 1/3 ms; the rest is one P's.
        arrivals = [request("cpu 1ms") for _ in range(300)]
        finished = run(collecting(4, allocation="50kB"), *arrivals, cores=4)
        ends = list(finished.done.values())
        assert sum(40.5 < t < 48.5 for t in ends) == 4 * 8
        assert sum(50.5 < t < 58.5 for t in ends) == 3 * 8
        assert sum(60.5 < t < 68.5 for t in ends) == 4 * 8
        assert counts(finished) == (1, 10)
        assert ms(finished.activity["gc_assist_s"]) == pytest.approx(1 / 3)

    def test_one_busy_p_gives_a_quarter_of_its_time_and_up_to_a_fifth_of_that_more(self) -> None:
        chunks = Chunks()
        arrivals = [request("cpu 1ms") for _ in range(300)]
        finished = run(collecting(allocation="50kB"), *arrivals, watch=[chunks])
        assert counts(finished) == (1, 10)
        took = chunks.ends[-1] - chunks.ends[0]
        # Looking only every 0.1 ms, and when a request of 1 ms ends.
        assert 10 / (0.25 * 1.2) - 1.1 <= took <= 10 / 0.25 + 1.1

    def test_a_p_without_work_marks_and_looks_around_every_tenth_of_a_millisecond(self) -> None:
        # The tenth request begins at 18 and runs until 19. Then the P marks: its share until 19.5
        # (0.5 of 1.5), the rest because it idles. The request of 20.05 is seen at 20.1. The share
        # comes first again, as 0.5 is less than a quarter of 2.1, until 20.3 (0.7 of 2.3). Then the
        # request helps: with the first of 3 MB a third of 10 ms is due, and 1.3 are done.
        arrivals = [request("cpu 1ms", at=2 * i) for i in range(10)]
        late = [request("cpu 1ms", at=20.05), request("cpu 1ms", at=40)]
        finished = run(collecting(), *arrivals, *late)
        assert finished.done["J"] == 19
        assert finished.done["K"] == pytest.approx(20.3 + (10 / 3 - 1.3) + 1)
        assert counts(finished) == (1, 10)
        assert ms(finished.activity["gc_assist_s"]) == pytest.approx(10 / 3 - 1.3)

    def test_all_idle_ps_mark_together(self) -> None:
        chunks = Chunks()
        arrivals = [request("cpu 1us", at=i) for i in [*range(10), 20]]
        finished = run(collecting(4), *arrivals, cores=4, watch=[chunks])
        assert counts(finished) == (1, 10)
        assert chunks.ends[-1] == pytest.approx(9 + 10 / 4, abs=0.1)  # one chunk

    def test_who_allocates_after_the_work_is_done_helps_no_more(self) -> None:
        arrivals = [request("cpu 1ms", at=2 * i) for i in range(10)]
        finished = run(collecting(), *arrivals, request("cpu 1ms", at=40))
        assert finished.done["K"] == 41


class TestStops:
    def test_the_world_stops_before_and_after_marking(self) -> None:
        # The tenth request begins at 9 and stops for 1 ms. Marking ends at 9.01 + 1 + 0.01, and the
        # P owes another stop, which the next request pays.
        arrivals = [request("cpu 10us", at=i) for i in range(10)]
        spec = collecting(pause="1ms", mark="1us")
        done = run(spec, *arrivals, request("cpu 10us", at=20)).done
        assert done["J"] == 10.01
        assert done["K"] == 21.01

    def test_one_that_runs_meanwhile_loses_both_stops(self) -> None:
        # A runs on the other P all the time: 20 ms of its own, twice 1 ms, and a chunk of 0.1 us.
        arrivals = [request("cpu 20ms")] + [request("cpu 10us", at=i) for i in range(1, 10)]
        finished = run(collecting(2, pause="1ms", mark="1us"), *arrivals, cores=2)
        assert finished.done["A"] == pytest.approx(22, abs=1e-3)

    def test_who_is_stopped_goes_to_the_tail_of_the_global_queue(self) -> None:
        # A runs on the other P. It is stopped when the tenth request begins at 9, and once more
        # when all is marked.
        spec = collecting(2, mark="1us")
        arrivals = [request("cpu 9.5ms")] + [request("cpu 10us", at=i) for i in range(1, 10)]
        finished = run(spec, *arrivals, cores=2)
        assert finished.activity["goroutine_preemptions"] == 2
        assert finished.activity["gc_cycles"] == 1


class TestWhatItCosts:
    SPEC = collecting(GOGC=200) | {"memory": {"base": "5MB", "connection": "0B", "task": "0B"}}

    def test_the_heap_is_there_from_the_start_as_large_as_it_grows(self) -> None:
        # 5 MB, and 10 MB that may grow by 200 %. A request of 1 MB may grow by as much.
        one = [request("cpu 1ms", memory="1MB")]
        finished = run(self.SPEC | {"memory": {**self.SPEC["memory"], "thread": "0B"}}, *one)
        assert finished.record.peak["base"] == 35e6
        assert finished.record.peak["memory_bytes"] == 38e6

    def test_what_cannot_keep_up_is_known_beforehand(self) -> None:
        # Each request makes 1 of the 20 MB after which 10 ms are marked: 0.5 ms, and its own 1.5.
        classes = [{"name": "A", "steps": [{"cpu": "1.5ms"}]}]
        rate = {"kind": "constant", "rate": "100/s"}
        load = offered_load(scenario_of(classes, self.SPEC, arrivals=rate))
        assert load.schedulers["goroutine"].limit_rps == pytest.approx(1 / 2e-3)
