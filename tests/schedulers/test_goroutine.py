"""Go's scheduler: Ps, Ms, runnext, stealing, sysmon, system calls. Times are milliseconds."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from kit import GO, Run, hold, letter, request, run

from simsched.observe.record import PARTS
from simsched.schedulers.go_queues import RunQueue
from simsched.sim.task import Task
from simsched.workload import Program

ONE_P: dict[str, Any] = GO | {"GOMAXPROCS": 1}
VIRTUAL_MACHINE = {"wakeup_latency": "45us", "switch_cost": "1.5us"}
DEFAULT_COSTS: dict[str, Any] = {"kind": "goroutine", "GOMAXPROCS": 1}


def turns(finished: Run, names: str) -> list[float]:
    """When the cpu steps of the named requests ended."""
    return [t for t, step in finished.journal.steps if step[0] in names and " cpu" in step]


class TestOracles:
    def test_o14_beside_a_hog_a_sleeper_wakes_10_to_20_ms_late(self) -> None:
        sleeper = ", ".join(["sleep 1ms, cpu 10us"] * 40)
        finished = run(DEFAULT_COSTS, request("cpu 1500ms"), request(sleeper), os=VIRTUAL_MACHINE)
        delays = sorted(later - earlier - 1 for earlier, later in pairwise(turns(finished, "B")))
        # A hog is preempted by the first look of sysmon, every 10 ms, that finds it 10 ms old.
        assert delays[0] >= 9
        assert delays[-1] <= 20
        assert delays[len(delays) // 2] == pytest.approx(19.2, abs=1)  # as measured

    def test_o15_a_ping_pong_pair_keeps_the_slice_and_the_hog_waits(self) -> None:
        # A and B pass a lock to and fro, 9.7 us each; C computes.
        turn = [hold("lock", "m", "cpu 9.7us")] * 3000
        first = [hold("lock", "m", "sleep 1ms")]
        finished = run(
            ONE_P, request(first + turn), request(turn, at=0.1), request("cpu 200ms", at=0.5)
        )
        ends = turns(finished, "AB")
        assert len(ends) == 6000
        # Turns follow each other at once, but for a few: then the pair's slice is used up, after
        # 10-20 ms, and the hog has the P, for 10-20 ms too.
        breaks = [i for i in range(1, 6000) if ends[i] - ends[i - 1] > 0.0098]
        slices = [ends[j - 1] - ends[i] for i, j in pairwise([0, *breaks])]
        pauses = [ends[i] - ends[i - 1] - 0.0097 for i in breaks]
        assert len(breaks) >= 2
        assert all(9.97 <= length <= 20.02 for length in slices)
        assert all(9.97 <= pause <= 20.02 for pause in pauses)
        assert all(ends[i] - ends[i - 1] == pytest.approx(0.0097) for i in range(1, breaks[0]))

    def test_o16_the_258th_goroutine_moves_half_the_ring_to_the_global_queue(self) -> None:
        program = Program("a", (), ())
        queue, global_queue = RunQueue(), deque[Task]()
        gs = [Task(i, 0, program, [], 0.0) for i in range(300)]
        for created, g in enumerate(gs[:257], start=1):
            queue.put(g, global_queue, as_next=True)
            assert len(global_queue) == 0, f"after {created}"
        assert len(queue.ring) == 256
        queue.put(gs[257], global_queue, as_next=True)
        # The older half of the ring, and the one that was kicked out of runnext.
        assert [g.index for g in global_queue] == [*range(128), 256]
        assert len(queue.ring) == 128
        for g in gs[258:]:
            queue.put(g, global_queue, as_next=True)
        assert queue.get()[0] is gs[299]
        assert queue.get()[0] is gs[128]

    def test_o17_a_long_system_call_loses_its_p_after_20_to_60_us_and_a_wake_up(self) -> None:
        starts = []
        for offset in range(10):  # where in its 20 us sysmon stands
            finished = run(
                DEFAULT_COSTS,
                request(f"cpu {100 + 4 * offset}us, blocking file 20ms", at=1),
                request("cpu 1ms", at=1.05),
                cores=2,
                os=VIRTUAL_MACHINE,
            )
            entered = next(t for t, step in finished.journal.steps if step == "A cpu")
            started = {name: t for t, name in finished.journal.starts}["B"]
            starts.append((started - entered) * 1000)
            assert finished.journal.threads_made[1:] == [pytest.approx(started - 0.0585, abs=1e-3)]
            assert finished.activity["handoffs"] == 1
        # 20-60 us until sysmon's second look, 45 us to wake a core, 12 us to make the thread.
        assert min(starts) >= 20 + 57
        assert max(starts) <= 60 + 59

    def test_o18_system_calls_of_10_us_keep_their_p_and_need_no_thread(self) -> None:
        calls = ", ".join(["blocking file 10us, cpu 5us"] * 300)
        finished = run(ONE_P, request(calls), request("cpu 1ms", at=0.5), cores=2)
        assert "handoffs" not in finished.activity
        assert finished.activity["threads_created"] == 1
        assert finished.done == {"A": 4.5, "B": 5.5}


class TestWhoIsNext:
    def test_a_hog_is_preempted_after_10_to_20_ms_and_goes_to_the_tail(self) -> None:
        finished = run(ONE_P, *[request("cpu 50ms") for _ in range(3)])
        assert finished.activity["goroutine_preemptions"] >= 3
        assert max(finished.done.values()) == 150
        assert min(finished.done.values()) > 100

    def test_without_asynchronous_preemption_a_hog_runs_to_its_end(self) -> None:
        finished = run(ONE_P | {"asyncpreempt": False}, *[request("cpu 50ms") for _ in range(3)])
        assert sorted(finished.done.values()) == [50, 100, 150]

    def test_who_is_given_a_lock_runs_next_before_those_who_waited_longer_for_the_p(self) -> None:
        # A sleeps with the lock that B wants. When A has released it, B is in runnext and overtakes
        # C and D, which became ready while A computed.
        finished = run(
            ONE_P,
            request([hold("lock", "m", "sleep 1ms, cpu 2ms"), {"cpu": "1ms"}]),
            request([hold("lock", "m", "cpu 1ms")], at=0.5),
            request("cpu 1ms", at=2),
            request("cpu 1ms", at=2.5),
        )
        assert finished.done["A"] == 4
        assert finished.done["B"] == 5
        assert sorted(finished.done.values()) == [4, 5, 6, 7]

    def test_a_thief_takes_the_older_half_rounded_up_and_runs_the_last_it_took(self) -> None:
        program = Program("a", (), ())
        queue, nowhere = RunQueue(), deque[Task]()
        for i in range(5):
            queue.put(Task(i, 0, program, [], 0.0), nowhere, as_next=False)
        assert [g.index for g in queue.grab()] == [0, 1, 2]
        assert [g.index for g in queue.ring] == [3, 4]
        queue = RunQueue()
        queue.put(Task(0, 0, program, [], 0.0), nowhere, as_next=True)
        assert queue.grab() == []  # runnext is taken only as a last resort, and not by grab

    def test_runnext_inherits_the_time_slice_and_the_ring_does_not(self) -> None:
        program = Program("a", (), ())
        queue, nowhere = RunQueue(), deque[Task]()
        a, b = (Task(i, 0, program, [], 0.0) for i in range(2))
        queue.put(a, nowhere, as_next=False)
        queue.put(b, nowhere, as_next=True)
        assert queue.get() == (b, True)
        assert queue.get() == (a, False)
        assert queue.get() == (None, False)

    def test_netpoll_hands_out_the_latest_of_a_batch_first(self) -> None:
        # netpollready pushes onto a gList, which is a stack: of what is ready when A ends, the
        # descriptor that the kernel reports last comes first.
        finished = run(ONE_P, request("cpu 1ms"), *[request("cpu 1ms", at=0.5)] * 3)
        assert [name for _, name in finished.journal.starts] == list("ADCB")

    def test_netpoll_takes_128_events_at_a_time(self) -> None:
        others = [request("cpu 10us", at=0.5) for _ in range(200)]
        finished = run(ONE_P, request("cpu 1ms"), *others)
        order = [name for _, name in finished.journal.starts]
        assert order[1:129] == [letter(i) for i in range(128, 0, -1)]
        assert order[129:] == [letter(i) for i in range(200, 128, -1)]


class TestCores:
    def test_one_p_per_core_computes_in_parallel(self) -> None:
        finished = run(GO, *[request("cpu 4ms") for _ in range(8)], cores=4)
        assert sorted(finished.done.values()) == [4] * 4 + [8] * 4

    def test_gomaxprocs_limits_how_many_compute(self) -> None:
        finished = run(GO | {"GOMAXPROCS": 2}, *[request("cpu 4ms") for _ in range(8)], cores=8)
        assert sorted(finished.done.values()) == [4, 4, 8, 8, 12, 12, 16, 16]

    def test_the_m_in_netpoll_wakes_one_more_for_each_further_request(self) -> None:
        finished = run(
            GO,
            *[request("cpu 4ms", at=1) for _ in range(4)],
            cores=4,
            os={"wakeup_latency": "50us"},
        )
        # One wake-up for the M in netpoll, and a second one for those that it starts.
        assert [t for t, _ in finished.journal.starts] == [1.05, 1.1, 1.1, 1.1]

    def test_an_idle_p_steals_half_of_a_busy_ones_queue(self) -> None:
        finished = run(GO, request("cpu 2ms"), *[request("cpu 2ms", at=0.1)] * 5, cores=2)
        assert finished.activity["steals"] >= 1
        assert max(finished.done.values()) == pytest.approx(6.1, abs=0.11)


class TestWaiting:
    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket", "blocking synchronized"])
    def test_a_goroutine_that_waits_parks_and_its_p_goes_on(self, wait: str) -> None:
        finished = run(ONE_P, *[request(f"cpu 1ms, {wait} 10ms, cpu 1ms") for _ in range(3)])
        assert sorted(finished.done.values()) == [12, 13, 14]
        assert finished.activity["threads_created"] == 1

    @pytest.mark.parametrize("kind", ["file", "native"])
    def test_a_system_call_takes_its_thread_along(self, kind: str) -> None:
        calls = [request(f"blocking {kind} 20ms") for _ in range(10)]
        finished = run(ONE_P, *calls, cores=2)
        # The P is retaken from each within 60 us, so that all ten wait at the same time.
        assert max(finished.done.values()) < 21
        assert finished.activity["threads_created"] >= 10

    def test_back_from_a_system_call_it_takes_its_p_if_nobody_else_has_it(self) -> None:
        finished = run(ONE_P, request("cpu 1ms, blocking file 20ms, cpu 1ms"), cores=2)
        assert finished.done == {"A": 22}

    def test_else_it_queues_up_globally(self) -> None:
        finished = run(
            ONE_P,
            request("cpu 1ms, blocking file 5ms, cpu 1ms"),
            request("cpu 8ms", at=0.5),
            cores=2,
        )
        b_started = {name: t for t, name in finished.journal.starts}["B"]
        assert b_started == pytest.approx(1.04, abs=0.021)
        # A's call returns at 6, but the only P is B's until 9.
        assert finished.done == {
            "A": pytest.approx(b_started + 9),
            "B": pytest.approx(b_started + 8),
        }
        run_queue = finished.record.parts_s[0, PARTS.index("run_queue")]
        assert run_queue == pytest.approx((b_started + 8 - 6) / 1e3)

    def test_beyond_the_thread_limit_the_program_dies(self) -> None:
        calls = [request("cpu 1ms, blocking file 20ms") for _ in range(4)]
        finished = run(ONE_P | {"maxThreads": 2}, *calls, cores=2)
        assert set(finished.outcomes.values()) == {"failed"}
        assert finished.activity["process_died"] == 1

    def test_sysmon_polls_a_network_that_nobody_looks_at_for_10_ms(self) -> None:
        # A's preemption would let its P look at 10-20 ms, but there is none.
        spec = GO | {"asyncpreempt": False}
        finished = run(
            spec, request("cpu 100ms"), request("cpu 100ms"), request("cpu 1ms", at=1), cores=2
        )
        # Both Ps compute. sysmon puts C into the global queue: it is no longer in the network.
        assert finished.done["C"] == 101
        parts = finished.record.parts_s[2]
        admission = parts[PARTS.index("admission")]
        assert 0.01 <= admission <= 0.0205

    def test_sysmon_goes_by_polls_that_waited(self) -> None:
        # The M came back from netpoll at 0. Its P's look at 9, in vain, does not count: sysmon,
        # which looks at 1.0, 1.04, 1.12, ... and 11.2, finds that 10 ms are over, and C.
        finished = run(
            ONE_P | {"asyncpreempt": False},
            request("cpu 9ms"),
            request("cpu 30ms", at=8),
            request("cpu 1ms", at=9.5),
        )
        admission = finished.record.parts_s[2, PARTS.index("admission")]
        assert 9.5e-3 + admission == pytest.approx(11.22e-3)


class TestCancellation:
    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket"])
    def test_trap_15_a_parked_goroutine_is_woken_to_return(self, wait: str) -> None:
        finished = run(GO, request(f"{wait} 100ms, cpu 50ms", timeout="30ms"))
        assert finished.journal.let_go == [(30, "A")]

    def test_one_that_computes_goes_on_to_its_next_wait(self) -> None:
        finished = run(GO, request("cpu 40ms, cpu 30ms, io 10ms, cpu 20ms", timeout="15ms"))
        assert finished.journal.let_go == [(70, "A")]

    def test_being_preempted_does_not_tell_it(self) -> None:
        finished = run(ONE_P, request("cpu 60ms", timeout="5ms"), request("cpu 60ms", at=1))
        # A has the P until 11.2, then each in turn for 20 ms; all 120 ms are computed.
        assert finished.journal.let_go == [(120, "A")]
        assert finished.done["B"] == pytest.approx(111.2, abs=0.1)

    def test_a_system_call_returns_first(self) -> None:
        finished = run(GO, request("blocking file 100ms, cpu 50ms", timeout="30ms"))
        assert finished.journal.ends == [(30, "A timed_out")]
        assert finished.journal.let_go == [(150, "A")]

    def test_a_request_that_has_not_begun_never_begins(self) -> None:
        finished = run(
            ONE_P | {"asyncpreempt": False},
            request("cpu 100ms"),
            request("cpu 50ms", at=1, timeout="30ms"),
        )
        assert finished.journal.let_go == [(100, "B")]


class TestCosts:
    def test_starting_and_switching_to_a_goroutine_cost_cpu(self) -> None:
        finished = run(
            ONE_P | {"create": "10us", "switch": "1us"}, request("cpu 1ms, io 1ms, cpu 1ms")
        )
        # Started and switched to, then switched to once more.
        assert finished.done == {"A": 3.012}
        assert finished.record.parts_s[0, PARTS.index("overhead")] == pytest.approx(12e-6)
