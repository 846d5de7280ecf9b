"""Replaying a recorded workload: what is read, what is refused, and how that is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from simsched.scenario import Scenario, ScenarioError, load_scenario
from simsched.workload import RequestTrace, draw, is_deterministic, table_files, trace_stats

from .scenarios import exponential, request_class, scenario

Columns = dict[str, list[Any]]
Writer = Callable[[Path, Columns], None]

CPU_US = request_class("get", {"cpu": {"column": "cpu_us"}})


def write_csv(path: Path, columns: Columns) -> None:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [list(columns), *rows]) + "\n")


def write_npz(path: Path, columns: Columns) -> None:
    arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items()}
    np.savez(path, **arrays)


def write_parquet(path: Path, columns: Columns) -> None:
    parquet.write_table(pa.table(columns), path)


WRITERS: dict[str, Writer] = {"csv": write_csv, "npz": write_npz, "parquet": write_parquet}


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def replayed(
    folder: Path,
    columns: Columns | str,
    *classes: dict[str, Any],
    kind: str = "csv",
    duration: str = "10s",
) -> Scenario:
    path = folder / f"log.{kind}"
    if isinstance(columns, str):
        path.write_text(columns)
    else:
        WRITERS[kind](path, columns)
    return scenario(
        *(classes or (CPU_US,)),
        arrivals={"kind": "trace", "file": path.name},
        duration=duration,
        base_dir=folder,
    )


def trace(made: Scenario, replication: int = 0) -> RequestTrace:
    drawn = draw(made, replication)
    assert isinstance(drawn, RequestTrace)
    return drawn


def refusal(made: Scenario) -> str:
    with pytest.raises(ScenarioError) as caught:
        draw(made, 0)
    assert len(caught.value.problems) == 1
    return str(caught.value)


class TestReading:
    def test_every_kind_of_file_gives_the_same_requests(self, tmp_path: Path, kind: str) -> None:
        columns: Columns = {
            "arrival_us": [0, 1500, 2_000_000],
            "class": ["get", "put", "get"],
            "cpu_us": [100, 200, 300],
            "note_ms": [7, 8, 9],
        }
        put = request_class("put", {"io": {"column": "note_ms"}}, {"cpu": {"column": "cpu_us"}})
        drawn = trace(replayed(tmp_path, columns, CPU_US, put, kind=kind))
        assert drawn.arrival_s.tolist() == [0.0, 0.0015, 2.0]
        assert drawn.class_id.tolist() == [0, 1, 0]
        assert [drawn.demand_row(i) for i in range(3)] == [[0.0001], [0.008, 0.0002], [0.0003]]

    @pytest.mark.parametrize(
        ("suffix", "seconds"), [("_s", 8.0), ("_ms", 0.008), ("_us", 8e-6), ("_ns", 8e-9), ("", 8)]
    )
    def test_the_unit_of_a_demand_is_in_the_name_of_its_column(
        self, tmp_path: Path, suffix: str, seconds: float
    ) -> None:
        step = {"cpu": {"column": f"work{suffix}"}}
        columns: Columns = {"arrival_s": [0.5], f"work{suffix}": [8]}
        drawn = trace(replayed(tmp_path, columns, request_class("get", step)))
        assert drawn.demand_row(0) == [seconds]

    @pytest.mark.parametrize(
        ("name", "seconds"),
        [("arrival_s", 3.0), ("arrival_ms", 0.003), ("arrival_us", 3e-6), ("arrival_ns", 3e-9)],
    )
    def test_the_unit_of_the_arrival_is_in_the_name_of_its_column(
        self, tmp_path: Path, name: str, seconds: float
    ) -> None:
        drawn = trace(replayed(tmp_path, {name: [3], "cpu_us": [1]}))
        assert drawn.arrival_s.tolist() == [seconds]

    def test_measured_integer_arrays_can_be_read_as_they_are(self, tmp_path: Path) -> None:
        """As loggers write them: whole microseconds, columns nobody asked for, -1 for unknown."""
        np.savez(
            tmp_path / "case.npz",
            arrival_us=np.array([1824, 3922], np.int64),
            cpu1_us=np.array([100, 101], np.int32),
            io_us=np.array([20000, 20001], np.int32),
            latency_us=np.array([20835, -1], np.int32),
        )
        made = scenario(
            request_class("get", {"cpu": {"column": "cpu1_us"}}, {"io": {"column": "io_us"}}),
            arrivals={"kind": "trace", "file": "case.npz"},
            base_dir=tmp_path,
        )
        drawn = trace(made)
        assert drawn.arrival_s.tolist() == [0.001824, 0.003922]
        assert [drawn.demand_row(i) for i in range(2)] == [[0.0001, 0.02], [0.000101, 0.020001]]

    def test_rows_out_of_order_are_sorted_and_keep_their_demands(self, tmp_path: Path) -> None:
        columns: Columns = {"arrival_s": [3, 1, 2], "cpu_us": [30, 10, 20]}
        drawn = trace(replayed(tmp_path, columns))
        assert drawn.arrival_s.tolist() == [1, 2, 3]
        assert [drawn.demand_row(i) for i in range(3)] == [[10e-6], [20e-6], [30e-6]]

    def test_rows_of_one_instant_keep_their_order(self, tmp_path: Path) -> None:
        n = 1000
        columns: Columns = {"arrival_s": [2, 1] * n, "cpu_us": list(range(2 * n))}
        drawn = trace(replayed(tmp_path, columns))
        drawn_us = [round(drawn.demand_row(i)[0] * 1e6) for i in range(2 * n)]
        assert drawn_us == [*range(1, 2 * n, 2), *range(0, 2 * n, 2)]

    def test_who_arrives_when_the_window_is_over_is_left_out(self, tmp_path: Path) -> None:
        columns: Columns = {"arrival_s": [0, 1.5, 2, 3], "cpu_us": [1, 2, 3, 4]}
        drawn = trace(replayed(tmp_path, columns, duration="2s"))
        assert drawn.arrival_s.tolist() == [0, 1.5]
        assert drawn.duration_s == 2.0

    def test_without_a_class_column_classes_are_drawn_by_weight(self, tmp_path: Path) -> None:
        columns: Columns = {"arrival_s": [k / 100 for k in range(900)]}
        one = request_class("one", {"cpu": "1ms"}, weight=2)
        two = request_class("two", {"cpu": "1ms"}, weight=1)
        made = replayed(tmp_path, columns, one, two)
        share = (trace(made).class_id == 0).mean()
        assert abs(share - 2 / 3) < 4.5 * np.sqrt(2 / 9 / 900)
        assert not is_deterministic(made)

    def test_only_arrivals_may_be_replayed_and_demands_drawn(self, tmp_path: Path) -> None:
        made = replayed(
            tmp_path, {"arrival_s": [0, 1]}, request_class("a", {"cpu": exponential("1ms")})
        )
        first, second = trace(made, 0), trace(made, 1)
        assert np.array_equal(first.arrival_s, second.arrival_s)
        assert first.demand_row(0) != second.demand_row(0)
        assert not is_deterministic(made)

    def test_all_replayed_is_the_same_in_every_replication(self, tmp_path: Path) -> None:
        made = replayed(tmp_path, {"arrival_s": [0, 1], "cpu_us": [1, 2]})
        assert is_deterministic(made)
        assert trace(made, 0).demand_row(1) == trace(made, 1).demand_row(1)

    def test_a_row_may_leave_blank_what_its_class_does_not_use(self, tmp_path: Path) -> None:
        text = "arrival_s,class,cpu_us\n0,get,5\n1,ping,\n"
        drawn = trace(replayed(tmp_path, text, CPU_US, request_class("ping", {"cpu": "1ms"})))
        assert [drawn.demand_row(i) for i in range(2)] == [[5e-6], [0.001]]

    def test_csv_as_spreadsheets_write_it(self, tmp_path: Path) -> None:
        """A byte order mark, spaces around names, quotes, blank lines, Windows line ends."""
        text = '\ufeffarrival_s, class ,cpu_us\r\n0,"get, all",5\r\n\r\n1,"get, all",6\r\n'
        step = request_class("get, all", {"cpu": {"column": "cpu_us"}})
        path = tmp_path / "log.csv"
        path.write_bytes(text.encode())
        made = scenario(step, arrivals={"kind": "trace", "file": "log.csv"}, base_dir=tmp_path)
        assert [trace(made).demand_row(i) for i in range(2)] == [[5e-6], [6e-6]]

    def test_a_file_that_changes_is_read_anew(self, tmp_path: Path) -> None:
        import os

        made = replayed(tmp_path, {"arrival_s": [0], "cpu_us": [1]})
        assert trace(made).demand_row(0) == [1e-6]
        replayed(tmp_path, {"arrival_s": [0], "cpu_us": [2]})
        os.utime(tmp_path / "log.csv", ns=(1, 1))
        assert trace(made).demand_row(0) == [2e-6]


class TestStats:
    def test_size_span_and_means(self, tmp_path: Path) -> None:
        text = "arrival_s,class,cpu_us,io_us\n2,get,10,\n4,get,30,\n5,ping,,\n12,get,99,\n"
        io = {"io": {"column": "io_us"}}
        ping = request_class("ping", {"cpu": "1ms"})
        never = request_class("never", io)
        found = trace_stats(replayed(tmp_path, text, CPU_US, ping, never))
        assert (found.rows, found.replayed, found.first_s, found.span_s) == (4, 3, 2.0, 10.0)
        assert found.mean_s == {"cpu_us": pytest.approx(20e-6), "io_us": None}

    def test_only_a_trace_has_them(self) -> None:
        with pytest.raises(TypeError, match="not a trace"):
            trace_stats(scenario())


class TestMissing:
    def test_a_missing_arrival_column_names_the_columns_there_are(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, {"arrivals": [0], "cpu_us": [1]}))
        assert 'workload.arrivals.file: log.csv has no column "arrival_s"' in text
        assert 'did you mean "arrivals"? its columns are arrivals, cpu_us' in text

    def test_a_missing_demand_column_is_a_problem_of_the_step(
        self, tmp_path: Path, kind: str
    ) -> None:
        """The step is what is misspelt, so the step is what is shown."""
        step = request_class("get", {"io": "1ms"}, {"cpu": {"column": "cpu1_us"}})
        text = refusal(replayed(tmp_path, {"arrival_s": [0], "cpu_us": [1]}, step, kind=kind))
        assert f'requests[0].steps[1].cpu: log.{kind} has no column "cpu1_us"' in text
        assert 'did you mean "cpu_us"?' in text

    def test_two_arrival_columns_are_ambiguous(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, {"arrival_s": [0], "arrival_us": [0], "cpu_us": [1]}))
        assert "several arrival columns: arrival_s, arrival_us" in text

    def test_the_line_of_the_scenario_is_shown(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "log.csv", {"arrival_s": [0]})
        lines = [
            "[scenario]",
            'name = "replay"',
            'duration = "1s"',
            "[host]",
            "cores = 1",
            "[workload.arrivals]",
            'kind = "trace"',
            'file = "log.csv"',
            "[[workload.requests]]",
            'name = "get"',
            'steps = [{ cpu = { column = "cpu_us" } }]',
            "[[schedulers]]",
            'kind = "event_loop"',
        ]
        path = tmp_path / "replay.toml"
        path.write_text("\n".join(lines))
        with pytest.raises(ScenarioError) as caught:
            draw(load_scenario(path), 0)
        problem = caught.value.problems[0]
        assert (problem.file, problem.line, problem.text) == (str(path), 11, lines[10])
        assert problem.column == lines[10].index("{ column") + 1

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        made = replayed(tmp_path, {"arrival_s": [0], "cpu_us": [1]})
        (tmp_path / "log.csv").unlink()
        assert "there is no file" in refusal(made)

    def test_parquet_without_pyarrow_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = replayed(tmp_path, {"arrival_s": [0], "cpu_us": [1]}, kind="parquet")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        text = refusal(made)
        assert "needs the package pyarrow" in text
        assert 'pip install "simsched[parquet]"' in text


class TestBadValues:
    @pytest.mark.parametrize(
        ("value", "found"),
        [("-3", "is -3"), ("nan", "is empty"), ("", "is empty"), ("inf", "is inf")],
    )
    @pytest.mark.parametrize("column", ["arrival_s", "cpu_us"])
    def test_what_is_no_duration_is_named_by_line(
        self, tmp_path: Path, column: str, value: str, found: str
    ) -> None:
        rows = {"arrival_s": ["0", "1"], "cpu_us": ["5", "6"]}
        rows[column][1] = value
        text = refusal(replayed(tmp_path, rows))
        assert f'line 3 of log.csv: "{column}" {found}' in text

    def test_what_is_no_number_is_named_by_line(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, {"arrival_s": [0, 1], "cpu_us": [5, "fast"]}))
        assert "line 3 of log.csv: \"cpu_us\" is 'fast', which is not a number" in text

    def test_the_line_is_the_files_line_whatever_is_blank_before(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, 'arrival_s,cpu_us,note\n\n0,5,"two\nlines"\n1,-1,x\n'))
        assert 'line 5 of log.csv: "cpu_us" is -1' in text

    def test_the_line_is_the_files_line_though_rows_are_sorted(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, {"arrival_s": [9, 1, 2], "cpu_us": [-1, 1, 1]}))
        assert "line 2 of log.csv" in text

    @pytest.mark.parametrize("kind", ["npz", "parquet"])
    def test_without_lines_it_is_named_by_row(self, tmp_path: Path, kind: str) -> None:
        text = refusal(
            replayed(tmp_path, {"arrival_s": [0, 1, 2], "cpu_us": [1, -2, -2]}, kind=kind)
        )
        assert f'row 2 of log.{kind}: "cpu_us" is -2 (and 1 more such rows)' in text

    def test_an_empty_cell_of_parquet_is_no_number(self, tmp_path: Path) -> None:
        text = refusal(
            replayed(tmp_path, {"arrival_s": [0, 1], "cpu_us": [1, None]}, kind="parquet")
        )
        assert 'row 2 of log.parquet: "cpu_us" is empty' in text

    def test_an_unknown_class_is_named_by_row(self, tmp_path: Path, kind: str) -> None:
        columns: Columns = {"arrival_s": [0, 1], "class": ["get", "gett"], "cpu_us": [1, 2]}
        text = refusal(replayed(tmp_path, columns, kind=kind))
        where = "line 3" if kind == "csv" else "row 2"
        assert f'{where} of log.{kind}: no request class is called "gett"' in text
        assert "the classes are get" in text

    @pytest.mark.parametrize("kind", ["npz", "parquet"])
    def test_a_column_of_text_is_no_column_of_numbers(self, tmp_path: Path, kind: str) -> None:
        text = refusal(replayed(tmp_path, {"arrival_s": [0], "cpu_us": ["1"]}, kind=kind))
        assert f'"cpu_us" of log.{kind} is not a column of numbers' in text

    def test_no_arrival_within_the_duration_says_when_the_first_is(self, tmp_path: Path) -> None:
        """A log with times of day must not give an empty run."""
        text = refusal(replayed(tmp_path, {"arrival_s": [1.7e9], "cpu_us": [1]}))
        assert "the first arrives at 1.7e+09 s" in text
        assert "subtract the start" in text


class TestBadFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the file is empty"),
            ("arrival_s,cpu_us\n", "has no rows"),
            ("arrival_s,cpu_us\n0,1\n1\n", "line 3 of log.csv has 1 fields, the header has 2"),
            ("arrival_s,cpu_us\n0,1,2\n", "line 2 of log.csv has 3 fields, the header has 2"),
            ("arrival_s,cpu_us,cpu_us\n0,1,2\n", 'two columns are called "cpu_us"'),
        ],
    )
    def test_csv(self, tmp_path: Path, text: str, message: str) -> None:
        assert message in refusal(replayed(tmp_path, text))

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, "arrival_s\n0\n", kind="json"))
        assert 'log.json is of no known kind: ".json"' in text
        assert ".csv, .npz, .parquet" in text

    def test_bytes_that_are_no_file_of_the_kind(self, tmp_path: Path, kind: str) -> None:
        made = replayed(tmp_path, {"arrival_s": [0], "cpu_us": [1]}, kind=kind)
        (tmp_path / f"log.{kind}").write_bytes(b"\xff\xfe\x00garbage")
        assert f"log.{kind} cannot be read" in refusal(made)

    def test_pickled_objects_are_never_loaded(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "log.npz", arrival_s=np.array([0, None]), cpu_us=np.array([1, 2]))
        made = scenario(CPU_US, arrivals={"kind": "trace", "file": "log.npz"}, base_dir=tmp_path)
        assert "cannot be read" in refusal(made)

    def test_npz_columns_of_different_lengths(self, tmp_path: Path) -> None:
        text = refusal(replayed(tmp_path, {"arrival_s": [0, 1], "cpu_us": [1]}, kind="npz"))
        assert "not of one length: arrival_s 2, cpu_us 1" in text

    def test_more_rows_than_a_run_can_hold(
        self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(table_files, "MAX_REQUESTS", 2)
        columns: Columns = {"arrival_s": [0, 1, 2], "cpu_us": [1, 1, 1]}
        assert "more than 2 rows" in refusal(replayed(tmp_path, columns, kind=kind))
