"""CompletableFuture: what runs async tasks, and what holds the thread they run on."""

from __future__ import annotations

import pytest
from kit import hold, parallel, request, run

from simsched.observe.checkers import all_checkers

from .futures import CPU, done, futures, watched


class TestOracles:
    @pytest.mark.parametrize("jdk", [17, 21, 24])
    @pytest.mark.parametrize("cores", [1, 2])
    def test_o23_before_jdk_25_a_small_container_starts_a_thread_per_task(
        self, jdk: int, cores: int
    ) -> None:
        calls = [request("blocking 100ms") for _ in range(20)]
        finished, _ = watched(*calls, cores=cores, jdk=jdk)
        assert set(finished.done.values()) == {100}
        assert finished.activity["threads_created"] == 20
        assert finished.simulation.scheduler.worker_limit is None

    @pytest.mark.parametrize("cores", [1, 2])
    def test_o23_in_jdk_25_it_has_a_common_pool_of_one_worker(self, cores: int) -> None:
        calls = [request("blocking 100ms") for _ in range(3)]
        finished, _ = watched(*calls, cores=cores, jdk=25)
        assert finished.done == {"A": 100, "B": 200, "C": 300}
        assert finished.activity["threads_created"] == 1
        assert finished.simulation.scheduler.worker_limit == 1

    @pytest.mark.parametrize("jdk", [21, 25])
    def test_o24_seven_jdbc_calls_and_the_eighth_task_waits(self, jdk: int) -> None:
        calls = [request("blocking 100ms") for _ in range(7)]
        finished, stays = watched(*calls, request("cpu 1ms"), cores=8, jdk=jdk)
        assert [finished.done[name] for name in "ABCDEFG"] == [100] * 7
        assert stays["H"] == [("run_queue", 0, 100), ("cpu", 100, 101)]
        assert finished.activity["threads_created"] == 7
        assert "spare_workers" not in finished.activity

    def test_o24_six_leave_one_worker_to_the_rest(self) -> None:
        calls = [request("blocking 100ms") for _ in range(6)]
        assert done(*calls, request("cpu 1ms"), cores=8)["G"] == 1


class TestAsyncClient:
    steps = "cpu 1ms, io 10ms, cpu 2ms"

    def test_an_answer_is_a_new_task_from_outside(self) -> None:
        """One worker. B computes until 2, then C until 22: A's answer at 11 waits for it."""
        _, stays = watched(
            request(self.steps), request("cpu 1ms"), request("cpu 20ms"), cores=2, io="async"
        )
        assert stays["A"] == [
            ("cpu", 0, 1), ("io", 1, 11), ("run_queue", 11, 22), ("cpu", 22, 24),
        ]  # fmt: skip

    def test_then_apply_runs_on_the_thread_that_completes(self) -> None:
        """The worker is busy until 22, and A's stage runs at once on the client's thread."""
        finished, stays = watched(
            request(self.steps), request("cpu 1ms"), request("cpu 20ms"),
            cores=2, io="async", stages="thenApply",
        )  # fmt: skip
        assert stays["A"] == [("cpu", 0, 1), ("io", 1, 11), ("cpu", 11, 13)]
        assert finished.done["C"] == 22

    def test_and_what_it_does_there_delays_other_answers(self) -> None:
        """Both answers come at 11: B's stage waits until A's has ended, blocking call included."""
        slow = request("cpu 1ms, io 10ms, blocking 50ms")
        fast = request("cpu 1ms, io 9ms, cpu 1ms")
        at_once = done(slow, fast, cores=4, io="async")
        assert at_once == {"A": 61, "B": 11}
        one = done(request("io 10ms, blocking 50ms"), request("io 11ms, cpu 1ms"),
                   cores=4, io="async", stages="thenApply")  # fmt: skip
        assert one == {"A": 60, "B": 61}
        two = done(request("io 10ms, blocking 50ms"), request("io 11ms, cpu 1ms"),
                   cores=4, io="async", stages="thenApply", io_threads=2)  # fmt: skip
        assert two == {"A": 60, "B": 12}

    def test_joining_there_waits_for_ever_for_an_answer_that_only_it_could_take(self) -> None:
        a = request([{"io": "1ms"}, parallel("io 1ms", "io 1ms")])
        for stages, outcome in (("thenApply", "unfinished"), ("thenApplyAsync", "completed")):
            finished, _ = watched(a, cores=4, io="async", stages=stages)
            assert finished.outcomes == {"A": outcome}

    def test_waiting_for_a_connection_holds_no_worker(self) -> None:
        """One worker and one connection. As a blocking call B's wait would keep it from C."""
        query = [hold("use", "db", "io 10ms")]
        three = (request(query), request(query), request("cpu 1ms", at=1))
        found = run(futures(io="async"), *three, cores=2, resources={"db": 1}, watch=all_checkers())
        assert found.done == {"A": 10, "B": 20, "C": 2}

    def test_blocking_calls_and_locks_hold_it_all_the_same(self) -> None:
        found = done(request("blocking 10ms"), request("cpu 1ms"), cores=2, io="async")
        assert found == {"A": 10, "B": 11}


