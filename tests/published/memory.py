"""Memory of tasks that sleep: as published and as measured here, beside what the model predicts.

    python -m tests.published.memory            print both tables
    python -m tests.published.memory --write    and put them into README.md

The published tables, and where they are from, are told in configs/published/million_tasks.toml.
What the presets charge for a task is the slope at the end of the table of 2024 (Node.js: a figure
between the slopes of both), so that the last row is reproduced. So are the rows between of virtual
threads: `young` and `young_task` were chosen by them. Those of Go and asyncio are predicted, and
those of Node.js follow from the size of V8's semi-spaces and two copies of what is new, a reading
of V8 that was made with the figures at hand. The table of 2023 is of other versions of the runtimes
on another machine; only `young_task` of virtual threads and the price of Node.js lean on it.

The measured ones are of this machine, driven by what `simsched validate` drives. They are compared
with the constants of the calibration kvm-2vcpu. Those of asyncio and Go were priced at 10,000 tasks
on another machine: they are predicted. Those of virtual threads were fitted to 10,000 there and to
100,000 and more here: that they agree shows the shape of the model, and predicts nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from simsched import load_scenario
from simsched.observe.record import RunRecord
from simsched.reality.memory import measure_memory
from simsched.reality.toolchains import Tools
from simsched.sim.engine import simulate
from simsched.workload import draw

from .__main__ import README, line, number, with_table

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "published" / "million_tasks.toml"
BEGIN, END = "<!-- memory of sleeping tasks: begin -->", "<!-- memory: end -->"

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

SIMULATE = """
import resource, sys
from tests.published.memory import peak_mb
print(peak_mb(sys.argv[1], int(sys.argv[2])))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9)
"""

DRIVEN = {"asyncio": "asyncio", "go": "go_sleep", "virtual-threads": "java_vt_sleep"}
"""Schedulers that can be measured, and what the driver calls their sleeping tasks."""
MEASURED_TASKS = (10_000, 100_000)
TIMES = 5
"""How often each is measured: a JVM's heap differs by a third between equal runs."""


def sleepers(scheduler: str, tasks: int, calibration: str = "none", cores: int = 16) -> RunRecord:
    """So many tasks, all of them started at once."""
    overrides = [f"workload.arrivals.users={tasks}", f"host.cores={cores}"]
    scenario = load_scenario(CONFIG, overrides, [scheduler], calibration=calibration)
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


def peak_mb(scheduler: str, tasks: int) -> float:
    """Highest resident memory, in MB as they were published: of a million bytes."""
    return sleepers(scheduler, tasks).peak["memory_bytes"] / 1e6


class Apart(NamedTuple):
    """What a simulation in a process of its own says, and what it takes."""

    peak_mb: float
    cpu_s: float
    taken_gb: float


def apart(scheduler: str, tasks: int) -> Apart:
    """Simulate in a process of its own. Its highest memory is no less than that of this one."""
    told = subprocess.run(
        [sys.executable, "-c", SIMULATE, scheduler, str(tasks)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    return Apart(*map(float, told.stdout.split()))


def bytes_each(scheduler: str, tasks: int) -> float:
    """What each of so many tasks adds to an idle process, on a calibrated machine."""
    one, all_of_them = (
        sleepers(scheduler, n, "kvm-2vcpu", 2).peak["memory_bytes"] for n in (1, tasks)
    )
    return (all_of_them - one) / (tasks - 1)


def measured_bytes_each(scheduler: str, tasks: int) -> float | None:
    """The same of the real runtime on this machine, median of a few; None without its toolchain."""
    kind = DRIVEN[scheduler]
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(Path(folder), (0, 1))
        told = [
            entry
            for _ in range(TIMES)
            for entry in measure_memory(tools, (0, 1), wanted={kind: (tasks,)})[0]
        ]
    return median(entry["bytes_per"] for entry in told) if told else None


def published_table() -> Iterator[str]:
    """Both tables that were published, as Markdown."""
    yield "| sleeping tasks | predicted, MB | 2024 | off | 2023 | off | simulating it takes |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for column, tasks in enumerate(TASKS):
        for name in PUBLISHED_2024_MB:
            made = apart(name, tasks)
            cells = [
                f"{number(seen)} | {made.peak_mb / seen - 1:+.0%}"
                for seen in (PUBLISHED_2024_MB[name][column], PUBLISHED_2023_MB[name][column])
            ]
            takes = f"{made.cpu_s:.0f} s of CPU, {made.taken_gb:.1f} GB"
            seen_mb = " | ".join(cells)
            yield f"| {name}, {tasks:,} | {number(made.peak_mb)} | {seen_mb} | {takes} |"


def measured_table() -> Iterator[str]:
    """What was measured here, as Markdown."""
    yield f"| bytes per sleeping task | predicted | seen (median of {TIMES}) | off |"
    yield "|---|---:|---:|---:|"
    for name in DRIVEN:
        for tasks in MEASURED_TASKS:
            seen = measured_bytes_each(name, tasks)
            if seen is not None:
                yield line(f"{name}, {tasks:,}", bytes_each(name, tasks), seen)


def main(arguments: Sequence[str]) -> None:
    """Print the tables as they grow; with ``--write``, put them into the README, too."""
    lines = []
    for table in (measured_table(), iter([""]), published_table()):
        for made in table:
            print(made, flush=True)
            lines.append(made)
    if "--write" in arguments:
        text = README.read_text("utf-8")
        README.write_text(with_table(text, "\n".join(lines), BEGIN, END), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
