"""What `simsched validate` prints: errors case by case, by runtime, and what is demanded."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from simsched.reality.page import ERRORS, percent, worst_first
from simsched.reality.phases import PHASES
from simsched.reality.reasons import reason
from simsched.report.units import format_bytes

if TYPE_CHECKING:
    from simsched.reality.replay import Validation

MOST_REASONS = 5
SHORT = {"throughput": "rate"}
TITLES = [SHORT.get(key, key) for key in ERRORS]


def tables(found: Validation) -> Iterator[Table]:
    """The tables, those that hold something."""
    yield _errors(found)
    if any(comparison.phases for comparison in found.comparisons):
        yield _phases(found)
    if found.noise:
        yield _noise(found)
    if found.runtimes:
        yield _runtimes(found)
    if any(comparison.memory for comparison in found.comparisons):
        yield _memory(found)
    if found.comparisons:
        yield _worst(found)
    yield _demands(found)


def _table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 0, 0, 1), pad_edge=False
    )
    first, *others = columns
    table.add_column(first, overflow="fold", min_width=16)
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _errors(found: Validation) -> Table:
    saturated = any(comparison.saturated for comparison in found.comparisons)
    title = "predicted against measured" + (", + saturated while it was measured" * saturated)
    table = _table(title, "case", "load", *TITLES)
    for c in found.comparisons:
        load = f"{c.load:.2f}{'+' if c.saturated else ' '}"
        table.add_row(c.id, load, *(percent(c.errors[key]) for key in ERRORS))
    return table


def _phases(found: Validation) -> Table:
    table = _table("where the time went, mean ms: predicted (measured)", "case", *PHASES)
    for c in found.comparisons:
        if c.phases:
            predicted, measured = c.phases["predicted"], c.phases["measured"]
            cells = (f"{_ms(predicted[k])} ({_ms(measured[k])})" for k in PHASES)
            table.add_row(c.id, *cells)
    return table


def _ms(seconds: float) -> str:
    """Milliseconds to three digits, and no more than microseconds."""
    ms = round(seconds * 1e3, 3) + 0.0  # no minus before a zero
    return f"{ms:.3g}" if abs(ms) < 1000 else f"{ms:.0f}"


def _noise(found: Validation) -> Table:
    table = _table("the measurements' own spread", "trace", "runs", *TITLES)
    for name, spread in found.noise.items():
        cells = (f"±{spread[key]:.1%}" for key in ERRORS)
        table.add_row(name, f"{spread['runs']:.0f}", *cells)
    return table


def _runtimes(found: Validation) -> Table:
    table = _table("median size of errors, * beyond what is demanded", "runtime", "n", *TITLES)
    for row in found.runtimes:
        name = row.runtime if row.load == "steady" else f"{row.runtime}, overload"
        cells = (f"{row.median[key]:.1%}{'*' if key in row.missed else ' '}" for key in ERRORS)
        table.add_row(name, str(row.cases), *cells)
    return table


def _worst(found: Validation) -> Table:
    """The cases with the largest errors of a latency, and what they most likely come from."""
    table = _table("the largest errors, and what they most likely come from", "case", "error")
    table.add_column("because")
    for c in worst_first(found.comparisons)[:MOST_REASONS]:
        key = max(("p50", "p95", "p99"), key=lambda name: abs(c.errors[name]))
        table.add_row(c.id, f"{key} {percent(c.errors[key])}", reason(c, found.noise))
    return table


def _memory(found: Validation) -> Table:
    """Of the process at its highest, with the driver's own trace in what was measured."""
    title = "peak memory, median over cases: what is measured holds the driver and its trace, too"
    table = _table(title, "runtime", "n", "measured", "predicted", "error")
    families: dict[str, list[dict[str, float]]] = {}
    for c in found.comparisons:
        if c.memory:
            families.setdefault(c.family, []).append(c.memory)
    for family, rows in families.items():
        measured, predicted = (median(row[k] for row in rows) for k in ("measured", "predicted"))
        error = percent(median(row["error"] for row in rows))
        table.add_row(
            family, str(len(rows)), format_bytes(measured), format_bytes(predicted), error
        )
    return table


def _demands(found: Validation) -> Table:
    table = _table("what is demanded", "demand", "limit", "found", "cases", "")
    for demand in found.demands:
        if demand.cases:
            verdict = "kept" if demand.kept else "MISSED"
            cells = (f"{demand.limit:.0%}", f"{demand.found:.1%}", str(demand.cases), verdict)
            table.add_row(demand.what, *cells)
    return table
