"""Trap 2: a knob that is accepted and ignored. Every one of them must change something."""

from __future__ import annotations

import json

import pytest

from simsched.scenario import Scenario, ScenarioError, loads_scenario
from simsched.scenario.connections import Connections
from simsched.scenario.host import Host, HostOs, Resource
from simsched.scenario.model import RunSection
from simsched.scenario.specs import SCHEDULER_KINDS, Listen
from simsched.scenario.steps import STEP_KINDS, RequestClass, Retries
from simsched.study.offered import offered
from simsched.study.run import run as run_study

from . import knobs as k
from .fields import ELSEWHERE, GO, STEPS, changed_in, with_step
from .settings import CROWDED, RICH, WIRED


def outcome(scenario: Scenario) -> str:
    """Everything a run says, apart from the configuration it repeats."""
    document = json.loads(run_study(scenario).to_json())
    return json.dumps([document["schedulers"], document["offered"]])


def ignored(base: Scenario, knobs: dict[str, str]) -> list[str]:
    """The knobs whose change changes nothing."""
    before = outcome(base)
    return [
        path
        for path, value in knobs.items()
        if outcome(base.with_overrides([f"{path}={value}"])) == before
    ]


@pytest.mark.parametrize("name", k.SCHEDULERS)
def test_trap_02_every_scheduler_knob_changes_something(name: str) -> None:
    text, knobs = k.SCHEDULERS[name]
    # One loop under the load of two cores never idles; how timers round shows on an idle one.
    rate = "40/s" if "event_loop" in name or "node" in name else "400/s"
    table = WIRED if name == "gthread" else RICH
    base = loads_scenario((table + text).replace("400/s", rate))
    knobs = knobs | k.MEMORY | (k.YOUNG if base.schedulers[0].memory.young_bytes else {})
    if name == "goroutine, collecting":  # GOGC says instead how far the heap grows
        knobs.pop("memory.gc_factor")
    paths = {f"schedulers.0.{knob}": value for knob, value in knobs.items()}
    assert ignored(base, paths) == []


def test_trap_02_a_factor_that_a_modelled_collector_replaces_is_said_to_be_without_effect() -> None:
    base = loads_scenario(RICH + k.SCHEDULERS["goroutine, collecting"][0])
    for factor, said in ("2.0", False), ("3.0", True):
        changed = base.with_overrides([f"schedulers.0.memory.gc_factor={factor}"])
        warnings = offered(changed).warnings
        assert any("gc_factor has no effect" in warning for warning in warnings) == said


@pytest.mark.parametrize("name", k.LISTENERS)
def test_trap_02_every_knob_of_a_socket_changes_something(name: str) -> None:
    crowded = "" if name == "sync_workers" else CROWDED
    base = loads_scenario(WIRED + k.SCHEDULERS[name][0] + crowded)
    paths = {f"schedulers.0.listen.{knob}": value for knob, value in k.LISTENERS[name].items()}
    assert ignored(base, paths | {"schedulers.0.processes": "3"}) == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_trap_02_every_other_field_changes_something(name: str) -> None:
    text, paths = ELSEWHERE[name]
    assert ignored(loads_scenario(text), paths) == []


@pytest.mark.parametrize(("scheduler", "step", "other"), STEPS)
def test_trap_02_every_field_of_a_step_changes_something(
    scheduler: str, step: str, other: str
) -> None:
    before, after = (outcome(loads_scenario(with_step(scheduler, s))) for s in (step, other))
    assert before != after


def test_trap_02_the_version_of_go_matters_under_a_quota() -> None:
    host = RICH.replace("cores = 2", "cores = 4\ncpu_quota = 1.2")
    base = loads_scenario(host + 'kind = "goroutine"\n')
    assert ignored(base, {"schedulers.0.go": '"1.24"'}) == []


def test_trap_02_what_a_call_into_c_costs_matters_where_there_is_one() -> None:
    base = loads_scenario(with_step(GO, 'blocking = "1ms", kind = "native"'))
    assert ignored(base, {"schedulers.0.cgo": '"1ms"'}) == []


def test_trap_02_no_knob_of_a_scheduler_is_left_out() -> None:
    listed: dict[tuple[str, ...], set[str]] = {}
    wanted: dict[tuple[str, ...], set[str]] = {}
    for text, knobs in k.SCHEDULERS.values():
        spec = loads_scenario(RICH + text).schedulers[0]
        listed.setdefault(k.identity_of(spec), set()).update(knobs)
        wanted[k.identity_of(spec)] = k.knobs_of(spec)
    assert listed == wanted
    assert {identity[0] for identity in wanted} == set(SCHEDULER_KINDS) - k.TRIED_ELSEWHERE


def test_trap_02_no_knob_of_a_socket_is_left_out() -> None:
    kinds = {
        loads_scenario(RICH + k.SCHEDULERS[name][0]).schedulers[0].kind for name in k.LISTENERS
    }
    assert kinds == set(SCHEDULER_KINDS) - k.TRIED_ELSEWHERE
    for name, knobs in k.LISTENERS.items():
        assert set(knobs) == ({"backlog"} if name == "sync_workers" else k.fields_of(Listen))


def test_trap_02_no_other_field_is_left_out() -> None:
    tables: dict[str, set[str]] = {
        "scenario": k.fields_of(RunSection) - {"name"},
        "host": k.fields_of(Host) - {"os", "calibration"},  # tests/calibration
        "host.os": k.fields_of(HostOs),
        "workload.connections": k.fields_of(Connections),
        "workload.requests.a": k.fields_of(RequestClass) - {"name", "steps", "retries"},
        "workload.requests.a.retries": k.fields_of(Retries),
        "resources.db": k.fields_of(Resource),
    }
    wanted = {f"{table}.{field}" for table, fields in tables.items() for field in fields}
    listed = {path for _, paths in ELSEWHERE.values() for path in paths}
    assert listed - {"workload.arrivals.rate"} == wanted
    fields = {(kind, f) for kind, step in STEP_KINDS.items() for f in k.fields_of(step) - {"name"}}
    assert {changed_in(step, other) for _, step, other in STEPS} == fields


@pytest.mark.parametrize("knob", ['keep_alive="1s"', "max_connections=3", "max_requests=5"])
def test_trap_02_what_would_change_nothing_is_refused(knob: str) -> None:
    base = loads_scenario(RICH + k.SCHEDULERS["sync_workers"][0])
    with pytest.raises(ScenarioError, match="no effect"):
        base.with_overrides([f"schedulers.0.listen.{knob}"])
