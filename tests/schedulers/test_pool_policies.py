"""When a pool queues, grows, refuses and shrinks. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import Spec, jdk, request, run, scenario_of, spec_of, tomcat

from simsched.sim.engine import simulate
from simsched.workload import draw

SECOND = "io 1000ms"


def seconds(n: int) -> list[Any]:
    """Requests that arrive at once and hold their thread for a second each."""
    return [request(SECOND) for _ in range(n)]


class TestGrowth:
    def test_o1_jdk_queue_before_growing(self) -> None:
        finished = run(jdk(2, 4, 3), *seconds(10))
        # A and B start core threads; C, D, E fill the queue; F and G are given new threads and
        # overtake the queue; H, I and J are refused.
        assert finished.journal.starts == [
            (0, "A"),
            (0, "B"),
            (0, "F"),
            (0, "G"),
            (1000, "C"),
            (1000, "D"),
            (1000, "E"),
        ]
        assert [name for name, o in finished.outcomes.items() if o == "rejected"] == list("HIJ")

    def test_o2_tomcat_grow_before_queueing(self) -> None:
        finished = run(tomcat(4, spare=2), *seconds(10))
        started = finished.journal.starts
        assert sorted(name for t, name in started if t == 0) == list("ABCD")
        assert started[4:] == [
            (1000, "E"),
            (1000, "F"),
            (1000, "G"),
            (1000, "H"),
            (2000, "I"),
            (2000, "J"),
        ]
        assert max(finished.done.values()) == 3000
        assert len(finished.done) == 10

    def test_o4_tomcat_200_threads_in_a_closed_loop(self) -> None:
        scenario = scenario_of(
            [{"name": "get", "steps": [{"blocking": "100ms"}]}],
            tomcat(200),
            cores=2,
            arrivals={"kind": "closed", "users": 1000},
            duration="3s",
            drain="1s",
        )
        record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
        latency = record.finish_s - record.arrival_s
        # 200 threads / 0.1 s = 2000 requests a second, and 1000 / 2000 = 500 ms for each; the first
        # thousand come at once, and are answered in five rounds of 200.
        assert latency[1000:] == pytest.approx(0.5)
        assert latency[:1000] == pytest.approx(np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], 200))
        assert np.count_nonzero(record.finish_s <= 3.0 + 1e-9) == 2000 * 3

    def test_a_jdk_pool_below_its_core_size_starts_a_thread_though_one_is_idle(self) -> None:
        finished = run(
            jdk(3), request("io 1ms"), request("io 1ms", at=10), request("io 1ms", at=20)
        )
        assert finished.journal.threads_made == [0, 10, 20]

    def test_a_tomcat_pool_starts_no_thread_while_one_is_idle(self) -> None:
        requests = [request("io 5ms", at=t) for t in (0, 1, 10, 11, 12)]
        finished = run(tomcat(10, spare=1), *requests)
        # One was there from the start; a second when A was running, a third when C and D were.
        assert finished.journal.threads_made == [0, 1, 12]

    def test_with_an_endless_queue_a_jdk_pool_never_exceeds_its_core_size(self) -> None:
        finished = run(jdk(1, 4, "unbounded"), *seconds(3))
        assert finished.done == {"A": 1000, "B": 2000, "C": 3000}
        assert finished.journal.threads_made == [0]

    def test_a_pool_without_core_threads_starts_one_for_its_queue(self) -> None:
        finished = run(jdk(0, 4, "unbounded"), *seconds(2))
        assert finished.done == {"A": 1000, "B": 2000}
        assert finished.journal.threads_made == [0]

    def test_a_cached_pool_has_a_thread_for_everyone_and_reuses_idle_ones(self) -> None:
        pool = jdk(0, 1000, "synchronous", keepAliveTime="60s")
        finished = run(pool, *seconds(3), request(SECOND, at=1500), request(SECOND, at=1501))
        assert finished.done == {"A": 1000, "B": 1000, "C": 1000, "D": 2500, "E": 2501}
        assert finished.journal.threads_made == [0, 0, 0]


class TestRefusal:
    """One thread and a queue of one: A runs, B waits, and the handler decides about C and D."""

    def crowd(self, handler: str, at: float = 0.0) -> Any:
        pool = jdk(1, 1, 1, rejectedExecutionHandler=handler)
        return run(pool, *seconds(4), request(SECOND, at=1500))

    def test_abort_refuses_the_newcomer(self) -> None:
        finished = self.crowd("abort")
        assert finished.journal.ends == [
            (0, "C rejected"),
            (0, "D rejected"),
            (1000, "A completed"),
            (2000, "B completed"),
            (3000, "E completed"),
        ]

    def test_discard_drops_the_newcomer(self) -> None:
        finished = self.crowd("discard")
        assert finished.done == {"A": 1000, "B": 2000, "E": 3000}
        assert finished.activity["discarded"] == 2

    def test_discard_oldest_drops_the_head_of_the_queue(self) -> None:
        finished = self.crowd("discard_oldest")
        assert finished.journal.ends[:2] == [(0, "B rejected"), (0, "C rejected")]
        assert finished.done == {"A": 1000, "D": 2000, "E": 3000}

    def test_caller_runs_makes_the_submitter_work_and_what_arrives_meanwhile_wait(self) -> None:
        finished = self.crowd("caller_runs")
        assert finished.journal.starts == [
            (0, "A"),  # on the thread
            (0, "C"),  # on the submitter, so that nobody submits D before 1000
            (1000, "B"),
            (1500, "E"),  # D is in the queue: the submitter runs E itself
            (2000, "D"),
        ]
        assert finished.done == {"A": 1000, "B": 2000, "C": 1000, "D": 3000, "E": 2500}

    def test_a_bounded_tomcat_queue_refuses_when_threads_and_queue_are_full(self) -> None:
        requests = [request(SECOND, at=t) for t in range(6)]
        finished = run(tomcat(2, maxQueueSize=2), *requests)
        assert finished.done == {"A": 1000, "B": 1001, "C": 2000, "D": 2001}
        assert finished.journal.ends[:2] == [(4, "E rejected"), (5, "F rejected")]

    def test_a_task_for_an_idle_thread_takes_no_place_in_a_bounded_queue(self) -> None:
        finished = run(tomcat(2, maxQueueSize=1), *seconds(5))
        assert finished.done == {"A": 1000, "B": 1000, "C": 2000}
        assert finished.journal.ends[:2] == [(0, "D rejected"), (0, "E rejected")]

    def test_a_synchronous_queue_refuses_when_no_thread_waits_for_it(self) -> None:
        requests = [request(SECOND, at=t) for t in (0, 1, 2, 1500)]
        finished = run(jdk(1, 2, "synchronous"), *requests)
        assert finished.done == {"A": 1000, "B": 1001, "D": 2500}
        assert finished.journal.ends[0] == (2, "C rejected")


class TestKeepAlive:
    def test_threads_above_the_core_leave_when_they_have_been_idle_long_enough(self) -> None:
        requests = [request(SECOND, at=t) for t in (0, 1, 2, 10_000)]
        finished = run(jdk(1, 3, "synchronous", keepAliveTime="2s"), *requests)
        assert finished.journal.threads_made == [0, 1, 2]
        # They have ended their tasks at 1000, 1001 and 1002. The last one is the core.
        assert finished.journal.threads_gone == [3000, 3001]

    def test_core_threads_stay_unless_they_may_time_out(self) -> None:
        calls = [request("io 1ms"), request("io 1ms", at=5000)]
        stays = run(jdk(1, keepAliveTime="2s"), *calls)
        assert stays.journal.threads_gone == []
        leaves = run(jdk(1, keepAliveTime="2s", allowCoreThreadTimeOut=True), *calls)
        assert leaves.journal.threads_gone[0] == 2001
        assert leaves.journal.threads_made == [0, 5000]

    def test_idle_core_threads_wait_without_a_timer(self) -> None:
        # newFixedThreadPool has a keep-alive time of 0: it must not keep the clock busy.
        finished = run(jdk(4, keepAliveTime="0s"), *[request("io 1ms") for _ in range(4)])
        assert finished.simulation.clock.peek() == float("inf")

    def test_being_busy_in_between_starts_the_keep_alive_time_anew(self) -> None:
        requests = [request("io 1ms", at=t) for t in (0, 0, 1500, 1500, 9000)]
        finished = run(tomcat(2, spare=1, threadsMaxIdleTime="2s"), *requests)
        assert finished.journal.threads_gone == [3501]

    def test_tomcat_keeps_its_spare_threads(self) -> None:
        requests = [request("io 1ms") for _ in range(5)] + [request("io 1ms", at=9000)]
        finished = run(tomcat(5, spare=2, threadsMaxIdleTime="2s"), *requests)
        assert finished.journal.threads_gone == [2001] * 3


class TestPython:
    pool: Spec = {  # noqa: RUF012
        "kind": "thread_pool",
        "policy": "python",
        "max_workers": 3,
        "gil": False,
        "thread_create": "0s",
        "dispatch": "0s",
    }

    def test_a_thread_is_added_for_each_task_that_finds_nobody_free(self) -> None:
        finished = run(self.pool, *seconds(5), cores=4)
        assert finished.journal.threads_made == [0, 0, 0]
        assert finished.journal.starts == [(0, "A"), (0, "B"), (0, "C"), (1000, "D"), (1000, "E")]

    def test_an_idle_thread_is_used_before_another_one_is_made(self) -> None:
        finished = run(self.pool, request("io 1ms"), request("io 1ms", at=5), cores=4)
        assert finished.journal.threads_made == [0]

    def test_threads_never_end(self) -> None:
        finished = run(self.pool, request("io 1ms"), request("io 1ms", at=1_000_000), cores=4)
        assert finished.journal.threads_gone == []
        assert finished.journal.threads_made == [0]
