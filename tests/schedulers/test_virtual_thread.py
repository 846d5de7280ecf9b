"""Virtual threads: mounting, pinning, compensation, stealing. Times are milliseconds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from kit import RUN_TO_END, VIRTUAL, Run, hold, request, run

from simsched.observe.record import PARTS

JDKS = (21, 22, 23, 24, 25)

# What a blocking call of each kind does to the carrier, by JDK (the table of the JDK's own wiki).
UNMOUNTS, PINS, COMPENSATED = "unmounts", "pins", "pins, compensated"
EFFECT = {
    "socket": dict.fromkeys(JDKS, UNMOUNTS),
    "synchronized": {21: PINS, 22: PINS, 23: PINS, 24: UNMOUNTS, 25: UNMOUNTS},
    "file": {21: COMPENSATED, 22: COMPENSATED, 23: PINS, 24: PINS, 25: PINS},
    "native": dict.fromkeys(JDKS, PINS),
}
CELLS = [(kind, jdk, effect) for kind, row in EFFECT.items() for jdk, effect in row.items()]


def on(jdk: int = 25, **knobs: Any) -> dict[str, Any]:
    return VIRTUAL | {"jdk": jdk, **knobs}


class TestOracles:
    def test_o19_a_trivial_task_waits_until_a_hog_ends(self) -> None:
        hogs = [request("cpu 1000ms"), request("cpu 1000ms")]
        finished = run(on(), *hogs, request("cpu 1us", at=50), cores=2)
        assert finished.done["C"] == 1000.001  # it has waited for 950 ms

    def test_o19_with_the_costs_of_a_jdk(self) -> None:
        hogs = [request("cpu 1000ms"), request("cpu 1000ms")]
        spec = {"kind": "virtual_thread"}
        finished = run(spec, *hogs, request("cpu 1us", at=50), cores=2)
        assert finished.done["C"] - 50 == pytest.approx(950, abs=0.5)

    @pytest.mark.parametrize("jdk", [23, 24, 25])
    def test_o20_as_many_slow_file_reads_as_carriers_stop_everybody(self, jdk: int) -> None:
        reads = [request("blocking file 1000ms") for _ in range(2)]
        finished = run(on(jdk), *reads, request("cpu 1ms", at=10), cores=2)
        assert finished.done["C"] == 1001
        one = run(on(jdk), reads[0], request("cpu 1ms", at=10), cores=2)
        assert one.done["B"] == 11

    @pytest.mark.parametrize("jdk", JDKS)
    @pytest.mark.parametrize("n", [1, 2, 5, 20])
    def test_o21_sleeping_in_synchronized_pins_before_jdk_24(self, jdk: int, n: int) -> None:
        carriers = 2
        own_monitor = [
            request([hold("lock", f"m{i}", "sleep 100ms", kind="synchronized")]) for i in range(n)
        ]
        finished = run(on(jdk), *own_monitor, cores=carriers)
        rounds = math.ceil(n / carriers) if jdk < 24 else 1
        assert max(finished.done.values()) == 100 * rounds
        assert finished.activity.get("pinned_calls", 0) == (n if jdk < 24 else 0)

    @pytest.mark.parametrize(
        ("min_runnable", "blocked", "running", "pool"),
        [
            # measured on JDK 25 with parallelism 8: B=2 -> 6, 4 -> 4, 6 -> 3-4, 8 -> 4, 12 -> 4
            (4, 2, 6, 8),
            (4, 4, 4, 8),
            (4, 6, 4, 10),
            (4, 8, 4, 12),
            (4, 12, 4, 16),
            (1, 2, 6, 8),
            (1, 4, 4, 8),
            (1, 6, 2, 8),
            (1, 8, 1, 9),
            (1, 12, 1, 13),
        ],
    )
    def test_o22_compensation_keeps_min_runnable_running(
        self, min_runnable: int, blocked: int, running: int, pool: int
    ) -> None:
        finished = run(
            on(21, parallelism=8, minRunnable=min_runnable),
            *[request("blocking file 1000ms") for _ in range(blocked)],
            *[request("cpu 100ms", at=500) for _ in range(32)],
            cores=32,
        )
        # As long as the reads last, that many of the others run at a time.
        assert sum(t == 500 for t, _ in finished.journal.starts) == running
        ends = [t for name, t in finished.done.items() if 500 < t < 1000]
        assert len(ends) == min(32, 4 * running)
        alive_at_500 = sum(t <= 500 for t in finished.journal.threads_made)
        assert alive_at_500 == pool


class TestPinningTable:
    def crowd(self, jdk: int, kind: str) -> Run:
        """Four blocking calls on two carriers, and one request that only computes."""
        calls = [request(f"blocking {kind} 100ms") for _ in range(4)]
        return run(on(jdk), *calls, request("cpu 1ms", at=10), cores=2)

    @pytest.mark.parametrize(("kind", "jdk", "effect"), CELLS)
    def test_what_a_blocking_call_does(self, kind: str, jdk: int, effect: str) -> None:
        finished = self.crowd(jdk, kind)
        blocking = [finished.done[name] for name in "ABCD"]
        if effect == PINS:
            assert blocking == [100, 100, 200, 200]
            assert finished.done["E"] == 201
            assert finished.activity["threads_created"] == 2
        else:
            assert blocking == [100] * 4
            assert finished.done["E"] == 11
        pinned = 0 if effect == UNMOUNTS else 4
        assert finished.activity.get("pinned_calls", 0) == pinned
        assert finished.activity.get("pinned_s", 0) == pytest.approx(0.1 * pinned)
        spares = finished.activity.get("spare_carriers", 0)
        assert (spares > 0) == (effect == COMPENSATED)

    @pytest.mark.parametrize("inside", ["io 100ms", "sleep 100ms", "blocking socket 100ms"])
    def test_before_jdk_24_whatever_waits_inside_synchronized_pins(self, inside: str) -> None:
        held = [request([hold("lock", f"m{i}", inside, kind="synchronized")]) for i in range(4)]
        assert max(run(on(23), *held, cores=2).done.values()) == 200
        assert max(run(on(24), *held, cores=2).done.values()) == 100

    def test_a_reentrant_lock_never_pins(self) -> None:
        held = [request([hold("lock", f"m{i}", "io 100ms")]) for i in range(4)]
        assert max(run(on(21), *held, cores=2).done.values()) == 100

    @pytest.mark.parametrize(("jdk", "c_is_done"), [(21, 101), (25, 2)])
    def test_waiting_to_enter_synchronized_pins_before_jdk_24(
        self, jdk: int, c_is_done: float
    ) -> None:
        monitor = [hold("lock", "m", "cpu 100ms", kind="synchronized")]
        finished = run(
            on(jdk), request(monitor), request(monitor), request("cpu 1ms", at=1), cores=2
        )
        # A computes on one carrier; B, which waits for the monitor, blocks the other or does not.
        assert finished.done["A"] == 100
        assert finished.done["C"] == c_is_done
        assert finished.done["B"] == 200

    @pytest.mark.parametrize("jdk", [21, 25])
    def test_holding_a_monitor_ends_with_it(self, jdk: int) -> None:
        steps = [hold("lock", "m", "cpu 1ms", kind="synchronized"), {"io": "100ms"}]
        finished = run(on(jdk), *[request(steps) for _ in range(3)])
        assert max(finished.done.values()) == 103


class TestScheduling:
    def test_a_virtual_thread_is_never_preempted(self) -> None:
        finished = run(on(), *[request("cpu 50ms") for _ in range(3)])
        assert finished.done == {"A": 50, "B": 100, "C": 150}

    def test_started_threads_run_first_in_first_out(self) -> None:
        finished = run(on(), *[request("cpu 2ms", at=0.1 * i) for i in range(5)])
        assert [name for _, name in finished.journal.starts] == list("ABCDE")

    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket"])
    def test_who_waits_is_unmounted_and_its_carrier_goes_on(self, wait: str) -> None:
        finished = run(on(), *[request(f"cpu 1ms, {wait} 10ms, cpu 1ms") for _ in range(3)])
        assert finished.done == {"A": 12, "B": 13, "C": 14}

    def test_a_carrier_per_core_computes_in_parallel(self) -> None:
        finished = run(on(), *[request("cpu 4ms") for _ in range(8)], cores=4)
        assert sorted(finished.done.values()) == [4] * 4 + [8] * 4
        assert finished.activity["threads_created"] == 4

    def test_parallelism_limits_the_carriers(self) -> None:
        finished = run(on(parallelism=2), *[request("cpu 4ms") for _ in range(4)], cores=8)
        assert finished.done == {"A": 4, "B": 4, "C": 8, "D": 8}

    def test_more_carriers_than_cores_share_the_cores_by_the_rules_of_the_host(self) -> None:
        os = {"time_slice": "2ms", "wakeup_preemption": False}
        finished = run(on(parallelism=2), *[request("cpu 6ms") for _ in range(2)], os=os)
        assert finished.done == {"A": 10, "B": 12}

    def test_a_carrier_drains_its_own_queue_first(self) -> None:
        # B waits for A's lock, C computes on the other carrier, and D is in the acceptor's queue
        # when A releases the lock at 2: B, unparked into the queue of A's carrier, goes before D.
        finished = run(
            on(),
            request([hold("lock", "m", "cpu 2ms"), {"cpu": "1ms"}]),
            request([hold("lock", "m", "cpu 1ms")], at=0.1),
            request("cpu 10ms", at=0.2),
            request("cpu 1ms", at=1),
            cores=2,
        )
        assert finished.done == {"A": 3, "B": 4, "C": 10.2, "D": 5}

    def test_an_idle_carrier_steals_from_a_busy_ones_queue(self) -> None:
        # Two tasks become ready on A's carrier while it computes on.
        finished = run(
            on(),
            request([hold("lock", "x", [hold("lock", "y", "sleep 1ms")]), {"cpu": "50ms"}]),
            request([hold("lock", "x", "cpu 1ms")], at=0.1),
            request([hold("lock", "y", "cpu 1ms")], at=0.2),
            cores=2,
        )
        assert finished.done["A"] == 51
        assert max(finished.done["B"], finished.done["C"]) <= 3
        assert finished.activity["steals"] >= 1

    def test_idle_carriers_leave_after_their_keep_alive(self) -> None:
        finished = run(
            on(keepAlive="1s"), *[request("cpu 1ms") for _ in range(2)],
            request("cpu 1ms", at=5000), cores=2,
        )  # fmt: skip
        # The last to become idle goes first, and the others with it or soon after.
        gone = finished.journal.threads_gone[:2]
        assert gone[0] == 1001
        assert gone[1] <= 1021
        assert finished.done["C"] == 5001


class TestIoReadiness:
    @pytest.mark.parametrize("jdk", JDKS)
    def test_a_carrier_goes_on_with_the_queue_it_took_its_task_from(self, jdk: int) -> None:
        # One carrier. A's answer comes at 10, before C and D arrive, but in another queue: the
        # acceptor's lasts until 60.
        finished = run(
            on(jdk),
            request("io 10ms, cpu 1ms"),
            request("cpu 20ms", at=1),
            request("cpu 20ms", at=15),
            request("cpu 19ms", at=35),
        )
        assert finished.done == {"A": 61, "B": 21, "C": 41, "D": 60}

    def test_since_jdk_22_pollers_are_virtual_threads_that_are_mounted_first(self) -> None:
        steps = "io 10ms, cpu 1ms"
        before = run(on(21, switch="100us"), request(steps)).done["A"]
        since = run(on(22, switch="100us"), request(steps)).done["A"]
        # A is mounted, the poller's platform thread works, A is mounted again; since JDK 22 the
        # virtual poller is mounted in between.
        assert before == 11.3
        assert since == 11.4


class TestTimers:
    def test_a_sleeping_timer_thread_is_woken_late_by_the_slack(self) -> None:
        finished = run(on(), request("cpu 1ms, sleep 2ms, cpu 1ms"), os={"timer_slack": "50us"})
        assert finished.done == {"A": 4.05}

    def test_timers_within_the_slack_are_served_by_one_wake_up(self) -> None:
        # Due at 12.000 and 12.030; the thread wakes at 12.050 for both. One carrier.
        finished = run(
            on(),
            request("cpu 1ms, sleep 11ms, cpu 1ms"),
            request("cpu 1ms, sleep 10.03ms, cpu 1ms"),
            os={"timer_slack": "50us"},
        )
        assert finished.done == {"A": 13.05, "B": 14.05}

    def test_since_jdk_25_going_to_sleep_takes_a_turn_of_the_timer_thread(self) -> None:
        # A parks at 1. From JDK 25 on the timer thread then has the core for 0.1, and the carrier
        # has to wait with B. A sleeps until 6; another turn comes before it goes on.
        def done(jdk: int) -> dict[str, float]:
            requests = [request("cpu 1ms, sleep 5ms, cpu 1ms"), request("cpu 2ms", at=1.05)]
            return run(on(jdk, timer="100us"), *requests, os=RUN_TO_END).done

        assert done(24) == {"A": 7.1, "B": 3.05}
        assert done(25) == {"A": 7.1, "B": 3.1}

    @pytest.mark.parametrize("wait", ["io 0ms", "sleep 0ms"])
    def test_a_wait_of_no_length_does_not_park(self, wait: str) -> None:
        # Parked, A would have to queue behind B.
        finished = run(on(), request(f"cpu 1ms, {wait}, cpu 1ms"), request("cpu 5ms"))
        assert finished.done == {"A": 2, "B": 7}


class TestIdleCarriers:
    def test_a_carrier_that_still_looks_on_needs_no_wake_up(self) -> None:
        # It looks on until 1.2 and has parked by then.
        spec, os = on(idle_spin="200us"), {"wakeup_latency": "50us"}
        soon = run(spec, request("cpu 1ms"), request("cpu 1ms", at=1.15), os=os)
        late = run(spec, request("cpu 1ms"), request("cpu 1ms", at=1.35), os=os)
        assert soon.done["B"] == 2.15
        assert late.done["B"] == 2.4

    def test_looking_on_is_overhead(self) -> None:
        finished = run(on(idle_spin="200us"), request("cpu 1ms"), request("cpu 1ms", at=10))
        assert finished.record.totals["overhead_core_s"] == pytest.approx(200e-6)


class TestCancellation:
    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket"])
    def test_trap_15_a_parked_thread_is_interrupted(self, wait: str) -> None:
        finished = run(on(), request(f"{wait} 100ms, cpu 50ms", timeout="30ms"))
        assert finished.journal.ends == [(30, "A timed_out")]
        assert finished.journal.let_go == [(30, "A")]

    def test_a_pinned_call_returns_first(self) -> None:
        finished = run(on(), request("blocking native 100ms, io 50ms", timeout="30ms"))
        assert finished.journal.let_go == [(100, "A")]

    def test_one_that_computes_goes_on_to_its_next_park(self) -> None:
        finished = run(on(), request("cpu 40ms, cpu 30ms, sleep 10ms, cpu 9ms", timeout="15ms"))
        assert finished.journal.let_go == [(70, "A")]

    def test_one_that_has_not_begun_never_begins(self) -> None:
        finished = run(on(), request("cpu 100ms"), request("cpu 50ms", timeout="30ms"))
        assert finished.journal.let_go == [(100, "B")]

    def test_who_waits_for_a_lock_is_interrupted(self) -> None:
        finished = run(
            on(),
            request([hold("lock", "m", "io 100ms")]),
            request([hold("lock", "m", "io 10ms")], at=1, timeout="20ms"),
        )
        assert finished.journal.let_go == [(21, "B")]


class TestCosts:
    def test_starting_and_mounting_cost_cpu(self) -> None:
        spec = on(create="10us", switch="1us")
        finished = run(spec, request("cpu 1ms, sleep 1ms, cpu 1ms"), cores=2)
        # Started and mounted; the timer's thread unparks it; mounted again.
        assert finished.done == {"A": 3.013}
        assert finished.record.parts_s[0, PARTS.index("overhead")] == pytest.approx(12e-6)
