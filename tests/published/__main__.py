"""Predicted against measured and published: the table in the README's section on trust.

    python -m tests.published            print it
    python -m tests.published --write    and put it into README.md

Two experiments take minutes and make tables of their own: ``python -m tests.published.spring``
(20,000 to 60,000 users) and ``python -m tests.published.memory`` (a million tasks).

Nothing is chosen: every figure of every other experiment is in it, misses included. A prediction
that is more than 15 % away is marked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import fork_join, gil_tables, kernel, loops, reactor, wsgi
from .rows import WITHIN, Row

Experiment = Callable[[], list[Row]]

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- predicted against published: begin -->", "<!-- end -->"

GROUPS: tuple[tuple[str, Sequence[Experiment]], ...] = (
    ("The kernel's time slices", (kernel.table,)),
    ("The interpreter lock", (gil_tables.table,)),
    ("Event loops and their threads", loops.EXPERIMENTS),
    ("WSGI servers", wsgi.EXPERIMENTS),
    ("Netty's loops", reactor.EXPERIMENTS),
    ("Java's fork-join pool", fork_join.EXPERIMENTS),
)


def number(x: float) -> str:
    """Three digits."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def line(label: str, predicted: float, published: float) -> str:
    """One row of the table."""
    off = predicted / published - 1
    mark = " ✗" if abs(off) > WITHIN else ""
    return f"| {label} | {number(predicted)} | {number(published)} | {off:+.0%}{mark} |"


def table() -> str:
    """All experiments, as Markdown, and how many figures miss."""
    lines = ["| what | predicted | seen | off |", "|---|---:|---:|---:|"]
    seen: list[Row] = []
    for title, experiments in GROUPS:
        lines.append(f"| **{title}** | | | |")
        rows = [row for experiment in experiments for row in experiment()]
        lines += [line(*row) for row in rows]
        seen += rows
    near = sum(abs(predicted / published - 1) <= WITHIN for _, predicted, published in seen)
    summary = f"{near} of {len(seen)} figures are within {WITHIN:.0%}; ✗ marks the others."
    return "\n".join([*lines, "", summary])


def with_table(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """A README with this table between two marks."""
    before, rest = text.split(begin)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def main(arguments: Sequence[str]) -> None:
    """Print the table; with ``--write``, put it into the README, too."""
    made = table()
    print(made)
    if "--write" in arguments:
        README.write_text(with_table(README.read_text("utf-8"), made), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
