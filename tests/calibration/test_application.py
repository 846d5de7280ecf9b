"""A calibration stands under the scenario's own text and over its presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simsched.calibration import calibration_names, find_calibration, loads_calibration
from simsched.scenario import Scenario, ScenarioError, load_scenario, loads_scenario
from simsched.study.run import run

HEAD = 'schema = "simsched.calibration/1"\nname = "mine"\n'
MINE = (
    HEAD
    + """
[host.os]
switch_cost = { value = "7us", low = "6us", high = "9us", samples = 10, how = "by hand" }
[runtimes.go]
create = "3us"
switch = "4us"
memory = { base = "9MB", task = "5kB" }
[runtimes.asyncio]
request = "70us"
memory = { base = "8MB", task = "6kB" }
[runtimes.uvicorn]
handle = "9us"
[runtimes.cpython-threads]
switch_interval = "1ms"
"""
)
SCENARIO = """
[scenario]
name = "calibrated"
duration = "1s"
replications = 2
[host]
cores = 1
[workload.arrivals]
kind = "poisson"
rate = "200/s"
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
"""
GO = SCENARIO + '[[schedulers]]\npreset = "go"\n'


def calibrated(text: str, calibration: str = MINE) -> Scenario:
    return loads_scenario(text, calibration=loads_calibration(calibration))


def first(scenario: Scenario) -> dict[str, object]:
    return scenario.schedulers[0].model_dump(by_alias=True)


def test_it_outweighs_the_preset_and_the_scenario_outweighs_it() -> None:
    scenario = calibrated(GO + 'switch = "8us"\n')
    go = first(scenario)
    assert (go["create"], go["switch"]) == ("3us", "8us")
    assert go["steal"] == "0.5us" or go["steal"] == "500ns"  # the preset's
    assert scenario.host.os.switch_cost_s == 7e-6


def test_an_override_counts_as_the_scenarios_own_text() -> None:
    constants = loads_calibration(MINE)
    scenario = loads_scenario(GO, ["schedulers.go.create=2us"], calibration=constants)
    assert first(scenario)["create"] == "2us"


def test_a_table_within_an_entry_is_completed_key_by_key() -> None:
    memory = calibrated(GO + 'memory = { task = "1kB" }\n').schedulers[0].memory
    assert (memory.base_bytes, memory.task_bytes, memory.thread_bytes) == (9_000_000, 1000, 5120)


def test_it_applies_without_a_preset_by_the_kind() -> None:
    bare = SCENARIO + '[[schedulers]]\nkind = "goroutine"\n'
    assert first(calibrated(bare))["create"] == "3us"


def test_what_a_preset_says_of_its_server_outweighs_the_bare_runtime() -> None:
    plain = loads_scenario(SCENARIO + '[[schedulers]]\npreset = "uvicorn"\n').schedulers[0]
    spec = calibrated(SCENARIO + '[[schedulers]]\npreset = "uvicorn"\n').schedulers[0]
    assert spec.memory.base_bytes == plain.memory.base_bytes
    assert spec.memory.task_bytes == 6000
    now, before = (s.model_dump(by_alias=True) for s in (spec, plain))
    assert now["request"] == before["request"]
    assert now["handle"] == "9us"  # the table of the preset's own name


def test_a_bare_runtimes_preset_that_changed_its_loop_is_the_other_runtime() -> None:
    # Not asyncio's costs, and not those over uvloop's: the preset "asyncio" only says how it runs.
    uvloop = '[runtimes.uvloop]\nrequest = "7us"\nhandle = "2us"\nmemory = { base = "9MB" }\n'
    entry = SCENARIO + '[[schedulers]]\npreset = "asyncio"\nloop = "uvloop"\n'
    loop = calibrated(entry, MINE + uvloop).schedulers[0].model_dump(by_alias=True)
    assert (loop["request"], loop["handle"], loop["memory"]["base"]) == ("7us", "2us", "9MB")


def test_a_knob_of_a_lock_that_an_entry_does_not_have_is_left_out() -> None:
    text = SCENARIO + '[[schedulers]]\nkind = "thread_pool"\npolicy = "python"\n'
    assert first(calibrated(text))["switch_interval"] == "1ms"
    calibrated(text + "gil = false\n")  # is valid


def test_the_resolved_text_gives_the_same_scenario() -> None:
    scenario = loads_scenario(GO, calibration="kvm-2vcpu")
    again = loads_scenario(scenario.to_toml())
    assert again == scenario
    assert again.calibration == scenario.calibration


def test_a_file_is_relative_to_the_scenario_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    file = tmp_path / "shop.toml"
    file.write_text(GO.replace("cores = 1", 'cores = 1\ncalibration = "mine.toml"'))
    assert load_scenario(file).host.os.switch_cost_s == 7e-6
    assert load_scenario(file, calibration="none").calibration is None
    assert load_scenario(file, calibration="none").host.os.switch_cost_s != 7e-6
    other = load_scenario(file, calibration="kvm-2vcpu")
    assert other.calibration is not None
    assert other.calibration.name == other.host.calibration == "kvm-2vcpu"


def test_trap_02_the_choice_of_a_calibration_changes_the_result_which_names_it() -> None:
    text = GO.replace("cores = 1", 'cores = 1\ncalibration = "kvm-2vcpu"')
    plain, named = (json.loads(run(loads_scenario(t)).to_json()) for t in (GO, text))
    assert plain["schedulers"] != named["schedulers"]
    assert plain["calibration"] is None
    reference = find_calibration("kvm-2vcpu").reference()
    assert named["calibration"] == reference
    assert len(reference["sha256"]) == 64


@pytest.mark.parametrize("name", calibration_names())
def test_a_built_in_calibration_is_valid_and_tells_how_each_value_was_obtained(name: str) -> None:
    calibration = find_calibration(name)
    assert calibration.description
    measured = {at: r for at, r in calibration.readings.items() if at[-1] != "hz"}
    assert [at for at, reading in measured.items() if not reading.how] == []


def test_a_calibration_chosen_too_late_is_refused() -> None:
    with pytest.raises(ScenarioError, match="when a scenario is loaded"):
        loads_scenario(GO).with_overrides(["host.calibration=kvm-2vcpu"])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (HEAD + "[runtimes.golang]\n", "c.toml:3:11", 'unknown runtime "golang"'),
        (HEAD + '[runtimes.go]\ncreat = "1us"\n', "c.toml:4:1", 'did you mean "create"?'),
        (HEAD + '[runtimes.go]\ncreate = "1"\n', "c.toml:4:10", "a duration with a unit"),
        (HEAD + '[host.os]\nhz = { value = 250, low = "x" }\n', "c.toml:4:27", "host.os.hz.low"),
        (HEAD + "[host]\ncores = 2\n", "c.toml:4:1", "cannot set cores"),
        (HEAD + '[runtimes.go]\nkind = "reactor"\n', "c.toml:4:1", "cannot set kind"),
        (HEAD + '[runtimes.go]\nswitch = { value = "1us", low = "2us" }\n', "c.toml:4:33", "above"),
        (HEAD + "[runtime]\n", "c.toml:3:2", 'did you mean "runtimes"?'),
        ('name = "x"\n', "c.toml", 'missing key "schema"'),
        (HEAD + "[machine]\nx = [1]\n", "c.toml:4:5", "machine.x"),
    ],
)
def test_a_mistake_in_a_calibration_is_placed(text: str, place: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loads_calibration(text, file="c.toml")
    assert str(error.value).startswith(f"{place}:")
    assert message in str(error.value)


def test_an_unknown_name_is_placed_in_the_scenario_or_at_the_option() -> None:
    named = GO.replace("cores = 1", 'cores = 1\ncalibration = "kvm-vcpu"')
    with pytest.raises(ScenarioError, match=r'(?s)^<text>:8:15: .*did you mean "kvm-2vcpu"'):
        loads_scenario(named)
    with pytest.raises(ScenarioError, match=r'(?s)^--calibration: .*did you mean "kvm-2vcpu"'):
        loads_scenario(GO, calibration="kvm-vcpu")
