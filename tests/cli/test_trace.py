"""`simsched trace`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simsched.cli import ExitCode
from simsched.cli.progress import Silence

from .calls import call, call_json

WINDOW = ("--from", "100ms", "--to", "300ms")


def test_the_trace_and_its_page_are_written_into_the_folder_of_the_scenario(config: Path) -> None:
    result = call("trace", config, *WINDOW)
    assert result.exit_code == ExitCode.OK, result.stderr
    folder = Path("outputs/small")
    assert sorted(path.name for path in folder.iterdir()) == ["trace.html", "trace.json"]
    document = json.loads((folder / "trace.json").read_text())
    names = [e["args"]["name"] for e in document["traceEvents"] if e["name"] == "process_name"]
    assert names == ["tomcat (thread_pool)", "asyncio (event_loop)"]
    times = [event["ts"] for event in document["traceEvents"] if event["ph"] != "M"]
    assert 100_000 <= min(times) <= max(times) <= 300_000
    assert "0.1 s to 0.3 s" in result.stdout
    assert "outputs/small/trace.json" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stderr == ""


def test_a_file_can_be_named_and_the_page_left_out(config: Path) -> None:
    assert call("trace", config, *WINDOW, "--out", "a/b.json", "--no-page", "-q").stdout == ""
    assert [path.name for path in Path("a").iterdir()] == ["b.json"]
    assert not Path("outputs").exists()


def test_the_summary_as_json(config: Path) -> None:
    found = call_json("trace", config, *WINDOW, "--scheduler", "asyncio", "--json")
    path = Path(found["files"]["trace"])
    document = json.loads(path.read_text())
    assert found["schema"] == "simsched.trace/1"
    assert found["events"] == len(document["traceEvents"])
    assert found["bytes"] == path.stat().st_size
    assert (found["from_s"], found["to_s"], found["cut"]) == (0.1, 0.3, False)
    assert [entry["name"] for entry in found["schedulers"]] == ["asyncio"]
    assert document["otherData"].items() <= found.items()


def test_the_same_command_writes_the_same_bytes(config: Path) -> None:
    for name in ("one.json", "two.json"):
        assert call("trace", config, *WINDOW, "--out", name).exit_code == 0
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()
    assert call("trace", config, *WINDOW, "-o", "two.json", "--replication", "1").exit_code == 0
    assert Path("one.json").read_bytes() != Path("two.json").read_bytes()


def test_what_is_too_big_is_cut_and_said(config: Path) -> None:
    result = call("trace", config, "--limit", "500")
    assert result.exit_code == ExitCode.OK
    document = json.loads(Path("outputs/small/trace.json").read_text())
    end_s = document["otherData"]["to_s"]
    assert document["otherData"]["cut"] is True
    assert result.stderr.startswith(f"warning: cut at {end_s:.9g} s of simulated time")
    assert f"--from {end_s:.6g}s" in result.stderr
    assert call("trace", config, "--limit", "500", "--quiet").stderr == ""


def test_an_empty_window_is_said(config: Path) -> None:
    result = call("trace", config, "--from", "900s")
    assert result.exit_code == ExitCode.OK
    assert "no request was under way" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.toml"], "missing.toml: there is no such file"),
        (["--to", "1s"], "give a scenario file"),
        (["small.toml", "--example", "io_heavy"], "not both"),
        (["small.toml", "--scheduler", "tomkat"], 'did you mean "tomcat"?'),
        (["small.toml", "--set", "host.corse=2"], 'did you mean "cores"?'),
        (["small.toml", "--from", "1"], "add a unit"),
        (["small.toml", "--to", "soon"], "is not a duration"),
        (["small.toml", "--from", "2s", "--to", "1s"], "ends before it begins"),
        (["small.toml", "--replication", "-1"], "replication"),
        (["small.toml", "--limit", "1"], "limit"),
        (["small.toml", "--out", "small.toml"], "replace its own scenario"),
        (["small.toml", "--out", "page.html"], "both the trace and its page"),
        (["small.toml", "--out", "."], "it is a folder"),
        (["small.toml", "--out", "small.toml/trace.json"], "a part of the path is a file"),
    ],
)
def test_what_the_user_can_mend_is_2_and_says_how(
    config: Path, arguments: list[str], said: str
) -> None:
    before = config.read_bytes()
    result = call("trace", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert said in " ".join(result.stderr.split()).replace("│ ", "")
    assert result.stdout == ""
    assert config.read_bytes() == before


def test_an_interrupted_trace_writes_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class CtrlC(Silence):
        def __call__(self, done: int, total: int, label: str) -> None:
            if done == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr("simsched.cli.progress.display", lambda quiet: CtrlC())
    result = call("trace", config)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert list(Path("outputs/small").iterdir()) == []


def test_a_run_of_a_small_scenario_has_its_timeline_on_its_page(config: Path) -> None:
    assert call("run", "--example", "coroutine_story", "-q", "--no-open").exit_code != 1
    assert "Timeline of the first" in Path("outputs/coroutine_story/dashboard.html").read_text()
    busy = ("--set", "workload.arrivals.rate=20000/s", "--replications", "1")
    assert call("run", config, "-q", "--no-open", *busy).exit_code == ExitCode.OK
    assert "Timeline of the first" not in Path("outputs/small/dashboard.html").read_text()
