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
