"""Single requests in a file: one row each, the same in every format."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simsched.observe.record import COMPLETED, PARTS, REJECTED, UNFINISHED, RunRecord
from simsched.report.files import OutputError, RunFolder
from simsched.report.request_rows import COLUMN_NAMES, ROWS_PER_CHUNK, save_requests

CLASSES = ("checkout", 'sear,ch "q"')


def record(count: int = 3, shift: float = 0.0) -> RunRecord:
    """Requests 1 s apart; of three in a row one completes, one is rejected, one is unfinished."""
    arrival = np.arange(count, dtype=np.float64) + shift
    outcome = np.resize([COMPLETED, REJECTED, UNFINISHED], count).astype(np.int8)
    finish = np.where(outcome == UNFINISHED, np.nan, arrival + 0.25)
    parts = np.zeros((count, len(PARTS)))
    parts[:, PARTS.index("cpu")] = np.where(outcome == COMPLETED, 0.25, 0.0)
    return RunRecord(
        arrival_s=arrival,
        finish_s=finish,
        outcome=outcome,
        class_id=np.resize([0, 1], count).astype(np.int32),
        attempts=np.ones(count, dtype=np.int16),
        parts_s=parts,
        duration_s=float(count),
        end_s=float(count),
        bin_s=1.0,
        series={},
    )


def records() -> dict[str, list[RunRecord]]:
    return {"tomcat": [record(), record(2, 0.5)], "go <b>": [record(1)]}


def test_csv_has_one_row_per_request_in_order(tmp_path: Path) -> None:
    path = save_requests(records(), tmp_path / "r.csv", class_names=CLASSES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMN_NAMES
    assert [(r["scheduler"], r["replication"], r["index"]) for r in rows] == [
        ("tomcat", "0", "0"),
        ("tomcat", "0", "1"),
        ("tomcat", "0", "2"),
        ("tomcat", "1", "0"),
        ("tomcat", "1", "1"),
        ("go <b>", "0", "0"),
    ]
    assert [r["class"] for r in rows[:3]] == ["checkout", 'sear,ch "q"', "checkout"]
    assert [r["outcome"] for r in rows[:3]] == ["completed", "rejected", "unfinished"]
    assert (rows[0]["arrival_s"], rows[0]["finish_s"], rows[0]["latency_s"]) == (
        "0.0",
        "0.25",
        "0.25",
    )
    assert (rows[2]["finish_s"], rows[2]["latency_s"]) == ("", "")
    assert rows[0]["cpu_s"] == "0.25"


def test_npz_holds_the_same_columns(tmp_path: Path) -> None:
    path = save_requests(records(), tmp_path / "r.npz", class_names=CLASSES)
    with np.load(path) as found:
        assert set(COLUMN_NAMES) <= set(found.files)
        assert list(found["scheduler_names"][found["scheduler"]]) == ["tomcat"] * 5 + ["go <b>"]
        assert list(found["outcome_names"][found["outcome"]])[:2] == ["completed", "rejected"]
        assert list(found["class_names"][found["class"]])[1] == CLASSES[1]
        np.testing.assert_array_equal(found["latency_s"][:3], [0.25, 0.25, np.nan])


def test_parquet_holds_the_same_columns(tmp_path: Path) -> None:
    path = save_requests(records(), tmp_path / "r.parquet", class_names=CLASSES)
    table = pq.read_table(path)
    assert tuple(table.column_names) == COLUMN_NAMES
    rows = table.to_pylist()
    assert len(rows) == 6
    assert rows[0]["scheduler"] == "tomcat"
    assert rows[1]["class"] == CLASSES[1]
    assert rows[2]["latency_s"] is None
    assert rows[5]["scheduler"] == "go <b>"


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_long_records_are_written_in_pieces_and_whole(tmp_path: Path, ending: str) -> None:
    count = ROWS_PER_CHUNK + 7
    path = save_requests({"go": [record(count)]}, tmp_path / f"r.{ending}", class_names=CLASSES)
    if ending == "csv":
        indexes = [int(line.split(",")[2]) for line in path.read_text().splitlines()[1:]]
    elif ending == "npz":
        indexes = np.load(path)["index"].tolist()
    else:
        indexes = pq.read_table(path)["index"].to_pylist()
    assert indexes == list(range(count))


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_equal_records_give_equal_bytes(tmp_path: Path, ending: str) -> None:
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    first, second = (save_requests(records(), p, class_names=CLASSES).read_bytes() for p in paths)
    assert first == second


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_no_request_at_all_is_a_file_without_rows(tmp_path: Path, ending: str) -> None:
    path = save_requests({"go": [record(0)]}, tmp_path / f"r.{ending}", class_names=CLASSES)
    assert path.stat().st_size > 0


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match='as "xlsx": use one of csv, npz, parquet'):
        save_requests(records(), tmp_path / "r.xlsx", class_names=CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"pip install .simsched\[parquet\]"):
        save_requests(records(), tmp_path / "r.parquet", class_names=CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_the_run_folder_names_the_file_after_the_format(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    path = folder.write_requests(records(), "npz", class_names=CLASSES)
    assert path == tmp_path / "requests.npz"
    assert path.is_file()
