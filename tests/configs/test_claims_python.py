"""What the examples of Python say of themselves: asyncio, the interpreter lock, WSGI and ASGI."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, records, short, value

ELSEWHERE = ("tomcat", "go", "virtual-threads")
US = 1e-6
FREE = (
    "host.os.switch_cost=0s",
    "host.os.wakeup_latency=0s",
    "host.os.timer_slack=0s",
    "schedulers.asyncio.timer_resolution=0s",
    "schedulers.asyncio.iteration=0s",
    "schedulers.asyncio.handle=0s",
    "schedulers.asyncio.task_create=0s",
)


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
        for name in ELSEWHERE:
            assert result.schedulers[name]["verdict"] == "STABLE"
            # The same requests, alone: nothing but their own 0.8 ms of CPU and their own wait.
            for record in records(result, name):
                own_s = record.parts_s[:, [2, 3, 4]].sum(axis=1)
                waited_s = record.finish_s - record.arrival_s - own_s
                assert float(np.quantile(waited_s, 0.99)) < 1e-3


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
        # ... and ends late by the slack of timers. Two timers resolve their futures in one turn,
        # and the tasks go on in the next.
        awaited = polled + 50 * US + wake + turn + 2 * handle + turn + handle
        # The first blocking call begins after one step handle, the second after both.
        blocked = wake + start + handle + wake
        expected = [awaited, awaited + handle, blocked, blocked + handle + wake]
        over = record.finish_s - record.arrival_s - np.array([2.0, 2.0, 2.0, 4.0])
        assert over.tolist() == pytest.approx(expected, abs=1e-12)

    def test_elsewhere_all_four_take_2_s(self) -> None:
        result = example("await_vs_blocking")
        for name in ELSEWHERE:
            assert latencies_s(result, name).tolist() == pytest.approx([2.0] * 4, abs=200 * US)


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
