"""The table memory of a scheduler: defaults by runtime, and what is refused."""

from __future__ import annotations

import pytest

from simsched.scenario import ScenarioError, loads_scenario
from simsched.scenario.memory import SchedulerMemory

HEAD = """
[scenario]
name = "memory"
duration = "1s"
[host]
cores = 2
[workload.arrivals]
kind = "constant"
rate = "1/s"
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
[[schedulers]]
"""


def memory_of(entry: str) -> SchedulerMemory:
    return loads_scenario(HEAD + entry).schedulers[0].memory


@pytest.mark.parametrize(
    ("entry", "factor", "has_generations"),
    [
        ('preset = "go"', 2.0, False),
        ('preset = "node"', 1.3, True),
        ('preset = "asyncio"', 1.1, False),
        ('preset = "cpython-threads"', 1.1, False),
        ('preset = "gunicorn-gthread"', 1.1, False),
        ('preset = "tomcat"', 2.2, True),
        ('preset = "virtual-threads"', 2.2, True),
        ('preset = "completable-future"', 2.2, True),
        ('preset = "webflux"', 2.2, True),
    ],
)
def test_a_collector_leaves_as_much_unused_as_its_runtime_lets_it(
    entry: str, factor: float, has_generations: bool
) -> None:
    memory = memory_of(entry)
    assert memory.gc_factor == factor
    assert (memory.young_bytes > 0) == (memory.young_task_bytes > 0) == has_generations


def test_who_sets_one_price_keeps_the_others() -> None:
    memory = memory_of('preset = "go"\nmemory.gc_factor = 3')
    assert (memory.gc_factor, memory.task_bytes) == (3.0, 2580)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory.gc_factor = 0.5", "expected a number >= 1 and <= 10, got 0.5"),
        ('memory.gc_factor = "2x"', "expected a number >= 1 and <= 10"),
        ("memory.gc_faktor = 2", 'did you mean "gc_factor"?'),
        ("memory.young = 5", "expected a size with a unit"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        loads_scenario(f'{HEAD}preset = "go"\n{text}\n')
    assert f"schedulers[0].{text.split()[0]}" in str(refused.value)
    assert message in str(refused.value)
