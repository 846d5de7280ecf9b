"""The common pool: who takes which task, who helps whom, who stands in. See `futures`."""

from __future__ import annotations

import pytest
from kit import hold, parallel, request, run

from .futures import CPU, done, futures, watched


class TestOrder:
    """Three branches of 1 ms each, and a single worker (two cores)."""

    three = request([CPU, parallel("cpu 1ms", "cpu 1ms", "cpu 1ms"), CPU])

    def test_a_worker_takes_the_newest_of_its_own_queue(self) -> None:
        _, stays = watched(self.three, cores=2, allOf="then")
        assert stays == {
            "A": [("cpu", 0, 1), ("join", 1, 4), ("cpu", 4, 5)],
            "A3": [("cpu", 1, 2)],
            "A2": [("run_queue", 1, 2), ("cpu", 2, 3)],
            "A1": [("run_queue", 1, 3), ("cpu", 3, 4)],
        }

    def test_who_joins_helps_with_the_oldest(self) -> None:
        finished, stays = watched(self.three, cores=2)
        assert stays == {
            "A": [("cpu", 0, 1), ("join", 1, 4), ("cpu", 4, 5)],
            "A1": [("cpu", 1, 2)],
            "A2": [("run_queue", 1, 2), ("cpu", 2, 3)],
            "A3": [("run_queue", 1, 3), ("cpu", 3, 4)],
        }
        assert finished.activity["tasks_helped"] == 3

    def test_a_thief_takes_the_oldest_one_at_a_time(self) -> None:
        """Two workers, four branches. At 1 the owner takes A4, and a new worker steals A1."""
        four = request([CPU, parallel("cpu 2ms", "cpu 1ms", "cpu 1ms", "cpu 3ms"), CPU])
        finished, stays = watched(four, cores=3, allOf="then")
        assert stays["A4"] == [("cpu", 1, 4)]
        assert stays["A1"] == [("cpu", 1, 3)]
        # The thief goes on with the queue it has stolen from; at 4 both are there for A3.
        assert stays["A2"] == [("run_queue", 1, 3), ("cpu", 3, 4)]
        assert stays["A3"] == [("run_queue", 1, 4), ("cpu", 4, 5)]
        assert finished.done == {"A": 6}
        assert finished.activity["steals"] >= 1

    def test_requests_come_first_in_first_out_from_outside(self) -> None:
        assert done(*[request("cpu 1ms") for _ in range(3)], cores=2) == {"A": 1, "B": 2, "C": 3}

    def test_own_tasks_go_before_what_comes_from_outside(self) -> None:
        """B has waited since 0. A's stages are in the worker's own queue, so it goes on with A."""
        finished = done(self.three, request("cpu 1ms"), cores=2, allOf="then")
        assert finished == {"A": 5, "B": 6}

    def test_a_burst_from_outside_wakes_workers_one_by_one(self) -> None:
        """A signal is passed on by who takes a task: 1 ms to start a thread, four times."""
        finished = run(
            futures(thread_create="1ms"), *[request("cpu 10ms") for _ in range(4)], cores=5
        )
        assert [t for t, _ in finished.journal.starts] == [1, 2, 3, 4]


class TestJoin:
    def test_others_steal_what_the_joiner_has_not_come_to(self) -> None:
        """Two workers: one helps with A1 (2 ms), the other takes A2, which takes 10."""
        a = request([CPU, parallel("cpu 2ms", "cpu 10ms"), CPU])
        _, stays = watched(a, cores=3)
        assert stays["A"] == [("cpu", 0, 1), ("join", 1, 11), ("cpu", 11, 12)]

    def test_it_may_help_somebody_else_and_be_late(self) -> None:
        """Two workers, the second of which is with B until 5.

        A1 forks A3 and A4 at 1, joins them, and helps with the oldest task there is: A2, for 20 ms.
        The other worker steals A3 and A4. They have ended at 7, but A1 lies below A2 on the stack.
        """
        a = request([parallel([CPU, parallel("cpu 1ms", "cpu 1ms")], "cpu 20ms")])
        _, stays = watched(a, request("cpu 5ms"), cores=3)
        assert stays["A2"] == [("run_queue", 0, 1), ("cpu", 1, 21)]
        assert stays["A3"] == [("run_queue", 1, 5), ("cpu", 5, 6)]
        assert stays["A4"] == [("run_queue", 1, 6), ("cpu", 6, 7)]
        assert stays["A1"] == [("cpu", 0, 1), ("join", 1, 7), ("run_queue", 7, 21)]

    def test_helping_nests(self) -> None:
        """One worker: A's branch A1 forks, too."""
        inner = parallel("cpu 1ms", "cpu 1ms")
        a = request([parallel([CPU, inner], [CPU, CPU]), CPU])
        finished, stays = watched(a, cores=2)
        # The worker runs A1 (0 to 1), which joins and helps: with A2 first, the oldest.
        assert stays["A2"] == [("run_queue", 0, 1), ("cpu", 1, 3)]
        assert finished.done == {"A": 6}
        assert finished.activity["tasks_helped"] == 4

    def test_a_joiner_that_finds_nothing_blocks_and_a_spare_stands_in(self) -> None:
        """One worker. A waits for branches that wait for I/O without a thread; B can run."""
        a = request([parallel("io 10ms, cpu 1ms", "io 10ms, cpu 1ms"), CPU])
        finished, stays = watched(a, request("cpu 1ms", at=2), cores=2, io="async")
        assert finished.done["B"] == 3
        assert finished.activity["spare_workers"] == 1
        assert stays["A"] == [("join", 0, 12), ("cpu", 12, 13)]

    def test_as_a_stage_nobody_waits_and_no_spare_is_needed(self) -> None:
        a = request([parallel("io 10ms, cpu 1ms", "io 10ms, cpu 1ms"), CPU])
        finished, _ = watched(a, request("cpu 1ms", at=2), cores=2, io="async", allOf="then")
        assert finished.done == {"A": 13, "B": 3}
        assert "spare_workers" not in finished.activity

    def test_blocking_branches_take_as_many_workers(self) -> None:
        """Three calls of 10 ms on two workers: the joiner makes one call itself, twice in a row."""
        a = request([parallel("blocking 10ms", "blocking 10ms", "blocking 10ms")])
        assert done(a, cores=3) == {"A": 20}
        assert done(a, cores=4) == {"A": 10}


