"""Failures and interrupts: what is said, what is kept, and what is not left running."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from simsched import ScenarioError, load_scenario, run
from simsched.scenario import loads_scenario
from simsched.sim.observer import Observer
from simsched.sim.task import Task
from simsched.study import units
from simsched.study.errors import SimulationError
from simsched.workload import base

from .small import PENDING, TEXT, Immediate, small


class FailsAtTheBackend(Observer):
    """A defect that shows at the second step of the fourth request."""

    def step_started(self, now: float, task: Task) -> None:
        if task.index == 3 and task.pc == 1:
            raise ZeroDivisionError("a defect")


def observe(monkeypatch: pytest.MonkeyPatch, observer: Callable[[], Observer]) -> None:
    monkeypatch.setattr(units, "_observers", lambda _: [observer()])


def test_a_failure_names_scheduler_replication_time_request_and_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observe(monkeypatch, FailsAtTheBackend)
    with pytest.raises(SimulationError) as caught:
        run(small())
    error = caught.value
    assert (error.scheduler, error.replication, error.request) == ("tomcat", 0, 3)
    assert error.time_s is not None
    assert 0 < error.time_s < 1
    assert error.step == '2 of 2 of class "page" (backend)'
    assert str(error) == (
        f'scheduler "tomcat", replication 0, at {error.time_s:.9g} s of simulated time, request 3,'
        ' step 2 of 2 of class "page" (backend): ZeroDivisionError: a defect'
    )
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_failure_survives_the_way_back_from_a_worker_process() -> None:
    error = SimulationError("go", 3, "ValueError: no", time_s=0.5, request=7, step="1 of 2")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_after_a_failure_nothing_more_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    observe(monkeypatch, FailsAtTheBackend)
    executor = Immediate(lambda number, call: call() if number == 0 else PENDING)
    with pytest.raises(SimulationError):
        run(small(), executor=executor)
    assert all(future.cancelled() for future in executor.futures[1:])


def test_a_bad_data_file_is_the_scenarios_fault_not_the_simulations(tmp_path: Path) -> None:
    text = TEXT.replace('io = "5ms"', 'io = { dist = "empirical", file = "samples.txt" }')
    (tmp_path / "small.toml").write_text(text)
    (tmp_path / "samples.txt").write_text("0.1\nnonsense\n")
    with pytest.raises(ScenarioError, match=r"samples\.txt"):
        run(load_scenario(tmp_path / "small.toml"))


def test_too_many_requests_of_a_closed_workload_are_the_scenarios_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "MAX_REQUESTS", base.CHUNK)
    closed = TEXT.replace('kind = "poisson"\nrate = "100/s"', 'kind = "closed"\nusers = 50')
    scenario = loads_scenario(closed, ["workload.requests.0.steps=[{ cpu = '10us' }]"])
    with pytest.raises(ScenarioError, match="make the duration shorter"):
        run(scenario)


@pytest.mark.parametrize("dead", [0, 2])
def test_what_a_dead_worker_leaves_is_simulated_here(
    dead: int, caplog: pytest.LogCaptureFixture
) -> None:
    def dies(number: int, call: Callable[[], Any]) -> Any:
        if number >= dead:
            raise BrokenProcessPool("killed")
        return call()

    with caplog.at_level(logging.WARNING, "simsched"):
        result = run(small(), executor=Immediate(dies))
    assert result.to_json() == run(small()).to_json()
    assert f"({4 - dead})" in caplog.text


def interrupt_at(limit: int) -> Callable[[int, int, str], None]:
    """Progress during which the user presses Ctrl-C."""

    def progress(done: int, total: int, label: str) -> None:
        if done == limit:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_reports_the_replications_that_every_scheduler_finished() -> None:
    # Two schedulers: after five simulations two replications are whole, the third is not.
    stopped = run(small("scenario.replications=4"), progress=interrupt_at(5))
    whole = run(small("scenario.replications=2"))
    assert stopped.interrupted
    assert not whole.interrupted
    assert stopped.document["replications"] == 2
    for name, entry in stopped.schedulers.items():
        expected = dict(whole.schedulers[name])
        assert entry["warnings"] == [
            "interrupted after 2 of 4 replications",
            *expected["warnings"],
        ]
        assert {**entry, "warnings": None} == {**expected, "warnings": None}


def test_an_interrupt_before_the_first_whole_replication_has_no_result() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(small(), progress=interrupt_at(1))


def test_an_interrupt_cancels_what_has_not_started() -> None:
    executor = Immediate(lambda number, call: call() if number < 3 else PENDING)
    stopped = run(small(), executor=executor, progress=interrupt_at(3))
    assert stopped.document["replications"] == 1
    assert executor.futures[3].cancelled()


def test_an_interrupt_leaves_no_worker_process_behind() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt):
        run(small("scenario.duration=20s"), jobs=2, progress=interrupt_at(1))
    assert multiprocessing.active_children() == before
