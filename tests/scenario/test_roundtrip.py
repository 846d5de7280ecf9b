"""A scenario written out loads back equal, and its JSON Schema knows the same language."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli
from pydantic import ValidationError

from simsched.scenario import (
    Closed,
    Constant,
    CpuStep,
    Empirical,
    Exponential,
    Host,
    HostOs,
    Poisson,
    RequestClass,
    ScenarioError,
    load_scenario,
    loads_scenario,
    preset_names,
    scenario_schema,
    slug,
)

from .texts import VALID, changed

EVERYTHING = """\
[scenario]
name = "every \\"key\\" <b>"
duration = "90s"
seed = 9007199254740993
replications = 3
warmup = "1.5s"
study = "steady"
drain = "20s"

[host]
cores = 6
memory = "8GiB"
[host.os]
time_slice = "2.8ms"
hz = 1000
switch_cost = "1.7us"
wakeup_latency = "45us"
wakeup_cost = "12us"
wakeup_preemption = false
wakeup_granularity = "0.5ms"

[workload.arrivals]
kind = "steps"
steps = [{ at = "0s", rate = "100/s" }, { at = "1min", rate = "333.3/min" }]

[[workload.requests]]
name = "a"
weight = 0.3
memory = "64KiB"
timeout = "250ms"
retries = { max = 3, backoff = "10ms", factor = 1.5, jitter = 0.25 }
steps = [
  { cpu = { dist = "exponential", mean = "0.1ms" }, name = "parse" },
  { io = { dist = "gamma", mean = "5ms", cv = 0.7 } },
  { sleep = { dist = "weibull", mean = "5ms", shape = 0.7 } },
  { blocking = { dist = "pareto", mean = "5ms", shape = 2.5 }, kind = "file" },
  { use = "db", name = "query", steps = [
    { io = { dist = "uniform", low = "1ms", high = "2ms" } },
    { lock = "cache", kind = "synchronized", steps = [
      { cpu = { dist = "hyperexponential", mean = "1ms", cv = 3 } },
    ] },
  ] },
  { io = { dist = "empirical", quantiles = [[0, "1ms"], [0.9, "2ms"], [1, "0.1s"]] } },
  { cpu = { dist = "constant", value = "3ms" } },
]

[[workload.requests]]
name = "b"
steps = [{ cpu = { dist = "lognormal", mean = "5ms", cv = 1.5 } }]

[resources]
db = { capacity = 20 }
"odd name.x" = { capacity = 1 }

[[schedulers]]
preset = "tomcat"
maxThreads = 64
[[schedulers]]
name = "cached"
kind = "thread_pool"
policy = "jdk"
corePoolSize = 0
maximumPoolSize = 500
workQueue = "synchronous"
rejectedExecutionHandler = "caller_runs"
[[schedulers]]
preset = "asyncio"
timer_resolution = "0s"
[[schedulers]]
preset = "go"
GOMAXPROCS = 3
[[schedulers]]
preset = "virtual-threads"
jdk = 21
parallelism = 3

