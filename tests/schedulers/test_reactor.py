"""A group of event loops and Reactor's schedulers, on timelines worked out by hand. Milliseconds.

Request A is on the first loop, B on the second, and so on, round and round.
"""

from __future__ import annotations

from typing import Any

import pytest
from kit import REACTOR, Run, hold, offload, parallel, request, run

from simsched.observe.record import PARTS

CORES: dict[str, Any] = {"cores": 8}
ONE = REACTOR | {"ioWorkerCount": 1}
TWO = REACTOR | {"ioWorkerCount": 2}
ELASTIC_2 = REACTOR | {"defaultBoundedElasticSize": 2}


def elastic(inside: str, **more: Any) -> Any:
    """A blocking call on boundedElastic()."""
    return request([offload("to_thread", inside)], **more)


def on_cores(finished: Run) -> list[tuple[float, float, str]]:
    return [(start, end, name) for start, end, _, name in finished.journal.slices]


class TestLoops:
    def test_o26_of_eight_channels_on_four_loops_exactly_two_stall(self) -> None:
        # A blocks its handler for a second. Each other channel has something to do at 10 ms.
        others = [request("cpu 1ms", at=10 + i) for i in range(7)]
        finished = run(REACTOR | {"ioWorkerCount": 4}, request("blocking 1000ms"), *others, **CORES)
        stalled = {name for name, end in finished.done.items() if end >= 1000}
        assert stalled == {"A", "E"}  # the channels of the first loop
        assert sorted(set(finished.done.values()) - {1000, 1001}) == [11, 12, 13, 15, 16, 17]

    def test_two_handlers_run_at_once_on_two_loops_and_in_turn_on_one(self) -> None:
        work = [request("cpu 10ms") for _ in range(4)]
        assert run(TWO, *work, **CORES).done == {"A": 10, "B": 10, "C": 20, "D": 20}
        assert run(ONE, *work, **CORES).done == {"A": 10, "B": 20, "C": 30, "D": 40}

    def test_a_loop_does_not_help_another(self) -> None:
        work = [request("cpu 50ms"), request("cpu 1ms"), request("cpu 1ms", at=5)]
        finished = run(TWO, *work, **CORES)
        assert finished.done == {"A": 50, "B": 1, "C": 51}

    @pytest.mark.parametrize(("cores", "loops"), [(1, 4), (4, 4), (6, 6)])
    def test_there_are_as_many_as_cores_and_at_least_four(self, cores: int, loops: int) -> None:
        finished = run(REACTOR, request("cpu 1ms"), cores=cores)
        assert finished.record.worker_limit == loops
        assert len(finished.journal.threads_made) == loops

    def test_loops_share_the_cores_that_there_are(self) -> None:
        os = {"time_slice": "1000s", "wakeup_preemption": False}
        finished = run(TWO, request("cpu 10ms"), request("cpu 10ms"), cores=1, os=os)
        assert finished.done == {"A": 10, "B": 20}

    def test_an_answer_is_handled_on_the_loop_of_the_channel_when_that_comes_to_it(self) -> None:
        # One loop: A's answer is there at 5, but B's handler computes from 1 to 21.
        work = [request("cpu 1ms, io 4ms, cpu 2ms"), request("cpu 20ms")]
        finished = run(ONE, *work, **CORES)
        assert finished.done == {"A": 23, "B": 21}
        assert on_cores(finished) == [(0, 23, "loop-1")]

    def test_what_becomes_readable_meanwhile_waits_for_the_tasks(self) -> None:
        work = [
            request([hold("use", "db", "io 1ms, blocking 20ms")]),
            request([hold("use", "db", "cpu 4ms")], at=1),
            request("cpu 2ms", at=2),
        ]
        finished = run(ONE, *work, resources={"db": 1}, **CORES)
        # A's answer is there at 1, and it blocks the loop up to 21, where its connection passes to
        # B by a task. C has been readable since 2, but the next poll comes after the tasks.
        assert finished.done == {"A": 21, "B": 25, "C": 27}

    def test_tasks_run_to_the_last_unless_the_quantum_is_over(self) -> None:
        # Seventy wait for A's connection. Each has it for 1 ms, and passes it on by one more task.
        # The bytes of the last request have come meanwhile.
        waiters = [request([hold("use", "db", "cpu 1ms")], at=1) for _ in range(70)]
        work = [request([hold("use", "db", "io 10ms")]), *waiters, request("cpu 1ms", at=11)]
        patient = run(ONE, *work, resources={"db": 1}, **CORES)
        hasty = run(ONE | {"maxTaskProcessingQuantum": "0s"}, *work, resources={"db": 1}, **CORES)
        last = list(patient.done)[-1]
        assert patient.done[last] == 10 + 70 + 1
        assert hasty.done[last] == 10 + 64 + 1  # the time is looked at after every 64 tasks

    def test_each_loop_has_its_own_lag_and_blames_its_own_handlers(self) -> None:
        work = [request("blocking 30ms"), request("cpu 1ms"), request("cpu 1ms", at=10)]
        record = run(TWO, *work, **CORES).record
        assert record.activity["loop_lag_max_s"] == pytest.approx(0.030)
        assert [(b.cause, b.victim, b.culprit, b.step) for b in record.blame] == [
            ("loop", 2, 0, "blocking")
        ]
        assert record.blame[0].seconds == pytest.approx(0.020)
        assert record.longest_stall is not None
        assert (record.longest_stall.culprit, record.longest_stall.step) == (0, "blocking")

    def test_a_long_call_elsewhere_is_no_part_of_a_stall(self) -> None:
        work = [elastic("blocking 100ms"), request("blocking 30ms", at=5)]
        stall = run(ONE, *work, **CORES).record.longest_stall
        assert stall is not None
        assert stall.culprit == 1
        assert stall.seconds == pytest.approx(0.030)


