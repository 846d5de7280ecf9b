"""The options of `run` and `check`, and the scenario that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from simsched.cli import complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.scenario import Scenario

SCENARIO, HOW, OUTPUT = "Scenario", "Simulation", "Output"


def _parse_jobs(text: Any) -> int | Literal["auto"]:
    from simsched.study.executors import MAX_JOBS

    if text == "auto":
        return "auto"
    number = int(text) if str(text).isdecimal() else 0
    if not 1 <= number <= MAX_JOBS:
        raise typer.BadParameter(f'"{text}" is neither "auto" nor a number from 1 to {MAX_JOBS}')
    return number


Config = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="Scenario file (TOML).", show_default=False),
]
Example = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="NAME",
        help='A built-in example instead of a file; see "simsched list examples".',
        autocompletion=complete.example_names,
        rich_help_panel=SCENARIO,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value, as host.cores=8 or schedulers.tomcat.maxThreads=64. Repeatable.",
        rich_help_panel=SCENARIO,
    ),
]
Scheduler = Annotated[
    list[str] | None,
    typer.Option(
        "--scheduler",
        metavar="NAME",
        help="Only this scheduler of the file, or this preset. Repeatable.",
        autocompletion=complete.scheduler_names,
        rich_help_panel=SCENARIO,
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="NAME|FILE",
        help='Constants of a machine: a built-in calibration, a file of "simsched calibrate", or '
        '"none".',
        autocompletion=complete.calibration_names,
        rich_help_panel=SCENARIO,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        envvar="SIMSCHED_SEED",
        help="Root of all random numbers, instead of the scenario's.",
        rich_help_panel=SCENARIO,
    ),
]
Replications = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        metavar="N",
        help="Independent repetitions, instead of the scenario's.",
        rich_help_panel=SCENARIO,
    ),
]
Jobs = Annotated[
    Any,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N|auto",
        parser=_parse_jobs,
        help="Worker processes; auto: one per core, where that is worth it. Changes no number.",
        rich_help_panel=HOW,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Check the model's invariants at every event (slower).",
        rich_help_panel=HOW,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit with 4 if an objective is neither kept nor broken for certain.",
        rich_help_panel=HOW,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Folder for the files, in a folder named after the scenario.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result document instead of the summary.",
        rich_help_panel=OUTPUT,
    ),
]
SaveRequests = Annotated[
    Literal["csv", "npz", "parquet"] | None,
    typer.Option(
        "--save-requests",
        metavar="csv|npz|parquet",
        help="Save every single request, too.",
        rich_help_panel=OUTPUT,
    ),
]
Open = Annotated[
    bool | None,
    typer.Option(
        "--open/--no-open",
        help="Open the page in a browser, or not. By default only from a terminal.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
NoDashboard = Annotated[
    bool,
    typer.Option("--no-dashboard", help="Write no dashboard.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No summary, no progress, no warnings; only errors.",
        rich_help_panel=OUTPUT,
    ),
]


class ScenarioOptions:
    """What changes the scenario, as overrides and as the arguments that say so again.

    The arguments go into the result document. Others change no number in it and stay out, so that
    the document does not depend on --jobs, --out or what is printed.
    """

    def __init__(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        self._pairs = pairs

    def overrides(self) -> list[str]:
        """The changes as `path=value`, in the order in which they apply."""
        return [override for _, _, override in self._pairs if override]

    def arguments(self) -> list[str]:
        """The changes as arguments."""
        return [text for option, value, _ in self._pairs for text in (option, value)]


def scenario_options(
    overrides: Sequence[str] | None,
    schedulers: Sequence[str] | None,
    seed: int | None,
    replications: int | None,
    calibration: str | None = None,
) -> ScenarioOptions:
    """The options that were given; --seed and --replications outweigh --set."""
    pairs = [("--scheduler", name, "") for name in schedulers or ()]
    pairs += [("--set", text, text) for text in overrides or ()]
    if calibration is not None:
        pairs.append(("--calibration", calibration, ""))
    if seed is not None:
        pairs.append(("--seed", str(seed), f"scenario.seed={seed}"))
    if replications is not None:
        text = f"scenario.replications={replications}"
        pairs.append(("--replications", str(replications), text))
    return ScenarioOptions(pairs)


def which(config: Path | None, example: str | None) -> list[str]:
    """The arguments that name the scenario."""
    return ["--example", str(example)] if config is None else [config.as_posix()]


def load(
    config: Path | None,
    example: str | None,
    overrides: Sequence[str],
    schedulers: Sequence[str],
    calibration: str | None = None,
) -> Scenario:
    """The scenario of a command line, which names a file or an example.

    Raises:
        typer.BadParameter: it names neither or both.
        ScenarioError: the scenario is not valid.
    """
    if (config is None) == (example is None):
        raise typer.BadParameter(
            "give a scenario file or --example NAME, not both"
            if config is not None
            else 'give a scenario file, or --example NAME ("simsched list" has the names)',
            param_hint="CONFIG",
        )
    if config is None:
        from simsched.cli import examples

        return examples.load(str(example), overrides, schedulers, calibration)
    from simsched.scenario import load_scenario

    return load_scenario(config, overrides, schedulers, calibration=calibration)
