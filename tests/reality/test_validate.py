"""Predictions held against measurements: the folder, the figures, the demands, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from simsched.cli.app import app
from simsched.reality.cases import CannotRead, read_cases
from simsched.reality.compare import Comparison, demands, noise_floor, reason
from simsched.reality.replay import predict, replay
from simsched.reality.scenarios import Unknown, scenario_of
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"loop": "asyncio"}),
    "asyncio_timer": ("asyncio", {"loop": "asyncio", "gen": "in-loop call_at"}),
    "go2": ("go", {"gomaxprocs": 2}),
    "vt1": ("java_vt", {"parallelism": 1}),
    "jf8": ("java_fixed", {"threads": 8}),
    "tpe40": ("py_tpe", {"threads": 40}),
    "puller40": ("py_puller", {"threads": 40}),
    "http_gsync4": ("http_gsync4", {"workers": 4, "keepalive": 0}),
    "http_fa_def": ("http_fa_def", {"threads": 40, "loop": "uvloop", "keepalive": 1}),
    "http_goweb1": ("http_goweb1", {"gomaxprocs": 1, "keepalive": 1}),
    "http_jwvt2": ("http_jwvt2", {"parallelism": 2, "keepalive": 1}),
}


def write_case(folder: Path, case_id: str, *, slower: float = 1.0, load: float = 0.5) -> None:
    """A case that was 'measured' by simulating it, and took `slower` times as long."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    index = folder / "index.json"
    records = json.loads(index.read_text()) if index.exists() else []
    name = case_id.split("__")[0]
    runtime, config = CONFIGS[name]
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "arrival_us": np.cumsum(rng.exponential(2000.0, 300)),
        "cpu1_us": rng.exponential(300.0, 300),
        "io_us": np.full(300, 5000.0),
        "cpu2_us": np.full(300, 100.0),
        "latency_us": np.ones(300),
    }
    np.savez(folder / "cases" / f"{case_id}.npz", **arrays)
    record = {
        "id": case_id,
        "kind": "http" if name.startswith("http_") else "inproc",
        "runtime": runtime,
        "cores": 2,
        "rho_nominal": load,
        "config": config,
        "cpu_s": 1.0,
    }
    index.write_text(json.dumps([*records, record]))
    (case,) = [c for c in read_cases(folder) if c.id == case_id]
    scenario = Scenario.from_dict(scenario_of(case))
    run = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    arrival_s = arrays["arrival_us"] / 1e6
    arrays["latency_us"] = (run.finish_s - arrival_s) * 1e6 * slower
    np.savez(folder / "cases" / f"{case_id}.npz", **arrays)
    record["cpu_s"] = run.totals["busy_core_s"]
    index.write_text(json.dumps([*records, record]))


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
    (spread,) = noise_floor(read_cases(tmp_path)).values()
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


class TestMistakes:
    def test_a_folder_without_an_index(self, tmp_path: Path) -> None:
        with pytest.raises(CannotRead, match=r"index\.json: No such file"):
            read_cases(tmp_path)

    def test_a_broken_index(self, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text("[{")
        with pytest.raises(CannotRead, match="is not JSON"):
            read_cases(tmp_path)

    def test_a_record_without_a_key(self, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text('[{"id": "a"}]')
        with pytest.raises(CannotRead, match="record 0 has no 'kind'"):
            read_cases(tmp_path)

    def test_a_case_without_its_arrays(self, tmp_path: Path) -> None:
        write_case(tmp_path, "go2__mixed__500ps")
        (tmp_path / "cases" / "go2__mixed__500ps.npz").unlink()
        with pytest.raises(CannotRead, match=r"cannot read .*go2__mixed__500ps\.npz"):
            replay(tmp_path)

    def test_a_pattern_that_fits_nothing(self, tmp_path: Path) -> None:
        write_case(tmp_path, "go2__mixed__500ps")
        with pytest.raises(CannotRead, match='no case fits "java"'):
            replay(tmp_path, ["java"])

    def test_a_runtime_without_a_model_is_left_out_and_said_so(self, tmp_path: Path) -> None:
        write_case(tmp_path, "go2__mixed__500ps")
        index = tmp_path / "index.json"
        index.write_text(index.read_text().replace('"go"', '"erlang"'))
        found = replay(tmp_path)
        assert not found.comparisons
        assert found.skipped == ['go2__mixed__500ps: there is no model of the runtime "erlang"']
        (case,) = read_cases(tmp_path)
        with pytest.raises(Unknown):
            scenario_of(case)


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

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--replay", "nowhere"], "index.json"),
            (["--replay", "x", "--runtime", "go1"], "nothing is measured"),
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
