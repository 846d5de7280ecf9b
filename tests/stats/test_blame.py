"""Blame over replications: means per request of the victim, and shares of its time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsched.observe.record import BlameRow, PinnedRow, RunRecord, Stall
from simsched.stats.blame import blame, longest_stall, pinned

NAMES = ["search", "report"]


def record(latency_s: float, *rows: BlameRow, **more: Any) -> RunRecord:
    """Four requests, all completed after the same time: search, search, search, report."""
    arrival_s = np.arange(4.0)
    return RunRecord(
        arrival_s=arrival_s,
        finish_s=arrival_s + latency_s,
        outcome=np.ones(4, np.int8),
        class_id=np.array([0, 0, 0, 1], np.int32),
        attempts=np.ones(4, np.int16),
        parts_s=np.zeros((4, 10)),
        duration_s=10.0,
        end_s=10.0,
        bin_s=0.01,
        series={},
        blame=list(rows),
        **more,
    )


def test_seconds_are_per_request_of_the_victim_and_shares_of_its_time() -> None:
    rows = BlameRow("loop", 0, 1, "render", 3.0)
    (entry,) = blame([record(2.0, rows)], NAMES)
    assert entry == {
        "cause": "loop",
        "victim": "search",
        "culprit": "report",
        "step": "render",
        "seconds": {"value": 1.0, "ci95": None},  # 3 s of 3 requests
        "share": {"value": 0.5, "ci95": None},  # 3 s of 3 x 2 s
        "total_s": 3.0,
    }


def test_a_replication_in_which_nobody_waited_counts() -> None:
    rows = BlameRow("loop", 0, 1, "render", 3.0)
    (entry,) = blame([record(2.0, rows), record(2.0)], NAMES)
    assert entry["seconds"]["value"] == pytest.approx(0.5)
    assert entry["share"]["value"] == pytest.approx(0.25)
    low, high = entry["seconds"]["ci95"]
    assert low <= 0.5 <= high


def test_the_longest_wait_comes_first_and_trifles_are_left_out() -> None:
    found = blame(
        [
            record(
                2.0,
                BlameRow("db", 0, 0, "query", 1.0),
                BlameRow("loop", 0, 1, "render", 3.0),
                BlameRow("loop", 1, -1, "", 1.5),
                BlameRow("loop", 1, 0, "parse", 0.0019),  # of 2 s
            )
        ],
        NAMES,
    )
    assert [(e["victim"], e["culprit"], e["step"], e["total_s"]) for e in found] == [
        ("search", "report", "render", 3.0),
        ("report", None, None, 1.5),
        ("search", "search", "query", 1.0),
    ]


def test_pinned_carriers_are_counted_over_the_whole_run() -> None:
    """Of two carriers in 10 s, 12 s; and in a second replication, 4 s."""
    one = record(1.0, pinned=[PinnedRow(1, "query", 12.0)], worker_limit=2)
    other = record(1.0, pinned=[PinnedRow(1, "query", 4.0)], worker_limit=2)
    (entry,) = pinned([one, other], NAMES)
    assert (entry["culprit"], entry["step"], entry["total_s"]) == ("report", "query", 16.0)
    assert entry["carriers"]["value"] == pytest.approx(0.8)
    assert entry["share"]["value"] == pytest.approx(0.4)
    assert pinned([record(1.0)], NAMES) == []


def test_the_longest_stall_is_that_of_any_replication() -> None:
    short, long = Stall(0.1, 0, "parse", 0.05), Stall(0.3, 1, "render", 0.2)
    records = [record(1.0, longest_stall=short), record(1.0, longest_stall=long), record(1.0)]
    assert longest_stall(records, NAMES) == {
        "seconds": 0.3, "culprit": "report", "step": "render", "step_s": 0.2
    }  # fmt: skip
    assert longest_stall([record(1.0)], NAMES) is None
