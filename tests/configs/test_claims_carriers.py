"""What takes the carriers of virtual threads, or seems to: claims of the examples on it."""

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