class TestSleep:
    two = (request("sleep 10ms, cpu 1ms"), request("cpu 1ms"))

    def test_thread_sleep_holds_the_worker(self) -> None:
        assert done(*self.two, cores=2) == {"A": 11, "B": 12}

    def test_a_delayed_executor_submits_when_the_time_comes(self) -> None:
        assert done(*self.two, cores=2, sleep="delayed") == {"A": 11, "B": 1}


class TestTimeouts:
    def test_a_call_that_nobody_waits_for_keeps_its_worker(self) -> None:
        """One worker. A's client leaves at 5; the call returns at 10, and its second step is not
        made."""
        a = request("blocking 10ms, blocking 10ms", timeout="5ms")
        finished, _ = watched(a, request("cpu 1ms", at=1), cores=2)
        assert finished.outcomes == {"A": "timed_out", "B": "completed"}
        assert finished.journal.let_go == [(10, "A")]
        assert finished.done["B"] == 11

    def test_a_queued_task_is_dropped_when_it_is_taken(self) -> None:
        finished, _ = watched(
            request("cpu 10ms"), request("cpu 5ms", timeout="2ms"), request("cpu 1ms"), cores=2
        )
        assert finished.done == {"A": 10, "C": 11}

    def test_branches_notice_between_their_steps(self) -> None:
        a = request([parallel("blocking 3ms, cpu 1ms", "blocking 8ms, cpu 1ms")], timeout="5ms")
        finished, _ = watched(a, cores=3)
        assert finished.journal.let_go == [(8, "A")]


class TestThreadPerTask:
    def test_each_branch_has_a_thread_and_the_joiner_blocks(self) -> None:
        a = request([CPU, parallel("blocking 5ms", "blocking 7ms"), CPU])
        finished, stays = watched(a, cores=2, jdk=21)
        assert stays["A"] == [("cpu", 0, 1), ("join", 1, 8), ("cpu", 8, 9)]
        assert finished.activity["threads_created"] == 3

    def test_starting_a_thread_is_paid_for_each_task(self) -> None:
        finished, _ = watched(
            *[request("cpu 1ms, sleep 1ms, cpu 1ms") for _ in range(2)],
            cores=2, jdk=21, sleep="delayed", thread_create="100us",
        )  # fmt: skip
        assert finished.done == {"A": 3.2, "B": 3.2}
        assert finished.activity["threads_created"] == 4


class TestCosts:
    def test_each_task_costs_and_so_does_taking_it_from_elsewhere(self) -> None:
        """One worker. A comes from outside (task, steal); its two branches from its own queue."""
        a = request([CPU, parallel("cpu 1ms", "cpu 1ms"), CPU])
        finished, _ = watched(a, cores=2, task="10us", steal="100us")
        assert finished.done == {"A": 4 + 3 * 0.01 + 0.1}

    def test_completing_a_future_costs_its_thread_as_much(self) -> None:
        """The task, the client's thread, and what follows: a task from outside once more."""
        finished, _ = watched(request("io 1ms, cpu 1ms"), cores=2, io="async", task="10us")
        assert finished.done == {"A": 2.03}

    def test_a_stage_on_the_clients_thread_is_no_task_of_the_pool(self) -> None:
        costs = {"io": "async", "stages": "thenApply", "task": "10us", "steal": "100us"}
        finished, _ = watched(request("io 1ms, cpu 1ms"), cores=2, **costs)
        assert finished.done == {"A": 2.12}


class TestBlame:
    def test_a_blocked_worker_is_to_blame_although_it_computes_nothing(self) -> None:
        """One worker, which A blocks until 20. B comes at 1."""
        finished, _ = watched(request("blocking 20ms"), request("cpu 1ms", at=1), cores=2)
        (row,) = finished.record.blame
        assert (row.cause, row.victim, row.culprit, row.step) == ("workers", 1, 0, "blocking")
        assert row.seconds == pytest.approx(19e-3)

    def test_nobody_is_where_the_worker_is_free(self) -> None:
        finished, _ = watched(request("io 20ms"), request("cpu 1ms", at=1), cores=2, io="async")
        assert finished.record.blame == []
