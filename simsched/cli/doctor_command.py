"""`simsched doctor`: what of the measuring works on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from simsched.calibration.machine import Machine, Noise
    from simsched.reality import Tool

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched doctor",
        "  simsched doctor --json",
        "",
        "[bold]Exit status[/]",
        "  0    always, whatever is missing: simulations need none of it",
    )
)
RARE_STEAL = 0.01
"""Share of stolen time that matters to nobody's tail."""
ENABLES = {
    "go": "goroutines and net/http",
    "jdk": "virtual threads, Java pools and the JDK's HTTP server",
    "uvloop": "asyncio on uvloop; FastAPI",
    "fastapi": "FastAPI on uvicorn",
    "uvicorn": "FastAPI on uvicorn",
    "gunicorn": "gunicorn's sync and gthread workers",
}
"""What each toolchain and package lets `validate` and `calibrate` measure."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at what "validate" and "calibrate" can measure on this machine.

    Says what is there, what a missing part would enable and how to get it,
    and how steady the machine is. Takes about two seconds; changes nothing.
    """
    from simsched.calibration.machine import look, noise
    from simsched.cli.console import until_reader_leaves, write_json
    from simsched.reality import survey

    machine, tools, found = look(), survey(), noise()
    with until_reader_leaves():
        if as_json:
            write_json(_document(machine, tools, found))
        else:
            for title, lines in _report(machine, tools, found):
                _print(title, lines)


def _document(machine: Machine, tools: list[Tool], found: Noise) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "simsched.doctor/1",
        "machine": {**asdict(machine), "cores": list(machine.cores)},
        "tools": [
            {
                "name": tool.name,
                "path": None if tool.path is None else str(tool.path),
                "version": tool.version,
                "enables": ENABLES[tool.name],
                "get": tool.get,
            }
            for tool in tools
        ],
        "noise": {**asdict(found), "spread": found.spread, "quiet": found.quiet},
    }


Line = tuple[bool | None, str, str]
"""Whether it is well (None: neither), what it is about, and what is said of it."""


def _report(machine: Machine, tools: list[Tool], found: Noise) -> list[tuple[str, list[Line]]]:
    return [
        ("Machine", _machine_lines(machine)),
        ("Runtimes to measure, beside those of this Python", [_tool_line(tool) for tool in tools]),
        ("Noise", [_noise_line(found)]),
    ]


def _machine_lines(machine: Machine) -> list[Line]:
    cores = len(machine.cores)
    lines: list[Line] = [
        (True, "python", machine.python),
        (
            machine.linux,
            "system",
            f"{machine.system} {machine.kernel}"
            + ("" if machine.linux else "; measuring needs Linux, simulating does not"),
        ),
        (
            cores >= 2,
            "cores",
            f"{cores}, {machine.cpu}"
            + ("" if cores >= 2 else "; a second one keeps the injector out of the way"),
        ),
        (machine.pinning, "pinning", "allowed" if machine.pinning else "not allowed"),
        (
            machine.real_time,
            "real time",
            "allowed"
            if machine.real_time
            else "not allowed: requests may be injected late; run as root or raise RLIMIT_RTPRIO",
        ),
        (None, "ticks", "not known" if machine.hz is None else f"{machine.hz} per second"),
    ]
    quota = machine.quota_cores
    if quota is None:
        lines.append((True, "quota", "none"))
    else:
        throttled = quota < cores
        lines.append((not throttled, "quota", f"{quota:g} cores"))
    if machine.steal is not None:
        text = f"{machine.steal:.1%} of busy time"
        rare = machine.steal < RARE_STEAL
        lines.append((rare, "steal", text + ("" if rare else ": see host.steal; it makes tails")))
    if machine.governor is not None:
        steady = machine.governor == "performance"
        text = machine.governor + ("" if steady else "; performance keeps the clock steady")
        lines.append((steady, "governor", text))
    return lines


def _tool_line(tool: Tool) -> Line:
    if tool.path is not None:
        return (True, tool.name, f"{tool.version}: {ENABLES[tool.name]}")
    return (False, tool.name, f"missing, for {ENABLES[tool.name]}\n{tool.get}")


def _noise_line(found: Noise) -> Line:
    longer = f"{found.spread:.0%} more"
    if found.spread >= 2.0:
        longer = f"{1.0 + found.spread:.0f} times as long"
    text = f"the same work takes {found.median_us:.0f} us, one time in 20 {longer}"
    if not found.quiet:
        text += "\nnoisy: close other programs, or measure longer and with --repeat"
    return (found.quiet, "work", text)


def _print(title: str, lines: list[Line]) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from simsched.cli.console import stdout_console

    console = stdout_console()
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=4, no_wrap=True)
    grid.add_column(width=9, no_wrap=True)
    grid.add_column(overflow="fold")
    for well, name, text in lines:
        mark, style = {True: ("ok", "green"), False: ("no", "yellow"), None: ("", "")}[well]
        grid.add_row(Text(mark, style), name, Text(text))
    console.print(Text(title, "bold"))
    console.print(Padding(grid, (0, 0, 1, 2)))
