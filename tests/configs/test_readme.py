"""The README shows what works: its scenarios load, its Python runs, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from simsched.cli.app import app
from simsched.explain import explain
from simsched.scenario import loads_scenario

from .runs import CONFIGS

ROOT = CONFIGS.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


SCENARIO, ARRIVALS, DISTRIBUTIONS = blocks("toml")
COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def one_class(
    step: str, arrivals: str = '{ kind = "trace", file = "data/trace_replay.csv" }'
) -> str:
    return f"""
        [scenario]
        name = "line"
        duration = "30s"
        [host]
        cores = 1
        [workload]
        arrivals = {arrivals}
        [[workload.requests]]
        name = "lookup"
        steps = [{{ {step} }}]
        [[schedulers]]
        preset = "go"
    """


def test_the_annotated_scenario_is_valid_and_has_every_table() -> None:
    scenario = loads_scenario(SCENARIO, base_dir=CONFIGS)
    assert set(scenario.resolved()) == {
        "scenario",
        "host",
        "workload",
        "resources",
        "schedulers",
        "slo",
    }


@pytest.mark.parametrize("line", ARRIVALS.splitlines())
def test_every_arrival_process_is_valid(line: str) -> None:
    arrivals = line.removeprefix("arrivals = ")
    loads_scenario(one_class('cpu = "1ms"', arrivals), base_dir=CONFIGS)


@pytest.mark.parametrize("line", DISTRIBUTIONS.splitlines())
def test_every_distribution_is_valid(line: str) -> None:
    loads_scenario(one_class(line), base_dir=CONFIGS)


def test_no_kind_of_arrivals_or_distribution_is_left_out() -> None:
    from simsched.scenario.arrivals import ARRIVAL_KINDS
    from simsched.scenario.distributions import FAMILIES

    assert set(re.findall(r'kind = "(\w+)"', ARRIVALS)) == set(ARRIVAL_KINDS)
    named = set(re.findall(r'dist = "(\w+)"', DISTRIBUTIONS))
    assert named == set(FAMILIES) - {"constant", "column"}


def test_the_python_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["STABLE"] * 3


def test_there_are_two_commands_to_start_with() -> None:
    run, test = COMMANDS[:2]
    assert run.endswith("simsched run configs/io_heavy.toml")
    assert "-m pytest" in test


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_what_it_offers_to_explain_is_explained(command: str) -> None:
    _, verb, name, *_ = command.split()
    assert verb == "explain"
    page = explain(name)
    assert page.knobs or page.topic.title


def test_every_command_is_listed() -> None:
    table = README.split("## Commands")[1].split("## From Python")[0]
    listed = set(re.findall(r"^\| `simsched (\w+)", table, re.MULTILINE))
    assert listed == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_ci_runs_the_test_command_itself() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "test_command=$(grep -m 1 -- '-m pytest' README.md)" in script
    first = next(line for line in README.splitlines() if "-m pytest" in line)
    assert first == COMMANDS[1]


def test_lines_fit() -> None:
    long = [line for line in README.splitlines() if len(line) > 100]
    assert all(line.startswith(("|", "arrivals = ")) for line in long), long


def test_paths_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:tests|simsched|configs)/[\w/.]*)`", README):
        assert (ROOT / Path(name)).exists(), name
