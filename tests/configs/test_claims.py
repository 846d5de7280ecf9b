"""The examples show what their opening comments say, on shorter runs with the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from simsched import RunResult

from .runs import example, latencies_s, short, value

US = 1e-6
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

    def test_a_jvm_needs_three_times_the_memory_and_with_threads_the_most(self) -> None:
        memory = {
            name: entry["memory_bytes"]
            for name, entry in example("io_heavy", *self.brief).schedulers.items()
        }
        peaks = {name: value(entry["peak"]) for name, entry in memory.items()}
        assert 3 * max(peaks["go"], peaks["asyncio"]) < peaks["virtual-threads"] < peaks["tomcat"]
        go = memory["go"]["at_peak"]
        assert go["garbage"] == go["requests"]


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

    def test_it_is_carriers_that_are_missing_and_the_query_that_pins_them(self) -> None:
        entry = example("pinning", *self.brief).schedulers["virtual-threads-21"]
        worst = entry["blame"][0]
        assert (worst["cause"], worst["culprit"], worst["step"]) == ("carriers", "order", "query")
        (pinned,) = entry["pinned"]
        assert (pinned["culprit"], pinned["step"]) == ("order", "query")
        low, high = pinned["share"]["ci95"]
        assert low < 180 * 20e-3 / 4 < high
        assert "of them pinned" in entry["binding"]
        assert example("pinning", *self.brief).schedulers["virtual-threads"]["pinned"] == []

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
