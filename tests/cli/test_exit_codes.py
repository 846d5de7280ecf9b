"""The exit status is a promise to scripts: each one, and that they are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsched.cli import ExitCode
from simsched.cli.progress import Silence

from .calls import call
from .conftest import with_slo

QUICK = ("--no-dashboard", "--replications", "2")


def test_the_numbers_are_these() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "INCONCLUSIVE": 4,
        "SLO_FAILED": 99,
        "INTERRUPTED": 130,
    }


def test_the_help_of_run_tells_all_of_them() -> None:
    text = call("run", "--help").stdout
    status = text[text.index("Exit status") :]
    told = [line.split()[0] for line in status.splitlines()[1:] if line.strip()]
    assert told == [str(int(code)) for code in ExitCode]


def test_a_run_without_objectives_is_fine(config: Path) -> None:
    assert call("run", config, *QUICK).exit_code == ExitCode.OK
    assert call("run", config, *QUICK, "--strict").exit_code == ExitCode.OK


def test_kept_objectives_are_fine(config: Path) -> None:
    with_slo(config, 'mean = "1s"\nutilization = "99%"')
    assert call("run", config, *QUICK, "--strict").exit_code == ExitCode.OK


def test_one_failing_scheduler_is_a_failure(config: Path) -> None:
    # The loop's mean is above Tomcat's, and both are far from the ends of this limit's unit.
    with_slo(config, 'memory = "30MiB"')  # asyncio has 19 MiB, Tomcat's JVM 45 MiB
    assert call("run", config, *QUICK).exit_code == ExitCode.SLO_FAILED
    alone = call("run", config, *QUICK, "--scheduler", "asyncio", "--strict")
    assert alone.exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("options", "code"), [((), ExitCode.OK), (("--strict",), ExitCode.INCONCLUSIVE)]
)
def test_an_objective_that_is_not_proven_counts_only_when_strict(
    config: Path, options: tuple[str, ...], code: ExitCode
) -> None:
    with_slo(config, 'p999 = "1s"')  # two hundred requests say nothing about one in a thousand
    assert call("run", config, *QUICK, *options).exit_code == code


def test_a_failing_objective_outweighs_an_unproven_one(config: Path) -> None:
    with_slo(config, 'p999 = "1s"\nmean = "1ms"')
    assert call("run", config, *QUICK, "--strict").exit_code == ExitCode.SLO_FAILED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "missing.toml"], "missing.toml: there is no such file"),
        (["run", "small.toml", "--example", "io_heavy"], "not both"),
        (["run", "--jobs", "2"], "give a scenario file"),
        (["run", "--example", "io_hevy"], 'did you mean "io_heavy"?'),
        (["run", "small.toml", "--set", "host.corse=2"], 'did you mean "cores"?'),
        (["run", "small.toml", "--scheduler", "tomkat"], 'did you mean "tomcat"?'),
        (["run", "small.toml", "--jobs", "0"], "neither"),
        (["run", "small.toml", "--jobs", "many"], "neither"),
        (["run", "small.toml", "--seed", "-1"], "seed"),
        (["run", "small.toml", "--replications", "0"], "replications"),
        (["run", "small.toml", "--save-requests", "xml"], "xml"),
        (["run", "small.toml", "--out", "small.toml"], "a part of the path is a file"),
        (["check", "missing.toml"], "missing.toml: there is no such file"),
        (["show", "tomkat"], 'did you mean "tomcat"?'),
        (["list", "presents"], "presents"),
        (["explain", "tomkat"], 'did you mean "tomcat"?'),
        (["schema", "everything"], "everything"),
        (["runn"], "Did you mean 'run'?"),
        (["run", "small.toml", "--sett", "a=1"], "--set"),
    ],
)
def test_what_the_user_can_mend_is_2_and_says_how(
    config: Path, arguments: list[str], said: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
    assert result.stdout == ""


def test_a_seed_in_the_environment_is_checked_too(config: Path) -> None:
    result = call("run", config, env={"SIMSCHED_SEED": "soon"})
    assert result.exit_code == ExitCode.USAGE
    assert "SIMSCHED_SEED" in result.stderr


def test_a_defect_is_1_and_hides_its_traceback(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("simsched.study.run.summarise", defect)
    result = call("run", config, *QUICK)
    assert result.exit_code == ExitCode.INTERNAL
    assert "internal error: RuntimeError: a defect" in result.stderr
    assert "SIMSCHED_DEBUG=1" in result.stderr
    assert "Traceback" not in result.stderr
    loud = call("run", config, *QUICK, env={"SIMSCHED_DEBUG": "1"})
    assert loud.exit_code == ExitCode.INTERNAL
    assert "Traceback" in loud.stderr


def test_a_lack_of_memory_is_said_in_so_many_words(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("simsched.study.run.summarise", full)
    result = call("run", config, *QUICK)
    assert result.exit_code == ExitCode.INTERNAL
    assert "out of memory" in result.stderr


class CtrlC(Silence):
    """The user presses Ctrl-C after so many simulations."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __call__(self, done: int, total: int, label: str) -> None:
        if done == self._limit:
            raise KeyboardInterrupt


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr("simsched.cli.progress.display", lambda quiet: CtrlC(limit))


def test_an_interrupted_run_shows_and_saves_what_it_has(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_slo(config, 'mean = "1ms"')  # which fails; but the run was not finished
    press_ctrl_c(monkeypatch, 3)
    result = call("run", config, *QUICK)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "interrupted" in result.stderr
    assert "interrupted after 1 of 2 replications" in result.stdout
    assert Path("outputs/small/result.json").exists()


def test_a_run_interrupted_too_early_has_nothing_to_show(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c(monkeypatch, 1)
    result = call("run", config, *QUICK)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "stopped before there was a result" in result.stderr
    assert result.stdout == ""
    assert not Path("outputs/small/result.json").exists()
