"""Who waits for whom, as a reader of the terminal, the page and the document sees it."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest
from kit import scenario_of, steps_of
from pydantic import ValidationError
from rich.cells import cell_len
from rich.console import Console

from simsched.report.blame import MOST_ROWS, blame_sentences, thing
from simsched.report.dashboard import figures, render_dashboard
from simsched.report.figures_blame import MOST_CULPRITS
from simsched.report.result_model import to_json, validate_result
from simsched.report.table import render_summary
from simsched.study.run import run

from .result_documents import SCRIPT_NAME, example_document

Json = dict[str, Any]


def row(victim: str, culprit: str | None, step: str | None, share: float, **more: Any) -> Json:
    """A row of blame; a whole share is 100 ms per request and 1000 s in all."""
    return {
        "cause": "loop",
        "victim": victim,
        "culprit": culprit,
        "step": step,
        "seconds": {"value": 0.1 * share, "ci95": [0.09 * share, 0.11 * share]},
        "share": {"value": share, "ci95": None},
        "total_s": 1000 * share,
        **more,
    }


ROWS = [
    row("search", "report", "render", 0.6),
    row("search", "search", "parse", 0.15),
    row("report", "report", "render", 0.1, cause="db"),
    row("report", None, None, 0.05),
    row("report", "search", "parse", 0.004),
]


def document(rows: list[Json] = ROWS, **more: Any) -> Json:
    """One scheduler with this blame."""
    doc = example_document()
    doc["schedulers"] = doc["schedulers"][:1]
    doc["schedulers"][0] |= {"blame": copy.deepcopy(rows), **more}
    return doc


def summary(doc: Json, width: int = 80) -> str:
    file = io.StringIO()
    render_summary(doc, Console(file=file, width=width))
    return file.getvalue()


def test_where_room_is_short_texts_break_between_words() -> None:
    rows = [row("search", "report", "render pages", 0.6, cause="gil")]
    doc = example_document()
    doc["schedulers"] = copy.deepcopy(doc["schedulers"][:2])
    for scheduler in doc["schedulers"]:
        scheduler |= {"blame": copy.deepcopy(rows), "name": f"free-threaded-{scheduler['name']}"}
    lines = blame_part(summary(doc, 80))
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[1:3]] == [
        ["free-threaded-", "search", "the", "interpreter", "report:", "60", "ms", "±6", "60.0%"],
        ["tomcat", "lock", "render", "pages"],
    ]


def blame_part(text: str) -> list[str]:
    """The lines of the table, without its title."""
    lines = text.splitlines()
    start = lines.index("Who waits for whom") + 1
    return lines[start : lines.index("", start)]


def test_the_table_names_victim_thing_culprit_and_share() -> None:
    lines = [" ".join(line.split()) for line in blame_part(summary(document()))]
    assert lines == [
        "who waits for taken by per request share",
        "search the loop report: render 60 ms ±6 60.0%",
        "search the loop search: parse 15.0 ms ±1.5 15.0%",
        "report db report: render 10.0 ms ±1.0 10.0%",
        "report the loop nobody (runtime) 5.0 ms ±0.5 5.00%",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits(width: int) -> None:
    long = [row("a very long class name, longer than most", "c" * 30, "s" * 30, 0.9)]
    assert all(cell_len(line) <= width for line in summary(document(long), width).splitlines())


def test_a_terminal_shows_the_worst_rows_only() -> None:
    many = [row("search", f"class{i}", "cpu", 0.5 - i / 100) for i in range(20)]
    assert len(blame_part(summary(document(many)))) == 1 + MOST_ROWS


def test_nothing_is_said_where_nobody_waits() -> None:
    text = summary(document([row("search", "report", "render", 0.002)]))
    assert "Who waits for whom" not in text
    assert "Who stalls whom" not in text


def test_a_sentence_says_who_is_most_to_blame() -> None:
    """Of all that search waits for, 0.6 of 0.75 is for report."""
    stall = {"seconds": 0.3, "culprit": "report", "step": "render", "step_s": 0.2}
    (found,) = blame_sentences(validate_result(document(longest_stall=stall)))
    assert found == (
        "tomcat",
        "80.0% of search's waiting is for the loop, taken by report in render; the longest stall "
        "of the loop took 300 ms, its longest step was report's render (200 ms)",
    )


def stall_text(seconds: float, step_s: float) -> str:
    stall = {"seconds": seconds, "culprit": "report", "step": "render", "step_s": step_s}
    ((_, text),) = blame_sentences(validate_result(document(longest_stall=stall)))
    return text.partition("; ")[2]


def test_a_short_stall_is_not_worth_a_word_nor_is_a_short_step_its_cause() -> None:
    assert stall_text(0.0009, 0.0009) == ""
    assert stall_text(0.02, 0.0003) == (
        "the longest stall of the loop took 20.0 ms, no step in it more than 300 us"
    )


def test_what_nobody_has_is_waited_for_for_a_reason() -> None:
    def reasons(gil_s: float = 0.0, **activity: float) -> str:
        doc = document([row("report", None, None, 0.5)], activity=activity)
        doc["schedulers"][0]["breakdown_s"]["gil"] = {"value": gil_s, "ci95": None}
        ((_, text),) = blame_sentences(validate_result(doc))
        return text.partition("that nobody has: ")[2]

    assert reasons() == "it is being woken up or the runtime is at work"
    assert reasons(gil_s=0.01) == (
        "it is being woken up, the runtime is at work, or its thread waits for the interpreter lock"
    )
    assert reasons(connections_opened=7.0) == (
        "it is being woken up, the runtime is at work, or a connection waits to be accepted"
    )


def test_a_connection_that_nobody_has_is_idle_or_not_to_be_had() -> None:
    doc = document([row("report", None, None, 0.5, cause="connections")])
    ((_, text),) = blame_sentences(validate_result(doc))
    assert text == (
        "100% of report's waiting is for a connection that nobody has: the accept queue is full, "
        "or connections idle that are kept alive"
    )


def test_a_sync_worker_is_called_a_worker() -> None:
    assert thing("threads", "sync_workers") == "a worker"
    assert thing("threads", "gthread") == "a thread"


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ("threads", "a thread"),
        ("Ps", "a P"),
        ("carriers", "a carrier"),
        ("core", "a core"),
        ("quota", "the CPU quota"),
        ("connections", "a connection"),
        ("gil", "the interpreter lock"),
        ("pool:anyio", "a thread of anyio"),
        ("pool:boundedElastic, others free", "its thread of boundedElastic (others free)"),
        ("lock:cache", "lock cache"),
        ("db", "db"),
        ("resource:core", "core"),
    ],
)
def test_what_is_waited_for_has_a_name(cause: str, text: str) -> None:
    assert thing(cause) == text


def test_a_quota_is_used_up_and_not_taken() -> None:
    ((_, sentence),) = blame_sentences(
        validate_result(document([row("search", "report", "render", 0.6, cause="quota")]))
    )
    assert sentence == (
        "100% of search's waiting is for the CPU quota, used up by report in render"
    )


def test_steps_that_pin_carriers_are_named_and_marked() -> None:
    pinning = {"culprit": "report", "step": "read"} | {
        "carriers": {"value": 3.0, "ci95": None},
        "share": {"value": 0.75, "ci95": None},
        "total_s": 90.0,
    }
    rows = [row("search", "report", "read", 0.6, cause="carriers")]
    doc = document(
        rows, pinned=[pinning, {**pinning, "step": "x", "share": {"value": 0.001, "ci95": None}}]
    )
    ((_, text),) = blame_sentences(validate_result(doc))
    assert text == (
        "100% of search's waiting is for a carrier, taken by report in read (pinned); carriers are "
        "pinned by report in read (75.0% of their time)"
    )
    assert "report: read (pinned)" in " ".join(summary(doc, 120).split())
    assert "report: read (pinned)" in render_dashboard(doc)


def test_a_p_that_stays_in_a_system_call_is_called_so() -> None:
    """Two replications in which 25 s each of the 200 s are waits after a hand-off."""
    kept = {"culprit": "report", "step": "read"} | {
        "carriers": {"value": 0.2, "ci95": None},
        "share": {"value": 0.05, "ci95": None},
        "total_s": 9.0,
    }
    doc = document(
        [row("search", "report", "read", 0.2, cause="Ps")],
        kind="goroutine", pinned=[kept], activity={"waited_after_handoff_s": 25.0},
    ) | {"replications": 2}  # fmt: skip
    ((_, text),) = blame_sentences(validate_result(doc))
    assert text == (
        "100% of search's waiting is for a P, taken by report in read (in a system call); Ps stay "
        "in system calls of report in read (5.00% of their time); 25.0% of the waiting for Ps is "
        "after a hand-off, which took one away in a system call"
    )


def test_the_page_has_a_bar_per_victim_and_a_segment_per_culprit() -> None:
    figure = figures(validate_result(document()))["blame"]
    assert figure.layout["yaxis"]["ticktext"] == ["search<br>tomcat", "report<br>tomcat"]
    assert {bar["name"]: bar["x"] for bar in figure.data} == {
        "report: render": [60.0, 10.0],
        "search: parse": [15.0, 0.0],
        "nobody (runtime)": [0.0, 5.0],
    }
    assert len(figure.table.rows) == 4


def test_many_culprits_are_summed_up() -> None:
    many = [row("search", f"class{i}", "cpu", 0.05) for i in range(15)]
    data = figures(validate_result(document(many)))["blame"].data
    assert len(data) == MOST_CULPRITS + 1
    assert data[-1]["name"] == "others"
    assert sum(bar["x"][0] for bar in data) == pytest.approx(75)


def test_names_on_the_page_are_text() -> None:
    page = render_dashboard(document([row(SCRIPT_NAME, SCRIPT_NAME, SCRIPT_NAME, 0.5)]))
    assert "<script>alert(1)" not in page


def test_a_page_without_blame_says_so() -> None:
    assert "Nobody waits for anybody" in render_dashboard(document([]))


def test_a_document_from_before_there_was_blame_is_still_read() -> None:
    result = validate_result(example_document())
    assert result.schedulers[0].blame == []
    assert "Who waits for whom" not in summary(example_document())


def test_a_row_that_says_less_is_refused() -> None:
    with pytest.raises(ValidationError, match="share"):
        validate_result(document([{k: v for k, v in ROWS[0].items() if k != "share"}]))


def test_a_run_tells_its_blame_in_the_document() -> None:
    """Of 50 requests a second on one loop, half take 1 ms and half freeze it for 20 ms."""
    classes = [
        {"name": "search", "steps": steps_of("cpu 1ms")},
        {"name": "report", "steps": [{"blocking": "20ms", "name": "render"}]},
    ]
    arrivals = {"kind": "poisson", "rate": "50/s"}
    loop = {"kind": "event_loop", "name": "asyncio"}
    scenario = scenario_of(classes, loop, arrivals=arrivals, duration="4s", replications=3)
    result = run(scenario)
    entry = result.schedulers["asyncio"]
    worst = entry["blame"][0]
    assert (worst["cause"], worst["culprit"], worst["step"]) == ("loop", "report", "render")
    assert worst["share"]["ci95"] is not None
    for victim in ("search", "report"):  # no class waits for more than all of its time
        shares = [r["share"]["value"] for r in entry["blame"] if r["victim"] == victim]
        assert 0 < sum(shares) < 1
    assert entry["longest_stall"]["culprit"] == "report"
    assert entry["longest_stall"]["step_s"] == pytest.approx(0.02)
    assert json.loads(to_json(result.document))["schedulers"][0]["blame"] == entry["blame"]
    assert run(scenario, jobs=2).to_json() == result.to_json()
