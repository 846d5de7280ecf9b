"""Pool threads: how they take tasks, carry them, and what that costs. Times are milliseconds."""

from __future__ import annotations

import pytest
from kit import RUN_TO_END, hold, jdk, request, run, tomcat

from simsched.observe.record import PARTS


class TestDispatch:
    def test_the_queue_is_first_in_first_out(self) -> None:
        finished = run(tomcat(1), *[request("cpu 2ms") for _ in range(5)])
        assert finished.journal.starts == [(0, "A"), (2, "B"), (4, "C"), (6, "D"), (8, "E")]

    def test_the_longest_idle_thread_is_woken_first(self) -> None:
        requests = [request("cpu 1ms", at=t) for t in (0, 10, 20, 30)]
        finished = run(tomcat(3), *requests)
        assert [name for *_, name in finished.journal.slices] == [
            "thread-1",
            "thread-2",
            "thread-3",
            "thread-1",
        ]

    def test_a_burst_wakes_one_thread_after_the_other(self) -> None:
        # LinkedBlockingQueue signals a thread only when it was empty; that thread signals the next
        # one when it takes its task and sees that others are left.
        burst = [request("cpu 4ms", at=1) for _ in range(3)]
        finished = run(tomcat(3), *burst, cores=4, os={"wakeup_latency": "50us"})
        assert finished.journal.starts == [(1.05, "A"), (1.1, "B"), (1.15, "C")]

    def test_a_busy_thread_takes_the_head_of_the_queue_before_the_woken_one_is_there(self) -> None:
        # A ends at 10.00 on a core of its own; B, queued at 9.99, has its thread woken until 10.04.
        finished = run(
            tomcat(2, spare=2),
            request("cpu 9.955ms"),
            request("cpu 1ms", at=9.99),
            cores=2,
            os={"wakeup_latency": "45us"},
        )
        assert finished.done == {"A": 10, "B": 11}
        assert [name for *_, name in finished.journal.slices] == ["thread-1"]

    def test_of_the_signalled_threads_only_the_first_is_awake(self) -> None:
        # C, at 1, signals a thread, which is runnable from then on. B's thread ends B at 3.5, takes
        # C, and leaves D: it signals another one, which has to line up behind the first and sleeps
        # on. A's answer is there at 3.7. So, when C blocks at 5, the first of the two takes D and
        # passes the lock on to the second: that one is behind A in the run queue, and has E at 7.
        finished = run(
            tomcat(6, spare=6),
            request("cpu 0.5ms, io 3.2ms, cpu 1ms, io 50ms"),
            request("cpu 3ms", at=0.5),
            request("cpu 1.5ms, io 50ms", at=1),
            request("cpu 1ms, io 50ms", at=2),
            request("cpu 1ms", at=4),
            os=RUN_TO_END,
        )
        starts = [(0, "A"), (0.5, "B"), (3.5, "C"), (5, "D"), (7, "E")]
        assert finished.journal.starts == starts


class TestSteps:
    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket", "blocking file"])
    def test_whatever_it_waits_for_a_request_keeps_its_thread(self, wait: str) -> None:
        finished = run(tomcat(1), request(f"cpu 1ms, {wait} 10ms, cpu 1ms"), request("cpu 1ms"))
        assert finished.journal.steps[-1] == (13.0, "B cpu")
        assert finished.done == {"A": 12, "B": 13}

    def test_a_waiting_thread_leaves_its_core_to_others(self) -> None:
        finished = run(
            tomcat(2),
            request("cpu 2ms, io 10ms, cpu 2ms"),
            request("cpu 3ms, io 1ms, cpu 3ms"),
            os=RUN_TO_END,
        )
        assert finished.journal.slices == [
            (0, 2, 0, "thread-1"),
            (2, 5, 0, "thread-2"),
            (6, 9, 0, "thread-2"),
            (12, 14, 0, "thread-1"),
        ]
        assert finished.done == {"A": 14, "B": 9}

    def test_trap_4_round_robin_is_round_robin(self) -> None:
        os = {"time_slice": "10ms", "wakeup_preemption": False}
        finished = run(tomcat(3), *[request("cpu 50ms") for _ in range(3)], os=os)
        assert finished.done == {"A": 130, "B": 140, "C": 150}

    def test_with_one_thread_it_is_first_come_first_served(self) -> None:
        finished = run(tomcat(1), *[request("cpu 50ms") for _ in range(3)])
        assert finished.done == {"A": 50, "B": 100, "C": 150}

    def test_threads_waiting_for_a_connection_are_held(self) -> None:
        use = [hold("use", "db", "io 10ms")]
        finished = run(
            tomcat(2),
            request(use),
            request(use, at=1),
            request("cpu 1ms", at=2),
            resources={"db": 1},
            cores=2,
        )
        # B's thread waits for the connection; C gets A's thread.
        assert finished.done == {"A": 10, "B": 20, "C": 11}

    def test_the_breakdown_tells_waiting_for_a_thread_from_waiting_for_a_core(self) -> None:
        finished = run(tomcat(2), *[request("cpu 4ms") for _ in range(3)], os=RUN_TO_END)
        parts = {name: finished.record.parts_s[:, i] * 1e3 for i, name in enumerate(PARTS)}
        # C waits for A's thread, which stays on its core; B has a thread but no core until then.
        assert parts["admission"] == pytest.approx([0, 0, 4])
        assert parts["run_queue"] == pytest.approx([0, 8, 0])
        assert parts["cpu"] == pytest.approx([4, 4, 4])


class TestTimeouts:
    def test_trap_15_a_thread_stays_held_until_its_blocking_call_returns(self) -> None:
        finished = run(
            tomcat(1),
            request("blocking 100ms, cpu 50ms", timeout="30ms"),
            request("cpu 1ms", at=40),
        )
        assert finished.journal.ends == [(30, "A timed_out"), (101, "B completed")]
        assert finished.journal.let_go == [(100, "A")]

    def test_a_request_that_gave_up_in_the_queue_costs_no_work(self) -> None:
        finished = run(
            tomcat(1),
            request("cpu 100ms"),
            request("cpu 50ms", at=1, timeout="20ms"),
            request("cpu 5ms", at=2),
        )
        assert finished.journal.ends == [
            (21, "B timed_out"),
            (100, "A completed"),
            (105, "C completed"),
        ]

    def test_a_computing_thread_is_not_stopped(self) -> None:
        finished = run(tomcat(1), request("cpu 100ms", timeout="30ms"), request("cpu 1ms", at=40))
        assert finished.done == {"B": 101}


class TestCosts:
    def test_creating_a_thread_and_handing_over_a_task_cost_cpu(self) -> None:
        pool = {**jdk(1), "thread_create": "80us", "dispatch": "5us"}
        finished = run(pool, request("cpu 1ms"), request("cpu 1ms"))
        assert finished.done == {"A": 1.085, "B": 2.09}
        overhead = finished.record.parts_s[:, PARTS.index("overhead")] * 1e3
        assert overhead == pytest.approx([0.085, 0.005])
        assert finished.record.totals["overhead_core_s"] == pytest.approx(90e-6)

    def test_waking_a_thread_takes_the_latency_of_the_host(self) -> None:
        finished = run(tomcat(1), request("cpu 1ms", at=1), os={"wakeup_latency": "45us"})
        assert finished.done == {"A": 2.045}

    def test_each_return_from_a_wait_wakes_the_thread_again(self) -> None:
        finished = run(
            tomcat(1),
            request("cpu 1ms, io 2ms, cpu 1ms", at=1),
            os={"wakeup_latency": "45us"},
        )
        assert finished.done == {"A": 5.09}
