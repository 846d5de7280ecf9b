"""Memory of N tasks that sleep for 10 s: as published, beside what the model predicts.

    python -m tests.published.memory

The published tables, and where they are from, are told in configs/published/million_tasks.toml.
What the presets charge for a task is the slope from 1 to 1,000,000 tasks of the table of 2024
(Node.js: a figure between the slopes of both tables): the last row is reproduced, the rows between
are predicted. The table of 2023 is of other versions of the runtimes on another machine.
"""

from __future__ import annotations

from pathlib import Path

from simsched import load_scenario
from simsched.observe.record import RunRecord
from simsched.sim.engine import simulate
from simsched.workload import draw

from .rows import Row

CONFIG = Path(__file__).parents[2] / "configs" / "published" / "million_tasks.toml"

TASKS = (1, 10_000, 100_000, 1_000_000)
PUBLISHED_2024_MB = {
    "go": (3.6, 34.3, 262.7, 2585.6),
    "virtual-threads": (46.9, 108.4, 197.0, 1095.2),
    "node": (41.9, 64.8, 125.1, 563.9),
    "asyncio": (19.5, 33.3, 146.5, 1275.7),
}
PUBLISHED_2023_MB = {
    "go": (1.8, 28.6, 269.0, 2658.0),
    "virtual-threads": (40.1, 78.5, 223.0, 1154.0),
    "node": (36.2, 48.3, 112.5, 494.0),
    "asyncio": (17.3, 40.0, 240.5, 2232.0),
}


def sleepers(scheduler: str, tasks: int) -> RunRecord:
    """So many tasks, all of them started at once."""
    scenario = load_scenario(CONFIG, [f"workload.arrivals.users={tasks}"], [scheduler])
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


def peak_mb(scheduler: str, tasks: int) -> float:
    """Highest resident memory, in MB as they were published: of a million bytes."""
    return sleepers(scheduler, tasks).peak["memory_bytes"] / 1e6


def rows(tasks: int) -> list[Row]:
    """One row of the table of 2024."""
    column = TASKS.index(tasks)
    return [
        (f"{name}, {tasks:,} sleeping tasks: MB", peak_mb(name, tasks), published[column])
        for name, published in PUBLISHED_2024_MB.items()
    ]


def main() -> None:
    """Print all of it."""
    for tasks in TASKS:
        for label, predicted, published in rows(tasks):
            print(f"{label:44}{predicted:12.4g}{published:12.4g}{predicted / published - 1:+9.1%}")


if __name__ == "__main__":
    main()
