"""libuv's order of things, in uvloop and in Node, beside asyncio's. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, Spec, hold, parallel, request, run

from simsched.schedulers.timers import UvTimers
from simsched.sim.clock import Clock

UVLOOP = LOOP | {"loop": "uvloop"}
NODE = LOOP | {"loop": "libuv"}
ALL = pytest.mark.parametrize("loop", [LOOP, UVLOOP, NODE], ids=["asyncio", "uvloop", "node"])


class TestWhatIsTheSame:
    @ALL
    def test_awaited_waits_overlap_and_blocking_ones_do_not(self, loop: Spec) -> None:
        assert run(loop, *[request("io 20ms")] * 3).done == {"A": 20, "B": 20, "C": 20}
        assert run(loop, *[request("sleep 20ms")] * 3).done == {"A": 20, "B": 20, "C": 20}
        last = run(loop, *[request("blocking 20ms")] * 3).done["C"]
        assert last == 60

    @ALL
    def test_a_timer_waits_for_the_end_of_the_iteration(self, loop: Spec) -> None:
        finished = run(loop, request("sleep 10ms"), request("io 9ms, cpu 31ms"))
        assert finished.done["A"] == 40

    @ALL
    def test_what_a_poll_finds_goes_before_timers(self, loop: Spec) -> None:
        finished = run(
            loop,
            request("sleep 10ms, cpu 1ms"),
            request("io 9ms, cpu 31ms"),
            request("io 20ms, cpu 1ms"),
        )
        # In Node B computed inside the poll that found it: the timers come before the next one.
        order = ["A cpu", "C cpu"] if loop is NODE else ["C cpu", "A cpu"]
        assert finished.journal.steps[-2:] == [(41, order[0]), (42, order[1])]

    @ALL
    def test_a_cancelled_coroutine_lets_go_at_once(self, loop: Spec) -> None:
        finished = run(loop, request("sleep 50ms", timeout="10ms"), request("io 50ms, cpu 1ms"))
        assert finished.journal.let_go == [(10, "A")]


class TestOrder:
    @ALL
    def test_a_response_leaves_when_it_is_written_and_not_at_the_end_of_a_batch(
        self, loop: Spec
    ) -> None:
        assert run(loop, request("cpu 1ms"), request("cpu 2ms")).done == {"A": 1, "B": 3}

    @pytest.mark.parametrize(
        ("loop", "order"), [(LOOP, "ACB"), (UVLOOP, "ACB"), (NODE, "ABC")], ids=["py", "uv", "node"]
    )
    def test_node_runs_what_a_callback_resolves_before_the_next_callback(
        self, loop: Spec, order: str
    ) -> None:
        # A gives the lock to B while C is ready; cf. oracle O10.
        finished = run(
            loop,
            request([hold("lock", "m", "io 5ms, cpu 1ms")]),
            request([hold("lock", "m", "cpu 1ms")]),
            request("io 5ms, cpu 1ms"),
        )
        steps = [step for _, step in finished.journal.steps if step.endswith("cpu")]
        assert "".join(step[0] for step in steps) == order

    def test_what_comes_during_a_batch_is_seen_by_the_poll_after_it(self) -> None:
        # B's answer comes at 6, while A computes: B is polled at 10 and runs before C, who is
        # there at 9 and is read after B.
        finished = run(
            UVLOOP, request("cpu 10ms"), request("cpu 1ms", at=6), request("cpu 1ms", at=9)
        )
        assert finished.done == {"A": 10, "B": 11, "C": 12}


class TestTimers:
    @pytest.mark.parametrize(
        ("sleep", "asyncio", "uvloop", "node"),
        [
            ("10ms", 10, 10, 10),
            ("10.1ms", 11, 10, 10),  # asyncio rounds the wait up, uvloop the delay, Node cuts it
            ("10.6ms", 11, 11, 10),
            ("0.4ms", 1, 0, 1),
        ],
    )
    def test_milliseconds(self, sleep: str, asyncio: float, uvloop: float, node: float) -> None:
        for loop, fires in ((LOOP, asyncio), (UVLOOP, uvloop), (NODE, node)):
            finished = run({**loop, "timer_resolution": "1ms"}, request(f"sleep {sleep}"))
            assert finished.done == {"A": fires}

    def test_an_idle_loop_waits_from_where_it_is(self) -> None:
        # Set at 0.3, when the loop's time is 0: due at 10, so the poll takes 10 milliseconds.
        finished = run({**UVLOOP, "timer_resolution": "1ms"}, request("sleep 10ms", at=0.3))
        assert finished.done == {"A": 10.3}

    def test_a_busy_loop_may_be_early(self) -> None:
        finished = run(
            {**UVLOOP, "timer_resolution": "1ms"},
            request("sleep 10ms", at=0.3),
            request("cpu 1ms", at=9.1),
        )
        # The loop looks at 10.1, when its time is 10: the timer has slept for 9.8.
        assert finished.done == {"A": 10.1, "B": 10.1}

    def test_a_timer_that_is_due_is_not_waited_for(self) -> None:
        # 0.602 as a sum and as a product of milliseconds: one rounding error apart. Waiting for it
        # would go on for ever.
        clock = Clock()
        clock.now = 0.6022166606187734
        assert UvTimers(clock, 1e-3, 0.0, node=False).wait_until_s(0.6020000000000001) == clock.now


class TestCosts:
    """iteration 100 us, handle 10 us, task 1 us: the digits tell what was paid how often."""

    COSTLY = LOOP | {"iteration": "100us", "handle": "10us", "task_create": "1us"}

    def test_uvloop_reads_in_the_poll_and_steps_in_the_next_iteration(self) -> None:
        uvloop = self.COSTLY | {"loop": "uvloop"}
        assert run(uvloop, request("cpu 1ms")).done == {"A": 1.121}
        done = run(uvloop, request("cpu 1ms, io 2ms, cpu 1ms")).done["A"]
        assert done == pytest.approx(1.121 + 2 + 1.120)

    def test_asyncio_needs_an_iteration_more(self) -> None:
        done = run(self.COSTLY, request("cpu 1ms, io 2ms, cpu 1ms")).done["A"]
        assert done == pytest.approx(1.221 + 2 + 1.220)


class TestParallel:
    @ALL
    def test_waits_of_branches_overlap_and_their_code_does_not(self, loop: Spec) -> None:
        steps = [{"cpu": "1ms"}, parallel("io 5ms", "io 7ms"), {"cpu": "1ms"}]
        assert run(loop, request(steps)).done == {"A": 9}
        assert run(loop, request([parallel("cpu 2ms", "cpu 3ms")]), cores=4).done == {"A": 5}

    @ALL
    def test_answers_of_one_instant_come_in_the_order_of_the_branches(self, loop: Spec) -> None:
        # Also when an attempt that was given up would have had its answer then.
        branches = parallel("io 10ms, cpu 1ms", "io 10ms, cpu 2ms", "io 10ms, cpu 3ms")
        again: dict[str, Any] = {"timeout": "5ms", "retries": {"max": 1, "backoff": "0s"}}
        finished = run(loop, request([branches]), request([parallel("io 10ms", "io 5ms")], **again))
        assert finished.done["A"] == 16
        assert finished.journal.steps[-4:-1] == [(11, "A cpu 1"), (13, "A cpu 2"), (16, "A cpu 3")]

    @ALL
    def test_a_branch_waits_for_what_is_ready_already(self, loop: Spec) -> None:
        finished = run(loop, request([parallel("cpu 1ms", "cpu 1ms")]), request("cpu 5ms"))
        # Tasks of gather go behind B; Node calls both branches before B's callback.
        expected = {"A": 2, "B": 7} if loop is NODE else {"A": 7, "B": 5}
        assert finished.done == expected

    @ALL
    def test_a_cancellation_reaches_the_branches(self, loop: Spec) -> None:
        branches = parallel("io 50ms, cpu 9ms", "sleep 20ms")
        finished = run(loop, request([branches], timeout="10ms"), request("io 60ms, cpu 1ms"))
        assert finished.journal.let_go == [(10, "A")]
        assert finished.done == {"B": 61}

    @ALL
    def test_branches_may_offload(self, loop: Spec) -> None:
        call = [{"offload": "to_thread", "steps": [{"blocking": "10ms"}]}]
        assert run(loop, request([{"parallel": [call, call]}]), cores=4).done == {"A": 10}

    @ALL
    def test_a_thread_runs_branches_one_after_the_other(self, loop: Spec) -> None:
        call = {"offload": "to_thread", "steps": [parallel("blocking 10ms", "cpu 2ms")]}
        assert run(loop, request([call]), cores=4).done == {"A": 12}
        branches = [[call], [{"io": "15ms"}]]
        assert run(loop, request([{"parallel": branches}]), cores=4).done == {"A": 15}
