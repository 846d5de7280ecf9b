"""Lists, presets, schemas, versions, and a first scenario."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import tomli

from simsched.calibration import calibration_names
from simsched.cli import catalogue, complete, examples
from simsched.scenario import load_preset, load_scenario, preset_names
from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.slo import SLO_KEYS
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS, BlockingKind, LockKind

from .calls import call, call_json

PACKAGE = Path(examples.__file__).resolve().parent.parent


def test_everything_a_scenario_can_name_is_listed_with_a_description() -> None:
    listed = call_json("list", "--json")
    assert listed.pop("schema") == "simsched.list/1"
    names = {section: [entry["name"] for entry in entries] for section, entries in listed.items()}
    assert names == {
        "examples": list(examples.names()),
        "presets": list(preset_names()),
        "calibrations": list(calibration_names()),
        "schedulers": list(SCHEDULER_KINDS),
        "arrivals": list(ARRIVAL_KINDS),
        "steps": list(STEP_KINDS),
        "blocking": list(get_args(BlockingKind)),
        "locks": list(get_args(LockKind)),
        "distributions": list(FAMILIES),
        "slo": list(SLO_KEYS),
    }
    for section in set(listed) - {"examples"}:
        assert all(entry["description"] for entry in listed[section]), section


def test_the_written_descriptions_are_of_things_that_exist() -> None:
    assert set(catalogue.BLOCKING_KINDS) == set(get_args(BlockingKind))
    assert set(catalogue.LOCK_KINDS) == set(get_args(LockKind))
    assert set(catalogue.OBJECTIVES) == set(SLO_KEYS)


def test_sections_can_be_chosen() -> None:
    assert set(call_json("list", "slo", "steps", "--json")) == {"schema", "slo", "steps"}
    text = call("list", "presets").stdout
    assert "tomcat" in text
    assert "io_heavy" not in text


def test_presets_are_listed_under_their_kind() -> None:
    lines = call("list", "presets").stdout.splitlines()
    kinds = [line.strip() for line in lines if line.startswith("  ") and line[2] != " "]
    assert kinds == [kind for kind in kinds if kind in SCHEDULER_KINDS]
    assert len(kinds) == len(set(kinds))
    under = {}
    for line in lines:
        if line.strip() in kinds:
            kind = line.strip()
        elif line.startswith("    ") and line[4] != " ":
            under[line.split()[0]] = kind
    assert under == {name: load_preset(name).scheduler["kind"] for name in preset_names()}
    assert lines[-1].startswith("simsched explain NAME")


def test_lists_fit_the_terminal() -> None:
    assert max(len(line) for line in call("list").stdout.splitlines()) <= 80


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_shown_as_its_file_with_sources(name: str) -> None:
    shown = call("show", name).stdout
    assert shown == (PACKAGE / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def test_where_a_preset_has_the_name_of_an_example_the_other_one_is_pointed_to() -> None:
    both = set(preset_names()) & set(examples.names())
    assert both == {"webflux"}
    result = call("show", "webflux")
    assert result.stdout.startswith("# Spring WebFlux on Reactor Netty")
    assert "simsched init --example webflux" in result.stderr
    assert not call("show", "tomcat").stderr


def test_an_example_is_shown_as_its_file() -> None:
    assert call("show", "io_heavy").stdout == examples.path_of("io_heavy").read_text()


IN_FOLDERS = [name for name in examples.names() if "/" in name]


def test_examples_in_folders_come_last() -> None:
    assert examples.names()[-len(IN_FOLDERS) :] == tuple(IN_FOLDERS) == ("published/million_tasks",)


@pytest.mark.parametrize("command", ["run", "check", "trace", "init", "show"])
@pytest.mark.parametrize("name", IN_FOLDERS)
def test_every_command_knows_examples_in_folders(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("--set", "workload.arrivals.users=10")
    more = {
        "run": (*few, "--scheduler", "go", "--json"),
        "check": few,
        "trace": (*few, "--json"),
    }
    named = (name,) if command == "show" else ("--example", name)
    assert call(command, *named, *more.get(command, ())).exit_code == 0


@pytest.mark.parametrize("option", ["--example million_tasks", "--example published/milion_tasks"])
def test_whoever_names_an_example_in_a_folder_wrongly_is_helped(option: str) -> None:
    result = call("run", *option.split())
    assert result.exit_code == 2
    assert 'did you mean "published/million_tasks"?' in result.stderr


@pytest.mark.parametrize("what", ["scenario", "result", "validation"])
def test_schemas_are_schemas(what: str) -> None:
    jsonschema.Draft202012Validator.check_schema(call_json("schema", what))


@pytest.mark.parametrize("name", examples.names())
def test_every_example_is_of_the_published_form(name: str) -> None:
    data = tomli.loads(examples.path_of(name).read_text())
    jsonschema.Draft202012Validator(call_json("schema", "scenario")).validate(data)


def test_the_version_has_what_the_numbers_depend_on() -> None:
    found = call_json("version", "--json")
    assert {"simsched", "python", "numpy", "simpy", "platform"} <= set(found)
    assert call("version").stdout.splitlines()[0] == f"simsched {found['simsched']}"


def test_init_writes_a_scenario_that_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("init")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "wrote scenario.toml"
    assert "simsched run scenario.toml" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.toml"]
    assert load_scenario("scenario.toml").schedulers


@pytest.mark.parametrize("template", examples.names())
def test_every_example_is_a_template_and_brings_its_data(template: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert call("init", path, "--template", template).exit_code == 0
    assert call("check", path).exit_code == 0


def test_init_overwrites_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    refused = call("init", path)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert path.read_text() == "precious"
    assert call("init", path, "--force").exit_code == 0
    assert load_scenario(path).schedulers


def test_init_does_not_replace_a_folder(tmp_path: Path) -> None:
    assert "it is a folder" in call("init", tmp_path, "--force").stderr


def test_a_schema_is_named_only_where_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    call("init", path, "--with-schema")
    first = path.read_text().splitlines()[0]
    assert first == "#:schema ./simsched.schema.json"
    assert json.loads((tmp_path / "simsched.schema.json").read_text()) == call_json(
        "schema", "scenario"
    )
    call("init", path, "--force")
    assert "#:schema" not in path.read_text()


def test_names_are_completed(tmp_path: Path) -> None:
    assert [name for name, _ in complete.preset_names("virt")] == [
        "virtual-threads",
        "virtual-threads-21",
    ]
    assert "io_heavy" in dict(complete.example_names("io"))
    assert {"tomcat", "io_heavy"} <= set(dict(complete.showable_names("")))


class Typed:
    """A command line as far as it has been typed."""

    def __init__(self, **params: object) -> None:
        self.params = params


def test_schedulers_of_the_scenario_are_completed_before_presets(tmp_path: Path) -> None:
    from study.small import TEXT

    path = tmp_path / "small.toml"
    path.write_text(TEXT.replace('preset = "tomcat"', 'preset = "tomcat"\nname = "mine"'))
    found = [name for name, _ in complete.scheduler_names(Typed(config=path), "")]
    assert found[:2] == ["mine", "asyncio"]
    assert set(preset_names()) <= set(found)
    assert len(found) == len(set(found))
    path.write_text("not TOML")
    assert "go" in dict(complete.scheduler_names(Typed(config=path), "g"))


def test_the_wheel_carries_the_examples_where_they_are_looked_for() -> None:
    project = tomli.loads((PACKAGE.parent / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {PACKAGE.parent / to for to in included.values()} == {examples.FOLDERS[0]}
    assert {PACKAGE.parent / source for source in included} == {examples.FOLDERS[1]}


def test_a_package_without_examples_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "FOLDERS", (tmp_path / "none",))
    result = call("run", "--example", "io_heavy")
    assert result.exit_code == 1
    assert "examples are missing" in result.stderr
