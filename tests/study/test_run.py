"""A run: the same requests for every scheduler, and a document that depends on nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from simsched import RunResult, load_scenario, run
from simsched.report.result_model import validate_result
from simsched.study import units
from simsched.study.offered import offered
from simsched.workload import draw

from .small import TEXT, Backwards, names, small

UNITS = 4  # two schedulers, two replications


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(small(), keep_records=True)


def test_the_document_is_of_the_published_form(result: RunResult) -> None:
    validate_result(result.document)
    assert json.loads(result.to_json()) == result.document


def test_schedulers_come_in_the_order_of_the_scenario(result: RunResult) -> None:
    assert names(result.document["schedulers"]) == ["tomcat", "asyncio"]
    assert list(result.schedulers) == ["tomcat", "asyncio"]


def test_every_scheduler_gets_the_same_requests_and_every_replication_others(
    result: RunResult,
) -> None:
    assert result.records is not None
    tomcat, asyncio = result.records["tomcat"], result.records["asyncio"]
    assert len(tomcat) == len(asyncio) == 2
    for mine, theirs in zip(tomcat, asyncio, strict=True):
        np.testing.assert_array_equal(mine.arrival_s, theirs.arrival_s)
        np.testing.assert_array_equal(mine.class_id, theirs.class_id)
    assert not np.array_equal(tomcat[0].arrival_s[:5], tomcat[1].arrival_s[:5])


def test_records_are_kept_only_when_asked_for(result: RunResult) -> None:
    again = run(small())
    assert again.records is None
    assert again.to_json() == result.to_json()


def test_worker_processes_change_no_byte(result: RunResult) -> None:
    assert run(small(), jobs=2).to_json() == result.to_json()


def test_another_executor_changes_no_byte(result: RunResult) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert run(small(), executor=pool).to_json() == result.to_json()


def test_the_order_of_the_work_changes_no_byte(result: RunResult) -> None:
    assert run(small(), executor=Backwards(UNITS)).to_json() == result.to_json()


def test_checkers_change_no_byte(result: RunResult) -> None:
    assert run(small(), check=True).to_json() == result.to_json()


def test_another_seed_gives_other_numbers(result: RunResult) -> None:
    other = run(small("scenario.seed=2"))
    assert other.document["seed"] == 2
    mean = "latency_mean_s"
    one, two = (r.schedulers["tomcat"]["per_replication"][mean] for r in (result, other))
    assert not set(one) & set(two)


def test_a_trace_is_drawn_once_per_replication_and_then_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[int] = []

    def counting(scenario: object, replication: int) -> object:
        drawn.append(replication)
        return draw(scenario, replication)  # type: ignore[arg-type]

    monkeypatch.setattr(units, "draw", counting)
    run(small())
    assert drawn == [0, 1]
    assert units._cache.trace is None


def test_progress_tells_each_simulation() -> None:
    told: list[tuple[int, int, str]] = []
    run(small(), progress=lambda *report: told.append(report))
    assert told == [
        (0, 4, ""),
        (1, 4, "tomcat, replication 1 of 2"),
        (2, 4, "asyncio, replication 1 of 2"),
        (3, 4, "tomcat, replication 2 of 2"),
        (4, 4, "asyncio, replication 2 of 2"),
    ]


FIXED = ("workload.arrivals.kind=constant", "workload.requests.0.steps=[{ cpu = '2ms' }]")


def test_copies_of_one_run_are_not_passed_off_as_replications() -> None:
    result = run(small("scenario.replications=7", *FIXED))
    assert result.document["replications"] == 1
    entry = result.schedulers["tomcat"]
    assert "1 was run instead of 7" in entry["warnings"][0]
    assert entry["latency_s"]["mean"]["ci95"] is None


def test_one_replication_that_was_asked_for_needs_no_explanation() -> None:
    warnings = run(small("scenario.replications=1", *FIXED)).schedulers["tomcat"]["warnings"]
    assert not any("instead of" in text for text in warnings)


@pytest.mark.parametrize("jobs", [0, -1, 1_000_000, "many", 1.5])
def test_a_senseless_number_of_jobs_is_refused(jobs: object) -> None:
    with pytest.raises(ValueError, match="jobs must be"):
        run(small(), jobs=jobs)  # type: ignore[arg-type]


def test_the_hash_tells_experiments_apart_and_knows_them_again(
    result: RunResult, tmp_path: Path
) -> None:
    saved = tmp_path / "config.toml"
    saved.write_text(small().to_toml())
    again = run(load_scenario(saved))
    scenario = again.document["scenario"]
    assert scenario["hash"] == result.document["scenario"]["hash"]
    assert again.document["schedulers"] == result.document["schedulers"]
    assert scenario["source"] == saved.as_posix()
    other = run(small("host.cores=3")).document["scenario"]
    assert other["hash"] != scenario["hash"]


def test_the_command_is_noted_as_given() -> None:
    command = ["simsched", "run", "a.toml"]
    document = run(small("scenario.replications=1"), command=command).document
    assert document["command"] == command


def test_the_offered_load_of_a_trace_counts_its_classes(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "arrival_s,class,cpu_ms\n0.1,a,1\n0.2,a,1\n0.3,a,1\n0.4,b,5\n9.0,b,5\n"
    )
    text = TEXT.replace('kind = "poisson"\nrate = "100/s"', 'kind = "trace"\nfile = "log.csv"')
    head, _, tail = text.partition("[[workload.requests]]")
    classes = "".join(
        f'[[workload.requests]]\nname = "{name}"\nsteps = [{{ cpu = {{ column = "cpu_ms" }} }}]\n'
        for name in "ab"
    )
    path = tmp_path / "trace.toml"
    path.write_text(head + classes + tail[tail.index("[[schedulers]]") :])
    load = offered(load_scenario(path))
    assert load.rate_rps == 4.0  # the fifth arrives after the duration of 1 s
    assert [load.classes[name].share for name in "ab"] == [0.75, 0.25]
    assert load.cpu_cores == pytest.approx((3 * 0.001 + 0.005) / 1.0)
