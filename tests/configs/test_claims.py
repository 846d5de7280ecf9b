"""The examples show what their opening comments say, on shorter runs with the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from simsched import RunResult

from .runs import example, latencies_s, records, short, value

LIGHT = ("go", "virtual-threads")


def queueing_p99_s(result: RunResult, scheduler: str) -> float:
    return value(result.schedulers[scheduler]["queueing_delay_s"]["p99"])


class TestIoHeavy:
    brief = short("2600ms", 5, warmup="500ms")

    def test_threads_run_out_while_the_cores_idle(self) -> None:
        tomcat = example("io_heavy", *self.brief).schedulers["tomcat"]
        assert value(tomcat["utilization"]["workers"]) > 0.9
        assert value(tomcat["utilization"]["cpu"]) < 0.2
        assert "threads are taken" in tomcat["binding"]

    def test_queueing_is_longest_for_threads_and_then_for_the_loop(self) -> None:
        result = example("io_heavy", *self.brief)
        loop = queueing_p99_s(result, "asyncio")
        assert 0.5e-3 < loop < queueing_p99_s(result, "tomcat") / 5
        assert all(queueing_p99_s(result, name) < 0.5e-3 for name in LIGHT)

    def test_more_threads_end_the_queue(self) -> None:
        more = example(
            "io_heavy", "schedulers.tomcat.maxThreads=400", *self.brief, schedulers=("tomcat",)
        )
        assert queueing_p99_s(more, "tomcat") < 1e-3

    def test_every_objective_is_kept(self) -> None:
        for entry in example("io_heavy", *self.brief).schedulers.values():
            assert {rule["state"] for rule in entry["slo"]} == {"pass"}

    def test_go_needs_the_least_memory_and_threads_the_most(self) -> None:
        peaks = {
            name: value(entry["memory_bytes"]["peak"])
            for name, entry in example("io_heavy", *self.brief).schedulers.items()
        }
        assert sorted(peaks, key=peaks.__getitem__) == [
            "go",
            "asyncio",
            "virtual-threads",
            "tomcat",
        ]


class TestCpuHeavy:
    brief = short("15s", 5)

    def test_one_loop_is_one_core(self) -> None:
        asyncio = example("cpu_heavy", *self.brief).schedulers["asyncio"]
        assert asyncio["verdict"] == "OVERLOADED"
        low, high = asyncio["throughput_rps"]["ci95"]
        assert low < 1 / 20e-3 < high

    @pytest.mark.parametrize("name", ["tomcat", "go", "virtual-threads"])
    def test_the_others_agree_with_m_m_4(self, name: str) -> None:
        theory = example("cpu_heavy", *self.brief).schedulers[name]["theory"]
        assert theory["model"] == "M/M/4"
        assert theory["mean_latency_s"] == pytest.approx(27.14e-3, abs=0.005e-3)
        assert theory["inside_ci"]

    def test_slices_shorten_the_median_and_lengthen_the_tail(self) -> None:
        result = example("cpu_heavy", *self.brief)
        order = ["tomcat", "go", "virtual-threads"]
        medians = [float(np.median(latencies_s(result, name))) for name in order]
        tails = [float(np.quantile(latencies_s(result, name), 0.99)) for name in order]
        assert medians == sorted(medians)
        assert tails == sorted(tails, reverse=True)


class TestMixed:
    def test_a_lookup_waits_for_reports_longer_the_less_is_preempted(self) -> None:
        result = example("mixed", *short("20s", 2))
        p99_ms = {
            name: 1e3 * float(np.quantile(latencies_s(result, name, "lookup"), 0.99))
            for name in ("tomcat", "go", "virtual-threads", "asyncio")
        }
        assert list(p99_ms.values()) == sorted(p99_ms.values())
        assert p99_ms["tomcat"] < 60
        assert p99_ms["asyncio"] > 3 * p99_ms["virtual-threads"]

    def test_no_runtime_is_overloaded(self) -> None:
        for entry in example("mixed", *short("20s", 2)).schedulers.values():
            assert entry["verdict"] == "STABLE"


class TestOverload:
    brief = short("15s", 1, warmup="10s")

    def test_nothing_keeps_up(self) -> None:
        for entry in example("overload", *self.brief).schedulers.values():
            assert entry["verdict"] == "OVERLOADED"

    def test_only_who_refuses_at_once_does_work_that_somebody_waits_for(self) -> None:
        result = example("overload", *self.brief)
        answered = {n: value(e["throughput_rps"]) for n, e in result.schedulers.items()}
        capacity_rps = 1 / 4e-3
        assert answered.pop("tomcat-shedding") > 0.95 * capacity_rps
        assert max(answered.values()) < 0.2 * capacity_rps
        assert result.schedulers["tomcat-shedding"]["counts"]["timed_out"] == 0


class TestClosedLoop:
    brief = short("10s", 2, warmup="4s")
    both = ("tomcat", "go")

    def test_the_pool_halves_what_its_users_would_ask_for(self) -> None:
        result = example("closed_loop", *self.brief, schedulers=self.both)
        tomcat, go = (result.schedulers[name] for name in self.both)
        assert value(tomcat["utilization"]["workers"]) > 0.995
        low, high = tomcat["throughput_rps"]["ci95"]
        assert low < 200 / 0.4006 < high
        assert value(go["throughput_rps"]) > 1.2 * value(tomcat["throughput_rps"])

    @pytest.mark.parametrize("name", both)
    def test_the_interactive_response_time_law(self, name: str) -> None:
        """Users = throughput x (latency + think time), up to what crosses the window's edges."""
        result = example("closed_loop", *self.brief, schedulers=self.both)
        entry = result.schedulers[name]
        rate, latency = (entry[key] for key in ("throughput_rps", "latency_s"))
        users = value(rate) * (value(latency["mean"]) + 1.0)
        relative = (rate["ci95"][1] - rate["ci95"][0]) / 2 / value(rate)
        relative += (latency["mean"]["ci95"][1] - latency["mean"]["ci95"][0]) / 2 / 1.4
        assert users == pytest.approx(900, rel=relative)


