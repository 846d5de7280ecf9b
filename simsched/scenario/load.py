"""From a TOML file to a scenario, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from simsched.scenario.arrivals import Arrivals
from simsched.scenario.checks import Draft, check
from simsched.scenario.document import Document
from simsched.scenario.errors import ScenarioError
from simsched.scenario.host import Resource
from simsched.scenario.model import Scenario
from simsched.scenario.overrides import apply_overrides, choose_schedulers
from simsched.scenario.presets import expand_presets
from simsched.scenario.scalars import TOML_CONTEXT
from simsched.scenario.source import parse, read_text
from simsched.scenario.specs import default_name
from simsched.scenario.steps import RequestClass
from simsched.scenario.suggest import did_you_mean
from simsched.scenario.translate import Complaint, complaints


def load_scenario(
    path: str | Path, overrides: Sequence[str] = (), schedulers: Sequence[str] = ()
) -> Scenario:
    """Read, override and validate a scenario file.

    Args:
        path: the TOML file; data files it names are relative to its folder.
        overrides: texts ``path=value``, applied in order after the choice of schedulers.
        schedulers: names of schedulers of the file, or of presets; replaces the file's list.

    Raises:
        ScenarioError: with every problem found, in order of place.
    """
    source = Path(path)
    text = read_text(source)
    document = Document(str(path), parse(text, str(path)), text)
    return _build(document, source.parent, source, overrides, schedulers)


def loads_scenario(
    text: str,
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    *,
    base_dir: Path | None = None,
    file: str = "<text>",
) -> Scenario:
    """As :func:`load_scenario`, from a TOML text.

    Args:
        text: the TOML text.
        overrides: as for :func:`load_scenario`.
        schedulers: as for :func:`load_scenario`.
        base_dir: folder that data files are relative to; None: they are not looked for.
        file: name shown in error messages.
    """
    return _build(Document(file, parse(text, file), text), base_dir, None, overrides, schedulers)


def scenario_from_dict(
    data: Mapping[str, Any],
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    *,
    base_dir: Path | None = None,
    source: Path | None = None,
) -> Scenario:
    """As :func:`load_scenario`, from a TOML-shaped dict, which is left unchanged."""
    document = Document(str(source or ""), deepcopy(dict(data)))
    return _build(document, base_dir, source, overrides, schedulers)


def _build(
    document: Document,
    base_dir: Path | None,
    source: Path | None,
    overrides: Sequence[str],
    schedulers: Sequence[str],
) -> Scenario:
    problems = choose_schedulers(document, schedulers)
    problems += apply_overrides(document, overrides)
    data = document.data
    of_presets = expand_presets(data, base_dir)
    unjudged = {complaint.path[:2] for complaint in of_presets}  # their preset is unknown
    scenario: Scenario | None = None
    found: list[Complaint] = []
    try:
        scenario = Scenario.model_validate(data, context=TOML_CONTEXT, by_alias=True, by_name=False)
    except ValidationError as error:
        everything = [*complaints(error), *_rules_of_valid_parts(data)]
        found = [complaint for complaint in everything if complaint.path[:2] not in unjudged]
    if base_dir is not None:
        found += _missing_files(data, base_dir)
    problems += document.problems([*of_presets, *found])
    if problems or scenario is None:
        raise ScenarioError(problems)
    return scenario.located(base_dir, source, document)


def _rules_of_valid_parts(data: dict[str, Any]) -> Iterator[Complaint]:
    """Broken rules between the tables that are valid by themselves.

    Validation as a whole stops before such rules where a table is invalid; this finds them anyway,
    so that all problems are reported at once.
    """
    workload = data.get("workload")
    workload = workload if isinstance(workload, dict) else {}
    classes = _entries(workload.get("requests"))
    resources = data.get("resources")
    valid = {i: _valid(RequestClass, entry) for i, entry in classes.items()}
    capacities = {
        name: None if (resource := _valid(Resource, table)) is None else resource.capacity
        for name, table in (resources if isinstance(resources, dict) else {}).items()
    }
    draft = Draft(
        arrivals=_valid(TypeAdapter[Any](Arrivals), workload.get("arrivals")),
        classes={i: request for i, request in valid.items() if request is not None},
        class_names=_texts({i: entry.get("name") for i, entry in classes.items()}),
        capacities=capacities,
        scheduler_names=_texts(
            {i: default_name(entry) for i, entry in _entries(data.get("schedulers")).items()}
        ),
    )
    for finding in check(draft):
        yield Complaint(finding.path, finding.message, hint=finding.hint)


def _entries(value: Any) -> dict[int, dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return {i: item for i, item in enumerate(items) if isinstance(item, dict)}


def _texts(values: dict[int, Any]) -> dict[int, str]:
    return {i: value for i, value in values.items() if isinstance(value, str)}


def _valid(kind: Any, value: Any) -> Any:
    """The value as that model or type, or None if it is not valid."""
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter[Any](kind)
    try:
        return adapter.validate_python(value, context=TOML_CONTEXT, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _missing_files(data: Any, base_dir: Path, path: tuple[str | int, ...] = ()) -> list[Complaint]:
    """Data files that are named and do not exist."""
    found: list[Complaint] = []
    items: Any = ()
    if isinstance(data, (dict, list)):
        items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        here = (*path, key)
        if key != "file" or not isinstance(value, str):
            found += _missing_files(value, base_dir, here)
        elif not (base_dir / value).is_file():
            folder = (base_dir / value).parent
            siblings = [p.name for p in folder.iterdir()] if folder.is_dir() else []
            hint = did_you_mean(Path(value).name, siblings) or "it is relative to the scenario file"
            found.append(Complaint(here, f'there is no file "{value}"', hint=hint))
    return found
