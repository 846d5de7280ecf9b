"""`simsched list` and `simsched show`: what there is to choose from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from simsched.cli import complete

if TYPE_CHECKING:
    from rich.console import Console

    from simsched.cli.catalogue import Entry

LIST_EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched list",
        "  simsched list presets examples",
        "  simsched list --json",
    )
)
SHOW_EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched show tomcat",
        "  simsched show io_heavy > shop.toml",
    )
)
TITLES = {
    "examples": "Examples: simsched run --example NAME",
    "presets": 'Presets: [[schedulers]] preset = "NAME"',
    "calibrations": "Calibrations: simsched run FILE --calibration NAME",
    "schedulers": 'Schedulers: [[schedulers]] kind = "NAME"',
    "arrivals": 'Arrivals: [workload.arrivals] kind = "NAME"',
    "steps": "Steps: steps = [{ NAME = ... }]",
    "blocking": 'Blocking calls: { blocking = ..., kind = "NAME" }',
    "locks": 'Locks: { lock = ..., kind = "NAME", steps = [...] }',
    "distributions": 'Distributions: { dist = "NAME", ... }',
    "slo": "Objectives: [slo] NAME = LIMIT",
}


def _sections(incomplete: str) -> list[str]:
    return [name for name in TITLES if name.startswith(incomplete)]


def list_(
    sections: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SECTION",
            help=f"Only these sections: {', '.join(TITLES)}.",
            autocompletion=_sections,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a scenario can be made of."""
    for name in sections or ():
        if name not in TITLES:
            known = ", ".join(TITLES)
            raise typer.BadParameter(f'no section is called "{name}"; there are {known}')
    from simsched.cli.catalogue import catalogue
    from simsched.cli.console import write_json

    chosen = {
        name: entries for name, entries in catalogue().items() if not sections or name in sections
    }
    if as_json:
        write_json({"schema": "simsched.list/1", **chosen})
        return
    for name, entries in chosen.items():
        _print(TITLES[name], entries)
        typer.echo()
    typer.echo("simsched explain NAME tells more about a preset, a kind or a step.")


def _print(title: str, entries: list[Entry]) -> None:
    from rich.text import Text

    from simsched.cli.console import stdout_console

    console = stdout_console()
    console.print(Text(title, "bold"))
    width = max((len(entry["name"]) for entry in entries), default=0)
    kinds = dict.fromkeys(entry.get("kind", "") for entry in entries)
    for kind in kinds:
        if kind:
            console.print(Text(f"  {kind}", "dim"))
        own = [entry for entry in entries if entry.get("kind", "") == kind]
        _print_table(console, own, width, indent=4 if kind else 2)


def _print_table(console: Console, entries: list[Entry], width: int, indent: int) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    for entry in entries:
        text = Text(entry["description"])
        if entry.get("models"):
            text.append(f"\n{entry['models']}", "dim")
        if entry.get("keys"):
            text.append(f"\n{', '.join(entry['keys'])}", "dim")
        grid.add_row(entry["name"], text)
    console.print(Padding(grid, (0, 0, 0, indent)))


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A preset, or an example.",
            autocompletion=complete.showable_names,
        ),
    ],
) -> None:
    """Show a preset, with its sources, or an example, as TOML."""
    from simsched.cli import examples
    from simsched.cli.console import is_live, stdout_console, warn, write
    from simsched.scenario import Problem, ScenarioError, preset_names, preset_text
    from simsched.scenario.suggest import did_you_mean, one_of

    if name in preset_names():
        text = preset_text(name)
        if name in examples.names():
            warn("note", f'this is the preset; "simsched init --example {name}" writes the example')
    elif name in examples.names():
        text = examples.path_of(name).read_text(encoding="utf-8")
    else:
        hint = did_you_mean(name, (*preset_names(), *examples.names()))
        message = f'no preset and no example is called "{name}"'
        known = one_of((*preset_names(), *examples.names()))
        raise ScenarioError([Problem("", None, None, "", message, known, hint)])
    console = stdout_console()
    if is_live(sys.stdout) and console.color_system is not None:
        from rich.syntax import Syntax

        console.print(Syntax(text, "toml", theme="ansi_dark", background_color="default"))
    else:
        write(text)
