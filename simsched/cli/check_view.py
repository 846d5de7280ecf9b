"""The load that a scenario offers, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simsched.report.symbols import clean
from simsched.report.units import (
    NO_VALUE,
    format_bytes,
    format_duration,
    format_percent,
    format_rate,
)
from simsched.scenario.units import format_amount

if TYPE_CHECKING:
    from rich.console import Console

    from simsched.scenario import OfferedLoad, Scenario
    from simsched.scenario.demands import ClassDemand

LOCK = "lock:"
"""What the keys of locks begin with among the resources."""
FULL, BUSY = 1.0, 0.8
"""Utilisations from which a number is shown as impossible, and as close to it."""


def render(
    console: Console,
    scenario: Scenario,
    source: str,
    load: OfferedLoad,
    predictions: Mapping[str, Mapping[str, Any]],
) -> None:
    """Print what is known of a valid scenario before it is run.

    Args:
        console: where to print.
        scenario: the scenario.
        source: where it came from, in words.
        load: its offered load.
        predictions: closed form by scheduler.
    """
    name = Text(clean(scenario.name), "bold")
    console.print(Text.assemble(name, f"  {clean(source)}: ", ("valid", "green")), soft_wrap=True)
    for line in _overview(scenario, load):
        console.print(Padding(line, (0, 0, 0, 1)))
    console.print()
    console.print(_classes(scenario, load))
    console.print()
    console.print(_places(scenario, load))
    _sentences(console, "Theory", [(n, _prediction(p)) for n, p in predictions.items()])
    _sentences(console, "Warnings", [("!", text) for text in load.warnings], "yellow")


def _overview(scenario: Scenario, load: OfferedLoad) -> list[str]:
    arrivals = scenario.arrivals
    if arrivals.kind == "closed":
        rate = f"{arrivals.users:,} users in a closed loop"
    else:
        rate = f"{format_rate(load.rate_rps)} on average ({arrivals.kind})"
        if load.peak_rate_rps is not None and load.peak_rate_rps != load.rate_rps:
            rate += f", {format_rate(load.peak_rate_rps)} at the peak"
    lines = [f"requests  {rate}"]
    if load.bound_rps is not None:
        lines.append(f"limit     {format_rate(load.bound_rps)} in the long run, on any scheduler")
    replications = scenario.replications
    times = f"{replications} replication{'s' if replications > 1 else ''}"
    lines.append(f"run       {format_duration(scenario.duration_s)}, {times}, {scenario.study}")
    return lines


def _table(*headings: str) -> Table:
    """A table of texts; headings that start with a capital are of names, the others of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        if heading[0].isupper():
            table.add_column(heading, overflow="fold", max_width=24)
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    return table


def _classes(scenario: Scenario, load: OfferedLoad) -> Table:
    """Mean demands: what a request takes when it never waits."""
    table = _table("Request class", "share", "cpu", "waiting", "blocking", "total", "memory")
    for request in scenario.classes:
        demand = load.classes[request.name].to_dict()
        table.add_row(
            Text(clean(request.name)),
            format_percent(demand["share"]),
            *(_seconds(demand[key]) for key in ("cpu_s", "wait_s", "blocking_s")),
            _total(load.classes[request.name]),
            format_bytes(request.memory_bytes) if request.memory_bytes else NO_VALUE,
        )
    return table


def _seconds(value: float | None) -> str:
    return NO_VALUE if value == 0 else format_duration(value)


def _total(demand: ClassDemand) -> str:
    """Least mean latency: of random branches the slowest takes longer than the longest mean."""
    least = demand.total_s < (1 - 1e-9) * demand.in_turn_s
    return ">= " * least + _seconds(demand.total_s)


def _places(scenario: Scenario, load: OfferedLoad) -> Table:
    """What has limited places: mean number needed without queueing, and how many there are."""
    table = _table("Who", "What", "needed", "of", "used", "full at")
    cores = scenario.host.capacity_cores
    cpu_s = sum((d.share * d.cpu_s for d in load.classes.values()), 0.0)
    limit = cores / cpu_s if cpu_s > 0 else None
    _place(table, "host", "cores", load.cpu_cores, cores, load.cpu_utilization, limit)
    for name, resource in load.resources.items():
        held_s = sum(d.share * d.holding_s.get(name, 0.0) for d in load.classes.values())
        limit = resource.capacity / held_s if held_s > 0 else None
        owner, unit = (
            ("lock", name.removeprefix(LOCK)) if name.startswith(LOCK) else (name, "units")
        )
        needed, units = resource.erlangs, resource.capacity
        _place(table, owner, unit, needed, units, resource.utilization, limit)
    for name, place in load.schedulers.items():
        unit = place.unit if place.available != 1 else place.unit.removesuffix("s")
        needed, places = place.offered, place.available
        _place(table, name, unit, needed, places, place.utilization, place.limit_rps)
        for more in load.further.get(name, ()):
            unit = more.unit if more.available != 1 else more.unit.removesuffix("s")
            used, limit = more.utilization, more.limit_rps
            _place(table, name, unit, more.offered, more.available, used, limit)
    return table


def _place(
    table: Table,
    who: str,
    what: str,
    needed: float | None,
    available: float,
    used: float | None,
    limit_rps: float | None,
) -> None:
    style = ""
    if used is not None:
        style = "bold red" if used >= FULL else "yellow" if used >= BUSY else ""
    table.add_row(
        Text(clean(who)),
        Text(clean(what)),
        NO_VALUE if needed is None else format_amount(needed),
        f"{available:,g}" if available % 1 else f"{available:,.0f}",
        Text(format_percent(used), style),
        format_rate(limit_rps),
    )


def _prediction(line: Mapping[str, Any]) -> str:
    latency, wait = format_duration(line["mean_latency_s"]), format_duration(line["mean_wait_s"])
    kind = "" if line["exact"] else ", approximately"
    return f"{line['model']}: mean latency {latency}{kind}, of which {wait} in the queue"


def _sentences(
    console: Console, title: str, items: Sequence[tuple[str, str]], style: str = ""
) -> None:
    if not items:
        return
    console.print()
    console.print(Text(title, f"bold {style}"))
    width = min(console.width // 3, max(len(label) for label, _ in items))
    for label, text in items:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=width, overflow="fold")
        grid.add_column(overflow="fold")
        grid.add_row(Text(clean(label), "dim"), Text(clean(text)))
        console.print(Padding(grid, (0, 0, 0, 1)))
