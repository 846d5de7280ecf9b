"""What the example of Go's garbage collector claims."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, records, short, value

LIVE_MB, ALLOCATION_MB = 200, 0.5


@pytest.mark.slow
class TestGoGarbage:
    brief = short("4s", 3)

    def test_a_cycle_comes_whenever_gogc_percent_of_the_live_heap_are_allocated(self) -> None:
        found = example("go_garbage", *self.brief)
        for gogc in (25, 100, 400):
            per_cycle = LIVE_MB * gogc / 100 / ALLOCATION_MB
            for record in records(found, f"GOGC={gogc}"):
                assert record.activity["gc_cycles"] <= len(record.arrival_s) / per_cycle
                assert record.activity["gc_cycles"] > len(record.arrival_s) / per_cycle - 1.5

    def test_memory_buys_cpu(self) -> None:
        schedulers = example("go_garbage", *self.brief).schedulers
        base = {name: entry["memory_bytes"]["base"] / 1e6 for name, entry in schedulers.items()}
        assert base == {"go": 3.6, "GOGC=25": 253.6, "GOGC=100": 403.6, "GOGC=400": 1003.6}
        busy = [value(schedulers[n]["utilization"]["cpu"]) for n in ("go", "GOGC=400", "GOGC=100")]
        assert busy == sorted(busy)

    def test_too_small_a_heap_makes_all_requests_slow(self) -> None:
        found = example("go_garbage", *self.brief)
        for q, factor in ((0.5, 2), (0.99, 5)):
            plain = np.quantile(latencies_s(found, "go"), q)
            assert np.quantile(latencies_s(found, "GOGC=25"), q) > factor * plain
            assert np.quantile(latencies_s(found, "GOGC=400"), q) < 1.05 * plain

    def test_by_default_no_request_has_to_help_much(self) -> None:
        used = example("go_garbage", *self.brief).schedulers["GOGC=100"]["activity"]
        assert used["gc_assist_s"] < 0.05 * used["gc_cpu_s"]
