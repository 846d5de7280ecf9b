"""The example scenarios, shortened so that their claims can be tested in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from simsched import RunResult, load_scenario, run
from simsched.observe.record import COMPLETED, RunRecord

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = tuple(sorted(path.stem for path in CONFIGS.glob("*.toml")))


@cache
def example(name: str, *overrides: str, schedulers: tuple[str, ...] = ()) -> RunResult:
    """Run an example in this process, keeping every request."""
    scenario = load_scenario(CONFIGS / f"{name}.toml", overrides, schedulers)
    return run(scenario, keep_records=True)


def short(duration: str, replications: int, warmup: str = "1s") -> tuple[str, ...]:
    """Overrides that make a run short; its warm-up is fixed, as there is little to find it from."""
    return (
        f"scenario.duration={duration}",
        f"scenario.replications={replications}",
        f"scenario.warmup={warmup}",
    )


def value(estimate: dict[str, Any]) -> float:
    """The value of an estimate that must have one."""
    assert estimate["value"] is not None, estimate["reason"]
    return float(estimate["value"])


def records(result: RunResult, scheduler: str) -> list[RunRecord]:
    assert result.records is not None
    return result.records[scheduler]


def latencies_s(result: RunResult, scheduler: str, class_name: str | None = None) -> Any:
    """Latencies of all completed requests (of one class), over all replications."""
    names = [request.name for request in result.scenario.classes]
    found = []
    for record in records(result, scheduler):
        chosen = record.outcome == COMPLETED
        if class_name is not None:
            chosen &= record.class_id == names.index(class_name)
        found.append((record.finish_s - record.arrival_s)[chosen])
    return np.concatenate(found)