class TestCosts:
    def test_a_turn_an_event_and_a_request_are_paid_before_the_first_step(self) -> None:
        costs = ONE | {"iteration": "1ms", "event": "2ms", "request": "3ms"}
        finished = run(costs, request("cpu 10ms, io 5ms, cpu 1ms"), **CORES)
        # 6 + 10 at first, then I/O to 21; the answer costs a turn and an event more.
        assert finished.done == {"A": 16 + 5 + 3 + 1}
        parts = dict(zip(PARTS, finished.record.parts_s[0], strict=True))
        assert parts["overhead"] == pytest.approx(0.009)
        assert parts["cpu"] == pytest.approx(0.011)

    def test_a_hop_is_paid_by_the_thread_that_takes_the_work(self) -> None:
        finished = run(REACTOR | {"hop": "2ms"}, elastic("blocking 10ms"), **CORES)
        assert finished.done == {"A": 12}
        assert on_cores(finished) == [(0, 2, "boundedElastic-1")]


class TestBoundedElastic:
    def test_o25_forty_of_41_calls_run_at_once_and_the_last_waits_behind_one(self) -> None:
        calls = [elastic("blocking 1000ms", at=float(i)) for i in range(41)]
        finished = run(REACTOR, *calls, cores=4)
        times = [t - i for i, t in enumerate(finished.done.values())]
        assert times == [1000] * 40 + [1000 + 960]  # it came at 40, and A's thread is free at 1000

    def test_o25_it_waits_ten_seconds_behind_a_long_one_although_39_are_free(self) -> None:
        # All 40 have one task each; of those the one that has been busy longest is picked.
        calls = [elastic("blocking 10000ms")]
        calls += [elastic("blocking 1000ms", at=1) for _ in range(39)]
        finished = run(REACTOR, *calls, elastic("blocking 1000ms", at=2), cores=4)
        *others, last = list(finished.done.values())[1:]
        assert others == [1001] * 39
        assert last == 11_000

    def test_the_thread_with_the_fewest_tasks_is_picked(self) -> None:
        # At 0 to 3 each of two threads gets two tasks. A ends at 10, so E joins the first one.
        calls = [elastic("blocking 10ms"), elastic("blocking 30ms", at=1)]
        calls += [elastic("blocking 40ms", at=2), elastic("blocking 1ms", at=3)]
        finished = run(ELASTIC_2, *calls, elastic("blocking 1ms", at=11), **CORES)
        assert finished.done == {"A": 10, "B": 31, "C": 50, "D": 32, "E": 51}

    def test_the_thread_that_became_idle_last_is_taken_first(self) -> None:
        calls = [elastic("cpu 2ms"), elastic("cpu 5ms"), elastic("cpu 1ms", at=9)]
        finished = run(REACTOR, *calls, **CORES)
        assert on_cores(finished)[-1] == (9, 10, "boundedElastic-2")
        assert len(finished.journal.threads_made) == 8 + 2

    def test_a_full_queue_rejects_and_gives_back_what_is_held(self) -> None:
        spec = ELASTIC_2 | {"defaultBoundedElasticSize": 1, "defaultBoundedElasticQueueSize": 1}
        held = [hold("use", "db", [offload("to_thread", "blocking 10ms")])]
        calls = [elastic("blocking 10ms"), elastic("blocking 10ms", at=1), request(held, at=2)]
        finished = run(
            spec, *calls, request([hold("use", "db", "io 1ms")], at=3), resources={"db": 1}, **CORES
        )
        assert finished.journal.ends == [
            (2, "C rejected"), (4, "D completed"), (10, "A completed"), (20, "B completed")
        ]  # fmt: skip

    def test_a_thread_ends_at_the_first_look_after_its_time_to_live(self) -> None:
        # Every 10 ms somebody looks: at 10 the thread has been idle for 9 ms only.
        spec = REACTOR | {"boundedElasticTtl": "10ms"}
        late = request("io 50ms")
        assert run(spec, elastic("blocking 1ms"), late, **CORES).journal.threads_gone == [20]
        keeps = run(REACTOR, elastic("blocking 1ms"), late, **CORES)
        assert keeps.journal.threads_gone == []

    def test_what_comes_after_runs_on_the_same_thread(self) -> None:
        steps = [offload("to_thread", "blocking 5ms"), {"cpu": "3ms"}]
        finished = run(REACTOR, request(steps), request("io 50ms"), **CORES)
        assert finished.done["A"] == 8
        assert on_cores(finished) == [(5, 8, "boundedElastic-1")]

    def test_so_it_keeps_the_thread_from_who_waits_there(self) -> None:
        steps = [offload("to_thread", "blocking 5ms"), {"cpu": "3ms"}]
        spec = REACTOR | {"defaultBoundedElasticSize": 1}
        calls = [request(steps), elastic("blocking 5ms", at=1)]
        assert run(spec, *calls, **CORES).done == {"A": 8, "B": 13}
        hops = run(spec | {"publishOn": "parallel"}, *calls, **CORES)
        assert hops.done == {"A": 8, "B": 10}
        assert (5, 8, "parallel-1") in on_cores(hops)

    def test_io_after_it_brings_the_pipeline_back_to_its_loop(self) -> None:
        steps = [offload("to_thread", "blocking 5ms"), {"io": "5ms"}, {"cpu": "3ms"}]
        finished = run(REACTOR, request(steps), **CORES)
        assert on_cores(finished) == [(10, 13, "loop-1")]

    def test_the_answer_is_written_by_the_loop_even_if_that_is_busy(self) -> None:
        finished = run(ONE, elastic("blocking 5ms"), request("cpu 20ms", at=1), **CORES)
        assert finished.done == {"A": 21, "B": 21}

    def test_an_offload_spares_the_loop(self) -> None:
        finished = run(ONE, elastic("blocking 50ms"), request("cpu 1ms", at=10), **CORES)
        assert finished.done == {"A": 50, "B": 11}

    def test_its_use_and_its_waits_are_in_the_record(self) -> None:
        spec = REACTOR | {"defaultBoundedElasticSize": 1}
        calls = [elastic("blocking 10ms"), elastic("blocking 10ms", at=9)]
        record = run(spec, *calls, **CORES).record
        waits = record.waits["pool:boundedElastic"]
        assert (waits["capacity"], waits["acquisitions"]) == (1, 2)
        assert waits["wait_s_mean"] == pytest.approx(0.5e-3)
        assert [(b.cause, b.victim, b.culprit) for b in record.blame] == [
            ("pool:boundedElastic", 1, 0)
        ]


