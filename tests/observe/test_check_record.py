"""No number of a record can be changed without `check_record`, or a checker's books, noticing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
from kit import spec_of

from simsched.observe.checkers import (
    Checker,
    CheckFailed,
    Conservation,
    Memory,
    Utilization,
    check_record,
)
from simsched.observe.record import COMPLETED, PARTS, RunRecord
from simsched.sim.engine import Simulation
from simsched.workload import draw

from .runs import workload_scenario

CPU, RUN_QUEUE, IO = (PARTS.index(name) for name in ("cpu", "run_queue", "io"))

BOOKS = (Conservation, Utilization, Memory)  # what compares the record with books of its own
Finished = tuple[RunRecord, Simulation, tuple[Checker, ...]]


@pytest.fixture(scope="module")
def finished() -> Finished:
    scenario = workload_scenario("time-outs", "virtual threads 25", drain="1s")
    books = tuple(checker() for checker in BOOKS)
    trace = draw(scenario, 0)
    simulation = Simulation(scenario, spec_of(scenario), trace, observers=books)
    record = simulation.run()
    assert set(record.outcome.tolist()) == {1, 3}
    return record, simulation, books


def first_completed(record: RunRecord) -> int:
    return int(np.flatnonzero(record.outcome == COMPLETED)[0])


def finish_earlier(record: RunRecord) -> None:
    record.finish_s[first_completed(record)] = 0.0


def finish_later(record: RunRecord) -> None:
    record.finish_s[first_completed(record)] += 1e-6


def no_finish(record: RunRecord) -> None:
    record.finish_s[first_completed(record)] = np.nan


def unknown_outcome(record: RunRecord) -> None:
    record.outcome[first_completed(record)] = 5


def arrivals_out_of_order(record: RunRecord) -> None:
    record.arrival_s[[0, 1]] = record.arrival_s[[1, 0]]


def no_attempt(record: RunRecord) -> None:
    record.attempts[0] = 0


def a_part_too_long(record: RunRecord) -> None:
    record.parts_s[first_completed(record), RUN_QUEUE] += 1e-6


def computing_booked_as_waiting(record: RunRecord) -> None:
    row = record.parts_s[first_completed(record)]
    row[RUN_QUEUE] += 1e-6
    row[CPU] -= 1e-6


def waiting_booked_as_computing(record: RunRecord) -> None:
    row = record.parts_s[first_completed(record)]
    row[IO] -= 1e-6
    row[CPU] += 1e-6


def a_negative_part(record: RunRecord) -> None:
    row = record.parts_s[0]
    row[RUN_QUEUE] -= 1.0
    row[IO] += 1.0


def edge_of_in_system(record: RunRecord) -> None:
    record.series["in_system"][3] += 1e-3


def an_arrival_lost(record: RunRecord) -> None:
    record.series["arrivals"][np.argmax(record.series["arrivals"])] -= 1


def a_completion_invented(record: RunRecord) -> None:
    record.series["completions"][7] += 1


def more_cores_than_there_are(record: RunRecord) -> None:
    record.series["busy_cores"][0] = 2.1


def a_pool_overfull(record: RunRecord) -> None:
    record.waits["db"] = {
        "capacity": 1,
        "utilization": 1.1,
        "wait_s_mean": 0.0,
        "acquisitions": 1,
    }


def core_time_lost(record: RunRecord) -> None:
    record.totals["busy_core_s"] -= 1e-6


def negative_late_cpu(record: RunRecord) -> None:
    record.totals["late_cpu_s"] = -1.0


@pytest.mark.parametrize(
    "damage",
    [
        finish_earlier,
        finish_later,
        no_finish,
        unknown_outcome,
        arrivals_out_of_order,
        no_attempt,
        a_part_too_long,
        computing_booked_as_waiting,
        waiting_booked_as_computing,
        a_negative_part,
        edge_of_in_system,
        an_arrival_lost,
        a_completion_invented,
        more_cores_than_there_are,
        a_pool_overfull,
        core_time_lost,
        negative_late_cpu,
    ],
)
def test_a_damaged_record_is_refused(
    damage: Callable[[RunRecord], None], finished: Finished
) -> None:
    record, simulation, _ = finished
    check_record(record, simulation)
    damaged = deepcopy(record)
    damage(damaged)
    with pytest.raises(CheckFailed, match="record broken"):
        check_record(damaged, simulation)


def outcome_swapped(record: RunRecord) -> None:
    record.outcome[first_completed(record)] = 2


def both_finish_times_moved(record: RunRecord) -> None:
    i = first_completed(record)
    record.finish_s[i] += 1e-6
    record.parts_s[i, IO] += 1e-6


def a_request_missing(record: RunRecord) -> None:
    record.outcome = record.outcome[:-1]
    record.arrival_s = record.arrival_s[:-1]


def an_attempt_more(record: RunRecord) -> None:
    record.attempts[0] += 1


def busy_cores_shifted(record: RunRecord) -> None:
    record.series["busy_cores"][5] += 1e-3


def overhead_lost(record: RunRecord) -> None:
    record.totals["overhead_core_s"] *= 0.99


def mean_memory_too_high(record: RunRecord) -> None:
    record.series["memory_bytes"][5] += 10_000


def peak_memory_too_low(record: RunRecord) -> None:
    record.peak["memory_bytes"] -= 1


def a_part_of_the_peak_missing(record: RunRecord) -> None:
    record.peak["stacks"] = 0.0


@pytest.mark.parametrize(
    ("damage", "checker"),
    [
        (outcome_swapped, Conservation),
        (both_finish_times_moved, Conservation),
        (a_request_missing, Conservation),
        (an_attempt_more, Conservation),
        (busy_cores_shifted, Utilization),
        (core_time_lost, Utilization),
        (overhead_lost, Utilization),
        (mean_memory_too_high, Memory),
        (peak_memory_too_low, Memory),
        (a_part_of_the_peak_missing, Memory),
    ],
)
def test_a_record_that_others_know_better_is_refused(
    damage: Callable[[RunRecord], None], checker: type[Checker], finished: Finished
) -> None:
    record, simulation, books = finished
    mine = next(book for book in books if isinstance(book, checker))
    damaged = deepcopy(record)
    damage(damaged)
    with pytest.raises(CheckFailed, match=checker.invariant):
        mine.finish(simulation, damaged)
