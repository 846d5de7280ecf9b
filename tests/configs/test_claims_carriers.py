"""Virtual threads where they are no help: claims of the examples on it."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, short, value

OWN_S = 5.3e-3
"""What a small request takes by itself: 0.3 ms of CPU and 5 ms of waiting."""


@pytest.mark.slow
class TestFileReadsTakeCarriers:
    brief = short("4s", 3)

    def small_s(self, scheduler: str, q: float) -> float:
        found = latencies_s(example("file_reads_take_carriers", *self.brief), scheduler, "small")
        return float(np.quantile(found, q))

    def test_three_of_four_carriers_are_in_reads_and_the_cores_idle(self) -> None:
        used = example("file_reads_take_carriers", *self.brief).schedulers["virtual-threads"]
        low, high = used["utilization"]["workers"]["ci95"]
        assert low < 30 * 0.1 / 4 < high
        assert value(used["utilization"]["cpu"]) < 0.03

    def test_everybody_waits_on_jdk_25(self) -> None:
        assert self.small_s("virtual-threads", 0.9) > 20 * OWN_S

    def test_nobody_notices_elsewhere(self) -> None:
        for name in ("parallelism=16", "virtual-threads-21", "tomcat", "go"):
            assert OWN_S < self.small_s(name, 0.9) < OWN_S + 0.3e-3


@pytest.mark.slow
class TestSpringPoolOf10:
    brief = short("15s", 3, warmup="5s")

    def part_s(self, scheduler: str, part: str) -> float:
        entry = example("spring_pool_of_10", *self.brief).schedulers[scheduler]
        return value(entry["breakdown_s"][part])

    def test_ten_connections_serve_200_a_second_whatever_is_before_them(self) -> None:
        for entry in example("spring_pool_of_10", *self.brief).schedulers.values():
            low, high = entry["throughput_rps"]["ci95"]
            assert low < 10 / 50e-3 < high

    def test_only_with_virtual_threads_the_time_out_is_reached(self) -> None:
        schedulers = example("spring_pool_of_10", *self.brief).schedulers
        assert schedulers["virtual-threads"]["activity"]["pool_timeouts"] > 0
        assert "pool_timeouts" not in schedulers["tomcat-20"]["activity"]

    def test_the_queue_is_before_the_threads_or_before_the_database(self) -> None:
        assert self.part_s("virtual-threads", "admission") == 0
        assert self.part_s("virtual-threads", "run_queue") < 1e-3
        assert 0.8 < self.part_s("virtual-threads", "resource") < 1.0
        assert self.part_s("tomcat-20", "admission") > 10 * self.part_s("tomcat-20", "resource")
        assert self.part_s("tomcat", "admission") > 0.1

    def test_13_connections_are_enough(self) -> None:
        more = example("spring_pool_of_10", "resources.db.capacity=13", *self.brief)
        for entry in more.schedulers.values():
            assert entry["counts"]["failed"] == entry["counts"]["unfinished"] == 0