[slo]
p99 = "200ms"
p999 = "1s"
error_rate = "0.1%"
throughput = "90/s"
utilization = "80%"
memory = "512MiB"
"""

ARRIVALS = [
    'kind = "poisson"\nrate = "0.1/s"',
    'kind = "constant"\nrate = "2/ms"',
    'kind = "bursty"\nrate_low = "0/s"\nrate_high = "9/s"\nmean_low = "1s"\nmean_high = "2s"',
    'kind = "ramp"\nfrom = "0/s"\nto = "70/min"',
    'kind = "closed"\nusers = 5\nthink = { dist = "uniform", low = "1s", high = "3s" }',
    'kind = "closed"\nusers = 5',
]


@pytest.mark.parametrize(
    "text",
    [VALID, EVERYTHING, *(changed('kind = "poisson"\nrate = "500/s"', a) for a in ARRIVALS)],
)
def test_the_resolved_text_loads_back_equal(text: str) -> None:
    scenario = loads_scenario(text)
    written = scenario.to_toml()
    again = loads_scenario(written)
    assert again == scenario
    assert again.to_toml() == written


def test_the_resolved_text_hides_no_default() -> None:
    data = loads_scenario(VALID).resolved()
    assert data["scenario"]["warmup"] == "auto"
    assert data["host"]["os"] == {
        "scheduler": "wakeup_first",
        "timer_slack": "50us",
        "idle_exit_cost": "0s",
        "idle_cold_cost": "0s",
        "time_slice": "auto",
        "hz": 250,
        "switch_cost": "1.5us",
        "wakeup_latency": "5us",
        "wakeup_cost": "1.5us",
        "wakeup_preemption": True,
        "wakeup_granularity": "1ms",
        "bandwidth_slice": "5ms",
        "somaxconn": 4096,
        "tcp_syn_retries": 6,
        "tcp_syn_linear_timeouts": 4,
        "tcp_abort_on_overflow": False,
    }
    assert data["schedulers"][0]["maxThreads"] == 200
    assert "corePoolSize" not in data["schedulers"][0]
    assert data["schedulers"][1]["GOMAXPROCS"] == "auto"


def test_scenarios_are_equal_by_content_and_not_by_place(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(VALID)
    loaded = load_scenario(path)
    assert loaded == loads_scenario(VALID)
    assert hash(loaded) == hash(loads_scenario(VALID))
    assert loaded != loads_scenario(VALID, ["scenario.seed=2"])
    assert (loaded.base_dir, loaded.source) == (tmp_path, path)


def test_a_scenario_survives_being_sent_to_another_process(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(EVERYTHING)
    scenario = load_scenario(path)
    sent = pickle.loads(pickle.dumps(scenario))
    assert sent == scenario
    assert sent.base_dir == tmp_path
    assert copy.deepcopy(scenario) == scenario


def test_a_scenario_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        loads_scenario(VALID).host.cores = 8  # type: ignore[misc]


TRACE = changed('kind = "poisson"\nrate = "500/s"', 'kind = "trace"\nfile = "data/log.csv"')


def test_data_files_are_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(TRACE)
    with pytest.raises(ScenarioError, match=r'there is no file "data/log\.csv"'):
        load_scenario(path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lgo.csv").touch()
    with pytest.raises(ScenarioError, match=r'did you mean "lgo\.csv"'):
        load_scenario(path)
    (tmp_path / "data" / "log.csv").touch()
    assert load_scenario(path).base_dir == tmp_path


def test_a_text_saved_elsewhere_still_finds_its_data_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "log.csv").touch()
    (tmp_path / "s.toml").write_text(TRACE)
    run = tmp_path / "runs" / "1"
    run.mkdir(parents=True)
    (run / "config.toml").write_text(load_scenario(tmp_path / "s.toml").to_toml(run))
    arrivals = load_scenario(run / "config.toml").arrivals
    assert getattr(arrivals, "file", "") == "../../data/log.csv"


def test_objects_may_be_made_in_python_with_plain_numbers() -> None:
    step = CpuStep(demand=Exponential(mean_s=0.002))
    assert step.demand.mean_s == 0.002
    assert Poisson(rate_rps=500).rate_rps == 500.0
    assert Closed(users=3).think == Constant(value_s=0.0)
    request = RequestClass(name="a", steps=(step,), timeout_s=0.5, memory_bytes=4096)
    assert (request.timeout_s, request.memory_bytes) == (0.5, 4096)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValidationError):
            Constant(value_s=wrong)


@pytest.mark.parametrize(
    ("cores", "base_ms"), [(1, 0.75), (2, 1.5), (3, 1.5), (4, 2.25), (7, 2.25), (8, 3.0), (96, 3.0)]
)
def test_the_base_slice_is_that_of_the_kernel(cores: int, base_ms: float) -> None:
    assert Host(cores=cores, os=HostOs(hz=0)).slice_s == pytest.approx(base_ms / 1000, rel=1e-12)


@pytest.mark.parametrize(
    ("slice_s", "hz", "effective_s"),
    [
        (0.003, 1000, 0.003),
        (0.003, 250, 0.004),
        (0.003, 100, 0.01),
        (0.012, 250, 0.012),
        (0.0121, 250, 0.016),
        (0.0121, 0, 0.0121),
    ],
)
def test_a_slice_lasts_whole_ticks(slice_s: float, hz: int, effective_s: float) -> None:
    host = Host(cores=1, os=HostOs(time_slice_s=slice_s, hz=hz))
    assert host.slice_s == pytest.approx(effective_s, rel=1e-12)


def test_the_mean_of_quantiles_is_the_area_under_the_straight_lines() -> None:
    dist = Empirical(quantiles=((0.0, 1.0), (0.5, 2.0), (1.0, 4.0)))
    assert dist.mean_s == pytest.approx(0.5 * 1.5 + 0.5 * 3.0)


def test_objectives_are_read_with_their_metric_and_direction() -> None:
    rules = loads_scenario(EVERYTHING).slo
    assert [(r.metric, r.op, r.limit) for r in rules] == [
        ("latency.p99", "<", 0.2),
        ("latency.p999", "<", 1.0),
        ("error_rate", "<", 0.001),
        ("throughput", ">", 90.0),
        ("utilization.cpu", "<", 0.8),
        ("memory.peak", "<", 512 * 2**20),
    ]
    assert rules[0].text == "latency.p99 < 200ms"


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    schema = scenario_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def presets_only() -> str:
    entries = "".join(f'[[schedulers]]\npreset = "{name}"\n' for name in preset_names())
    return VALID[: VALID.index("[[schedulers]]")] + entries


@pytest.mark.parametrize("text", [VALID, EVERYTHING, TRACE, presets_only()])
def test_the_schema_accepts_what_loads(validator: Any, text: str) -> None:
    validator.validate(tomli.loads(text))


def test_the_schema_accepts_the_resolved_form(validator: Any) -> None:
    validator.validate(loads_scenario(EVERYTHING).resolved())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cores = 4", "coers = 4"),
        ("cores = 4", "cores = 0"),
        ('"10s"', "10"),
        ('"10s"', '"10 parsecs"'),
        ('"poisson"', '"poison"'),
        ('"lognormal"', '"log"'),
        ("{ cpu =", "{ cup ="),
        ('preset = "go"', 'preset = "golang"'),
        ('preset = "go"', 'preset = "go"\nmaxThread = 4'),
        ("capacity = 20", "capacity = 0"),
    ],
)
def test_the_schema_refuses_what_does_not_load(validator: Any, old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(tomli.loads(changed(old, new)))


@pytest.mark.parametrize(
    ("name", "file_name"),
    [("io_heavy", "io_heavy"), ("go", "go"), ("virtual-threads", "virtual-threads")],
)
def test_a_plain_name_is_its_own_file_name(name: str, file_name: str) -> None:
    assert slug(name) == file_name


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "<script>", "a/b", "CON", "con", "é", "日本", "."]
)
def test_any_name_gives_a_harmless_file_name(name: str) -> None:
    assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert 1 <= len(slug(name)) <= 70
    assert slug(name) != name


def test_different_names_have_different_file_names() -> None:
    names = ["a/b", "a b", "A b", "a-b", "a_b", "日本", "日曜", "x" * 90 + "1", "x" * 90 + "2"]
    assert len({slug(name) for name in names}) == len(names)
