"""`simsched validate --replay`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simsched.cli.app import app
from simsched.reality.page import percent

from .measured import write_case


class TestCommand:
    def invoke(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["validate", *arguments], env={"COLUMNS": "100"})

    def test_json_on_stdout_and_a_page_and_a_document_in_the_folder(self, tmp_path: Path) -> None:
        write_case(tmp_path / "truth", "go2__mixed__500ps")
        result = self.invoke(
            "--replay", str(tmp_path / "truth"), "--out", str(tmp_path / "out"), "--json", "-q"
        )
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["schema"] == "simsched.validation/1"
        assert [case["id"] for case in document["cases"]] == ["go2__mixed__500ps"]
        assert json.loads((tmp_path / "out" / "validation.json").read_text()) == document
        page = (tmp_path / "out" / "validation.html").read_text()
        assert "predicted against measured" in page
        assert "go2__mixed__500ps" in page

    def test_the_table_has_a_row_for_each_case_and_the_demands(self, tmp_path: Path) -> None:
        write_case(tmp_path, "go2__mixed__500ps")
        result = self.invoke("--replay", str(tmp_path), "--out", str(tmp_path / "out"))
        assert "go2__mixed__500ps" in result.stdout
        assert "median error of p50" in result.stdout

    def test_what_was_measured_before_an_interruption_can_be_compared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(_plan: object, folder: Path, _progress: object) -> None:
            write_case(folder, "go2__mixed__500ps")
            raise KeyboardInterrupt

        monkeypatch.setattr("simsched.reality.record", stopped)
        result = self.invoke("--runtime", "go2", "--out", str(tmp_path))
        assert result.exit_code == 130
        assert f"--replay {tmp_path / 'recorded'}" in " ".join(result.stderr.split())
        again = self.invoke("--replay", str(tmp_path / "recorded"), "--out", str(tmp_path))
        assert again.exit_code == 0

    def test_80_characters_hold_a_case_in_one_line(self, tmp_path: Path) -> None:
        write_case(tmp_path, "asyncio__cpu_heavy__1500ps__rep0")
        arguments = ["validate", "--replay", str(tmp_path), "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
        lines = result.stdout.splitlines()
        assert all(len(line) <= 80 for line in lines if not line.startswith("page"))
        row = next(line for line in lines if "asyncio__cpu_heavy__1500ps__rep0" in line)
        assert row.count("%") == 5

    def test_the_largest_errors_come_with_a_reason(self, tmp_path: Path) -> None:
        for k, slower in enumerate((1.0, 3.0)):
            write_case(tmp_path, f"jf8__mixed__{k}00ps", slower=slower)
        result = self.invoke("--replay", str(tmp_path), "--out", str(tmp_path / "out"))
        worst = result.stdout.partition("the largest errors")[2].splitlines()[4]
        assert worst.split()[:3] == ["jf8__mixed__100ps", "p50", "-66.7%"]
        assert "who is served first" in worst

    def test_memory_is_shown_by_runtime_where_it_was_measured(self, tmp_path: Path) -> None:
        write_case(tmp_path, "jf8__mixed__500ps")
        index = tmp_path / "index.json"
        (record,) = json.loads(index.read_text())
        index.write_text(json.dumps([record | {"rss_kb": {"hwm": 80 * 1024}}]))
        result = self.invoke("--replay", str(tmp_path), "--out", str(tmp_path / "out"))
        assert "80.0 MiB" in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--replay", "nowhere"], "index.json"),
            (["--replay", "x", "--runtime", "go1"], "nothing is measured"),
            (["--replay", "x", "--repeat", "3"], "nothing is measured"),
            (["--runtime", "erlang"], "erlang"),
            (["--runtime", "go1", "--cores", "a"], "no list of CPUs"),
            (["--runtime", "go1", "--cores", "4000"], "may not be used"),
        ],
    )
    def test_bad_input_is_one_clear_error(
        self, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        result = self.invoke(*arguments, "--out", str(tmp_path / "out"))
        assert result.exit_code == 2
        assert message in result.output


def test_an_error_that_is_nothing_has_no_sign() -> None:
    found = [percent(error) for error in (0.0004, -0.0004, -0.0006, 0.0123)]
    assert found == ["0.0%", "0.0%", "-0.1%", "+1.2%"]
