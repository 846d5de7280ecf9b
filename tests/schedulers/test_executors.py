"""The threads beside an event loop: who gets one, when, and what becomes of it. Milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import LOOP, Run, offload, request, run

from simsched.observe.record import PARTS

NODE = LOOP | {"loop": "libuv"}
DEF = LOOP | {"endpoint": "def"}
TIMER_SLACK_MS = 0.05  # how late the kernel may end a wait for the interpreter lock
MANY_CORES: dict[str, Any] = {"cores": 8}


def to_thread(inside: str, **more: Any) -> Any:
    return request([offload("to_thread", inside)], **more)


def in_threadpool(inside: str, **more: Any) -> Any:
    return request([offload("run_in_threadpool", inside)], **more)


def look_up(inside: str, **more: Any) -> Any:
    return request([offload("getaddrinfo", inside)], **more)


def threads_on_core(finished: Run) -> list[str]:
    return [name for _, _, _, name in finished.journal.slices if name != "loop"]


class TestTheLoopStaysFree:
    def test_a_blocking_call_in_a_thread_delays_nobody(self) -> None:
        finished = run(LOOP, to_thread("blocking 50ms"), request("cpu 1ms", at=10), **MANY_CORES)
        assert finished.done == {"A": 50, "B": 11}

    def test_the_coroutine_goes_on_when_the_loop_comes_to_it(self) -> None:
        finished = run(
            LOOP, to_thread("blocking 10ms"), request("blocking 30ms", at=5), **MANY_CORES
        )
        assert finished.done == {"A": 35, "B": 35}

    def test_what_comes_before_and_after_runs_on_the_loop(self) -> None:
        steps = [{"cpu": "1ms"}, offload("to_thread", "cpu 5ms"), {"cpu": "2ms"}]
        finished = run(LOOP, request(steps), **MANY_CORES)
        on_core = [(start, end, name) for start, end, _, name in finished.journal.slices]
        assert on_core == [(0, 1, "loop"), (1, 6, "executor-1"), (6, 8, "loop")]

    def test_python_code_in_a_thread_takes_turns_with_the_loop(self) -> None:
        # The switch interval is 5 ms: B computes from 0 to 5, A from 5 to 10, B from 10 to 15, ...
        finished = run(LOOP, to_thread("cpu 20ms"), request("cpu 20ms"), **MANY_CORES)
        assert finished.done["A"] == 40
        assert 35 <= finished.done["B"] <= 35 + 7 * TIMER_SLACK_MS  # after so many time-outs

    def test_code_that_releases_the_lock_runs_beside_it(self) -> None:
        native = [offload("to_thread", [{"cpu": "20ms", "releases_gil": True}])]
        finished = run(LOOP, request(native), request("cpu 20ms"), **MANY_CORES)
        # A's thread needs the lock to begin, and gets it after one interval; B has it back at once.
        assert finished.done["B"] == 20
        assert 25 <= finished.done["A"] <= 25 + TIMER_SLACK_MS

    def test_node_has_no_lock(self) -> None:
        finished = run(NODE, to_thread("cpu 20ms"), request("cpu 20ms"), **MANY_CORES)
        assert finished.done == {"A": 20, "B": 20}

    def test_a_lock_passes_from_a_thread_to_a_coroutine_and_back(self) -> None:
        inside = [{"lock": "m", "steps": [{"blocking": "10ms"}]}]
        awaits = [{"lock": "m", "steps": [{"io": "10ms"}]}]
        finished = run(
            LOOP,
            request([offload("to_thread", inside)]),
            request(awaits, at=1),
            request([offload("to_thread", inside)], at=2),
            **MANY_CORES,
        )
        assert finished.done == {"A": 10, "B": 20, "C": 30}


class TestDefaultExecutor:
    def test_threads_grow_by_one_per_call_up_to_max_workers_and_the_rest_queues(self) -> None:
        calls = [to_thread("blocking 10ms") for _ in range(7)]
        finished = run(LOOP | {"max_workers": 3}, *calls, **MANY_CORES)
        assert list(finished.done.values()) == [10, 10, 10, 20, 20, 20, 30]
        assert len(finished.journal.threads_made) == 1 + 3  # the loop, too

    @pytest.mark.parametrize(("cores", "workers"), [(1, 5), (2, 6), (64, 32)])
    def test_max_workers_is_cores_plus_four_and_at_most_32(self, cores: int, workers: int) -> None:
        calls = [to_thread("blocking 10ms") for _ in range(workers + 1)]
        finished = run(LOOP, *calls, cores=cores)
        times = list(finished.done.values())
        assert times == [10] * workers + [20]

    def test_an_idle_thread_is_used_before_another_is_started(self) -> None:
        calls = [to_thread("blocking 10ms", at=at) for at in (0, 20, 40)]
        assert len(run(LOOP, *calls, **MANY_CORES).journal.threads_made) == 1 + 1

    def test_an_idle_thread_counts_once_for_two_calls(self) -> None:
        calls = [to_thread("blocking 10ms", at=at) for at in (0, 20, 20)]
        finished = run(LOOP, *calls, **MANY_CORES)
        assert finished.done == {"A": 10, "B": 30, "C": 30}
        assert finished.journal.threads_made == [0, 0, 20]

    def test_threads_never_end(self) -> None:
        calls = [to_thread("blocking 10ms", at=at) for at in (0, 100_000)]
        finished = run(LOOP, *calls, **MANY_CORES)
        assert finished.journal.threads_gone == []
        assert len(finished.journal.threads_made) == 1 + 1

    def test_name_resolution_shares_its_threads(self) -> None:
        calls = [to_thread("blocking 10ms"), look_up("blocking 10ms"), look_up("blocking 10ms")]
        finished = run(LOOP | {"max_workers": 2}, *calls, **MANY_CORES)
        assert list(finished.done.values()) == [10, 10, 20]

    def test_a_call_that_has_begun_keeps_its_thread_when_its_client_leaves(self) -> None:
        calls = [to_thread("blocking 50ms", timeout="10ms"), to_thread("blocking 10ms")]
        finished = run(LOOP | {"max_workers": 1}, *calls, **MANY_CORES)
        assert finished.journal.ends == [(10, "A timed_out"), (60, "B completed")]
        assert finished.journal.let_go == [(50, "A")]

    def test_a_call_that_waits_for_a_thread_is_dropped_at_once(self) -> None:
        calls = [to_thread("blocking 50ms"), to_thread("blocking 10ms", timeout="10ms")]
        calls += [to_thread("blocking 10ms")]
        finished = run(LOOP | {"max_workers": 1}, *calls, **MANY_CORES)
        assert finished.journal.let_go == [(10, "B")]
        assert finished.done == {"A": 50, "C": 60}

    def test_its_use_and_its_waits_are_in_the_record(self) -> None:
        calls = [to_thread("blocking 10ms"), to_thread("blocking 10ms", at=9)]
        waits = run(LOOP | {"max_workers": 1}, *calls, **MANY_CORES).record.waits["pool:executor"]
        assert waits["capacity"] == 1
        assert waits["acquisitions"] == 2
        assert waits["wait_s_mean"] == pytest.approx(0.5e-3)
        assert waits["utilization"] == pytest.approx(1.0)  # while requests came: 10 ms


class TestAnyioThreads:
    def test_tokens_are_granted_in_the_order_of_asking(self) -> None:
        calls = [in_threadpool("blocking 10ms") for _ in range(5)]
        finished = run(LOOP | {"total_tokens": 2}, *calls, **MANY_CORES)
        assert list(finished.done.values()) == [10, 10, 20, 20, 30]

    def test_there_are_40_of_them(self) -> None:
        finished = run(LOOP, *[in_threadpool("blocking 10ms") for _ in range(41)], **MANY_CORES)
        assert list(finished.done.values()) == [10] * 40 + [20]

    def test_the_thread_that_became_idle_last_is_taken_first(self) -> None:
        calls = [in_threadpool("cpu 2ms, blocking 4ms"), in_threadpool("blocking 8ms", at=1)]
        calls += [in_threadpool("cpu 1ms", at=20), in_threadpool("cpu 1ms", at=30)]
        finished = run(LOOP, *calls, **MANY_CORES)
        assert threads_on_core(finished) == ["anyio-1", "anyio-2", "anyio-2"]

    def test_a_frozen_loop_keeps_tokens_that_nobody_uses(self) -> None:
        # A is done at 10, but its coroutine cannot give its token back while C blocks the loop.
        calls = [in_threadpool("blocking 10ms"), in_threadpool("blocking 10ms", at=1)]
        calls += [request("blocking 50ms", at=5)]
        finished = run(LOOP | {"total_tokens": 1}, *calls, **MANY_CORES)
        assert finished.done == {"A": 55, "B": 65, "C": 55}

    def test_the_default_executor_goes_on_by_itself_beside_a_frozen_loop(self) -> None:
        calls = [to_thread("blocking 10ms"), to_thread("blocking 10ms", at=1)]
        calls += [request("blocking 50ms", at=5)]
        finished = run(LOOP | {"max_workers": 1}, *calls, **MANY_CORES)
        assert finished.done == {"A": 55, "B": 55, "C": 55}

    def test_the_checkpoint_lets_everybody_else_who_is_ready_go_first(self) -> None:
        finished = run(LOOP, in_threadpool("cpu 1ms"), request("cpu 5ms"), request("cpu 5ms"))
        # A has given way before it asks for a token: its thread starts when B and C are done.
        assert finished.done == {"A": 11, "B": 5, "C": 10}

    def test_threads_idle_for_ten_seconds_are_ended_by_the_next_who_picks(self) -> None:
        calls = [in_threadpool("blocking 10ms"), in_threadpool("blocking 20ms")]
        calls += [in_threadpool("blocking 10ms", at=10_015)]
        finished = run(LOOP, *calls, **MANY_CORES)
        assert finished.journal.threads_gone == [10_015]  # one was idle since 10, one since 20

    def test_a_call_that_has_begun_keeps_its_token_when_its_client_leaves(self) -> None:
        calls = [in_threadpool("blocking 50ms", timeout="10ms"), in_threadpool("blocking 10ms")]
        finished = run(LOOP | {"total_tokens": 1}, *calls, **MANY_CORES)
        assert finished.journal.let_go == [(50, "A")]
        assert finished.done == {"B": 60}

    def test_who_waits_for_a_token_may_leave_the_line(self) -> None:
        calls = [in_threadpool("blocking 50ms"), in_threadpool("blocking 10ms", timeout="10ms")]
        calls += [in_threadpool("blocking 10ms", at=1)]
        finished = run(LOOP | {"total_tokens": 1}, *calls, **MANY_CORES)
        assert finished.journal.let_go == [(10, "B")]
        assert finished.done == {"A": 50, "C": 60}


class TestDefEndpoints:
    def test_the_whole_request_runs_in_a_thread(self) -> None:
        finished = run(DEF, request("cpu 1ms, blocking 10ms, cpu 1ms"), **MANY_CORES)
        assert finished.done == {"A": 12}
        assert threads_on_core(finished) == ["anyio-1", "anyio-1"]

    def test_what_it_offloads_or_does_in_parallel_is_done_in_place(self) -> None:
        inside = [offload("to_thread", "blocking 5ms"), {"parallel": [[{"io": "3ms"}]] * 2}]
        assert run(DEF, request(inside), **MANY_CORES).done == {"A": 11}

    def test_a_sync_dependency_is_one_more_trip_and_one_more_token(self) -> None:
        finished = run(DEF | {"sync_dependencies": 2}, request("blocking 10ms"), **MANY_CORES)
        assert finished.done == {"A": 10}
        assert finished.record.waits["pool:anyio"]["acquisitions"] == 3

    def test_trips_wait_for_tokens_like_everything_else(self) -> None:
        knobs = DEF | {"sync_dependencies": 1, "total_tokens": 1}
        finished = run(
            knobs, request("blocking 10ms"), request("blocking 10ms", at=1), **MANY_CORES
        )
        # B's dependency waits for A, and so does its endpoint in turn.
        assert finished.done == {"A": 10, "B": 20}


class TestUvThreadPool:
    def test_four_threads_serve_one_queue(self) -> None:
        finished = run(NODE, *[to_thread("blocking 10ms") for _ in range(5)], **MANY_CORES)
        assert list(finished.done.values()) == [10] * 4 + [20]

    def test_all_its_threads_start_at_the_first_use(self) -> None:
        finished = run(NODE, to_thread("blocking 10ms", at=5), **MANY_CORES)
        assert finished.journal.threads_made == [0, 5, 5, 5, 5]

    def test_uv_threadpool_size(self) -> None:
        calls = [to_thread("blocking 10ms") for _ in range(9)]
        finished = run(NODE | {"UV_THREADPOOL_SIZE": 8}, *calls, **MANY_CORES)
        assert list(finished.done.values()) == [10] * 8 + [20]

    def test_name_resolution_has_half_of_them_at_most(self) -> None:
        finished = run(NODE, *[look_up("blocking 10ms") for _ in range(5)], **MANY_CORES)
        assert list(finished.done.values()) == [10, 10, 20, 20, 30]

    def test_and_leaves_the_others_to_the_rest(self) -> None:
        look_ups = [look_up("blocking 100ms") for _ in range(4)]
        finished = run(NODE, *look_ups, to_thread("blocking 10ms", at=1), **MANY_CORES)
        assert finished.done["E"] == 11


class TestCosts:
    """iteration 100 us, handle 10 us, task 1 us, a hop 40 us on the loop and 3 us in the thread."""

    COSTLY = LOOP | {"iteration": "100us", "handle": "10us", "task_create": "1us"} | {
        "hop": "40us",
        "thread_hop": "3us",
        "thread_create": "200us",
    }  # fmt: skip

    def test_a_call_of_the_default_executor(self) -> None:
        finished = run(self.COSTLY, to_thread("blocking 1ms"), **MANY_CORES)
        there = 0.221 + 0.020 + 0.200 + 0.003  # the request and the call; a thread and its part
        back = 0.110 + 0.110 + 0.020  # a callback, and in the next iteration the step
        assert finished.done["A"] == pytest.approx(there + 1 + back)
        assert finished.record.totals["overhead_core_s"] == pytest.approx((there + back) / 1e3)

    def test_the_checkpoint_is_one_more_iteration(self) -> None:
        plain = run(self.COSTLY, to_thread("blocking 1ms"), **MANY_CORES).done["A"]
        anyio = run(self.COSTLY, in_threadpool("blocking 1ms"), **MANY_CORES).done["A"]
        assert anyio - plain == pytest.approx(0.110)

    def test_who_comes_while_its_thread_is_being_started_waits_for_the_rest_of_it(self) -> None:
        node = NODE | {"UV_THREADPOOL_SIZE": 2, "thread_create": "4ms"}
        calls = [to_thread("blocking 10ms"), to_thread("blocking 10ms", at=1)]
        finished = run(node, *calls, **MANY_CORES)
        assert finished.done == {"A": 14, "B": 14}
        overhead_s = finished.record.parts_s[:, PARTS.index("overhead")]
        assert overhead_s.tolist() == pytest.approx([0.004, 0.003])
