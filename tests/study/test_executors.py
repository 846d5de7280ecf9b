"""Where simulations run: how many processes, and what they inherit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simsched.study import executors
from simsched.study.run import _jobs, _units

from .small import small


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000\n", 2.0), ("max 100000\n", None), ("150000 100000\n", 1.5), ("", None)],
)
def test_the_quota_of_a_container_counts(tmp_path: Path, text: str, cores: float | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert executors._container_quota(str(file)) == cores


def test_there_is_no_quota_without_a_container(tmp_path: Path) -> None:
    assert executors._container_quota(str(tmp_path / "none")) is None


def test_a_share_of_a_core_is_still_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_container_quota", lambda: 0.2)
    assert executors.available_cores() == 1


def test_children_get_one_thread_per_library_and_the_parent_keeps_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what the user says goes
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with executors._single_threaded_children():
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert os.environ["MKL_NUM_THREADS"] == "1"
    assert dict(os.environ) == before


def test_processes_are_started_only_where_that_is_worth_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from simsched.scenario import offered_load

    monkeypatch.setattr("simsched.study.run.available_cores", lambda: 8)
    short, long = small(), small("scenario.duration=1h")
    for scenario, jobs in ((short, 1), (long, 8)):
        units = _units(scenario, 2, check=False)
        assert _jobs("auto", units, scenario, offered_load(scenario)) == jobs
        assert _jobs(3, units, scenario, offered_load(scenario)) == 3