class TestDbPool:
    brief = short("6s", 3)

    @pytest.mark.parametrize("name", ["tomcat-200", "tomcat-24", "virtual-threads"])
    def test_the_connections_bind(self, name: str) -> None:
        entry = example("db_pool", *self.brief).schedulers[name]
        assert value(entry["resources"]["db"]["utilization"]) > 0.95
        assert value(entry["utilization"]["cpu"]) < 0.1
        assert entry["binding"].startswith("db: ")

    def test_fewer_threads_move_the_wait_and_do_not_change_it(self) -> None:
        result = example("db_pool", *self.brief)
        many, few = (result.schedulers[n]["breakdown_s"] for n in ("tomcat-200", "tomcat-24"))
        assert value(many["admission"]) < 1e-6 < value(many["resource"])
        assert value(few["admission"]) > value(few["resource"])
        waits = [value(parts["admission"]) + value(parts["resource"]) for parts in (many, few)]
        # Threads are handed on in microseconds, and that is all the difference there is.
        assert waits[0] == pytest.approx(waits[1], abs=50e-6)

    def test_five_more_connections_end_the_wait(self) -> None:
        entry = example("db_pool", "resources.db.capacity=25", *self.brief).schedulers["tomcat-200"]
        assert value(entry["breakdown_s"]["resource"]) < 5e-3


class TestBlockingInLoop:
    brief = short("5s", 2)

    def test_the_loop_collapses_with_an_idle_cpu(self) -> None:
        asyncio = example("blocking_in_loop", *self.brief).schedulers["asyncio"]
        assert asyncio["verdict"] == "OVERLOADED"
        assert value(asyncio["throughput_rps"]) < 200 / 2
        assert value(asyncio["utilization"]["cpu"]) < 0.05
        assert value(asyncio["utilization"]["workers"]) > 0.99

    def test_elsewhere_a_blocking_call_costs_nobody_else_anything(self) -> None:
        result = example("blocking_in_loop", *self.brief)
        for name in ("tomcat", *LIGHT):
            assert result.schedulers[name]["verdict"] == "STABLE"
            # The same requests, alone: nothing but their own 0.8 ms of CPU and their own wait.
            for record in records(result, name):
                own_s = record.parts_s[:, [2, 3, 4]].sum(axis=1)
                waited_s = record.finish_s - record.arrival_s - own_s
                assert float(np.quantile(waited_s, 0.99)) < 1e-3


class TestPinning:
    brief = short("15s", 5)

    def test_a_wait_in_synchronized_costs_jdk_21_its_carriers(self) -> None:
        result = example("pinning", *self.brief)
        old, new = (result.schedulers[n] for n in ("virtual-threads-21", "virtual-threads"))
        assert value(old["utilization"]["workers"]) > 0.85
        assert value(new["utilization"]["workers"]) < 0.05
        assert value(old["utilization"]["cpu"]) < 0.05
        ratio = value(old["latency_s"]["p99"]) / value(new["latency_s"]["p99"])
        assert ratio > 2

    def test_jdk_25_is_as_good_as_threads(self) -> None:
        result = example("pinning", *self.brief)
        new, pool = (latencies_s(result, name) for name in ("virtual-threads", "tomcat"))
        # The same requests in the same order: both add microseconds to the waits themselves.
        assert float(np.abs(new - pool).max()) < 2e-3


