"""The scenario of a measured case: presets, sizes and what the client does; no constants."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from simsched.calibration import find_calibration
from simsched.reality import scenarios, web
from simsched.reality.cases import read_cases
from simsched.scenario import Scenario, loads_scenario, preset_names

from .measured import CONFIGS, write_case

SERVERS = sorted(name for name in CONFIGS if name.startswith("http_"))
KNOBS_OF_SIZE = {
    "loop", "total_tokens", "processes", "threads", "GOMAXPROCS", "parallelism", "maxPoolSize",
    "corePoolSize", "maximumPoolSize", "listen",
}  # fmt: skip
ONE = """
[scenario]
name = "one"
duration = "1s"
[host]
cores = 1
[workload.arrivals]
kind = "poisson"
rate = "10/s"
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
"""


def data_of(tmp_path: Path, name: str) -> dict[str, Any]:
    write_case(tmp_path, f"{name}__mixed__500ps")
    (case,) = read_cases(tmp_path)
    return scenarios.scenario_of(case, "kvm-2vcpu")


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_a_preset_and_its_size(name: str, tmp_path: Path) -> None:
    (entry,) = data_of(tmp_path, name)["schedulers"]
    assert entry["preset"] in preset_names()
    assert set(entry) - {"preset", "name"} <= KNOBS_OF_SIZE


@pytest.mark.parametrize("name", SERVERS)
def test_its_overhead_is_that_of_a_user_who_names_preset_and_calibration(
    name: str, tmp_path: Path
) -> None:
    data = data_of(tmp_path, name)
    preset = data["schedulers"][0]["preset"]
    told = find_calibration("kvm-2vcpu").runtimes[preset]["request"]
    entry = f'[[schedulers]]\npreset = "{preset}"\n'
    mine = loads_scenario(ONE + entry, calibration="kvm-2vcpu").schedulers[0]
    case = Scenario.from_dict(data, base_dir=tmp_path / "cases").schedulers[0]
    for spec in (mine, case):
        assert spec.model_dump(by_alias=True)["request"] == told
    assert loads_scenario(ONE + entry).schedulers[0].model_dump(by_alias=True)["request"] != "0s"


def test_clients_keep_connections_as_the_case_says(tmp_path: Path) -> None:
    kept = data_of(tmp_path / "kept", "http_goweb1")["workload"]["connections"]
    closed = data_of(tmp_path / "closed", "http_gsync4")["workload"]["connections"]
    assert (kept["keep_alive"], closed["keep_alive"]) == (True, False)
    assert "connections" not in data_of(tmp_path / "pipe", "go2")["workload"]


def test_clients_have_as_many_connections_as_the_client_that_measures() -> None:
    script = Path(web.__file__).with_name("web_client.py").read_text()
    (most,) = re.findall(r"^MOST_CONNECTIONS = ([\d_]+)$", script, re.MULTILINE)
    assert int(most) == scenarios.MOST_CONNECTIONS


@pytest.mark.parametrize(("name", "per_request_us"), [("http_goweb1", 70), ("go2", 15)])
def test_clients_take_their_part_of_a_machine_whose_cores_are_all_given_to_the_runtime(
    name: str, per_request_us: float, tmp_path: Path
) -> None:
    write_case(tmp_path, f"{name}__mixed__500ps")
    (case,) = read_cases(tmp_path)
    arrival_s = case.arrays()["arrival_us"] / 1e6
    shared = per_request_us * 1e-6 * len(arrival_s) / arrival_s.max() / 2  # of two cores
    host = scenarios.scenario_of(case, "kvm-2vcpu")["host"]
    assert host["steal"] == pytest.approx(shared, abs=1e-4)
    assert "steal" not in scenarios.scenario_of(case)["host"], "how many cores it has is not known"
    case.record["cores"] = 1
    assert "steal" not in scenarios.scenario_of(case, "kvm-2vcpu")["host"]