class TestCompensation:
    calls = tuple(request("blocking 100ms") for _ in range(4))

    def test_managed_blocks_leave_one_worker_active(self) -> None:
        """Three workers: two calls let the active ones fall to one, and two spares follow."""
        finished, _ = watched(*self.calls, request("cpu 1ms"), cores=4, managedBlock=True)
        assert [finished.done[name] for name in "ABCDE"] == [100, 100, 100, 100, 1]

    def test_without_them_a_worker_is_lost(self) -> None:
        finished, _ = watched(*self.calls, request("cpu 1ms"), cores=4)
        assert [finished.done[name] for name in "ABCDE"] == [100, 100, 100, 200, 101]

    def test_minimum_runnable_keeps_more_of_them_active(self) -> None:
        blocked = [request("blocking 100ms") for _ in range(4)]
        hogs = [request("cpu 10ms", at=50) for _ in range(4)]
        for least, ends in ((1, [60, 70, 80, 90]), (2, [60, 60, 70, 70])):
            finished, _ = watched(
                *blocked, *hogs, cores=16, parallelism=4, minRunnable=least, managedBlock=True
            )
            assert [finished.done[name] for name in "EFGH"] == ends

    def test_when_the_spares_are_used_up_the_call_throws(self) -> None:
        """One worker and one spare: A and B block, and C finds nobody to stand in for it.

        "Thread limit exceeded replacing blocked worker" comes at once, before the call is made.
        """
        finished, _ = watched(*self.calls, cores=2, managedBlock=True, maximumSpares=1)
        assert finished.outcomes["A"] == "completed"
        assert list(finished.outcomes.values()).count("failed") == 3
        assert finished.activity["thread_limit_exceeded"] == 3

    def test_an_exception_in_a_branch_is_one_of_its_request(self) -> None:
        a = request([parallel("blocking 5ms", "cpu 1ms"), CPU])
        finished, _ = watched(a, cores=2, managedBlock=True, maximumSpares=0)
        assert finished.outcomes == {"A": "failed"}

    @pytest.mark.parametrize("inside", ["io 10ms", "blocking 10ms", "sleep 10ms"])
    def test_it_may_be_any_blocking_call(self, inside: str) -> None:
        finished, _ = watched(*[request(inside) for _ in range(5)], cores=2, managedBlock=True)
        assert set(finished.done.values()) == {10}

    def test_waiting_for_a_lock_does_not_compensate_unless_it_is_managed(self) -> None:
        """Three workers. A holds the lock for 10 ms; B and C wait for it, each on its worker."""
        held = [request([hold("lock", "m", "blocking 10ms")]) for _ in range(3)]
        last = request("cpu 1ms", at=1)
        assert done(*held, last, cores=4)["D"] == 11
        assert done(*held, last, cores=4, managedBlock=True)["D"] == 2


class TestWorkers:
    def test_idle_ones_end_together_after_their_keep_alive(self) -> None:
        finished = run(
            futures(keepAlive="1s"), *[request("cpu 1ms") for _ in range(3)],
            request("cpu 1ms", at=5000), cores=4,
        )  # fmt: skip
        assert finished.journal.threads_gone[:3] == [1001, 1021, 1041]

    def test_none_ends_while_one_of_them_works(self) -> None:
        finished = run(
            futures(keepAlive="1s"), request("blocking 4000ms"),
            *[request("cpu 1ms") for _ in range(2)], request("cpu 1ms", at=7000), cores=4,
        )  # fmt: skip
        assert finished.journal.threads_gone[0] == 5000
