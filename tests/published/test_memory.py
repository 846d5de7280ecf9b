"""Memory of tasks that sleep, all at once, against two published tables."""

from __future__ import annotations

import pytest

from simsched.observe.record import COMPLETED

from . import memory


@pytest.mark.parametrize("scheduler", ["asyncio", "virtual-threads", "node"])
def test_the_peak_is_the_base_and_a_price_for_each_thing_that_is_there(scheduler: str) -> None:
    record = memory.sleepers(scheduler, 1000)
    assert set(record.outcome.tolist()) == {COMPLETED}
    parts = ("base", "stacks", "tasks", "requests", "connections", "garbage")
    assert record.peak["memory_bytes"] == sum(record.peak[part] for part in parts)
    price = {"asyncio": 1260, "virtual-threads": 1000, "node": 500}[scheduler]
    assert record.peak["tasks"] == 1000 * price  # all of them sleep at one time
    assert record.peak["connections"] == 0.0


RUNTIME_WITHIN = 0.25
"""How far Go, Node.js and Python may be from what was published, at 100,000 tasks and more."""
HEAP_WITHIN = 0.50
"""... and a JVM at 10,000: it lets its heap grow before it collects, 6.2 kB per virtual thread."""


def of_2024(scheduler: str, tasks: int) -> float:
    return memory.PUBLISHED_2024_MB[scheduler][memory.TASKS.index(tasks)]


def test_ten_thousand_coroutines_need_what_was_published() -> None:
    published = of_2024("asyncio", 10_000)
    assert memory.peak_mb("asyncio", 10_000) == pytest.approx(published, rel=RUNTIME_WITHIN)


def test_ten_thousand_virtual_threads_need_half_of_what_was_published_or_more() -> None:
    published = of_2024("virtual-threads", 10_000)
    assert memory.peak_mb("virtual-threads", 10_000) == pytest.approx(published, rel=HEAP_WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize(
    "scheduler",
    [
        "go",
        "asyncio",
        pytest.param(
            "node",
            marks=pytest.mark.xfail(
                strict=True,
                reason="28 % too low: the preset takes the slope of a million promises, 0.5 kB, "
                "and the first 100,000 were published with 0.83 kB each",
            ),
        ),
    ],
)
def test_a_hundred_thousand_tasks_need_what_was_published(scheduler: str) -> None:
    published = of_2024(scheduler, 100_000)
    assert memory.peak_mb(scheduler, 100_000) == pytest.approx(published, rel=RUNTIME_WITHIN)
