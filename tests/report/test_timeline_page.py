"""Gantt charts: each bar is a stay or slice of the timeline, and the page stays small and safe."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from kit import LOOP, offload, request, run, steps_of
from plotly.offline import get_plotlyjs

from simsched import Trace, load_scenario, trace
from simsched.observe.timeline import RequestSpan, Stay, Timeline, WorkerSlice
from simsched.observe.timeline_log import TimelineLog
from simsched.report.dashboard import CONTENT_SECURITY_POLICY, render_dashboard
from simsched.report.figure import Figure
from simsched.report.figures_timeline import timeline_figures
from simsched.report.style import BREAKDOWN
from simsched.report.timeline_arrows import EDGE, MAX_ARROWS
from simsched.report.timeline_page import render_page
from simsched.report.timeline_rows import MAX_BARS, MAX_ROWS, MAX_WORKERS, choose

from .result_documents import SCRIPT_NAME, example_document
from .test_dashboard import DATA_BUDGET_BYTES, Page

CONFIGS = Path(__file__).parents[2] / "configs"


@cache
def story() -> Trace:
    return trace(load_scenario(CONFIGS / "coroutine_story.toml"))


@cache
def heavy() -> Trace:
    """Hundreds of requests, and hundreds of threads of one of the schedulers."""
    return trace(load_scenario(CONFIGS / "io_heavy.toml"), limit=80_000)


def bars(figure: Figure) -> set[tuple[str, float, float, float]]:
    """Part, row, beginning and length of each bar."""
    return {
        (data["name"], row, round(base, 6), round(x, 6))
        for data in figure.data
        if data["type"] == "bar"
        for row, base, x in zip(data["y"], data["base"], data["x"], strict=True)
    }


def test_the_story_drawn_by_requests_and_by_threads() -> None:
    figures = dict(zip([t.scheduler for t in story().timelines], _pairs(story()), strict=True))
    requests, threads = figures["threads"]
    assert bars(requests) == {
        ("cpu", 0, 0.0, 1.0),
        ("waiting in the run queue", 0, 1.0, 3.0),
        ("cpu", 0, 4.0, 2.0),
        ("io", 0, 6.0, 4.0),
        ("cpu", 0, 10.0, 2.0),
        ("cpu", 1, 1.0, 3.0),
        ("io", 1, 4.0, 4.0),
        ("cpu", 1, 8.0, 2.0),
    }
    assert requests.layout["yaxis"]["ticktext"] == ["#0 page", "#1 page"]
    assert requests.layout["xaxis"]["title"]["text"] == "simulated time (ms)"
    assert requests.finding == (
        "#0 takes longest: 12.0 ms, 5.00 ms of it cpu. "
        "Of the time of these requests, 14% is waiting in line."
    )
    assert threads.layout["yaxis"]["ticktext"] == ["thread-1", "thread-2"]
    assert threads.finding == "2 threads; at most 1 of them computes for a request at once."
    loop = figures["asyncio"][1]
    assert bars(loop) == {("cpu", 0, t, d) for t, d in ((0, 3), (3, 3), (7, 2), (10, 2))}


def test_arrows_lead_from_thread_to_thread_and_stand_in_the_table() -> None:
    """The loop computes until 1 ms, a thread until 3 ms, the loop again until 4 ms."""
    figure = _calls(1)
    (arrows,) = (data for data in figure.data if data["type"] == "scatter")
    assert figure.layout["yaxis"]["ticktext"] == ["loop", "executor-1"]
    assert arrows["x"] == pytest.approx([1, 1, None, 3, 3, None])
    assert arrows["y"] == [0, 1 - EDGE, None, 1, EDGE, None]  # from within a bar to the edge of one
    assert arrows["marker"]["size"] == [0, 10, 0] * 2
    assert arrows["customdata"][0] == "#0 goes to executor<br>loop to executor-1<br>1 ms to 1 ms"
    assert [row for row in figure.table.rows if " to " in row[0]] == [
        ("loop to executor-1", "#0", "goes to executor", "-", "1 ms", "1 ms"),
        ("executor-1 to loop", "#0", "executor has returned", "-", "3 ms", "3 ms"),
    ]
    assert go.Figure({"data": figure.data, "layout": figure.layout}).data


def test_too_many_arrows_are_counted_and_not_drawn() -> None:
    figure = _calls(MAX_ARROWS // 2 + 1)
    assert all(data["type"] == "bar" for data in figure.data)
    assert f"({MAX_ARROWS + 2} times) is not drawn" in figure.table.remark


def _calls(number: int) -> Figure:
    """One request after the other: 1 ms on the loop, 2 ms in a thread, 1 ms on the loop."""
    call = [*steps_of("cpu 1ms"), offload("to_thread", "cpu 2ms"), *steps_of("cpu 1ms")]
    log = TimelineLog()
    run(LOOP, *(request(call, at=4.0 * i) for i in range(number)), watch=[log])
    ((_, threads),) = timeline_figures([log.close()])
    return threads


def _pairs(found: Trace) -> list[tuple[Figure, Figure]]:
    return timeline_figures(found.timelines)


@pytest.mark.parametrize("which", [story, heavy])
def test_charts_are_such_that_plotly_knows_and_share_one_axis(which: Any) -> None:
    ranges, margins = set(), set()
    for figure in (figure for pair in _pairs(which()) for figure in pair):
        assert go.Figure({"data": figure.data, "layout": figure.layout}).data
        ranges.add(tuple(figure.layout["xaxis"]["range"]))
        margins.add(figure.layout["margin"]["l"])
        drawn = [data for data in figure.data if data["type"] == "bar"]
        assert {data["marker"]["color"] for data in drawn} <= {
            style.colour for style in BREAKDOWN.values()
        }
        assert {data["width"] for data in drawn} == {0.8}
    assert len(ranges) == len(margins) == 1


def test_a_big_window_is_drawn_in_part_around_the_slowest_request() -> None:
    lines = heavy().timelines
    choice = choose(lines)
    latencies = {
        span.request: max(latency, 0.0)
        for line in lines
        for span in line.requests
        for latency in [span.latency_s(line.end_s)]
    }
    assert len(choice.requests) == MAX_ROWS < choice.of == len(latencies)
    worst = max(
        (span.latency_s(line.end_s), -span.request) for line in lines for span in line.requests
    )
    assert -worst[1] in choice.requests
    for requests, threads in _pairs(heavy()):
        assert len(requests.layout["yaxis"]["ticktext"]) == MAX_ROWS
        assert len(threads.layout["yaxis"]["ticktext"]) <= MAX_WORKERS
        for figure in (requests, threads):
            assert sum(len(data["x"]) for data in figure.data) <= MAX_BARS
            assert figure.table.rows
    assert "of which the 24 that are awake longest are drawn" in _pairs(heavy())[0][1].finding


def test_the_page_is_one_file_with_a_table_beneath_each_chart() -> None:
    html = render_page(heavy())
    page = Page(html)
    assert html.count(get_plotlyjs()) == 1
    assert len(html.encode()) - len(get_plotlyjs().encode()) < DATA_BUDGET_BYTES
    assert page.count("figure") == page.count("table") == 2 * len(heavy().timelines)
    assert page.count("link") == 0
    assert [a["content"] for _, a in page.tags if a.get("http-equiv")] == [CONTENT_SECURITY_POLICY]
    assert "This trace is cut at" in page.text
    assert "This trace is cut" not in Page(render_page(story())).text


def test_equal_traces_give_equal_pages() -> None:
    again = trace(load_scenario(CONFIGS / "coroutine_story.toml"))
    assert render_page(again) == render_page(story())


def test_names_cannot_become_elements_of_the_page() -> None:
    line = Timeline(
        SCRIPT_NAME,
        "event_loop",
        0.0,
        1.0,
        workers=[WorkerSlice(SCRIPT_NAME, "cpu", 0, 0, SCRIPT_NAME, 0.0, 1.0)],
        requests=[RequestSpan(0, SCRIPT_NAME, 0.0, 1.0, "completed", 1)],
        stays=[Stay(0, 0, "cpu", SCRIPT_NAME, 0, 0.0, 1.0)],
    )
    html = render_page(Trace(story().scenario, 0, (line,), (0.0, 1.0)))
    outside = html.replace(get_plotlyjs(), "")
    assert "<script>alert" not in outside
    assert "\\u003cscript\\u003ealert" not in outside  # plotly would read it as pseudo-HTML
    assert SCRIPT_NAME in Page(html).text


def test_a_dashboard_has_the_charts_where_there_are_timelines() -> None:
    bare = Page(render_dashboard(example_document()))
    full = Page(render_dashboard(example_document(), story().timelines))
    assert full.count("figure") == bare.count("figure") + 8
    assert "Timeline" not in bare.text
    assert "Timeline of the first replication" in full.text
    assert [a.get("href") for _, a in full.tags].count("#timeline") == 1


def test_nothing_to_draw_is_said() -> None:
    empty = Timeline("go", "goroutine", 0.0, 1.0)
    ((requests, threads),) = timeline_figures([empty])
    assert requests.finding == "No request was under way in this window."
    assert threads.finding == "No thread was awake in this window."
    assert go.Figure({"data": requests.data, "layout": requests.layout}).layout
