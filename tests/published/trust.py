"""Predicted against measured on real runtimes: the table in the README's section on trust.

    python -m tests.published.trust FOLDER            print it
    python -m tests.published.trust FOLDER --write    and put it into README.md

FOLDER holds measurements (index.json, cases/), as ``simsched validate`` records them. Nothing is
chosen: every case of the folder counts, misses included.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from simsched.reality.compare import Comparison
from simsched.reality.replay import Validation, replay

from .__main__ import README, with_table

BEGIN, END = "<!-- predicted against measured: begin -->", "<!-- measured: end -->"
CALIBRATION = "kvm-2vcpu"
GROUPS = (
    ("asyncio", ("asyncio", "asyncio_timer")),
    ("asyncio, blocking calls", ("asyncio_block",)),
    ("uvloop", ("uvloop",)),
    ("Python threads", ("tpe", "puller")),
    ("Go", ("go",)),
    ("Java, fixed pools", ("jf",)),
    ("Java, virtual threads", ("vt",)),
    ("FastAPI on uvicorn", ("http_fa",)),
    ("gunicorn", ("http_gsync", "http_gthread")),
    ("Go net/http", ("http_goweb",)),
    ("JDK HTTP server", ("http_jw",)),
)


def group_of(comparison: Comparison) -> str:
    """The row that a case belongs to: the one with the longest fitting beginning."""
    fits = [
        (len(prefix), title)
        for title, prefixes in GROUPS
        for prefix in prefixes
        if comparison.runtime.startswith(prefix)
    ]
    return max(fits)[1]


def row(title: str, cases: Sequence[Comparison]) -> str:
    """Median sizes of errors, and the worst ones."""
    keys = ("p50", "p95", "p99", "throughput", "cpu")
    medians = [f"{median(abs(c.errors[key]) for c in cases):.1%}" for key in keys]
    worst = [f"{max(abs(c.errors[key]) for c in cases):.0%}" for key in ("p50", "p99")]
    return f"| {title} | {len(cases)} | " + " | ".join([*medians, *worst]) + " |"


def table(found: Validation) -> str:
    """All groups, then all demands, as Markdown."""
    lines = [
        "| runtime | cases | p50 | p95 | p99 | rate | CPU | worst p50 | worst p99 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    steady = [c for c in found.comparisons if c.load <= 0.9]
    for title, _ in GROUPS:
        cases = [c for c in steady if group_of(c) == title]
        if cases:
            lines.append(row(title, cases))
    over = [c for c in found.comparisons if c.load > 0.9]
    if over:
        lines.append(row("all of them, overloaded (1.1)", over))
    lines += ["", "| demand | limit | found | |", "|---|---:|---:|---|"]
    lines += [
        f"| {d.what} | {d.limit:.0%} | {d.found:.1%} | {'kept' if d.kept else '**missed**'} |"
        for d in found.demands
        if d.cases
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Print the table; with ``--write``, put it into the README, too."""
    folders = [argument for argument in arguments if argument != "--write"]
    if len(folders) != 1:
        raise SystemExit("usage: python -m tests.published.trust FOLDER [--write]")
    made = table(replay(Path(folders[0]), (), CALIBRATION, os.cpu_count() or 1))
    print(made)
    if "--write" in arguments:
        README.write_text(with_table(README.read_text("utf-8"), made, BEGIN, END), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
