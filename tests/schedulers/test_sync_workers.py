"""gunicorn's sync workers: one request per process, and an arbiter. Times are milliseconds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from kit import Run, Spec, hold, request, run, scenario_of, spec_of
from published import wsgi
from published.rows import WITHIN

from simsched.observe.record import PARTS
from simsched.sim.engine import simulate
from simsched.workload import draw

SECOND = 1000.0


def sync(processes: int = 1, **knobs: Any) -> Spec:
    """Sync workers without costs."""
    free = {"accept": "0s", "request": "0s", "startup": "0s"}
    return {"kind": "sync_workers", "processes": processes, **free, **knobs}


def worked_on(finished: Run) -> list[str]:
    """The thread of each stretch of time on a core, in order."""
    return [name for *_, name in finished.journal.slices]


class TestOneRequestAtATime:
    def test_the_accept_queue_is_first_come_first_served(self) -> None:
        finished = run(sync(), *[request("cpu 2ms") for _ in range(4)])
        assert finished.journal.starts == [(0, "A"), (2, "B"), (4, "C"), (6, "D")]
        assert finished.done == {"A": 2, "B": 4, "C": 6, "D": 8}

    @pytest.mark.parametrize("wait", ["io", "sleep", "blocking socket", "blocking file"])
    def test_whatever_it_waits_for_a_request_has_its_process(self, wait: str) -> None:
        finished = run(sync(), request(f"cpu 1ms, {wait} 10ms, cpu 1ms"), request("cpu 1ms"))
        assert finished.done == {"A": 12, "B": 13}

    def test_processes_run_side_by_side_and_take_from_one_queue(self) -> None:
        slow, *rest = [request("cpu 5ms"), *[request("cpu 2ms") for _ in range(4)]]
        finished = run(sync(2), slow, *rest, cores=2)
        assert finished.done == {"A": 5, "B": 2, "C": 4, "D": 6, "E": 7}

    def test_branches_of_a_parallel_step_run_one_after_the_other(self) -> None:
        steps = [{"parallel": [[{"io": "3ms"}], [{"io": "4ms"}]]}]
        assert run(sync(), request(steps)).done == {"A": 7}

    def test_what_waits_is_in_admission_until_it_is_read(self) -> None:
        finished = run(sync(), request("io 10ms"), request("cpu 1ms", at=4))
        parts = dict(zip(PARTS, (1e3 * finished.record.parts_s[1]).round(9), strict=True))
        assert {name: part for name, part in parts.items() if part} == {"admission": 6, "cpu": 1}

    def test_each_request_has_a_connection_of_its_own_whatever_the_clients_want(self) -> None:
        connections = {"keep_alive": True}
        times = (0, 10, 20)
        finished = run(sync(), *[request("cpu 1ms", at=t) for t in times], connections=connections)
        assert finished.done == {"A": 1, "B": 11, "C": 21}
        network = finished.simulation.network
        assert network is not None
        assert network.n_opened == 3


class TestAcceptWithoutSelect:
    def test_a_worker_that_has_more_to_do_never_sleeps(self) -> None:
        # The wake-up latency is paid once: B is accepted without a look whether it is there.
        finished = run(
            sync(), request("cpu 2ms"), request("cpu 2ms", at=1), os={"wakeup_latency": "50us"}
        )
        assert finished.done == {"A": 2.05, "B": 4.05}
        assert finished.journal.slices[-1] == (0.05, 4.05, 0, "worker")

    def test_all_idle_workers_are_woken_and_look(self) -> None:
        # At the start all three look, in vain; A wakes all three, one of which gets it: six accepts
        # of 10 us. The run is over when A is.
        finished = run(sync(3, accept="10us"), request("cpu 2ms", at=1), cores=3)
        assert finished.done == {"A": 3.01}
        assert finished.record.totals["overhead_core_s"] == pytest.approx(60e-6, abs=1e-12)

    def test_busy_workers_are_not_disturbed(self) -> None:
        # Three looks at the start; A wakes three, B the other two; after A there is one more, and
        # with B the run is over.
        finished = run(
            sync(3, accept="10us"), request("io 5ms", at=1), request("io 5ms", at=2), cores=3
        )
        assert finished.record.totals["overhead_core_s"] == pytest.approx(90e-6, abs=1e-12)

    def test_who_of_the_idle_ones_gets_it_is_chance(self) -> None:
        n, workers = 400, 4
        finished = run(sync(workers), *[request("cpu 1ms", at=2 * i) for i in range(n)], cores=4)
        counts = [worked_on(finished).count(f"p{i}:worker") for i in range(workers)]
        assert sum(counts) == n
        # 3.3 standard deviations of a binomial(400, 1/4): 99.9 %.
        assert all(abs(count - n / workers) < 3.3 * (n * 0.25 * 0.75) ** 0.5 for count in counts)
        # ... and nobody follows upon himself more often than the others do.
        names = worked_on(finished)
        again = sum(a == b for a, b in pairwise(names))
        assert abs(again - (n - 1) / workers) < 3.3 * ((n - 1) * 0.25 * 0.75) ** 0.5

    def test_on_one_core_the_cost_of_a_request_is_paid_before_its_steps(self) -> None:
        finished = run(sync(accept="10us", request="300us"), request("cpu 1ms", at=1))
        assert finished.done == {"A": 2.31}
        parts = dict(zip(PARTS, (1e3 * finished.record.parts_s[0]).round(9), strict=True))
        assert {name: part for name, part in parts.items() if part} == {"cpu": 1, "overhead": 0.31}


class TestTheArbiter:
    def test_a_request_that_takes_longer_than_the_timeout_fails_at_the_next_look(self) -> None:
        # Seen last at 0.5 s; more than 3 s later the arbiter looks at 4 s.
        finished = run(sync(timeout="3s"), request("io 10s", at=500))
        assert finished.journal.ends == [(4 * SECOND, "A failed")]
        assert finished.activity["workers_killed"] == 1

    def test_exactly_the_timeout_is_not_more_than_the_timeout(self) -> None:
        finished = run(sync(timeout="3s"), request("io 10s", at=1000))
        assert finished.journal.ends == [(5 * SECOND, "A failed")]

    def test_who_ends_before_the_look_is_spared(self) -> None:
        finished = run(sync(timeout="3s"), request("io 3.4s", at=500))
        assert finished.done == {"A": 3900}
        assert "workers_killed" not in finished.activity

    @pytest.mark.parametrize("steps", ["cpu 10s", "blocking native 10s", "sleep 10s"])
    def test_it_does_not_matter_what_takes_so_long(self, steps: str) -> None:
        finished = run(sync(timeout="3s"), request(steps, at=500))
        assert finished.journal.ends == [(4 * SECOND, "A failed")]

    def test_the_next_worker_has_to_start_before_it_accepts(self) -> None:
        finished = run(
            sync(timeout="3s", startup="1s"), request("io 10s", at=500), request("cpu 2ms", at=600)
        )
        assert finished.journal.ends == [(4 * SECOND, "A failed"), (5002, "B completed")]
        # From the start of the request that came to nothing until there is a worker again.
        assert finished.activity["lost_worker_s"] == pytest.approx(4.5, abs=1e-9)

    def test_the_others_go_on(self) -> None:
        finished = run(
            sync(2, timeout="3s", startup="1s"),
            request("io 10s", at=500),
            *[request("io 100ms", at=3850 + i) for i in range(4)],
            cores=2,
        )
        # The other worker has them one after the other: the new one comes at 5 s.
        assert finished.done == {"B": 3950, "C": 4050, "D": 4150, "E": 4250}
        assert finished.outcomes["A"] == "failed"

    def test_the_new_worker_s_start_takes_cpu_time_from_the_others(self) -> None:
        os = {"time_slice": "10ms", "wakeup_preemption": False}
        finished = run(
            sync(2, timeout="3s", startup="100ms"),
            request("io 10s", at=500),
            request("cpu 50ms", at=4000),
            os=os,
        )
        # Ten milliseconds each in turn, from 4 s on.
        assert 4090 <= finished.done["B"] <= 4100

    def test_a_worker_that_does_not_come_up_in_time_is_killed_as_well(self) -> None:
        # Forked at 4 s and seen only when it runs: the look at 8 s finds it older than 3 s.
        finished = run(
            sync(timeout="3s", startup="4.5s"),
            request("io 10s", at=500),
            request("cpu 1ms", at=600),
        )
        assert finished.activity["workers_killed"] > 1
        assert finished.outcomes["B"] == "unfinished"

    def test_idle_workers_show_that_they_live(self) -> None:
        finished = run(sync(2, timeout="3s"), request("cpu 1ms"), request("cpu 1ms", at=60_000))
        assert finished.done == {"A": 1, "B": 60_001}
        assert "workers_killed" not in finished.activity

    def test_without_a_timeout_nobody_is_killed(self) -> None:
        assert run(sync(timeout="0s"), request("io 100s")).done == {"A": 100_000}

    def test_what_the_killed_one_held_passes_to_who_waits_for_it(self) -> None:
        finished = run(
            sync(2, timeout="3s"),
            request([hold("use", "db", "io 10s")], at=500),
            request([hold("use", "db", "io 10ms")], at=3500),
            resources={"db": 1},
            cores=2,
        )
        assert finished.journal.ends == [(4 * SECOND, "A failed"), (4010, "B completed")]

    def test_who_is_killed_while_it_waits_for_a_permit_waits_no_more(self) -> None:
        finished = run(
            sync(3, timeout="3s"),
            request([hold("use", "db", "io 3.3s")], at=600),
            request([hold("use", "db", "io 3.3s")], at=601),
            request([hold("use", "db", "io 10ms")], at=3700),
            resources={"db": 1},
            cores=3,
        )
        # A ends at 3.9 s; B has the permit from then on, is killed at 4 s, and C has it.
        assert finished.journal.ends == [
            (3900, "A completed"),
            (4000, "B failed"),
            (4010, "C completed"),
        ]

    def test_the_times_of_a_killed_request_add_up(self) -> None:
        finished = run(sync(timeout="3s"), request("cpu 10s", at=500))
        parts = dict(zip(PARTS, finished.record.parts_s[0], strict=True))
        assert parts["cpu"] == pytest.approx(3.5)
        assert sum(parts.values()) == pytest.approx(3.5)

    def test_a_client_that_tries_again_gets_the_next_worker(self) -> None:
        steps = request(
            "cpu 1ms, io 3.7s", at=500, timeout="1s", retries={"max": 0, "backoff": "0s"}
        )
        finished = run(sync(timeout="3s"), steps, request("cpu 1ms", at=600))
        assert finished.outcomes == {"A": "timed_out", "B": "completed"}
        assert finished.done["B"] == 4001  # nobody told the worker that A's client has left


class TestClientsThatLeave:
    def test_who_gives_up_in_the_accept_queue_is_not_worked_for(self) -> None:
        finished = run(
            sync(), request("io 10ms"), request("cpu 5ms", timeout="4ms"), request("cpu 1ms")
        )
        assert finished.done == {"A": 10, "C": 11}
        assert finished.outcomes["B"] == "timed_out"

    def test_a_worker_notices_only_when_its_call_returns(self) -> None:
        finished = run(sync(), request("io 10ms, cpu 1ms", timeout="4ms"), request("cpu 1ms", at=1))
        assert finished.journal.let_go == [(10, "A")]
        assert finished.done == {"B": 11}

    def test_clients_that_connect_and_say_nothing_have_a_worker_each(self) -> None:
        """Why sync workers belong behind a proxy. Each is killed for it, and the next one taken."""
        finished = run(
            sync(timeout="3s"),
            request("cpu 1ms", at=1000),
            connections={"connect": "start", "count": 3},
        )
        # The worker reads the first connection until it is killed at 4 s, the next one the second
        # until 8 s, and the third one finds the request, which has come on the last connection.
        assert finished.done == {"A": 8001}
        assert finished.activity["workers_killed"] == 2


class TestOracles:
    def test_o5_ten_clients_of_one_worker_wait_for_each_other(self) -> None:
        """10 requests a second, and 1 s each: with 100 ms per request, and nothing else."""
        users = {"kind": "closed", "users": 10, "think": "0s"}
        steps = [{"name": "a", "steps": [{"blocking": "100ms"}]}]
        scenario = scenario_of(steps, sync(), arrivals=users, duration="20s")
        record = simulate(scenario, spec_of(scenario), draw(scenario, 0))
        latency_s = record.finish_s - record.arrival_s
        assert latency_s[:10].round(9).tolist() == [(i + 1) / 10 for i in range(10)]
        assert latency_s[10:200].round(9).tolist() == [1.0] * 190

    @pytest.mark.parametrize("i", range(2), ids=["throughput", "p50"])
    def test_o5_as_measured(self, i: int) -> None:
        _, predicted, measured = wsgi.sync_with_slow_requests()[i]
        assert predicted == pytest.approx(measured, rel=WITHIN)

    def test_the_cpu_of_a_request_as_measured(self) -> None:
        _, predicted, measured = wsgi.cpu_of_hello()[0]
        assert predicted == pytest.approx(measured, rel=WITHIN)

    def test_many_processes_of_one_request_each_have_a_short_tail(self) -> None:
        """Published: p99 / p50 of 1.5 to 1.9 for 14 to 16 processes and 100 clients."""
        ((_, ratio, _),) = wsgi.many_processes()
        assert 1 < ratio < 2

    def test_few_loops_with_kept_connections_have_a_longer_one(self) -> None:
        """Published: p99 / p50 of 4 to 18 for 5 processes."""
        ((_, ratio, _),) = wsgi.few_loops()
        assert 4 < ratio < 18
