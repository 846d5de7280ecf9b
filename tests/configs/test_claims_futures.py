"""What the example of CompletableFuture says in its opening comment, on shorter runs."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, short, value

pytestmark = pytest.mark.slow

BRIEF = short("12s", 5, warmup="2s")
OTHERS = ("managedBlock", "async client", "own executor of 200")


def test_a_price_waits_for_a_worker_beside_idle_cores() -> None:
    result = example("completable_future", *BRIEF)
    entry = result.schedulers["common pool"]
    low, high = entry["breakdown_s"]["run_queue"]["ci95"]
    assert low < 78e-3 < high
    assert float(np.quantile(latencies_s(result, "common pool", "price"), 0.99)) > 0.25
    assert value(entry["utilization"]["cpu"]) < 0.04
    assert "7 workers are taken" in entry["binding"]
    assert entry["activity"]["threads_created"] == 7


@pytest.mark.parametrize("name", OTHERS)
def test_elsewhere_it_takes_its_own_millisecond(name: str) -> None:
    result = example("completable_future", *BRIEF)
    prices = latencies_s(result, name, "price")
    assert float(np.quantile(prices, 0.99)) < 1.2e-3
    assert value(result.schedulers[name]["breakdown_s"]["run_queue"]) < 20e-6


def test_managed_blocks_make_the_pool_grow() -> None:
    activity = example("completable_future", *BRIEF).schedulers["managedBlock"]["activity"]
    assert 5 <= activity["threads_created"] - 7 <= 15


def test_an_asynchronous_client_needs_a_quarter_of_a_worker() -> None:
    entry = example("completable_future", *BRIEF).schedulers["async client"]
    assert 7 * value(entry["utilization"]["workers"]) == pytest.approx(0.26, abs=0.02)


def test_virtual_threads_are_as_good() -> None:
    result = example("completable_future", *BRIEF, schedulers=("virtual-threads",))
    assert float(np.quantile(latencies_s(result, "virtual-threads", "price"), 0.99)) < 1.2e-3


def test_only_the_common_pool_misses_the_objective() -> None:
    long = short("30s", 5, warmup="2s")
    states = {
        name: entry["slo"][0]["state"]
        for name, entry in example("completable_future", *long).schedulers.items()
    }
    assert {states[name] for name in OTHERS} == {"pass"}
    assert states["common pool"] != "pass"
