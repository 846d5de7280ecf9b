"""Requests with branches: what they wait for is what their slowest branch waits for."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.record import PARTS, RunRecord
from simsched.stats.laws import utilization_law
from simsched.stats.window import number_waiting, queueing_s, waiting_s

from .queues import mm1

RUN_QUEUE, CPU, JOIN = (PARTS.index(name) for name in ("run_queue", "cpu", "join"))


def forked(record: RunRecord) -> RunRecord:
    """The same work in one branch each: the request itself does nothing but wait for it."""
    record.join_parts_s = record.parts_s.copy()
    record.branch_cpu_s = record.parts_s[:, CPU].copy()
    record.totals["branch_cpu_s"] = float(record.branch_cpu_s.sum())
    record.parts_s = np.zeros_like(record.parts_s)
    record.parts_s[:, JOIN] = record.join_parts_s.sum(axis=1)
    return record


def test_a_queue_of_branches_is_a_queue() -> None:
    alone, branched = mm1(0.8, 2000, seed=61), forked(mm1(0.8, 2000, seed=61))
    np.testing.assert_allclose(waiting_s(branched), waiting_s(alone), atol=1e-9)
    np.testing.assert_allclose(queueing_s(branched), queueing_s(alone), atol=1e-9)
    times_s = np.linspace(0.0, alone.duration_s, 50)
    assert number_waiting(branched, times_s).tolist() == number_waiting(alone, times_s).tolist()


def test_a_request_waits_both_itself_and_in_its_branches() -> None:
    record = forked(mm1(0.8, 2000, seed=62))
    in_branches_s = record.join_parts_s[:, RUN_QUEUE].copy()
    record.arrival_s = record.arrival_s - 1.0
    record.parts_s[:, RUN_QUEUE] = 1.0
    np.testing.assert_allclose(queueing_s(record), 1.0 + in_branches_s)
    np.testing.assert_allclose(waiting_s(record), 1.0 + in_branches_s, atol=1e-9)


def test_the_utilisation_law_counts_what_branches_compute() -> None:
    records = [forked(mm1(0.7, 20_000, 63, r)) for r in range(5)]
    law = utilization_law(records, 0.2 * records[0].duration_s)
    assert law["ok"]
    assert law["window"]["inside_ci"]
    assert law["window"]["demand_s"] == pytest.approx(1.0, abs=0.03)


def test_the_utilisation_law_misses_what_branches_are_said_not_to_compute() -> None:
    record = forked(mm1(0.7, 2000, 64))
    record.totals["branch_cpu_s"] -= 0.01
    assert not utilization_law([record], 0.0)["ok"]
