"""configs/coroutine_story.toml, instant by instant: the table in its comment, as the trace has it.

All times are milliseconds. Request 0 arrives at 0 and request 1 at 1; each computes 3 ("parse"),
awaits 4 ("query") and computes 2 ("render"). There is one core.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from simsched import load_scenario, trace
from simsched.observe.timeline import Timeline

STORY = Path(__file__).parents[2] / "configs" / "coroutine_story.toml"


@cache
def story() -> dict[str, Timeline]:
    return {line.scheduler: line for line in trace(load_scenario(STORY)).timelines}


def ms(seconds: float) -> float:
    return round(seconds * 1e3, 9)


def cores(scheduler: str) -> list[tuple[str, float, float]]:
    return [(p.thread, ms(p.start_s), ms(p.end_s)) for p in story()[scheduler].cores]


def workers(scheduler: str, *names: str) -> list[tuple[str, str, int, str, float, float]]:
    return [
        (p.worker, p.state, p.request, p.step, ms(p.start_s), ms(p.end_s))
        for p in story()[scheduler].workers
        if p.worker in names
    ]


def stays(scheduler: str) -> list[tuple[int, str, str, float, float]]:
    return [
        (s.request, s.part, s.step, ms(s.start_s), ms(s.end_s)) for s in story()[scheduler].stays
    ]


def wakes(scheduler: str) -> list[tuple[int, str, float, str, float]]:
    return [
        (w.request, w.from_worker, ms(w.from_s), w.to_worker, ms(w.to_s))
        for w in story()[scheduler].wakes
    ]


def test_the_loop_turns_to_request_1_where_request_0_awaits() -> None:
    assert stays("asyncio") == [
        (0, "cpu", "parse", 0.0, 3.0),
        (1, "admission", "", 1.0, 3.0),  # the loop does not look before request 0 awaits
        (0, "io", "query", 3.0, 7.0),
        (1, "cpu", "parse", 3.0, 6.0),
        (1, "io", "query", 6.0, 10.0),
        (0, "cpu", "render", 7.0, 9.0),
        (1, "cpu", "render", 10.0, 12.0),
    ]
    assert workers("asyncio", "loop") == [
        ("loop", "cpu", 0, "parse", 0.0, 3.0),
        ("loop", "cpu", 1, "parse", 3.0, 6.0),
        ("loop", "asleep", -1, "", 6.0, 7.0),  # in its poll: both await
        ("loop", "cpu", 0, "render", 7.0, 9.0),
        ("loop", "asleep", -1, "", 9.0, 10.0),
        ("loop", "cpu", 1, "render", 10.0, 12.0),
    ]
    assert cores("asyncio") == [("loop", 0.0, 6.0), ("loop", 7.0, 9.0), ("loop", 10.0, 12.0)]


def test_a_thread_that_wakes_up_pushes_the_other_one_aside() -> None:
    assert stays("threads") == [
        (0, "cpu", "parse", 0.0, 1.0),
        (0, "run_queue", "parse", 1.0, 4.0),  # in the midst of its computing
        (1, "cpu", "parse", 1.0, 4.0),
        (0, "cpu", "parse", 4.0, 6.0),
        (1, "io", "query", 4.0, 8.0),
        (0, "io", "query", 6.0, 10.0),
        (1, "cpu", "render", 8.0, 10.0),
        (0, "cpu", "render", 10.0, 12.0),
    ]
    assert workers("threads", "thread-1") == [
        ("thread-1", "cpu", 0, "parse", 0.0, 1.0),
        ("thread-1", "run_queue", 0, "parse", 1.0, 4.0),
        ("thread-1", "cpu", 0, "parse", 4.0, 6.0),
        ("thread-1", "io", 0, "query", 6.0, 10.0),  # it waits with its request
        ("thread-1", "cpu", 0, "render", 10.0, 12.0),
    ]
    assert workers("threads", "thread-2") == [
        ("thread-2", "cpu", 1, "parse", 1.0, 4.0),
        ("thread-2", "io", 1, "query", 4.0, 8.0),
        ("thread-2", "cpu", 1, "render", 8.0, 10.0),
    ]
    assert cores("threads") == [
        ("thread-1", 0.0, 1.0),
        ("thread-2", 1.0, 4.0),
        ("thread-1", 4.0, 6.0),
        ("thread-2", 8.0, 10.0),
        ("thread-1", 10.0, 12.0),
    ]


@pytest.mark.parametrize(
    ("scheduler", "thread", "unseen"),
    # net/http has not accepted request 1 before a P polls the network; Java's acceptor is a thread.
    [("go", "M1", "admission"), ("virtual-threads", "carrier-1", "run_queue")],
)
def test_goroutines_and_virtual_threads_give_way_where_they_block(
    scheduler: str, thread: str, unseen: str
) -> None:
    assert stays(scheduler) == [
        (0, "cpu", "parse", 0.0, 3.0),
        (1, unseen, "", 1.0, 3.0),
        (0, "io", "query", 3.0, 7.0),
        (1, "cpu", "parse", 3.0, 6.0),
        (1, "io", "query", 6.0, 10.0),
        (0, "cpu", "render", 7.0, 9.0),
        (1, "cpu", "render", 10.0, 12.0),
    ]
    assert workers(scheduler, thread) == [
        (thread, "cpu", 0, "parse", 0.0, 3.0),
        (thread, "cpu", 1, "parse", 3.0, 6.0),
        (thread, "asleep", -1, "", 6.0, 7.0),
        (thread, "cpu", 0, "render", 7.0, 9.0),
        (thread, "asleep", -1, "", 9.0, 10.0),
        (thread, "cpu", 1, "render", 10.0, 12.0),
    ]
    assert cores(scheduler) == [(thread, 0.0, 6.0), (thread, 7.0, 9.0), (thread, 10.0, 12.0)]


@pytest.mark.parametrize(
    ("scheduler", "thread"), [("asyncio", "loop"), ("go", "M1"), ("virtual-threads", "carrier-1")]
)
def test_what_a_request_awaited_leads_from_where_it_stopped_to_where_it_goes_on(
    scheduler: str, thread: str
) -> None:
    assert wakes(scheduler) == [(0, thread, 3.0, thread, 7.0), (1, thread, 6.0, thread, 10.0)]


def test_nothing_leads_anywhere_where_the_thread_waits_itself() -> None:
    assert wakes("threads") == []


@pytest.mark.parametrize(
    ("scheduler", "done"),
    [
        ("asyncio", [(0, 7.0), (1, 10.0)]),
        ("threads", [(1, 8.0), (0, 10.0)]),
        ("go", [(0, 7.0), (1, 10.0)]),
        ("virtual-threads", [(0, 7.0), (1, 10.0)]),
    ],
)
def test_the_queries_take_four_milliseconds(scheduler: str, done: list[tuple[int, float]]) -> None:
    assert [(mark.request, ms(mark.time_s)) for mark in story()[scheduler].ready] == done


@pytest.mark.parametrize(
    ("scheduler", "ends"),
    [
        ("asyncio", {0: 9.0, 1: 12.0}),
        ("threads", {0: 12.0, 1: 10.0}),
        ("go", {0: 9.0, 1: 12.0}),
        ("virtual-threads", {0: 9.0, 1: 12.0}),
    ],
)
def test_when_each_request_is_done(scheduler: str, ends: dict[int, float]) -> None:
    spans = story()[scheduler].requests
    assert {span.request: ms(span.end_s or 0.0) for span in spans} == ends
    assert [(span.outcome, ms(span.start_s)) for span in spans] == [
        ("completed", 0.0),
        ("completed", 1.0),
    ]
    counts = [c for c in story()[scheduler].counts if c.name == "requests in the system"]
    first, last = sorted(ends.values())
    assert [(ms(c.time_s), c.value) for c in counts] == [(0.0, 1), (1.0, 2), (first, 1), (last, 0)]
