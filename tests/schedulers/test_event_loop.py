"""One asyncio loop: snapshots, timers, freezing, cancellation. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, exponential, hold, replicate, request, run, scenario_of

from simsched.observe.record import PARTS


class TestTheTwoRequestStory:
    def test_awaited_two_waits_of_two_seconds_end_together(self) -> None:
        finished = run(LOOP, request("io 2000ms"), request("io 2000ms"))
        assert finished.done == {"A": 2000, "B": 2000}

    def test_blocking_the_second_waits_for_the_first(self) -> None:
        finished = run(LOOP, request("blocking 2000ms"), request("blocking 2000ms"))
        assert finished.done == {"A": 2000, "B": 4000}

    def test_asyncio_sleep_is_awaited_and_time_sleep_blocks(self) -> None:
        finished = run(LOOP, request("sleep 2000ms"), request("sleep 2000ms"))
        assert finished.done == {"A": 2000, "B": 2000}


class TestIterations:
    def test_ready_tasks_run_first_in_first_out_to_their_next_await(self) -> None:
        finished = run(LOOP, *[request("cpu 50ms") for _ in range(3)])
        assert finished.done == {"A": 50, "B": 100, "C": 150}

    def test_an_await_gives_way_to_everybody_who_is_ready(self) -> None:
        finished = run(LOOP, request("cpu 1ms, io 1ms, cpu 1ms"), *[request("cpu 3ms")] * 2)
        # A's answer is there at 2, but B and C are before it.
        assert finished.journal.steps == [
            (1, "A cpu 1"),
            (2, "A io"),
            (4, "B cpu"),
            (7, "C cpu"),
            (8, "A cpu 2"),
        ]

    def test_o10_what_a_handle_schedules_runs_after_all_that_is_ready(self) -> None:
        # A holds the lock that B waits for. A's and C's answers arrive together at 5; A's step
        # releases the lock (call_soon for B) while C is ready already: the order is A, C, B.
        finished = run(
            LOOP,
            request([hold("lock", "m", "io 5ms, cpu 1ms")]),
            request([hold("lock", "m", "cpu 1ms")]),
            request("io 5ms, cpu 1ms"),
        )
        assert finished.journal.steps[-5:] == [
            (6, "B m"),  # B has been given the lock, and is ready
            (6, "A m"),
            (7, "C cpu"),
            (8, "B cpu"),
            (8, "B m"),
        ]

    def test_o10_and_in_the_next_iteration_after_the_poll(self) -> None:
        # As above, but D's answer comes while C runs: the poll before the next iteration finds it,
        # and its reader handle goes behind B, which is in the queue already.
        finished = run(
            LOOP,
            request([hold("lock", "m", "io 5ms, cpu 1ms")]),
            request([hold("lock", "m", "cpu 1ms")]),
            request("io 5ms, cpu 1ms"),
            request("io 6.5ms, cpu 1ms"),
        )
        assert finished.done == {"A": 6, "B": 8, "C": 7, "D": 9}

    def test_o11_a_timer_waits_for_the_end_of_the_iteration(self) -> None:
        finished = run(LOOP, request("sleep 10ms"), request("io 9ms, cpu 31ms"))
        # B computes from 9 to 40; A's timer was due at 10 and fires 30 ms late.
        assert finished.done == {"A": 40, "B": 40}
        assert (40, "A sleep") in finished.journal.steps

    def test_o11_timers_run_after_the_io_collected_in_the_same_poll(self) -> None:
        finished = run(
            LOOP,
            request("sleep 10ms, cpu 1ms"),
            request("io 9ms, cpu 31ms"),
            request("io 20ms, cpu 1ms"),
        )
        # Both were due during B's burst; the timer even earlier. I/O goes first.
        assert finished.done == {"A": 42, "B": 40, "C": 41}

    def test_timers_fire_in_order_of_their_times(self) -> None:
        waits = [30, 10, 20]
        finished = run(
            LOOP, *[request(f"sleep {t}ms, cpu 1ms") for t in waits], request("cpu 50ms")
        )
        assert finished.done == {"A": 53, "B": 51, "C": 52, "D": 50}

    @pytest.mark.parametrize(("sleep", "fires"), [("10.1ms", 11), ("10ms", 10), ("0.2ms", 1)])
    def test_an_idle_loop_rounds_the_wait_for_a_timer_up_to_milliseconds(
        self, sleep: str, fires: float
    ) -> None:
        finished = run({**LOOP, "timer_resolution": "1ms"}, request(f"sleep {sleep}"))
        assert finished.done == {"A": fires}

    def test_a_busy_loop_sees_a_timer_at_its_next_poll(self) -> None:
        finished = run(
            {**LOOP, "timer_resolution": "1ms"},
            request("sleep 10.1ms"),
            request("cpu 1.5ms", at=9),
        )
        # The loop looks at 10.5, and finds the timer due: nothing is rounded.
        assert finished.done == {"A": 10.5, "B": 10.5}

    def test_io_is_not_rounded(self) -> None:
        assert run({**LOOP, "timer_resolution": "1ms"}, request("io 10.1ms")).done == {"A": 10.1}


class TestOneThread:
    def test_trap_5_eight_cores_do_not_help(self) -> None:
        requests = [request("cpu 10ms") for _ in range(8)]
        finished = run(LOOP, *requests, cores=8)
        assert finished.done["H"] == 80
        assert {core for _, _, core, _ in finished.journal.slices} == {0}

    def test_trap_5_one_loop_caps_at_one_core(self) -> None:
        scenario = scenario_of(
            [{"name": "a", "steps": [{"cpu": exponential("10ms")}]}],
            LOOP,
            cores=8,
            arrivals={"kind": "poisson", "rate": "300/s"},
            duration="5s",
            drain="0s",
        )
        record = replicate(scenario, 1)[0]
        busy = record.series["busy_cores"]
        assert max(busy) <= 1 + 1e-9
        assert busy[100:].min() == pytest.approx(1)
        assert (record.outcome == 1).sum() < 600  # of 1500 offered

    def test_a_blocking_call_freezes_everybody_and_leaves_the_core(self) -> None:
        finished = run(LOOP, request("cpu 1ms, blocking 20ms, cpu 1ms"), request("cpu 1ms", at=2))
        assert finished.done == {"A": 22, "B": 23}
        assert finished.journal.slices == [(0, 1, 0, "loop"), (21, 23, 0, "loop")]

    @pytest.mark.parametrize("kind", ["socket", "file", "synchronized", "native"])
    def test_every_kind_of_blocking_call_freezes_the_loop(self, kind: str) -> None:
        finished = run(LOOP, request(f"blocking {kind} 5ms"), request("cpu 1ms"))
        assert finished.done == {"A": 5, "B": 6}

    def test_io_that_completes_during_a_freeze_is_seen_afterwards(self) -> None:
        finished = run(LOOP, request("io 5ms, cpu 1ms"), request("blocking 20ms"))
        assert finished.done == {"A": 21, "B": 20}
        run_queue = finished.record.parts_s[0, PARTS.index("run_queue")]
        assert run_queue == pytest.approx(0.015)

    def test_a_connection_is_held_until_the_loop_has_time_for_its_holder(self) -> None:
        # A's answer is there at 10, but C computes until 35: only then A gives its connection to B.
        finished = run(
            LOOP,
            request([hold("use", "db", "io 10ms")]),
            request([hold("use", "db", "io 10ms")], at=1),
            request("cpu 30ms", at=5),
            resources={"db": 1},
        )
        assert finished.done == {"A": 35, "B": 45, "C": 35}

    def test_the_loop_shares_its_core_with_nobody_but_is_woken_from_its_poll(self) -> None:
        finished = run(LOOP, request("cpu 1ms", at=5), os={"wakeup_latency": "45us"})
        assert finished.done == {"A": 6.045}


class TestLag:
    def test_it_is_the_length_of_an_iteration_not_of_a_busy_period(self) -> None:
        # A runs alone from 0 to 10. B and C, which arrived meanwhile, are the next iteration.
        finished = run(
            LOOP, request("cpu 10ms"), request("cpu 10ms", at=1), request("cpu 5ms", at=2)
        )
        assert finished.activity["loop_lag_max_s"] == pytest.approx(0.015)

    def test_a_loop_that_never_comes_to_rest_has_a_lag_too(self) -> None:
        scenario = scenario_of(
            [{"name": "a", "steps": [{"cpu": "10ms"}]}],
            LOOP,
            arrivals={"kind": "constant", "rate": "150/s"},
            duration="2s",
            drain="0s",
        )
        record = replicate(scenario, 1)[0]
        assert record.activity["loop_lag_max_s"] > 0.3
        # From the first arrival on, the loop is busy to the end.
        assert record.series["busy_workers"][10:] == pytest.approx(1.0)


class TestCancellation:
    def test_trap_15_a_suspended_coroutine_is_cancelled_at_once(self) -> None:
        finished = run(LOOP, request("io 100ms, cpu 50ms", timeout="30ms"))
        assert finished.journal.ends == [(30, "A timed_out")]
        assert finished.journal.let_go == [(30, "A")]

    def test_so_is_a_sleeping_one(self) -> None:
        finished = run(LOOP, request("sleep 100ms, cpu 50ms", timeout="30ms"))
        assert finished.journal.let_go == [(30, "A")]

    @pytest.mark.parametrize("first", ["cpu 40ms", "blocking 40ms"])
    def test_a_running_one_goes_on_to_its_next_await(self, first: str) -> None:
        finished = run(LOOP, request(f"{first}, cpu 20ms, io 5ms, cpu 20ms", timeout="30ms"))
        assert finished.journal.let_go == [(60, "A")]

    def test_a_coroutine_that_has_not_begun_never_begins(self) -> None:
        finished = run(LOOP, request("cpu 50ms"), request("cpu 50ms", timeout="10ms"))
        assert finished.journal.ends == [(10, "B timed_out"), (50, "A completed")]
        assert finished.journal.let_go == [(50, "B")]

    def test_the_news_waits_for_the_loop_like_everything_else(self) -> None:
        finished = run(LOOP, request("io 100ms", timeout="30ms"), request("cpu 50ms", at=20))
        assert finished.journal.ends == [(30, "A timed_out"), (70, "B completed")]
        assert finished.journal.let_go == [(70, "A")]

    def test_a_cancelled_timer_fires_for_nobody(self) -> None:
        finished = run(LOOP, request("sleep 20ms", timeout="10ms"), request("sleep 25ms, cpu 1ms"))
        assert finished.done == {"B": 26}
        assert finished.journal.steps == [(25, "B sleep"), (26, "B cpu")]


class TestCosts:
    """iteration 100 us, handle 10 us, task 1 us: the digits tell what was paid how often."""

    COSTLY: dict[str, Any] = LOOP | {"iteration": "100us", "handle": "10us", "task_create": "1us"}

    def test_a_request_is_a_reader_handle_and_a_step(self) -> None:
        assert run(self.COSTLY, request("cpu 1ms")).done == {"A": 1.221}

    def test_an_awaited_io_is_two_handles_in_two_iterations(self) -> None:
        finished = run(self.COSTLY, request("cpu 1ms, io 2ms, cpu 1ms"))
        assert finished.done == {"A": 1.221 + 2 + 1.22}
        assert finished.record.parts_s[0, PARTS.index("overhead")] == pytest.approx(441e-6)

    def test_requests_in_one_iteration_share_its_cost(self) -> None:
        finished = run(self.COSTLY, *[request("cpu 1ms") for _ in range(3)])
        # Two iterations for all: 2 x 100; and 2 handles and a task for each.
        assert finished.done["C"] == pytest.approx(3 + 0.2 + 3 * 0.021)
        assert finished.record.totals["overhead_core_s"] == pytest.approx(263e-6)