@pytest.mark.slow
class TestFanOut:
    brief = short("8s", 5)
    at_once = ("asyncio", "go", "virtual-threads")

    def test_at_once_a_page_waits_for_the_slowest_of_three(self) -> None:
        result = example("fan_out", *self.brief)
        for name in LIGHT:
            low, high = result.schedulers[name]["breakdown_s"]["join"]["ci95"]
            assert low < 30e-3 * (1 + 1 / 2 + 1 / 3) + 200 * US < high

    def test_a_plain_thread_takes_the_sum(self) -> None:
        tomcat = example("fan_out", *self.brief).schedulers["tomcat"]
        low, high = tomcat["breakdown_s"]["io"]["ci95"]
        assert low < 90e-3 < high
        assert value(tomcat["breakdown_s"]["join"]) == 0

    def test_the_tail_is_that_of_a_maximum_against_that_of_a_sum(self) -> None:
        """P(all of three < t) = (1 - exp(-t / m))^3; a sum of three is Erlang distributed."""
        result = example("fan_out", *self.brief)
        of_a_maximum_s = -30e-3 * np.log(1 - 0.99 ** (1 / 3))
        assert of_a_maximum_s == pytest.approx(171e-3, abs=0.5e-3)
        of_a_sum_s = 252e-3
        t = of_a_sum_s / 30e-3
        assert np.exp(-t) * (1 + t + t**2 / 2) == pytest.approx(0.01, abs=1e-4)
        for name, own_s, expected_s in (
            ("go", 900 * US, of_a_maximum_s),
            ("virtual-threads", 900 * US, of_a_maximum_s),
            ("tomcat", 1300 * US, of_a_sum_s),
        ):
            low, high = result.schedulers[name]["latency_s"]["p99"]["ci95"]
            assert low < expected_s + own_s < high

    def test_the_loop_computes_all_branches_itself(self) -> None:
        result = example("fan_out", *self.brief)
        assert 0.38 < value(result.schedulers["asyncio"]["utilization"]["workers"]) < 0.45
        assert value(result.schedulers["asyncio"]["latency_s"]["mean"]) < 60e-3

    def test_only_the_plain_threads_miss_the_objective(self) -> None:
        states = {
            name: entry["slo"][0]["state"]
            for name, entry in example("fan_out", *self.brief).schedulers.items()
        }
        assert states == dict.fromkeys(self.at_once, "pass") | {"tomcat": "fail"}


class TestGilConvoy:
    brief = short("20s", 4)

    def test_whoever_waits_for_the_database_waits_for_the_lock_most_of_its_time(self) -> None:
        result = example("gil_convoy", *self.brief)
        with_lock = latencies_s(result, "cpython-threads", "waits")
        without = latencies_s(result, "cpython-free-threaded", "waits")
        assert with_lock.mean() > 2 * without.mean()
        assert np.quantile(with_lock, 0.99) > 4 * np.quantile(without, 0.99)

    def test_the_cpu_is_not_the_reason(self) -> None:
        result = example("gil_convoy", *self.brief)
        for entry in result.schedulers.values():
            assert value(entry["utilization"]["cpu"]) < 0.3

    def test_without_the_lock_nobody_waits_for_it_and_all_take_more_cpu(self) -> None:
        result = example("gil_convoy", *self.brief)
        cpu = {
            name: value(entry["breakdown_s"]["cpu"]) for name, entry in result.schedulers.items()
        }
        assert cpu["cpython-free-threaded"] == pytest.approx(1.08 * cpu["cpython-threads"])
        assert value(result.schedulers["cpython-free-threaded"]["breakdown_s"]["gil"]) == 0


