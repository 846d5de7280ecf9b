"""From a TOML file to a scenario, or to everything that is wrong with it."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from simsched.scenario.suggest import did_you_mean, one_of
from simsched.scenario.translate import Complaint, complaints

if TYPE_CHECKING:
    from simsched.calibration.model import Calibration


def load_scenario(
    path: str | Path,
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    *,
    calibration: str | Path | Calibration | None = None,
) -> Scenario:
    """Read, override and validate a scenario file.

    Args:
        path: the TOML file; data files it names are relative to its folder.
        overrides: texts ``path=value``, applied in order after the choice of schedulers.
        schedulers: names of schedulers of the file, or of presets; replaces the file's list.
        calibration: name of a built-in one, a file (relative to the current folder), or one that
            is loaded; instead of the scenario's own. "none": no calibration.

    Raises:
        ScenarioError: with every problem found, in order of place.
    """
    source = Path(path)
    text = read_text(source)
    document = Document(str(path), parse(text, str(path)), text)
    return _build(document, source.parent, source, overrides, schedulers, calibration)


def loads_scenario(
    text: str,
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    *,
    base_dir: Path | None = None,
    file: str = "<text>",
    calibration: str | Path | Calibration | None = None,
) -> Scenario:
    """As :func:`load_scenario`, from a TOML text.

    Args:
        text: the TOML text.
        overrides: as for :func:`load_scenario`.
        schedulers: as for :func:`load_scenario`.
        base_dir: folder that data files are relative to; None: they are not looked for.
        file: name shown in error messages.
        calibration: as for :func:`load_scenario`.
    """
    document = Document(file, parse(text, file), text)
    return _build(document, base_dir, None, overrides, schedulers, calibration)


def scenario_from_dict(
    data: Mapping[str, Any],
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    *,
    base_dir: Path | None = None,
    source: Path | None = None,
    calibration: str | Path | Calibration | None = None,
) -> Scenario:
    """As :func:`load_scenario`, from a TOML-shaped dict, which is left unchanged."""
    document = Document(str(source or ""), deepcopy(dict(data)))
    return _build(document, base_dir, source, overrides, schedulers, calibration)


def _build(
    document: Document,
    base_dir: Path | None,
    source: Path | None,
    overrides: Sequence[str],
    schedulers: Sequence[str],
    calibration: str | Path | Calibration | None,
) -> Scenario:
    problems = choose_schedulers(document, schedulers)
    problems += apply_overrides(document, overrides)
    data = document.data
    constants, of_calibration = _calibration(data, base_dir, calibration)
    entries = data.get("schedulers")
    written = list(entries) if isinstance(entries, list) else None
    of_presets = expand_presets(data, base_dir)
    if constants is not None:
        from simsched.calibration.apply import calibrate

        calibrate(data, written, constants)
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
    problems += document.problems([*of_calibration, *of_presets, *found])
    if problems or scenario is None:
        raise ScenarioError(problems)
    return scenario.located(base_dir, source, document, constants)


def _calibration(
    data: dict[str, Any], base_dir: Path | None, asked: str | Path | Calibration | None
) -> tuple[Calibration | None, list[Complaint]]:
    """The calibration that was asked for, else the scenario's own; noted in the data.

    Raises:
        ScenarioError: the file of the calibration is not valid, or the one asked for is not there.
    """
    host = data.get("host")
    if not isinstance(host, dict) or (asked is None and "calibration" not in host):
        return None, []
    from simsched.calibration.load import calibration_names, find_calibration

    if asked == NO_CALIBRATION:
        host.pop("calibration", None)
        return None, []
    if asked is None:
        own = host["calibration"]
        if not isinstance(own, str):
            return None, []  # which validation reports
        wrong = _wrong_calibration(own, base_dir)
        return (None, wrong) if wrong else (find_calibration(own, base_dir), [])
    constants = find_calibration(asked, asked_by="--calibration")
    if not isinstance(asked, str | Path):
        host.setdefault("calibration", constants.source)
    elif base_dir is None or str(asked) in calibration_names():
        host["calibration"] = str(asked)
    else:
        host["calibration"] = Path(os.path.relpath(asked, base_dir)).as_posix()
    return constants, []


NO_CALIBRATION = "none"
"""Asks for the presets' own constants where the scenario names a calibration."""


def _wrong_calibration(name: str, base_dir: Path | None) -> list[Complaint]:
    from simsched.calibration.load import calibration_names, unknown

    at = ("host", "calibration")
    if name in calibration_names():
        return []
    if not name.endswith(".toml"):
        message, hint = unknown(name)
        return [Complaint(at, message, one_of(calibration_names()), hint)]
    if base_dir is None:
        return [Complaint(at, "a calibration file needs a scenario file that it is relative to")]
    return _missing_file(at, name, base_dir)


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
        locked_classes={
            i: names
            for i, entry in _entries(data.get("schedulers")).items()
            if isinstance(names := entry.get("LockOSThread"), list)
        },
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
        else:
            found += _missing_file(here, value, base_dir)
    return found


def _missing_file(at: tuple[str | int, ...], name: str, base_dir: Path) -> list[Complaint]:
    if (base_dir / name).is_file():
        return []
    folder = (base_dir / name).parent
    siblings = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    hint = did_you_mean(Path(name).name, siblings) or "it is relative to the scenario file"
    return [Complaint(at, f'there is no file "{name}"', hint=hint)]
