"""What the examples of event loops and their threads say of themselves, on shorter runs."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, records, short, value


def p99_s(result: object, scheduler: str, class_name: str | None = None) -> float:
    return float(np.quantile(latencies_s(result, scheduler, class_name), 0.99))  # type: ignore[arg-type]


@pytest.mark.slow
class TestFastapiSyncCliff:
    brief = short("30s", 2, warmup="5s")

    def test_look_ups_wait_for_reports_with_an_idle_cpu(self) -> None:
        result = example("fastapi_sync_cliff", *self.brief)
        entry = result.schedulers["fastapi-def"]
        assert value(entry["utilization"]["cpu"]) < 0.03
        assert value(entry["resources"]["pool:anyio"]["utilization"]) > 0.9
        assert "threads of anyio are taken" in entry["binding"]
        assert float(np.median(latencies_s(result, "fastapi-def", "look-up"))) > 0.05

    def test_more_tokens_or_processes_end_that(self) -> None:
        result = example("fastapi_sync_cliff", *self.brief)
        tokens, processes = (p99_s(result, n, "look-up") for n in ("80 tokens", "2 processes"))
        assert tokens < 6e-3
        assert tokens < processes < 50e-3

    def test_below_the_knee_nobody_waits(self) -> None:
        fewer = example(
            "fastapi_sync_cliff",
            "workload.requests.report.weight=25",
            "workload.arrivals.rate=125/s",
            *self.brief,
            schedulers=("fastapi-def",),
        )
        assert p99_s(fewer, "fastapi-def", "look-up") < 0.05


class TestBlockingInAsyncDef:
    brief = ("scenario.replications=1",)

    def test_asyncio_makes_everybody_wait_alike(self) -> None:
        times = latencies_s(example("blocking_in_async_def", *self.brief), "uvicorn")
        middle = float(np.median(times))
        assert round(middle, 1) == 2.0
        assert round(float(times.max()), 1) == 2.0

    def test_uvloop_makes_some_wait_for_ten_seconds(self) -> None:
        times = latencies_s(example("blocking_in_async_def", *self.brief), "uvicorn-uvloop")
        assert float(np.median(times)) < 1.5
        assert float(np.quantile(times, 0.99)) > 8.0

    @pytest.mark.parametrize("name", ["uvicorn", "uvicorn-uvloop"])
    def test_it_is_ten_a_second_either_way(self, name: str) -> None:
        entry = example("blocking_in_async_def", *self.brief).schedulers[name]
        assert 9 < value(entry["throughput_rps"]) < 11

    def test_without_async_it_is_a_tenth_of_a_second(self) -> None:
        times = latencies_s(example("blocking_in_async_def", *self.brief), "fastapi-def")
        assert float(times.max()) < 0.11


@pytest.mark.slow
class TestToThreadAgainstLimiter:
    brief = short("20s", 2)

    def test_eight_threads_queue_and_forty_do_not(self) -> None:
        result = example("to_thread_against_limiter", *self.brief)
        entry = result.schedulers["fastapi-async"]
        assert entry["resources"]["pool:executor"]["capacity"] == 8
        assert value(entry["resources"]["pool:executor"]["utilization"]) == pytest.approx(
            0.88, abs=0.04
        )
        assert p99_s(result, "fastapi-async", "to_thread") > 0.2
        assert p99_s(result, "fastapi-async", "run_in_threadpool") < 0.102

    def test_more_workers_end_the_difference(self) -> None:
        result = example("to_thread_against_limiter", *self.brief)
        assert p99_s(result, "32 workers", "to_thread") < 0.102


@pytest.mark.slow
class TestWebsockets:
    brief = short("40s", 1, warmup="25s")

    def per_session_bytes(self, name: str) -> float:
        (record,) = records(example("websockets", *self.brief), name)
        sessions = float(record.series["in_system"][-1])
        # What new objects have filled is of all sessions there ever were.
        for_good = record.peak["base"] + record.peak["garbage"]
        return float(record.series["memory_bytes"][-1] - for_good) / sessions

    def test_a_session_costs_a_loop_a_quarter_of_what_a_thread_costs(self) -> None:
        loop, node, thread = map(
            self.per_session_bytes, ("uvicorn-uvloop", "node", "a thread each")
        )
        assert node < loop < 5.5e3
        assert 4 * loop < thread < 5 * loop

    def test_all_of_them_keep_up_but_a_pool_of_200(self) -> None:
        schedulers = example("websockets", *self.brief).schedulers
        small = schedulers.pop("200 threads")
        assert value(small["utilization"]["cpu"]) < 0.02
        assert small["verdict"] == "OVERLOADED"
        assert value(small["throughput_rps"]) < 12
        for entry in schedulers.values():
            assert value(entry["throughput_rps"]) > 40


@pytest.mark.slow
class TestWebflux:
    brief = short("20s", 2, warmup="5s")

    def test_calls_that_block_loops_make_everybody_wait_with_an_idle_cpu(self) -> None:
        result = example("webflux", *self.brief)
        assert value(result.schedulers["webflux"]["utilization"]["cpu"]) < 0.07
        waits, forty, none = (
            p99_s(result, name, "awaits") for name in ("webflux", "40 loops", "virtual-threads")
        )
        assert 2.5 < waits / none < 3.7
        assert 1.1 < forty / none < 1.35

    def test_blame_names_the_call(self) -> None:
        rows = [
            row
            for record in records(example("webflux", *self.brief), "webflux")
            for row in record.blame
            if row.victim == 0
        ]
        jdbc = sum(row.seconds for row in rows if (row.culprit, row.step) == (1, "JDBC"))
        assert jdbc > 0.9 * sum(row.seconds for row in rows)

    def test_who_offloads_still_needs_the_loop(self) -> None:
        result = example("webflux", *self.brief)
        assert float(np.median(latencies_s(result, "webflux", "on_elastic"))) > 0.105
        assert float(np.median(latencies_s(result, "virtual-threads", "on_elastic"))) < 0.102

    def test_if_all_do_it_is_as_with_virtual_threads(self) -> None:
        weights = ("on_loop.weight=0.001", "on_elastic.weight=10")
        moved = example(
            "webflux",
            *(f"workload.requests.{weight}" for weight in weights),
            *self.brief,
            schedulers=("webflux", "virtual-threads"),
        )
        mine, theirs = (p99_s(moved, name, "awaits") for name in ("webflux", "virtual-threads"))
        assert mine == pytest.approx(theirs, abs=8e-3)
        pool = moved.schedulers["webflux"]["resources"]["pool:boundedElastic"]
        assert pool["capacity"] == 40
        assert value(pool["utilization"]) * 40 == pytest.approx(3, abs=0.3)