class TestFullBacklog:
    def teeth(self, name: str) -> list[float]:
        """Shares of the requests that are answered within the first second, the second, ..."""
        latency_s = latencies_s(example("full_backlog"), name)
        seconds = latency_s.astype(int)
        return [float(np.mean(seconds == s)) for s in range(4)]

    def test_a_long_queue_delays_by_the_work_itself(self) -> None:
        long = example("full_backlog", schedulers=("backlog-2048",))
        for record in records(long, "backlog-2048"):
            # 4.6 ms of its own, 350 us of the server, and 8 us for accepting; and one wake-up.
            busy_s = len(record) * 4.958e-3
            assert record.finish_s[-1] - record.arrival_s[0] == pytest.approx(busy_s, abs=50e-6)
            assert 0.09 < record.arrival_s[-1] - record.arrival_s[0] < 0.1
        assert 0.5 < float(np.median(latencies_s(long, "backlog-2048"))) < 0.6

    def test_a_short_one_shows_as_teeth_one_second_apart(self) -> None:
        latency_s = latencies_s(example("full_backlog"), "backlog-64")
        assert float((latency_s % 1.0).max()) < 0.45
        shares = self.teeth("backlog-64")
        assert min(shares[:3]) > 0.25
        assert 0 < shares[3] < 0.05

    def test_nobody_sees_an_error_and_everybody_waits_longer(self) -> None:
        result = example("full_backlog")
        short, long = (result.schedulers[n] for n in ("backlog-64", "backlog-2048"))
        for entry in (short, long):
            assert entry["counts"]["completed"] == entry["counts"]["arrived"]
        assert value(short["latency_s"]["p50"]) > 1.9 * value(long["latency_s"]["p50"])
        assert short["activity"]["accept_queue_max"] == 65

    def test_more_workers_make_the_first_tooth_larger(self) -> None:
        shares = self.teeth("backlog-64-four")
        assert 0.55 < shares[0] < 0.7
        assert sum(shares[:2]) > 0.99
        latency_s = latencies_s(example("full_backlog"), "backlog-64-four")
        assert float(latency_s[latency_s < 1.0].max()) < 0.1

    def test_older_kernels_leave_out_a_tooth(self) -> None:
        old = example("full_backlog", "host.os.tcp_syn_linear_timeouts=0")
        seconds = set(latencies_s(old, "backlog-64").astype(int).tolist())
        assert seconds == {0, 1, 3, 7}

    def test_a_kernel_that_aborts_refuses_the_others(self) -> None:
        entry = example("full_backlog", "host.os.tcp_abort_on_overflow=true").schedulers[
            "backlog-64"
        ]
        assert entry["counts"]["failed"] > 0.5 * entry["counts"]["arrived"]


@pytest.mark.slow
class TestSyncWorkerKilled:
    brief = short("200s", 3, warmup="40s")

    def lost_s(self, name: str) -> float:
        activity = example("sync_worker_killed", *self.brief).schedulers[name]["activity"]
        return float(activity["lost_worker_s"] / activity["workers_killed"])

    def test_a_call_that_hangs_costs_the_timeout_a_look_and_a_start(self) -> None:
        # The arbiter looks every second, and a new worker takes one: between 1 and 2 s more.
        assert 31 < self.lost_s("sync-30s") < 32.1
        assert 3 < self.lost_s("sync-2s") < 4.1

    def test_who_waits_is_mostly_who_did_nothing_wrong(self) -> None:
        result = example("sync_worker_killed", *self.brief)
        pages = {name: latencies_s(result, name, "page") for name in result.schedulers}
        p99_s = {name: float(np.quantile(pages[name], 0.99)) for name in pages}
        assert p99_s["sync-30s"] > 3
        assert p99_s["gthread"] < p99_s["sync-2s"] < 0.2
        assert value(result.schedulers["sync-30s"]["utilization"]["cpu"]) < 0.04
        assert len(pages["sync-30s"]) == len(pages["gthread"])  # none of them failed

    def test_threads_are_not_killed_and_cost_less(self) -> None:
        result = example("sync_worker_killed", *self.brief)
        gthread, sync = (result.schedulers[name] for name in ("gthread", "sync-30s"))
        assert gthread["counts"]["failed"] == 0
        assert latencies_s(result, "gthread", "hangs").min() > 90
        peaks = [value(entry["memory_bytes"]["peak"]) for entry in (gthread, sync)]
        assert peaks[0] < 0.27 * peaks[1]


