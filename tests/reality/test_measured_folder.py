"""Folders of measurements that are damaged or incomplete: each mistake is one clear sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsched.reality.cases import CannotRead, read_cases
from simsched.reality.replay import replay
from simsched.reality.scenarios import Unknown, scenario_of
from simsched.scenario import ScenarioError

from .measured import change, write_case


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"index\.json: No such file"):
        read_cases(tmp_path)


def test_a_broken_index(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("[{")
    with pytest.raises(CannotRead, match="is not JSON"):
        read_cases(tmp_path)


def test_a_record_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('[{"id": "a"}]')
    with pytest.raises(CannotRead, match="record 0 has no 'kind'"):
        read_cases(tmp_path)


def test_a_case_without_its_arrays(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    (tmp_path / "cases" / "go2__mixed__500ps.npz").unlink()
    with pytest.raises(CannotRead, match=r"cannot read .*go2__mixed__500ps\.npz"):
        replay(tmp_path)


def test_arrays_that_are_cut_off(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    path = tmp_path / "cases" / "go2__mixed__500ps.npz"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CannotRead, match=r"cannot read .*go2__mixed__500ps\.npz"):
        replay(tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("io_us", np.ones(7), "io_us has shape"),
        ("io_us", np.full(300, np.nan), "io_us holds what is no time"),
        ("cpu1_us", np.full(300, -1.0), "cpu1_us holds what is no time"),
        ("arrival_us", np.arange(300.0, 0.0, -1.0), "not in order"),
        ("latency_us", np.full(300, -1.0), "no request ended"),
    ],
)
def test_arrays_that_are_not_those_of_a_run(
    tmp_path: Path, name: str, values: Any, message: str
) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    change(tmp_path, "go2__mixed__500ps", **{name: lambda _: values})
    with pytest.raises(CannotRead, match=message):
        replay(tmp_path)


def test_a_case_without_an_array(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    change(tmp_path, "go2__mixed__500ps", io_us=lambda _: None)
    with pytest.raises(CannotRead, match="has no array 'io_us'"):
        replay(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cores": "two"}, "record 0: 'cores' cannot be 'two'"),
        ({"id": "../x"}, "no name of a file"),
        ({"cores": 0}, "makes no valid scenario"),
        ({"config": {}}, "its config has no 'gomaxprocs'"),
    ],
)
def test_a_record_that_is_wrong(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    index = tmp_path / "index.json"
    (record,) = json.loads(index.read_text())
    index.write_text(json.dumps([record | changed]))
    with pytest.raises(CannotRead, match=message):
        replay(tmp_path)


def test_a_calibration_that_there_is_not(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    with pytest.raises(ScenarioError, match='unknown calibration "kvm"'):
        replay(tmp_path, calibration="kvm")


def test_a_pattern_that_fits_nothing(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    with pytest.raises(CannotRead, match='no case fits "java"'):
        replay(tmp_path, ["java"])


def test_a_runtime_without_a_model_is_left_out_and_said_so(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    index = tmp_path / "index.json"
    index.write_text(index.read_text().replace('"go"', '"erlang"'))
    found = replay(tmp_path)
    assert not found.comparisons
    assert found.skipped == ['go2__mixed__500ps: there is no model of the runtime "erlang"']
    (case,) = read_cases(tmp_path)
    with pytest.raises(Unknown):
        scenario_of(case)
