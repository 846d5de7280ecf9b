"""A small valid scenario as text, and the problems of a changed one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from simsched.scenario import Problem, ScenarioError, loads_scenario

VALID = """\
[scenario]
name = "shop"
duration = "10s"

[host]
cores = 4

[workload.arrivals]
kind = "poisson"
rate = "500/s"

[[workload.requests]]
name = "page"
steps = [
  { cpu = "2ms", name = "render" },
  { use = "db", steps = [{ io = { dist = "lognormal", mean = "5ms", cv = 1.5 } }] },
]

[resources.db]
capacity = 20

[[schedulers]]
preset = "tomcat"

[[schedulers]]
preset = "go"
"""
# Passages of it that tests replace.
STEP = '{ cpu = "2ms", name = "render" },'
POOL = 'preset = "tomcat"'
RATE = 'kind = "poisson"\nrate = "500/s"'


def changed(old: str, new: str, text: str = VALID) -> str:
    """The text with one passage replaced; the passage must be there."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def problems(
    text: str,
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    base_dir: Path | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with a text; the test fails if nothing is."""
    with pytest.raises(ScenarioError) as caught:
        loads_scenario(text, overrides, schedulers, base_dir=base_dir, file="shop.toml")
    return caught.value.problems


def only_problem(text: str, overrides: Sequence[str] = ()) -> Problem:
    """The single thing wrong with a text."""
    found = problems(text, overrides)
    assert len(found) == 1, [p.message for p in found]
    return found[0]


def underlined(problem: Problem) -> str:
    """The characters under the caret."""
    assert problem.column is not None
    return problem.text[problem.column - 1 :][: problem.length]


def with_step(step: str) -> str:
    """The valid text with one more step."""
    return changed(STEP, f"{STEP}\n  {step},")


def with_scheduler(body: str) -> str:
    """The valid text with another scheduler in place of the first."""
    return changed(POOL, body)


def with_connections(body: str, arrivals: str = RATE) -> str:
    """The valid text with a table of connections."""
    return changed(RATE, f"{arrivals}\n\n[workload.connections]\n{body}")
