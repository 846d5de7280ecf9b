"""Events told to a checker by hand: what no small mistake in a scheduler would bring about."""

from __future__ import annotations

import pytest
from kit import scenario_of, spec_of, tomcat

from simsched.observe.checkers import Capacity, Causality, Checker, CheckFailed, Conservation
from simsched.sim.engine import Simulation
from simsched.sim.task import COMPLETED, TIMED_OUT, Task
from simsched.workload import draw

CLASS = {
    "name": "a",
    "timeout": "50ms",
    "retries": {"max": 1, "backoff": "10ms"},
    "steps": [{"cpu": "2ms"}, {"io": "3ms"}],
}


class Stage:
    """A simulation that does not run: the test says what happens, and when."""

    def __init__(self, checker: Checker) -> None:
        scenario = scenario_of([CLASS], tomcat(1), arrivals={"kind": "constant", "rate": "100/s"})
        self.simulation = Simulation(
            scenario, spec_of(scenario), draw(scenario, 0), observers=[checker]
        )
        self.trace = self.simulation.trace

    def task(self, index: int = 0, attempt: int = 1) -> Task:
        program = self.trace.programs[0]
        task = Task(index, 0, program, self.trace.demand_row(index), self.now)
        task.attempt = attempt
        return task

    @property
    def now(self) -> float:
        return self.simulation.clock.now

    def at(self, seconds: float) -> float:
        self.simulation.clock.now = seconds
        return seconds

    @property
    def first_s(self) -> float:
        """When request 0 arrives."""
        return float(self.trace.arrival_s[0])  # type: ignore[union-attr]


class TestConservation:
    def test_requests_arrive_in_order_without_gaps(self) -> None:
        checker = Conservation()
        stage = Stage(checker)
        with pytest.raises(CheckFailed, match="request 0 to arrive next; saw request 1"):
            checker.arrived(0.0, stage.task(index=1))

    def test_a_client_does_not_try_again_more_often_than_it_may(self) -> None:
        checker = Conservation()
        stage = Stage(checker)
        first, second, third = (stage.task(attempt=n) for n in (1, 2, 3))
        checker.arrived(0.0, first)
        checker.retried(0.0, first, second)
        checker.resent(0.0, second)
        with pytest.raises(CheckFailed, match="at most 2 attempts"):
            checker.retried(0.0, second, third)

    def test_only_who_has_given_up_times_out(self) -> None:
        checker = Conservation()
        task = Stage(checker).task()
        checker.arrived(0.0, task)
        with pytest.raises(CheckFailed, match="if, and only if, timed out"):
            checker.ended(0.0, task, TIMED_OUT)

    def test_nothing_is_let_go_of_twice(self) -> None:
        checker = Conservation()
        task = Stage(checker).task()
        checker.arrived(0.0, task)
        task.cancelled = True
        checker.ended(0.0, task, TIMED_OUT)
        checker.released(0.0, task)
        with pytest.raises(CheckFailed, match="to be let go of, once"):
            checker.released(0.0, task)


class TestCausality:
    def arrived(self) -> tuple[Causality, Stage, Task]:
        checker = Causality()
        stage = Stage(checker)
        stage.at(stage.first_s)
        task = stage.task()
        checker.arrived(stage.now, task)
        return checker, stage, task

    def test_an_arrival_comes_when_the_workload_says(self) -> None:
        checker = Causality()
        stage = Stage(checker)
        with pytest.raises(CheckFailed, match="its arrival at"):
            checker.arrived(stage.at(stage.first_s + 0.001), stage.task())

    def test_time_does_not_go_back(self) -> None:
        checker, stage, task = self.arrived()
        checker.step_started(stage.at(stage.first_s + 0.002), task)
        with pytest.raises(CheckFailed, match="no time before"):
            checker.step_ended(stage.at(stage.first_s + 0.001), task)

    def test_an_event_is_told_at_its_time(self) -> None:
        checker, stage, task = self.arrived()
        with pytest.raises(CheckFailed, match="at the clock's time"):
            checker.step_started(stage.now + 0.001, task)

    def test_a_step_ends_before_the_next_begins(self) -> None:
        checker, stage, task = self.arrived()
        checker.step_started(stage.now, task)
        task.pc = 1
        with pytest.raises(CheckFailed, match="step 0 to end first"):
            checker.step_started(stage.now, task)

    def test_nothing_is_completed_half_done(self) -> None:
        checker, stage, task = self.arrived()
        checker.step_started(stage.now, task)
        checker.step_ended(stage.at(stage.first_s + 0.002), task)
        with pytest.raises(CheckFailed, match="2 steps before completion; saw 1"):
            checker.ended(stage.now, task, COMPLETED)

    def test_a_thread_begins_nothing_for_who_has_given_up(self) -> None:
        checker, stage, task = self.arrived()
        task.cancelled = True
        checker.ended(stage.at(stage.first_s + 0.05), task, TIMED_OUT)
        with pytest.raises(CheckFailed, match="no new step"):
            checker.step_started(stage.now, task)

    def test_patience_ends_when_it_ends(self) -> None:
        checker, stage, task = self.arrived()
        task.cancelled = True
        with pytest.raises(CheckFailed, match="the client to give up at"):
            checker.ended(stage.at(stage.first_s + 0.051), task, TIMED_OUT)

    def test_nobody_succeeds_after_the_patience_ended(self) -> None:
        checker, stage, task = self.arrived()
        with pytest.raises(CheckFailed, match="before the client gives up"):
            checker.ended(stage.at(stage.first_s + 0.051), task, COMPLETED)

    def test_a_back_off_takes_its_time(self) -> None:
        checker, stage, task = self.arrived()
        again = stage.task(attempt=2)
        checker.retried(stage.now, task, again)
        with pytest.raises(CheckFailed, match=r"a back-off of 0\.01 to 0\.01 s; saw 0\.009 s"):
            checker.resent(stage.at(stage.first_s + 0.009), again)


class TestCapacity:
    def test_a_thread_is_on_one_core(self) -> None:
        checker = Capacity()
        host = Stage(checker).simulation.host
        thread = host.thread("x")
        checker.cores = 2
        checker.on_core(0.0, 0, thread)
        with pytest.raises(CheckFailed, match="a thread on one core; saw on 0 too"):
            checker.on_core(0.0, 1, thread)

    def test_a_core_has_one_thread(self) -> None:
        checker = Capacity()
        host = Stage(checker).simulation.host
        checker.on_core(0.0, 0, host.thread("x"))
        with pytest.raises(CheckFailed, match="core 0 to be free; saw x on it"):
            checker.on_core(0.0, 0, host.thread("y"))

    def test_a_core_is_left_by_who_is_on_it(self) -> None:
        checker = Capacity()
        host = Stage(checker).simulation.host
        checker.on_core(0.0, 0, host.thread("x"))
        with pytest.raises(CheckFailed, match="the thread on core 0 to leave it"):
            checker.off_core(0.0, 0, host.thread("y"))

    def test_a_core_is_not_taken_before_it_is_free(self) -> None:
        checker = Capacity()
        host = Stage(checker).simulation.host
        thread = host.thread("x")
        checker.on_core(0.0, 0, thread)
        checker.off_core(0.002, 0, thread)
        with pytest.raises(CheckFailed, match="core 0 to be free by then"):
            checker.on_core(0.001, 0, thread)

    def test_a_worker_is_busy_once(self) -> None:
        checker = Capacity()
        Stage(checker)
        checker.busy(0.0, "x", 1)
        with pytest.raises(CheckFailed, match="busy and idle in turns"):
            checker.busy(0.0, "x", 1)
