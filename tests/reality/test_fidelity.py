"""Predictions against a folder of measurements: what is demanded of them, limit by limit.

The folder is given by SIMSCHED_FIDELITY; without it there is nothing to compare with. A limit that
is missed today is named here, and its test must fail: once it is kept, take it off the list, and it
stays kept.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from simsched.cli.validate_view import tables
from simsched.reality.cases import read_cases
from simsched.reality.compare import demands
from simsched.reality.replay import Validation, replay

FOLDER = os.environ.get("SIMSCHED_FIDELITY", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="SIMSCHED_FIDELITY names no folder of measurements"),
    pytest.mark.xdist_group("fidelity"),
]

CALIBRATION = "kvm-2vcpu"
MISSED = {
    "in process, nine in ten, p50": "8 %, of 5 %",
    "in process, nine in ten, p95": "13 %, of 8 %",
    "in process, nine in ten, p99": "14 %, of 12 %",
    "in process, worst p50": "40 %, of 25 %",
    "in process, worst p95": "34 %, of 25 %",
    "in process, worst p99": "36 %, of 25 %",
}
"""Limits that are missed, and by how much when they were written down."""


def limits() -> list[Any]:
    """Every limit by its name; those that are missed must be."""
    found: list[Any] = []
    assert set(MISSED) <= {demand.what for demand in demands([])}
    for demand in demands([]):
        missed = MISSED.get(demand.what)
        marks = [pytest.mark.xfail(strict=True, reason=f"missed: {missed}")] if missed else []
        found.append(pytest.param(demand.what, marks=marks, id=demand.what.replace(" ", "-")))
    return found


@pytest.fixture(scope="module")
def found() -> Validation:
    return replay(Path(FOLDER), calibration=CALIBRATION, jobs=os.cpu_count() or 1)


def test_every_case_is_predicted_and_the_table_of_errors_is_shown(
    found: Validation, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        console = Console(file=sys.stdout, width=100)
        for table in tables(found):
            console.print(table)
    assert [c.id for c in found.comparisons] == [c.id for c in read_cases(found.folder)]
    assert found.skipped == []


@pytest.mark.parametrize("what", limits())
def test_a_limit_is_kept(found: Validation, what: str) -> None:
    (demand,) = (each for each in found.demands if each.what == what)
    assert demand.cases > 0
    assert demand.found <= demand.limit, f"{demand.found:.1%} > {demand.limit:.0%}"
