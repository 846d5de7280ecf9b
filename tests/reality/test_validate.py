"""Predictions held against measurements: the folder, the figures, the demands, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import simsched
from simsched.calibration import find_calibration
from simsched.reality.by_runtime import by_runtime
from simsched.reality.cases import read_cases
from simsched.reality.compare import Comparison, demands
from simsched.reality.document import validation_schema
from simsched.reality.reasons import reason
from simsched.reality.replay import predict, replay

from .measured import CONFIGS, change, write_case


@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_model_itself_has_done_is_predicted_exactly(tmp_path: Path, name: str) -> None:
    write_case(tmp_path, f"{name}__mixed__500ps")
    (comparison,) = replay(tmp_path).comparisons
    assert comparison.errors == pytest.approx(dict.fromkeys(comparison.errors, 0.0), abs=1e-9)
    assert comparison.within_5_percent == 1.0


def test_an_error_is_predicted_less_measured_over_measured(tmp_path: Path) -> None:
    write_case(tmp_path, "jf8__mixed__500ps", slower=1.25)
    (comparison,) = replay(tmp_path).comparisons
    assert comparison.errors["p50"] == pytest.approx(-0.2)
    assert comparison.errors["cpu"] == pytest.approx(0.0)


def test_the_arrays_of_a_case_are_read_once(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    (case,) = read_cases(tmp_path)
    first = case.arrays()
    case.requests_file.unlink()
    assert case.arrays() is first


def test_the_number_of_jobs_changes_nothing(tmp_path: Path) -> None:
    for name in ("asyncio", "go2"):
        write_case(tmp_path, f"{name}__mixed__500ps")
    assert replay(tmp_path, jobs=1).to_dict() == replay(tmp_path, jobs=2).to_dict()


def test_a_calibration_moves_the_prediction(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    (case,) = read_cases(tmp_path)
    assert predict(case, "kvm-2vcpu").errors["p50"] > predict(case).errors["p50"]


def test_the_noise_is_half_the_range_of_repetitions(tmp_path: Path) -> None:
    for k, slower in enumerate((0.9, 1.0, 1.1)):
        write_case(tmp_path, f"jf8__mixed__500ps__rep{k}", slower=slower)
    (spread,) = replay(tmp_path).noise.values()
    assert spread["p50"] == pytest.approx(0.1)
    assert spread["runs"] == 3
    assert "repetitions" in reason(
        replay(tmp_path, ["rep2"]).comparisons[0], {"jf8__mixed__500ps": spread}
    )


def comparison_of(error: float, load: float, kind: str = "inproc") -> Comparison:
    """A case all of whose errors are the same."""
    keys = ("p50", "p95", "p99", "throughput", "cpu")
    figures = dict.fromkeys(keys, 1.0)
    errors = dict.fromkeys(keys, error)
    return Comparison("x", "x", kind, load, 1, errors, figures, figures, 0.0, {}, False)


def test_demands_look_at_the_size_of_errors_and_at_their_own_cases() -> None:
    cases = [comparison_of(e, 0.6) for e in (0.01, -0.01, 0.3)]
    cases += [comparison_of(-0.1, 1.1), comparison_of(0.5, 0.6, "http")]
    found = {demand.what: demand for demand in demands(cases)}
    assert found["in process, median error of p50"].found == pytest.approx(0.01)
    assert found["in process, median error of p50"].kept
    assert not found["in process, worst p99"].kept
    assert found["overload, median error of p50"].kept
    assert not found["overload, median error of throughput"].kept
    assert not found["HTTP servers, median error of p50"].kept


def test_the_worst_case_is_not_held_to_more_than_the_repetitions_keep() -> None:
    cases = [comparison_of(0.3, 0.6), comparison_of(0.1, 0.6)]
    (worst,) = [d for d in demands(cases, {"x": {"p99": 0.2}}) if d.what == "in process, worst p99"]
    assert (worst.found, worst.kept) == (0.3, False)
    (worst,) = [d for d in demands(cases, {"x": {"p99": 0.3}}) if d.what == "in process, worst p99"]
    assert (worst.cases, worst.kept) == (0, True)


def test_each_runtime_is_judged_by_the_demands_of_its_kind() -> None:
    cases = [
        replace(comparison_of(0.04, 0.6), family="go"),
        replace(comparison_of(0.08, 0.6), family="go"),
        replace(comparison_of(0.06, 0.6, "http"), family="http_goweb"),
        replace(comparison_of(0.1, 1.1), family="go"),
    ]
    rows = {(row.runtime, row.load): row for row in by_runtime(cases)}
    assert rows["go", "steady"].median["p50"] == pytest.approx(0.06)
    assert rows["go", "steady"].worst["p50"] == 0.08
    assert rows["go", "steady"].missed == ("p50", "p95", "p99", "throughput", "cpu")
    assert rows["http_goweb", "steady"].missed == ("p50",)
    assert rows["go", "overload"].missed == ("throughput",)


def test_requests_are_compared_one_by_one(tmp_path: Path) -> None:
    write_case(tmp_path, "jf8__mixed__500ps", slower=1.02)
    (c,) = replay(tmp_path).comparisons
    (case,) = read_cases(tmp_path)
    off_s = case.arrays()["latency_us"] / 1e6 * (1 - 1 / 1.02)
    assert c.median_off_s == pytest.approx(np.median(off_s))
    assert c.within_1_ms == pytest.approx(np.mean(off_s <= 1e-3))
    assert c.within_5_percent == 1.0
    assert c.unfinished == {"measured": 0, "predicted": 0}


def test_requests_that_did_not_end_are_counted(tmp_path: Path) -> None:
    write_case(tmp_path, "jf8__mixed__500ps")
    change(tmp_path, "jf8__mixed__500ps", latency_us=lambda old: np.r_[old[:-5], np.full(5, -1.0)])
    (c,) = replay(tmp_path).comparisons
    assert c.unfinished == {"measured": 5, "predicted": 0}


def test_memory_is_compared_where_it_was_measured(tmp_path: Path) -> None:
    write_case(tmp_path, "jf8__mixed__500ps")
    assert replay(tmp_path).comparisons[0].memory == {}
    index = tmp_path / "index.json"
    (record,) = json.loads(index.read_text())
    index.write_text(json.dumps([record | {"rss_kb": {"hwm": 80_000}}]))
    memory = replay(tmp_path).comparisons[0].memory
    assert memory["measured"] == 80_000 * 1024
    assert memory["error"] == pytest.approx(memory["predicted"] / memory["measured"] - 1.0)


@pytest.mark.parametrize("name", ["asyncio", "go2", "vt1", "jf8", "tpe40"])
def test_the_phases_of_a_request_add_up_to_its_latency(tmp_path: Path, name: str) -> None:
    case_id = f"{name}__mixed__500ps"
    write_case(tmp_path, case_id)
    change(
        tmp_path,
        case_id,
        inject_us=lambda _: np.full(300, 40.0),
        wait_us=lambda _: np.full(300, 60.0),
        phase1_us=lambda _: np.full(300, 300.0),
        iowait_us=lambda _: np.full(300, 5000.0),
        phase2_us=lambda _: np.full(300, 100.0),
    )
    (c,) = replay(tmp_path, phases=True).comparisons
    assert c.phases["measured"]["before"] == pytest.approx(100e-6)
    (case,) = read_cases(tmp_path)
    mean_s = np.mean(case.arrays()["latency_us"]) / 1e6  # it is what the model itself does
    for side in ("measured", "predicted"):
        assert sum(c.phases[side].values()) == pytest.approx(mean_s)
    assert c.phases["predicted"]["work1"] >= np.mean(case.arrays()["cpu1_us"]) / 1e6 - 1e-9
    assert c.phases["predicted"]["wait"] >= 5e-3 - 1e-9


@pytest.mark.parametrize(("name", "stretch"), [("go2", 2.0), ("asyncio", 2.0), ("jf8", None)])
def test_work_that_takes_longer_than_alone_tells_of_other_programs(
    tmp_path: Path, name: str, stretch: float | None
) -> None:
    """Threads of a pool interrupt each other: of theirs it says nothing."""
    case_id = f"{name}__mixed__500ps"
    write_case(tmp_path, case_id, slower=3.0)
    with np.load(tmp_path / "cases" / f"{case_id}.npz") as data:
        work1, work2 = data["cpu1_us"], data["cpu2_us"]
    change(tmp_path, case_id, phase1_us=lambda _: 2 * work1, phase2_us=lambda _: 2 * work2)
    found = replay(tmp_path)
    assert found.comparisons[0].stretch == (None if stretch is None else pytest.approx(stretch))
    (told,) = (case["reason"] for case in found.to_dict()["cases"])
    assert ("work took 2.0 times as long as alone" in told) == (stretch is not None)


def test_looking_at_phases_changes_no_prediction(tmp_path: Path) -> None:
    for name in ("asyncio", "go2", "vt1", "tpe40"):
        write_case(tmp_path, f"{name}__mixed__500ps")
    with_phases = replay(tmp_path, phases=True).comparisons
    assert [replace(c, phases={}) for c in with_phases] == replay(tmp_path).comparisons


def test_an_interrupted_validation_keeps_what_is_done(tmp_path: Path) -> None:
    for name in ("asyncio", "go2", "jf8"):
        write_case(tmp_path, f"{name}__mixed__500ps")

    def stop_after_two(done: int, total: int, label: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    found = replay(tmp_path, progress=stop_after_two)
    assert found.interrupted
    assert [c.runtime for c in found.comparisons] == ["asyncio", "go2"]


def test_the_noise_of_a_chosen_case_comes_from_the_whole_folder(tmp_path: Path) -> None:
    for k, slower in enumerate((0.9, 1.0, 1.1)):
        write_case(tmp_path, f"jf8__mixed__500ps__rep{k}", slower=slower)
    assert replay(tmp_path, ["rep2"]).noise["jf8__mixed__500ps"]["runs"] == 3


def test_the_door_for_scripts_is_the_same(tmp_path: Path) -> None:
    write_case(tmp_path, "go2__mixed__500ps")
    found = simsched.validate(str(tmp_path), calibration="kvm-2vcpu")
    assert found.calibration_sha256 == find_calibration("kvm-2vcpu").sha256
    document = json.loads(found.to_json())
    jsonschema.Draft202012Validator(validation_schema()).validate(document)
