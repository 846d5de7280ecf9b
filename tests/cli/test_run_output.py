"""What a run prints where, and what it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from study.small import TEXT

from .calls import call, call_json

QUICK = ("--no-dashboard",)
OVERLOAD = ("--set", "workload.arrivals.rate=2000/s", "--set", "scenario.duration=500ms")


def files(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_stdout_has_the_summary_and_its_last_lines_name_the_files(config: Path) -> None:
    result = call("run", config)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "small"
    assert [line.split() for line in lines[-3:]] == [
        ["dashboard", "outputs/small/dashboard.html"],
        ["result", "outputs/small/result.json"],
        ["scenario", "outputs/small/config.toml"],
    ]
    assert files("outputs/small") == ["config.toml", "dashboard.html", "result.json"]


def test_nothing_is_wider_than_the_terminal(config: Path) -> None:
    result = call("run", config, *QUICK, *OVERLOAD)
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_pipe_gets_no_escape_sequence(config: Path, env: dict[str, str]) -> None:
    result = call("run", config, *QUICK, *OVERLOAD, env=env)
    assert "\x1b" not in result.stdout + result.stderr


def test_colours_can_be_forced_and_forbidden(config: Path) -> None:
    assert "\x1b[1;32m" in call("run", config, *QUICK, env={"FORCE_COLOR": "1"}).stdout
    both = call("run", config, *QUICK, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout
    assert "32m" not in both


def test_what_cannot_keep_up_is_said_on_stderr(config: Path) -> None:
    result = call("run", config, *QUICK, *OVERLOAD)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert any("host" in line and "cannot keep up" in line for line in warnings)


def test_json_is_all_of_stdout_and_of_the_published_form(config: Path) -> None:
    result = call("run", config, *QUICK, *OVERLOAD, "--json")
    assert "warning: " in result.stderr
    document = json.loads(result.stdout)
    jsonschema.Draft202012Validator(call_json("schema", "result")).validate(document)
    assert result.stdout == Path("outputs/small/result.json").read_text()


def test_neither_jobs_nor_folder_nor_display_change_a_byte(config: Path) -> None:
    first = call("run", config, *QUICK, "--jobs", "1", "--json").stdout
    assert call("run", config, *QUICK, "-j", "2", "--json", "--out", "b").stdout == first
    call("run", config, "--quiet", "--strict", "--out", "c")
    assert Path("c/small/result.json").read_text() == first
    assert call("run", config, *QUICK, "--check", "--json").stdout == first


def test_the_command_in_the_document_reproduces_it(config: Path) -> None:
    options = ("--set", "host.cores=3", "--scheduler", "go", "--replications", "1")
    seed = {"SIMSCHED_SEED": "7"}
    first = call("run", config, *options, *QUICK, "--jobs", "1", "--json", env=seed).stdout
    command = json.loads(first)["command"]
    assert command == [
        *("simsched", "run", "small.toml", "--scheduler", "go", "--set", "host.cores=3"),
        *("--seed", "7", "--replications", "1"),
    ]
    assert call(*command[1:], *QUICK, "--json").stdout == first


def test_the_saved_scenario_reproduces_the_numbers(config: Path) -> None:
    first = call_json("run", config, *QUICK, "--seed", "5", "--json")
    saved = Path("outputs/small/config.toml")
    again = call_json("run", saved, *QUICK, "--json")
    assert again["schedulers"] == first["schedulers"]
    assert again["scenario"]["hash"] == first["scenario"]["hash"]


def test_a_run_does_not_change_the_scenario_it_reads(config: Path) -> None:
    call("run", config, *QUICK, "--quiet")
    saved = Path("outputs/small/config.toml")
    before = saved.read_text()
    result = call("run", saved, *QUICK, "--set", "host.cores=4")
    assert result.exit_code == 2
    assert "--out" in result.stderr
    assert saved.read_text() == before


def test_a_seed_on_the_command_line_outweighs_the_environment(config: Path) -> None:
    env: dict[str, str | None] = {"SIMSCHED_SEED": "7"}
    result = call("run", config, *QUICK, "--seed", "8", "--json", env=env)
    assert json.loads(result.stdout)["seed"] == 8


def test_quiet_prints_nothing_and_writes_everything(config: Path) -> None:
    result = call("run", config, "--quiet", *OVERLOAD)
    assert (result.stdout, result.stderr) == ("", "")
    assert files("outputs/small") == ["config.toml", "dashboard.html", "result.json"]


def test_quiet_json_is_still_json(config: Path) -> None:
    assert call_json("run", config, *QUICK, "--quiet", "--json")["seed"] == 1


def test_a_page_of_an_earlier_run_does_not_stay_beside_a_new_result(config: Path) -> None:
    call("run", config, "--quiet")
    call("run", config, "--quiet", "--no-dashboard")
    assert files("outputs/small") == ["config.toml", "result.json"]


@pytest.mark.parametrize("form", ["csv", "npz", "parquet"])
def test_single_requests_can_be_saved(config: Path, form: str) -> None:
    result = call("run", config, *QUICK, "--save-requests", form)
    path = Path(f"outputs/small/requests.{form}")
    assert str(path) in result.stdout.splitlines()[-1]
    if form == "csv":
        document = json.loads(Path("outputs/small/result.json").read_text())
        arrived = sum(entry["counts"]["arrived"] for entry in document["schedulers"])
        assert len(path.read_text().splitlines()) == 1 + arrived


def test_a_missing_pyarrow_is_noticed_before_the_run(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call("run", config, "--save-requests", "parquet")
    assert result.exit_code == 2
    assert "pip install" in result.stderr
    assert not Path("outputs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_noticed_before_the_run(config: Path) -> None:
    Path().chmod(0o555)
    try:
        result = call("run", config)
    finally:
        Path().chmod(0o755)
    assert result.exit_code == 2
    assert result.stderr == "error: cannot write outputs/small: permission denied\n"


def test_an_unusable_folder_is_noticed_before_the_run(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsched.study.run.run", lambda *_, **__: pytest.fail("it was run"))
    Path("occupied").write_text("a file")
    result = call("run", config, "--out", "occupied")
    assert result.exit_code == 2
    message = "cannot write occupied/small: a part of the path is a file, not a folder"
    assert result.stderr == f"error: {message}\n"
    assert Path("occupied").read_text() == "a file"


def test_a_disk_that_fills_up_does_not_cost_the_summary(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simsched.report.files import OutputError, RunFolder

    def full(*_: object) -> Path:
        raise OutputError("cannot write result.json: no space left on device")

    monkeypatch.setattr(RunFolder, "write_result", full)
    result = call("run", config, *QUICK)
    assert result.exit_code == 2
    assert result.stdout.startswith("small\n")
    assert "no space left" in result.stderr


def test_an_example_leaves_no_trace_of_where_it_is_installed(config: Path) -> None:
    small = ("--set", "scenario.duration=500ms", "--replications", "1", "--scheduler", "go")
    document = call_json("run", "--example", "io_heavy", *small, *QUICK, "--json")
    assert document["scenario"]["source"] is None
    assert document["command"][:4] == ["simsched", "run", "--example", "io_heavy"]
    assert str(Path(__file__).parents[2]) not in json.dumps(document)


def test_hostile_names_do_no_harm(config: Path) -> None:
    config.write_text(TEXT.replace('"small"', '"../[red]name[/bold]"'))
    result = call("run", config, *QUICK)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "../[red]name[/bold]"
    assert len(files("outputs")) == 1
    assert Path("outputs", files("outputs")[0], "result.json").exists()


@pytest.mark.parametrize("options", [("--no-open",), ()])
def test_no_browser_is_opened_unasked_where_nobody_looks(
    config: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail(f"opened {url}"))
    assert call("run", config, *options).exit_code == 0


def test_a_browser_is_opened_when_asked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", browser)
    call("run", config, "--open")
    assert opened == [Path("outputs/small/dashboard.html").resolve().as_uri()]