@pytest.mark.slow
class TestWsgiToAsgi:
    brief = short("20s", 2, warmup="4s")
    others = ("gunicorn-gthread", "fastapi-def")

    def test_sync_workers_are_taken_while_the_cores_idle(self) -> None:
        sync = example("wsgi_to_asgi", *self.brief).schedulers["gunicorn-sync"]
        assert sync["verdict"] == "OVERLOADED"
        # 80 ms of waiting, and 1.2 ms of CPU with the server's own.
        assert 108 < value(sync["throughput_rps"]) < 9 / 81.2e-3
        assert value(sync["utilization"]["cpu"]) < 0.04

    def test_two_percent_that_block_double_the_tail_of_all(self) -> None:
        result = example("wsgi_to_asgi", *self.brief)
        p99_s = {
            name: float(np.quantile(latencies_s(result, name, "rewritten"), 0.99))
            for name in ("fastapi-async", *self.others)
        }
        trap_s = p99_s.pop("fastapi-async")
        assert trap_s > 1.7 * max(p99_s.values())
        assert max(p99_s.values()) < 0.22
        mean_s = {
            name: value(entry["latency_s"]["mean"]) for name, entry in result.schedulers.items()
        }
        assert mean_s["fastapi-async"] > 1.4 * mean_s["fastapi-def"]
        assert all(0.079 < mean_s[name] < 0.085 for name in self.others)

    def test_once_it_is_rewritten_as_well_the_loop_is_as_good_as_threads(self) -> None:
        names = ("fastapi-async", "fastapi-def")
        result = example(
            "wsgi_to_asgi",
            "workload.requests.forgotten.weight=0.001",
            *self.brief,
            schedulers=names,
        )
        loop, threads = (latencies_s(result, name, "rewritten") for name in names)
        assert float(np.quantile(loop, 0.99)) < 1.05 * float(np.quantile(threads, 0.99))

    def test_the_loops_need_half_the_memory(self) -> None:
        result = example("wsgi_to_asgi", *self.brief)
        peaks = {n: value(e["memory_bytes"]["peak"]) / 2**20 for n, e in result.schedulers.items()}
        assert peaks["gunicorn-gthread"] == pytest.approx(120, abs=1)
        assert peaks["fastapi-def"] == pytest.approx(52, abs=1)


class TestTraceReplay:
    def test_every_row_is_replayed(self) -> None:
        for entry in example("trace_replay").schedulers.values():
            assert entry["counts"]["completed"] == entry["counts"]["arrived"] == 2135

    def test_the_burst_passes_unless_one_loop_has_to_carry_it(self) -> None:
        result = example("trace_replay")
        slowest = {name: float(latencies_s(result, name).max()) for name in result.schedulers}
        assert slowest.pop("asyncio") > 2.0
        assert max(slowest.values()) < 1.0

    def test_on_the_loop_connections_are_held_for_longer_than_they_are_used(self) -> None:
        result = example("trace_replay")
        loop, go = (result.schedulers[name] for name in ("asyncio", "go"))
        parts = {name: value(part) for name, part in loop["breakdown_s"].items()}
        assert max(parts, key=parts.__getitem__) == "resource"
        used = [value(e["resources"]["db"]["utilization"]) for e in (loop, go)]
        assert used[0] > 1.2 * used[1]


US = 1e-6
FREE = (
    "host.os.switch_cost=0s",
    "host.os.wakeup_latency=0s",
    "schedulers.asyncio.timer_resolution=0s",
    "schedulers.asyncio.iteration=0s",
    "schedulers.asyncio.handle=0s",
    "schedulers.asyncio.task_create=0s",
)


class TestAwaitVsBlocking:
    def test_without_costs_it_is_2_s_and_2_s_against_2_s_and_4_s(self) -> None:
        result = example("await_vs_blocking", *FREE, schedulers=("asyncio",))
        (record,) = records(result, "asyncio")
        assert record.finish_s.tolist() == [2.0, 2.0, 12.0, 14.0]

    def test_with_the_costs_of_asyncio_it_is_microseconds_more(self) -> None:
        (record,) = records(example("await_vs_blocking"), "asyncio")
        wake, switch, turn, handle, create = (us * US for us in (5, 1.5, 0.8, 1.2, 4.0))
        # Both requests are accepted in one turn of the loop, and their coroutines run in the next.
        start = turn + 2 * (handle + create) + turn
        # The second one sleeps from here; the poll lasts 2 s, the first timer rounded up to a ms.
        polled = wake + switch + start + 2 * handle
        # Two timers resolve their futures in one turn, and the tasks go on in the next.
        awaited = polled + wake + turn + 2 * handle + turn + handle
        # The first blocking call begins after one step handle, the second after both.
        blocked = wake + start + handle + wake
        expected = [awaited, awaited + handle, blocked, blocked + handle + wake]
        over = record.finish_s - record.arrival_s - np.array([2.0, 2.0, 2.0, 4.0])
        assert over.tolist() == pytest.approx(expected, abs=1e-12)

    def test_elsewhere_all_four_take_2_s(self) -> None:
        result = example("await_vs_blocking")
        for name in ("tomcat", *LIGHT):
            assert latencies_s(result, name).tolist() == pytest.approx([2.0] * 4, abs=200 * US)
