"""Completion of names in the shell."""

from __future__ import annotations

from typing import Any


def preset_names(incomplete: str) -> list[tuple[str, str]]:
    """Presets, with what they are."""
    from simsched.scenario import load_preset, preset_names

    return [(n, load_preset(n).description) for n in preset_names() if n.startswith(incomplete)]


def example_names(incomplete: str) -> list[tuple[str, str]]:
    """Examples, with what they show."""
    from simsched.cli import examples

    return [(n, examples.description(n)) for n in examples.names() if n.startswith(incomplete)]


def showable_names(incomplete: str) -> list[tuple[str, str]]:
    """Presets and examples."""
    return preset_names(incomplete) + example_names(incomplete)


def calibration_names(incomplete: str) -> list[tuple[str, str]]:
    """Built-in calibrations, with the machine they are of."""
    from simsched.calibration import calibration_names, find_calibration

    found = [(name, find_calibration(name).description) for name in calibration_names()]
    found.append(("none", "the presets' own constants"))
    return [entry for entry in found if entry[0].startswith(incomplete)]


def topic_names(incomplete: str) -> list[tuple[str, str]]:
    """Topics of `explain`, with what they are."""
    from simsched.explain.topics import full_name, topics

    found = [(full_name(topic), topic.summary) for topic in topics()]
    return [entry for entry in found if entry[0].casefold().startswith(incomplete.casefold())]


def scheduler_names(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Schedulers of the scenario on the command line, and presets."""
    found = [(name, "in the scenario") for name in _names_in_file(ctx.params)]
    listed = {name for name, _ in found}
    found += [entry for entry in preset_names("") if entry[0] not in listed]
    return [entry for entry in found if entry[0].startswith(incomplete)]


def _names_in_file(params: dict[str, Any]) -> list[str]:
    from simsched.cli import examples
    from simsched.scenario import ScenarioError, load_scenario

    path = params.get("config")
    try:
        if params.get("example"):
            path = examples.path_of(params["example"])
        return [spec.name for spec in load_scenario(path).schedulers] if path else []
    except ScenarioError:
        return []
