"""gunicorn's gthread worker: a selector thread, a pool, one interpreter lock. Milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import Run, Spec, hold, request, run, scenario_of, spec_of
from published import wsgi
from published.rows import WITHIN

from simsched.observe.record import PARTS
from simsched.sim.engine import simulate
from simsched.workload import draw

FREE = {"accept": "0s", "dispatch": "0s", "request": "0s", "thread_create": "0s"}
KEPT = {"keep_alive": True}


def gthread(threads: int, **knobs: Any) -> Spec:
    """A gthread worker without costs, and without a lock unless it is asked for."""
    return {"kind": "gthread", "threads": threads, "gil": False, **FREE, **knobs}


def locked(threads: int, **knobs: Any) -> Spec:
    """The same with the interpreter lock."""
    return gthread(threads, gil=True, **knobs)


def parts_ms(finished: Run, i: int) -> dict[str, float]:
    """The parts of a request's latency that are not zero."""
    parts = zip(PARTS, (1e3 * finished.record.parts_s[i]).round(9).tolist(), strict=True)
    return {name: part for name, part in parts if part}


class TestThePool:
    def test_the_queue_is_first_in_first_out(self) -> None:
        finished = run(gthread(1), *[request("io 2ms") for _ in range(4)])
        assert finished.journal.starts == [(0, "A"), (2, "B"), (4, "C"), (6, "D")]

    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket", "blocking file"])
    def test_whatever_it_waits_for_a_request_keeps_its_thread(self, wait: str) -> None:
        finished = run(gthread(1), request(f"cpu 1ms, {wait} 10ms, cpu 1ms"), request("cpu 1ms"))
        assert finished.done == {"A": 12, "B": 13}

    def test_so_many_requests_at_a_time_as_there_are_threads(self) -> None:
        finished = run(gthread(3), *[request("io 10ms") for _ in range(7)])
        assert list(finished.done.values()) == [10, 10, 10, 20, 20, 20, 30]

    def test_threads_are_started_when_none_is_free(self) -> None:
        times = (0, 1, 20, 21, 22)
        finished = run(gthread(8), *[request("io 10ms", at=t) for t in times])
        assert finished.journal.threads_made == [0, 1, 22]

    def test_branches_of_a_parallel_step_run_one_after_the_other(self) -> None:
        steps = [{"parallel": [[{"io": "3ms"}], [{"io": "4ms"}]]}]
        assert run(gthread(2), request(steps)).done == {"A": 7}

    def test_threads_waiting_for_a_permit_are_held(self) -> None:
        use = [hold("use", "db", "io 10ms")]
        finished = run(
            gthread(2),
            request(use),
            request(use, at=1),
            request("cpu 1ms", at=2),
            resources={"db": 1},
            cores=2,
        )
        assert finished.done == {"A": 10, "B": 20, "C": 11}

    def test_nobody_tells_a_thread_that_its_client_has_left(self) -> None:
        finished = run(
            gthread(1),
            request("io 10ms, cpu 1ms", timeout="4ms"),
            request("io 9ms", timeout="5ms", at=1),
            request("cpu 1ms", at=2),
        )
        assert finished.outcomes == {"A": "timed_out", "B": "timed_out", "C": "completed"}
        assert finished.done["C"] == 11  # B had not been read


class TestTheMainThread:
    def test_it_accepts_one_connection_per_round(self) -> None:
        finished = run(gthread(4, accept="1ms"), *[request("io 10ms") for _ in range(3)], cores=4)
        assert finished.journal.starts == [(1, "A"), (2, "B"), (3, "C")]

    def test_it_takes_kept_connections_in_and_out(self) -> None:
        # B comes on A's connection. Accepted once; dispatched, taken back, and dispatched again.
        finished = run(
            gthread(1, accept="0.1ms", dispatch="1ms"),
            request("io 5ms"),
            request("io 5ms", at=20),
            cores=2,
            connections=KEPT,
        )
        assert finished.done == {"A": 6.1, "B": 26}
        assert finished.record.totals["overhead_core_s"] == pytest.approx(3.1e-3, abs=1e-12)

    def test_a_request_that_comes_before_its_connection_is_watched_again_waits_for_that(
        self,
    ) -> None:
        # A ends at 6 ms; the main thread has its connection back at 7 ms, and B, which came at
        # 6.5 ms, at 8 ms.
        finished = run(
            gthread(1, dispatch="1ms"),
            request("io 5ms"),
            request("io 5ms", at=6.5),
            cores=2,
            connections=KEPT,
        )
        assert finished.done == {"A": 6, "B": 13}

    def test_beyond_worker_connections_it_does_not_accept(self) -> None:
        finished = run(
            gthread(8, listen={"max_connections": 2}),
            *[request(f"io {10 + i}ms") for i in range(4)],
        )
        assert finished.done == {"A": 10, "B": 11, "C": 22, "D": 24}
        assert finished.simulation.network is not None
        assert len(finished.journal.threads_made) == 2

    def test_an_idle_connection_is_closed_after_keepalive(self) -> None:
        finished = run(
            gthread(1, listen={"keep_alive": "2s"}),
            request("cpu 1ms"),
            request("cpu 1ms", at=1900),
            request("cpu 1ms", at=3950),
            connections=KEPT,
        )
        assert finished.activity["idle_connections_closed"] >= 1
        assert finished.simulation.network is not None
        assert finished.simulation.network.n_opened == 2


