"""`simsched init`: a commented scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from simsched.cli import complete

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched init",
        "  simsched init shop.toml --template db_pool",
        "  simsched init shop.toml --with-schema    (editors then check and complete it)",
    )
)
SCHEMA_FILE = "simsched.schema.json"


def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File to write.")] = Path(
        "scenario.toml"
    ),
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "--example",
            "-t",
            metavar="NAME",
            help='Example to start from; see "simsched list examples".',
            autocompletion=complete.example_names,
        ),
    ] = "io_heavy",
    with_schema: Annotated[
        bool,
        typer.Option(
            "--with-schema",
            help=f"Also write {SCHEMA_FILE} beside it, and name it in the first line.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite existing files.")] = False,
) -> None:
    """Write a commented scenario file to start from."""
    from simsched.cli import examples
    from simsched.report.files import OutputError, atomic_file

    source = examples.path_of(template)
    text = source.read_text(encoding="utf-8")
    first = f"#:schema ./{SCHEMA_FILE}\n\n" if with_schema else ""
    files = {path: (first + text).encode()}
    if with_schema:
        files[path.with_name(SCHEMA_FILE)] = _schema().encode()
    for name in _data_files(text):
        files[path.parent / name] = (source.parent / name).read_bytes()
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    existing = [file for file in files if file.exists()]
    if existing and not force:
        raise OutputError(f"{existing[0]} exists already: choose another name, or use --force")
    for file, content in files.items():
        with atomic_file(file) as target:
            target.write(content)
    for file in files:
        typer.echo(f"wrote {file}")
    typer.echo(f"next: simsched check {path}\n      simsched run {path}")


def _schema() -> str:
    import json

    from simsched.scenario import scenario_schema

    return json.dumps(scenario_schema(), indent=2) + "\n"


def _data_files(text: str) -> list[str]:
    """Data files that a scenario names, relative to it."""
    import tomli

    found: list[str] = []

    def collect(value: Any) -> None:
        items = value.items() if isinstance(value, dict) else ()
        for key, item in items:
            if key == "file" and isinstance(item, str):
                found.append(item)
            collect(item)
        if isinstance(value, list):
            for item in value:
                collect(item)

    collect(tomli.loads(text))
    return list(dict.fromkeys(found))
