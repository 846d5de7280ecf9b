"""Checking a scenario: everything wrong with it, or what it asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from study.small import TEXT

from simsched.cli import examples

from .calls import call, call_json


def test_a_valid_scenario_shows_the_load_it_offers(config: Path) -> None:
    result = call("check", config)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["small", "small.toml:", "valid"]
    # 100 requests/s x 2 ms of CPU = 0.2 of 2 cores, and 0.2 of the one loop.
    assert ["host", "cores", "0.2", "2", "10.0%", "1,000/s"] in lines
    assert ["asyncio", "loop", "0.2", "1", "20.0%", "500/s"] in lines
    assert ["tomcat", "threads", "0.7", "200", "0.350%", "28.6k/s"] in lines
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_the_closed_form_is_shown_where_there_is_one(config: Path) -> None:
    steps = 'workload.requests.0.steps=[{ cpu = { dist = "exponential", mean = "2ms" } }]'
    result = call("check", config, "--set", steps)
    assert "M/M/2: mean latency 2.02 ms" in result.stdout  # tomcat: 2 ms / (1 - 0.1^2)
    predictions = call_json("check", config, "--json", "--set", steps)["predictions"]
    assert predictions["tomcat"]["mean_latency_s"] == pytest.approx(0.002 / 0.99)


def test_the_total_of_branches_is_shown_as_the_least_that_it_is(config: Path) -> None:
    """The slowest of three that take 30 ms on average takes 55 ms on average, and not 30."""
    branch = '[{ io = { dist = "exponential", mean = "30ms" } }]'
    steps = f'workload.requests.0.steps=[{{ cpu = "1ms" }}, {{ parallel = [{branch}, {branch}] }}]'
    result = call("check", config, "--set", steps)
    assert "60.0 ms" in result.stdout
    assert ">= 31.0 ms" in result.stdout
    assert ">=" not in call("check", config).stdout


def test_what_cannot_keep_up_is_a_warning_not_an_error(config: Path) -> None:
    result = call("check", config, "--set", "workload.arrivals.rate=2000/s")
    assert result.exit_code == 0
    assert "cannot keep up" in result.stdout[result.stdout.index("Warnings") :]


def test_every_mistake_is_shown_with_its_place(config: Path) -> None:
    config.write_text(TEXT.replace('"100/s"', '"fast"').replace("cores = 2", "cores = 0"))
    result = call("check", config)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "small.toml:9:" in result.stderr
    assert "small.toml:13:" in result.stderr
    assert "2 problems found." in result.stderr


def test_json_has_the_findings(config: Path) -> None:
    found = call_json("check", config, "--set", "host.cores=4", "--json")
    assert found["schema"] == "simsched.check/1"
    assert found["valid"] is True
    assert found["problems"] == []
    assert found["offered"]["cpu_utilization"] == pytest.approx(0.05)
    assert found["offered"]["schedulers"]["asyncio"]["limit_rps"] == pytest.approx(500)


def test_json_has_the_mistakes_too(config: Path) -> None:
    config.write_text(TEXT.replace("cores = 2", "cores = 0"))
    result = call("check", config, "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert found["valid"] is False
    assert [(p["file"], p["line"]) for p in found["problems"]] == [("small.toml", 9)]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_data_file_is_found_before_anything_is_simulated(config: Path, command: str) -> None:
    config.write_text(TEXT.replace('io = "5ms"', 'io = { dist = "empirical", file = "io.txt" }'))
    Path("io.txt").write_text("0.1\n-4\n")
    result = call(command, config)
    assert result.exit_code == 2
    assert "io.txt" in result.stderr
    assert "small.toml:17:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["check", "run"])
def test_more_requests_than_fit_are_refused(config: Path, command: str) -> None:
    result = call(command, config, "--set", "scenario.duration=1000h")
    assert result.exit_code == 2
    assert "make the duration shorter" in result.stderr


@pytest.mark.parametrize("name", examples.names())
def test_every_example_is_valid(name: str) -> None:
    result = call("check", "--example", name)
    assert result.exit_code == 0, result.stderr