class TestParallelScheduler:
    def test_a_delay_ends_on_a_thread_of_its_own(self) -> None:
        finished = run(ONE, request("sleep 5ms, cpu 3ms"), request("cpu 20ms"), **CORES)
        assert finished.done == {"A": 20, "B": 20}  # the loop has to write A's answer
        assert (5, 8, "parallel-1") in on_cores(finished)

    def test_its_threads_are_picked_in_turns_whoever_is_busy(self) -> None:
        # Two threads: A's and C's delays end on the first one, B's on the second.
        spec = REACTOR | {"defaultPoolSize": 2}
        work = [request("sleep 1ms, cpu 20ms"), request("sleep 2ms, cpu 1ms")]
        finished = run(spec, *work, request("sleep 3ms, cpu 1ms"), **CORES)
        assert finished.done == {"A": 21, "B": 3, "C": 22}

    def test_a_blocking_call_after_a_delay_blocks_its_thread(self) -> None:
        spec = REACTOR | {"defaultPoolSize": 1}
        work = [request("sleep 1ms, blocking 30ms"), request("sleep 5ms"), request("cpu 1ms", at=6)]
        assert run(spec, *work, **CORES).done == {"A": 31, "B": 31, "C": 7}


class TestBranches:
    def test_what_branches_compute_they_compute_in_turn_and_only_their_waits_overlap(self) -> None:
        # cpu 0-2, cpu 2-4; the answers are there at 12 and 14, and then 1 ms each.
        branch = "cpu 2ms, io 10ms, cpu 1ms"
        steps = [parallel(branch, branch), {"cpu": "5ms"}]
        assert run(REACTOR, request(steps), **CORES).done == {"A": 20}

    def test_a_branch_may_be_offloaded(self) -> None:
        steps = [parallel([offload("to_thread", "blocking 8ms")], "cpu 3ms"), {"cpu": "1ms"}]
        finished = run(REACTOR, request(steps), request("io 50ms"), **CORES)
        assert finished.done["A"] == 9
        assert on_cores(finished) == [(0, 3, "loop-1"), (8, 9, "boundedElastic-1")]

    def test_an_error_in_one_branch_is_that_of_all(self) -> None:
        spec = REACTOR | {"defaultBoundedElasticSize": 1, "defaultBoundedElasticQueueSize": 1}
        busy = [elastic("blocking 50ms"), elastic("blocking 1ms", at=1)]
        fails = request([parallel("io 20ms", [offload("to_thread", "cpu 1ms")])], at=2)
        finished = run(spec, *busy, fails, **CORES)
        assert finished.journal.ends[0] == (2, "C rejected")
