"""Refusing a workload in the scenario's own terms: at the table or step that is at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import tomli

from simsched.scenario import Closed, Empirical
from simsched.scenario.checks import walk
from simsched.scenario.document import Document
from simsched.scenario.errors import ScenarioError
from simsched.scenario.translate import Complaint
from simsched.workload.samples import read_samples
from simsched.workload.tables import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsched.scenario import Dist, Scenario

    Path = tuple[str | int, ...]

__all__ = ["check_samples", "demand_paths", "refuse"]


def refuse(
    scenario: Scenario,
    path: Path,
    message: str,
    hint: str = "",
    cause: BaseException | None = None,
) -> NoReturn:
    """Raise a ScenarioError that points at `path` of the scenario's file, if it has one."""
    source = scenario.source
    file = str(source) if source is not None else ""
    document = Document(file=file, data={}, text=_text_of(scenario))
    raise ScenarioError([document.place(Complaint(path, message, hint=hint))]) from cause


def _text_of(scenario: Scenario) -> str:
    """The file the scenario was read from, or "" if it is gone or no longer TOML."""
    if scenario.source is None:
        return ""
    try:
        text = scenario.source.read_text(encoding="utf-8")
        tomli.loads(text)
    except (OSError, ValueError):
        return ""
    return text


def demand_paths(scenario: Scenario) -> Iterator[tuple[int, Path, Dist]]:
    """Class, path in the scenario and distribution of every demand."""
    for c, request_class in enumerate(scenario.classes):
        for path, step in walk(request_class.steps, ("workload", "requests", c, "steps")):
            demand = type(step).model_fields.get("demand")
            if demand is not None:
                yield c, (*path, demand.alias or "demand"), step.demand


def check_samples(scenario: Scenario) -> None:
    """Read every file of samples, so that a bad one is refused before anything is drawn.

    Raises:
        ScenarioError: At the step (or think time) whose file cannot be used.
    """
    dists = [(path, dist) for _, path, dist in demand_paths(scenario)]
    if isinstance(scenario.arrivals, Closed):
        dists.append((("workload", "arrivals", "think"), scenario.arrivals.think))
    for path, dist in dists:
        if isinstance(dist, Empirical) and dist.file is not None:
            try:
                read_samples(scenario.base_dir / dist.file, dist.column)
            except TableError as error:
                refuse(scenario, path, error.message, error.hint, error)
