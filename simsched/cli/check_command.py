"""`simsched check`: what a scenario says, before anything is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsched.cli.exit_codes import ExitCode
from simsched.cli.options import Calibration, Config, Example, Scheduler, Set, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.scenario import OfferedLoad, Scenario, ScenarioError

EPILOG = "\n".join(
    (
        "[bold]Examples[/]",
        "  simsched check shop.toml",
        "  simsched check shop.toml --set host.cores=2 --json",
        "",
        "[bold]Exit status[/]",
        "  0    the scenario is valid (there may be warnings)",
        "  2    it is not",
    )
)
DRAWN_MOST = 1_000_000
"""Requests up to which the workload is drawn as a trial."""


def check(
    config: Config = None,
    example: Example = None,
    overrides: Set = None,
    schedulers: Scheduler = None,
    calibration: Calibration = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON, errors included.")
    ] = False,
) -> None:
    """Validate a scenario and show the load it offers.

    Shows mean demands, what they ask of cores, pools and schedulers, what
    cannot keep up, and what queueing theory predicts where a formula applies.
    """
    from simsched.scenario import ScenarioError

    try:
        scenario = load(config, example, overrides or (), schedulers or (), calibration)
        load_ = _examine(scenario)
    except ScenarioError as error:
        if not as_json:
            raise
        from simsched.cli.console import write_json

        write_json(_failure(error))
        raise typer.Exit(ExitCode.USAGE) from None
    predictions = _predictions(scenario)
    if as_json:
        from simsched.cli.console import write_json

        write_json(_findings(scenario, load_, predictions))
    else:
        from simsched.cli.check_view import render
        from simsched.cli.console import stdout_console

        shown = scenario.source or Path(f"example {example}")
        render(stdout_console(), scenario, str(shown), load_, predictions)


def _examine(scenario: Scenario) -> OfferedLoad:
    """The offered load, after everything that a run would find wrong has been looked for.

    Raises:
        ScenarioError: a data file cannot be used, or the workload is too big.
    """
    from simsched.study.offered import offered
    from simsched.workload import TooManyRequests, draw
    from simsched.workload.base import check_count
    from simsched.workload.problems import check_samples, refuse

    check_samples(scenario)
    load_ = offered(scenario)
    expected = (load_.rate_rps or 0.0) * scenario.duration_s
    try:
        check_count(expected, "the requests of one replication")
    except TooManyRequests as error:
        refuse(scenario, ("workload", "arrivals"), str(error), cause=error)
    if expected <= DRAWN_MOST:
        draw(scenario, 0)
    return load_


def _predictions(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """The closed form of each scheduler that has one."""
    from dataclasses import asdict

    from simsched.stats.closed_form import closed_form

    lines = {spec.name: closed_form(scenario, spec) for spec in scenario.schedulers}
    return {name: asdict(line) for name, line in lines.items() if line is not None}


def _findings(
    scenario: Scenario, load_: OfferedLoad, predictions: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "simsched.check/1",
        "valid": True,
        "scenario": scenario.name,
        "calibration": scenario.calibration and scenario.calibration.reference(),
        "offered": {
            **load_.to_dict(),
            "peak_rate_rps": load_.peak_rate_rps,
            "bound_rps": load_.bound_rps,
            "schedulers": {name: asdict(place) for name, place in load_.schedulers.items()},
            "further": {n: [asdict(p) for p in places] for n, places in load_.further.items()},
        },
        "predictions": predictions,
        "warnings": list(load_.warnings),
        "problems": [],
    }


def _failure(error: ScenarioError) -> dict[str, Any]:
    problems: Sequence[Any] = error.problems
    keys = ("file", "line", "column", "message", "expected", "hint")
    return {
        "schema": "simsched.check/1",
        "valid": False,
        "problems": [{key: getattr(problem, key) for key in keys} for problem in problems],
    }
