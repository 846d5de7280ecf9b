"""Constants of this machine: which costs they come from, and the file they go into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.calls import call, call_json

from simsched.calibration import load_calibration, loads_calibration
from simsched.calibration import measure as measuring
from simsched.calibration.constants import RUNTIMES, Constant, constants_of, host_constants
from simsched.calibration.costs import Costs
from simsched.calibration.machine import Machine, Noise
from simsched.calibration.measure import Measured, from_costs
from simsched.calibration.write import calibration_toml
from simsched.scenario import load_scenario

MACHINE = Machine(
    "Linux", "6.18.3-generic", "3.12.1", 'a "fast" CPU', (0, 1), True, True, 250, None, None
)
QUIET = Noise(1000.0, 1010.0, 1200.0, 500)


def cost(test: str, p5: float, p50: float, p95: float, n: int = 40) -> dict[str, Any]:
    return {"test": test, "unit": "us", "p5": p5, "p50": p50, "p95": p95, "n": n}


def memory(test: str, n: int, base_kb: int, each: int) -> dict[str, Any]:
    return {"test": test, "n": n, "rss0_kb": base_kb, "bytes_per": each}


TOLD = [
    cost("os_pipe_alone", 0.9, 1.0, 1.1, 800),
    cost("os_pipe_switch", 1.9, 2.5, 4.0, 800),
    cost("os_wakeup_other_core", 30.0, 40.0, 80.0, 500),
    cost("os_woken_after_200us", 28.0, 30.0, 34.0) | {"clock": "cpu"},
    cost("os_woken_after_4ms", 40.0, 46.0, 50.0) | {"clock": "cpu"},
    cost("os_woken_awake", 8.0, 13.0, 16.0) | {"clock": "cpu"},
    cost("os_waking_other_core", 14.0, 19.5, 23.0) | {"clock": "cpu"},
    cost("os_sleep_late", 95.0, 100.0, 105.0, 500),
    cost("os_sleep_late_no_slack", 45.0, 50.0, 55.0, 500),
    cost("py3.12_asyncio_sleep0_of_many", 1.2, 1.5, 1.9),
    cost("py3.12_asyncio_sleep0_alone", 1.8, 2.0, 2.2),
    cost("py3.12_asyncio_task_create_run_gather", 4.8, 5.0, 6.0),
    cost("py3.12_thread_create_join", 34.0, 41.0, 59.0),
    cost("py3.12_tpe_submit_run_bulk_per_task", 7.0, 8.0, 12.0),
    cost("go_p1_goroutine_create_run_bulk", 0.4, 0.5, 0.6),
    cost("go_p1_gosched_switch", 0.1, 0.12, 0.13),
    cost("java_par1_vthread_create_run_bulk", 0.3, 0.4, 0.8),
    cost("java_par1_vthread_yield_switch", 0.3, 0.45, 0.5),
    cost("java_par1_platform_thread_create_join", 50.0, 57.0, 110.0),
    cost("java_par1_fixedpool_submit_get_roundtrip", 5.5, 6.0, 9.0),
    memory("mem_go_sleep", 1_000, 2_400, 2_700),
    memory("mem_go_sleep", 10_000, 2_388, 2_753),
    memory("mem_java_platform", 1_000, 40_700, 62_000),
    memory("mem_java_platform", 5_000, 40_692, 30_000),
    memory("mem_java_vt_sleep", 10_000, 40_648, 2_636),
]


def by_path(constants: list[Constant]) -> dict[str, Constant]:
    return {".".join(constant.path): constant for constant in constants}


def runtime(name: str, told: list[dict[str, Any]] = TOLD) -> dict[str, Constant]:
    return by_path(constants_of(name, Costs(told))[0])


def test_a_switch_is_a_hand_over_without_its_pipe() -> None:
    found, left_out = host_constants(MACHINE, Costs(TOLD), cpus=2)
    host = by_path(found)
    switch = host["host.os.switch_cost"]
    # 2.5 - 1.0 us, and the same off the spread of the hand-over.
    assert (switch.value, switch.low, switch.high) == ('"1.5us"', '"0.9us"', '"3us"')
    assert switch.samples == 800
    assert host["host.os.timer_slack"].value == '"50us"'
    assert host["host.os.wakeup_latency"].value == '"40us"'
    # 16 us from a root of 0.447 to one of 2, so 10.3 per root: 30 - 4.6 us of that - 13 awake.
    assert host["host.os.idle_cold_cost"].value == '"10.3us"'
    assert host["host.os.idle_exit_cost"].value == '"12.4us"'
    assert host["host.os.wakeup_cost"].value == '"19us"'  # 19.5 - half of a write and a read
    assert host["host.os.scheduler"].value == '"eevdf"'
    assert host["host.os.time_slice"].value == '"1.4ms"'
    assert left_out == []


def test_an_older_kernel_has_no_known_slice() -> None:
    old = Machine("Linux", "5.15.0", "3.12.1", "", (0,), True, False, None, None, None)
    found, left_out = host_constants(old, Costs([]), cpus=1)
    assert found == []
    assert left_out == [
        "host.os.scheduler, time_slice: known for Linux 6.6 and later",
        "not measured: host.os.switch_cost, host.os.wakeup_latency, host.os.idle_exit_cost, "
        "host.os.idle_cold_cost, "
        "host.os.wakeup_cost, host.os.timer_slack",
    ]


def test_a_loop_s_turn_is_split_into_its_handle_and_the_rest() -> None:
    found = runtime("asyncio")
    assert found["runtimes.asyncio.handle"].value == '"1.5us"'
    assert found["runtimes.asyncio.iteration"].value == '"0.5us"'  # 2.0 - 1.5
    assert found["runtimes.asyncio.task_create"].value == '"2us"'  # 5.0 - 2 x 1.5


def test_a_pool_s_hand_over_is_half_a_round_trip_without_its_switches() -> None:
    # (6.0 - 2 x 1.5) / 2
    assert runtime("jdk-threads")["runtimes.jdk-threads.dispatch"].value == '"1.5us"'


def test_memory_is_that_of_the_most_and_its_spread_that_over_their_numbers() -> None:
    task = runtime("go")["runtimes.go.memory.task"]
    assert (task.value, task.low, task.high) == ('"2753B"', '"2700B"', '"2753B"')
    assert task.samples == 10_000
    assert task.how == "RSS per idle task at 10,000; low or high: at 1,000"
    assert runtime("go")["runtimes.go.memory.base"].value == '"2388KiB"'


def test_the_room_of_new_objects_is_not_counted_beside_tasks_that_were_measured_with_it() -> None:
    threads = runtime("virtual-threads")
    assert threads["runtimes.virtual-threads.memory.task"].value == '"2636B"'
    assert threads["runtimes.virtual-threads.memory.young"].value == '"0B"'
    assert "runtimes.go.memory.young" not in runtime("go")


def test_what_is_not_measured_is_left_out_in_one_line() -> None:
    found, left_out = constants_of("uvloop", Costs(TOLD))
    assert found == []
    assert len(left_out) == 1
    assert "runtimes.uvloop.handle" in left_out[0]


@pytest.mark.parametrize("handle_us", [2.5, 2.0, 1.95])
def test_a_difference_within_the_noise_is_left_out(handle_us: float) -> None:
    odd = [
        cost("py3.12_asyncio_sleep0_of_many", 1.5, handle_us, 3.0),
        cost("py3.12_asyncio_sleep0_alone", 1.8, 2.0, 2.2),
    ]
    found, left_out = constants_of("asyncio", Costs(odd))
    assert set(by_path(found)) == {"runtimes.asyncio.handle"}
    assert "runtimes.asyncio.iteration" in left_out[0]


def test_repetitions_give_their_middle_and_their_widest_spread() -> None:
    rounds = [
        cost("go_p1_gosched_switch", low, mid, high)
        for low, mid, high in ((1.0, 2.0, 3.0), (1.5, 5.0, 9.0), (1.4, 3.0, 4.0))
    ]
    switch = runtime("go", rounds)["runtimes.go.switch"]
    assert (switch.value, switch.low, switch.high) == ('"3us"', '"1us"', '"9us"')
    assert switch.samples == 120


def test_beside_other_programs_the_5th_percentile_stands_for_the_median() -> None:
    noisy = Costs([cost("go_p1_gosched_switch", 0.1, 0.5, 0.9)], quiet=False)
    switch = by_path(constants_of("go", noisy)[0])["runtimes.go.switch"]
    assert (switch.value, switch.low, switch.high) == ('"0.1us"', '"0.1us"', '"0.5us"')
    assert "beside other programs" in switch.how


def test_cpu_time_is_what_it_is_beside_other_programs_too() -> None:
    told = cost("go_p1_gosched_switch", 0.1, 0.5, 0.9) | {"clock": "cpu"}
    switch = by_path(constants_of("go", Costs([told], quiet=False))[0])["runtimes.go.switch"]
    assert (switch.value, switch.low, switch.high) == ('"0.5us"', '"0.1us"', '"0.9us"')
    assert "beside other programs" not in switch.how


def test_the_file_is_a_calibration() -> None:
    found = from_costs(MACHINE, QUIET, Costs(TOLD), RUNTIMES)
    about: dict[str, str | int] = {"cpu": MACHINE.cpu, "cores": 2}
    calibration = loads_calibration(calibration_toml("mine", "a test", about, found.constants))
    assert calibration.machine["cpu"] == 'a "fast" CPU'
    assert calibration.host["os"]["switch_cost"] == "1.5us"
    assert calibration.runtimes["virtual-threads"]["memory"]["task"] == "2636B"
    reading = calibration.readings["runtimes", "go", "create"]
    assert (reading.value, reading.low, reading.high) == ("0.5us", "0.4us", "0.6us")
    assert reading.samples == 40
    assert reading.how


def canned(*_: object, **__: object) -> Measured:
    left_out = ["uvloop: uvloop is not here: pip install uvloop"]
    return from_costs(MACHINE, QUIET, Costs(TOLD), ("asyncio", "go"), left_out)


def test_the_command_writes_a_file_that_a_scenario_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "measure", canned)
    out = tmp_path / "here.toml"
    result = call("calibrate", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "runtimes.go.switch" in result.stdout
    assert "pip install uvloop" in result.stderr
    assert load_calibration(out).name == "here"
    assert [path.name for path in tmp_path.iterdir()] == ["here.toml"]
    scenario = tmp_path / "shop.toml"
    assert call("init", scenario).exit_code == 0
    calibrated = load_scenario(scenario, calibration=str(out))
    assert calibrated.host.os.switch_cost_s == pytest.approx(1.5e-6)


def test_the_document_has_every_constant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "measure", canned)
    told = call_json("calibrate", "--json", "--quiet", "--out", tmp_path / "here.toml")
    assert told["schema"] == "simsched.calibrated/1"
    assert "runtimes.go.create" in [constant["path"] for constant in told["constants"]]


def test_an_unknown_runtime_is_a_usage_error(tmp_path: Path) -> None:
    result = call("calibrate", "--runtime", "asynico", "--out", tmp_path / "c.toml")
    assert result.exit_code == 2
    assert "asyncio" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_quick_calibration_of_one_loop_is_taken_by_a_run(tmp_path: Path) -> None:
    out = tmp_path / "live.toml"
    result = call("calibrate", "--quick", "--runtime", "asyncio", "--out", out)
    assert result.exit_code == 0, result.stderr
    short = ("--set", "scenario.duration=1s", "--set", "scenario.replications=1")
    run = call("run", "--example", "io_heavy", "--calibration", out, *short, "--out", tmp_path)
    assert run.exit_code in (0, 99), run.stderr
