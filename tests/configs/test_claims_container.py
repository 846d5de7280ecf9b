"""What the example of a container with a CPU quota says of itself, on shorter runs."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, short, value

NAME = "container_quota"
BRIEF = short("8s", 2)
MANY = ("go 1.24", "16 threads")
FEW = ("go 1.25", "2 threads", "virtual-threads")


def quantile_s(scheduler: str, p: float) -> float:
    return float(np.quantile(latencies_s(example(NAME, *BRIEF), scheduler), p))


@pytest.mark.parametrize("name", [*MANY, *FEW])
def test_all_of_them_use_up_the_quota_and_answer_1000_a_second_in_16_ms(name: str) -> None:
    entry = example(NAME, *BRIEF).schedulers[name]
    assert value(entry["utilization"]["cpu"]) == pytest.approx(1.0, abs=0.01)
    assert value(entry["throughput_rps"]) == pytest.approx(1000, abs=20)
    assert value(entry["latency_s"]["mean"]) == pytest.approx(16e-3, abs=0.3e-3)


@pytest.mark.parametrize("name", MANY)
def test_o27_sixteen_threads_stand_still_for_87_ms_of_each_period(name: str) -> None:
    entry = example(NAME, *BRIEF).schedulers[name]
    assert entry["activity"]["throttled_periods"] == 80
    # 16 cores for 87.5 ms of each of 80 periods
    assert entry["activity"]["throttled_s"] == pytest.approx(16 * 0.0875 * 80, abs=2)
    assert quantile_s(name, 0.5) == pytest.approx(1.5e-3, abs=0.05e-3)
    assert quantile_s(name, 0.99) > 87e-3
    share = float((latencies_s(example(NAME, *BRIEF), name) > 50e-3).mean())
    assert share == pytest.approx(1 / 6, abs=0.015)
    # Who is stopped waits for a core: all of the 16 ms but the 2 of computing.
    assert value(entry["breakdown_s"]["run_queue"]) == pytest.approx(14e-3, abs=0.4e-3)
    assert entry["binding"] == (
        "the quota of 2 cores is used to 100 %: threads are stopped in 100 % of its periods of "
        "100 ms"
    )


@pytest.mark.parametrize("name", MANY)
def test_who_is_stopped_waits_for_the_quota_and_for_no_core(name: str) -> None:
    """16 threads have 16 cores. What they wait for is the quota: all of it, or a wake-up."""
    entry = example(NAME, *BRIEF).schedulers[name]
    waited = {row["cause"]: row["seconds"]["value"] for row in entry["blame"] if row["culprit"]}
    assert waited["quota"] == pytest.approx(14e-3, abs=0.4e-3)
    assert sum(waited.values()) - waited["quota"] < 0.1e-3


@pytest.mark.parametrize("name", FEW)
def test_two_threads_are_never_stopped(name: str) -> None:
    entry = example(NAME, *BRIEF).schedulers[name]
    assert "throttled_periods" not in entry["activity"]
    assert "throttled_s" not in entry["activity"]
    assert not any(row["cause"] == "quota" for row in entry["blame"])


def test_who_knows_the_quota_has_the_shorter_tail() -> None:
    for name, p99_s in (("2 threads", 28e-3), ("virtual-threads", 28e-3), ("go 1.25", 48e-3)):
        assert quantile_s(name, 0.99) == pytest.approx(p99_s, abs=3e-3)
    assert quantile_s("16 threads", 0.99) == pytest.approx(97e-3, abs=3e-3)


def test_where_the_quota_suffices_more_threads_are_of_use() -> None:
    idle = example(
        NAME, *BRIEF, "workload.arrivals.users=8", "workload.arrivals.think=9ms",
        schedulers=("16 threads", "2 threads"),
    )  # fmt: skip
    many, few = (float(latencies_s(idle, n).mean()) for n in ("16 threads", "2 threads"))
    assert many == pytest.approx(2.0e-3, abs=0.1e-3)
    assert few == pytest.approx(2.8e-3, abs=0.1e-3)
