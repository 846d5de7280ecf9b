"""The folder of a run: every file whole or not at all, and errors that a user understands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simsched.report.files import OutputError, RunFolder, atomic_file, atomic_write

from .result_documents import example_document


def test_the_folder_is_named_after_the_scenario(tmp_path: Path) -> None:
    assert RunFolder.for_scenario("io_heavy").path == Path("outputs/io_heavy")
    hostile = RunFolder.for_scenario("../../etc/passwd", tmp_path).path
    assert hostile.parent == tmp_path
    assert "." not in hostile.name


def test_nothing_is_created_before_it_is_asked_for(tmp_path: Path) -> None:
    RunFolder.for_scenario("x", tmp_path / "outputs")
    assert list(tmp_path.iterdir()) == []


def test_preparing_leaves_an_empty_folder(tmp_path: Path) -> None:
    folder = RunFolder.for_scenario("x", tmp_path / "a" / "b").prepare()
    assert folder.path.is_dir()
    assert list(folder.path.iterdir()) == []


def test_running_again_replaces_the_files_with_equal_ones(tmp_path: Path) -> None:
    folder = RunFolder.for_scenario("x", tmp_path).prepare()

    def write() -> dict[str, bytes]:
        folder.write_result(example_document())
        folder.write_config('[scenario]\nname = "x"\n')
        folder.write_dashboard(example_document())
        return {path.name: path.read_bytes() for path in folder.path.iterdir()}

    first = write()
    assert sorted(first) == ["config.toml", "dashboard.html", "result.json"]
    assert write() == first
    assert json.loads(first["result.json"]) == example_document()


def test_an_interrupted_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "result.json", "earlier")

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / "result.json", "text")
    assert str(caught.value) == f"cannot write {tmp_path}/result.json: no space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file")
    folder = RunFolder.for_scenario("x", tmp_path / "outputs")
    for attempt in (folder.prepare, lambda: folder.write_config("")):
        with pytest.raises(OutputError, match="a part of the path is a file, not a folder"):
            attempt()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_found_out_before_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        RunFolder.for_scenario("x", tmp_path).prepare()


def test_a_refused_folder_is_found_out_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    folder = RunFolder.for_scenario("x", tmp_path)
    with pytest.raises(OutputError) as caught:
        folder.prepare()
    assert str(caught.value) == f"cannot write {tmp_path}/x: permission denied"


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*result\.json"):
        atomic_write(tmp_path / "result.json", "text")


def test_what_prints_a_summary_loads_nothing_that_only_a_page_needs() -> None:
    heavy = {"numpy", "scipy", "plotly", "jinja2", "simpy", "pyarrow"}
    code = (
        "import sys, simsched.report.table, simsched.report.files;"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
