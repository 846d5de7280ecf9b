"""`simsched schema` and `simsched version`: the forms of files, and what computes the numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

SCHEMA_EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched schema scenario > simsched.schema.json",
        "  simsched schema result",
        "  simsched schema validation",
    )
)
VERSION_EPILOG = "\n".join(("[bold]Examples[/]", "  simsched version --json"))


def schema(
    what: Annotated[
        Literal["scenario", "result", "validation"],
        typer.Argument(
            metavar="WHAT",
            help="scenario: the TOML file that run reads. result: the document that run --json "
            "prints. validation: that of validate --json.",
            show_default=False,
        ),
    ],
) -> None:
    """Print a JSON Schema (draft 2020-12)."""
    from simsched.cli.console import write_json

    if what == "scenario":
        from simsched.scenario import scenario_schema

        write_json(scenario_schema())
    elif what == "validation":
        from simsched.reality.document import validation_schema

        write_json(validation_schema())
    else:
        from simsched.report.result_model import result_schema

        write_json(result_schema())


def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the versions of simsched and of what it computes with."""
    found = versions()
    if as_json:
        from simsched.cli.console import write_json

        write_json(found)
        return
    typer.echo(f"simsched {found.pop('simsched')}")
    for name, text in found.items():
        typer.echo(f"  {name} {text}")


def versions() -> dict[str, Any]:
    """Versions by name, and the platform; read from package data, so that nothing is imported."""
    import platform
    from importlib.metadata import version as version_of

    from simsched._version import __version__

    packages = ("numpy", "scipy", "simpy", "plotly", "pydantic", "typer")
    return {
        "simsched": __version__,
        "python": platform.python_version(),
        **{name: version_of(name) for name in packages},
        "platform": platform.platform(),
    }