THREE_AT_START = {"keep_alive": True, "connect": "start", "count": 3}


class TestFirstBytes:
    def test_clients_that_say_nothing_take_threads(self) -> None:
        """Two threads wait for the first bytes of two connections, the third one is queued.

        A comes on the third, which is where it stays until a thread gives up after five seconds. B
        comes on a connection that a thread waits for.
        """
        finished = run(
            gthread(2),
            request("cpu 1ms", at=1000),
            request("cpu 1ms", at=1500),
            connections=THREE_AT_START,
        )
        assert finished.done == {"B": 1501, "A": 1502}

    def test_after_first_bytes_the_connection_waits_without_a_thread(self) -> None:
        finished = run(
            gthread(3, first_bytes="5s", listen={"keep_alive": "2s"}),
            request("cpu 1ms", at=6000),
            request("io 20ms", at=6001),
            request("io 20ms", at=6002),
            connections=THREE_AT_START,
        )
        assert finished.activity["connections_deferred"] == 3
        assert finished.done == {"A": 6001, "B": 6021, "C": 6022}
        assert finished.simulation.network is not None
        assert finished.simulation.network.n_opened == 3

    def test_a_pending_connection_is_closed_after_keepalive(self) -> None:
        finished = run(
            gthread(3, first_bytes="5s", listen={"keep_alive": "2s"}),
            request("cpu 1ms", at=7500),
            connections=THREE_AT_START,
        )
        assert finished.done == {"A": 7501}
        assert finished.activity["idle_connections_closed"] >= 3
        assert finished.simulation.network is not None
        assert finished.simulation.network.n_opened == 4


class TestTheLock:
    def test_two_requests_do_not_compute_at_the_same_time(self) -> None:
        both = [request("cpu 4ms"), request("cpu 4ms")]
        assert max(run(gthread(2), *both, cores=3).done.values()) == 4
        assert max(run(locked(2), *both, cores=3).done.values()) == 8

    def test_one_that_waits_leaves_the_lock_to_others(self) -> None:
        finished = run(locked(2), request("io 10ms, cpu 1ms"), request("cpu 8ms", at=1), cores=3)
        assert finished.done == {"A": 11, "B": 9}

    def test_the_main_thread_needs_it_to_accept(self) -> None:
        finished = run(
            locked(2, accept="1us"), request("cpu 50ms"), request("io 10ms", at=1), cores=3
        )
        # B comes at 1 ms. The main thread asks for the lock and has it 5 ms later, accepts, and
        # gives it back to A. The thread for B has begun to wait just before: a switch that it did
        # not ask for sets its clock back, so it is 10 ms until A has to let go again. Each of the
        # three waits may end 50 us late (the kernel's timer slack).
        (accepts_ms, _, _, _) = finished.journal.slices[2]
        ((first_ms, _), (second_ms, _)) = finished.journal.starts
        assert first_ms == 0.001
        assert 6 <= accepts_ms <= 6.05
        assert 16.001 <= second_ms <= 16.151


class TestOverheads:
    def test_the_cost_of_a_request_is_paid_before_its_steps(self) -> None:
        finished = run(
            gthread(1, request="500us", thread_create="100us"),
            request("cpu 1ms", at=1),
            request("cpu 1ms", at=10),
            cores=2,
            os={"wakeup_latency": "50us"},
        )
        assert parts_ms(finished, 1)["cpu"] == 1
        # Two wake-ups, of the main thread and of the pool's.
        assert finished.done["B"] == pytest.approx(11.6)
        assert parts_ms(finished, 1)["overhead"] == pytest.approx(0.55)
        assert parts_ms(finished, 1)["admission"] == pytest.approx(0.05)


class TestOracles:
    def test_o6_forty_clients_share_eight_threads(self) -> None:
        """80 requests a second, and 500 ms each: with 100 ms per request, and nothing else."""
        users = {"kind": "closed", "users": 40, "think": "0s"}
        steps = [{"name": "a", "steps": [{"blocking": "100ms"}]}]
        scenario = scenario_of(
            steps, locked(8), arrivals=users, duration="20s", connections=KEPT, cores=2
        )
        record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
        latency_s = record.finish_s - record.arrival_s
        assert latency_s[:40].round(9).tolist() == [(1 + i // 8) / 10 for i in range(40)]
        assert set(latency_s[40:1600].round(9).tolist()) == {0.5}

    @pytest.mark.parametrize("i", range(3), ids=["throughput", "p50", "p99"])
    def test_o6_as_measured(self, i: int) -> None:
        _, predicted, measured = wsgi.gthread_with_slow_requests()[i]
        assert predicted == pytest.approx(measured, rel=WITHIN)

    def test_the_cpu_of_a_request_as_measured(self) -> None:
        _, predicted, measured = wsgi.cpu_of_hello()[1]
        assert predicted == pytest.approx(measured, rel=WITHIN)
