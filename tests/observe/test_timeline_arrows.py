"""Arrows of a timeline, worked out by hand: what led from one thread's work to another's.

There are two cores and nothing costs anything, so that all times (milliseconds) are those of the
steps.
"""

from __future__ import annotations

from typing import Any

import pytest
from kit import FUTURES, GO, LOOP, REACTOR, VIRTUAL, ms, offload, parallel, request, run, steps_of

from simsched.observe.timeline_log import TimelineLog

Arrow = tuple[str, str, str, float, str, float]


def arrows(spec: dict[str, Any], *steps: dict[str, Any] | str) -> list[Arrow]:
    """Kind, what, from which thread and when, to which thread and when; of one request."""
    body = [
        step for part in steps for step in (steps_of(part) if isinstance(part, str) else [part])
    ]
    log = TimelineLog()
    run(spec, request(body), cores=2, watch=[log])
    return [
        (w.kind, w.what, w.from_worker, ms(w.from_s), w.to_worker, ms(w.to_s))
        for w in log.close().wakes
    ]


@pytest.mark.parametrize(
    ("spec", "api", "executor"),
    [
        (LOOP, "to_thread", "executor"),
        (LOOP, "run_in_threadpool", "anyio"),
        ({**LOOP, "loop": "libuv"}, "to_thread", "libuv"),
    ],
)
def test_a_call_leads_to_a_thread_of_the_executor_and_back_to_the_loop(
    spec: dict[str, Any], api: str, executor: str
) -> None:
    """The loop computes until 1; the thread waits for a file until 3 and computes until 4."""
    call = offload(api, "blocking file 2ms, cpu 1ms")
    assert arrows(spec, "cpu 1ms", call, "cpu 1ms") == [
        ("move", executor, "loop", 1.0, f"{executor}-1", 1.0),
        ("return", executor, f"{executor}-1", 4.0, "loop", 4.0),
    ]


def test_a_loop_that_is_busy_lets_the_return_wait() -> None:
    """The branch that computes has the loop from 1 to 4; the file has been read at 2."""
    node = {**LOOP, "loop": "libuv"}
    reads = [offload("to_thread", "blocking file 1ms"), *steps_of("cpu 1ms")]
    assert arrows(node, "cpu 1ms", parallel(reads, "cpu 3ms"), "cpu 1ms") == [
        ("return", "libuv", "libuv-1", 2.0, "loop", 4.0),
        ("join", "parallel", "loop", 5.0, "loop", 5.0),
    ]


def test_publish_on_moves_what_comes_after_a_call_to_a_thread_of_parallel() -> None:
    call = offload("to_thread", "blocking file 2ms")
    to_elastic = ("move", "boundedElastic", "loop-1", 1.0, "boundedElastic-1", 1.0)
    assert arrows(REACTOR, "cpu 1ms", call, "cpu 1ms") == [to_elastic]  # goes on where it is
    assert arrows({**REACTOR, "publishOn": "parallel"}, "cpu 1ms", call, "cpu 1ms") == [
        to_elastic,
        ("move", "parallel", "boundedElastic-1", 3.0, "parallel-1", 3.0),
    ]


def test_a_pipeline_comes_back_from_a_call_to_its_loop() -> None:
    """At 3 the thread is done, and the response costs the loop something."""
    spec = {**REACTOR, "event": "1ms"}
    call = offload("to_thread", "blocking file 2ms")
    assert arrows(spec, call)[-1] == (
        "return",
        "boundedElastic",
        "boundedElastic-1",
        3.0,
        "loop-1",
        3.0,
    )


@pytest.mark.parametrize(
    ("spec", "last", "at", "resumed"),
    [
        (LOOP, "loop", 6.0, "loop"),  # one branch after the other
        (REACTOR, "loop-1", 6.0, "loop-1"),
        (GO, "M1", 4.0, "M1"),  # whoever runs the last one goes on with its parent
        (VIRTUAL, "carrier-1", 4.0, "carrier-2"),
        ({**FUTURES, "parallelism": 2}, "worker-2", 4.0, "worker-1"),  # which sleeps in join()
        ({**FUTURES, "parallelism": 2, "allOf": "then"}, "worker-1", 4.0, "worker-2"),
    ],
)
def test_the_last_branch_leads_to_where_the_request_goes_on(
    spec: dict[str, Any], last: str, at: float, resumed: str
) -> None:
    """Computes until 1, then 2 and 3 in two branches."""
    assert arrows(spec, "cpu 1ms", parallel("cpu 2ms", "cpu 3ms"), "cpu 1ms") == [
        ("join", "parallel", last, at, resumed, at)
    ]


def test_an_arrow_ends_where_a_thread_blocks_with_the_request() -> None:
    """Until 4 branches compute; then the goroutine waits in a system call before it computes."""
    body = (parallel("cpu 2ms", "cpu 4ms"), "blocking file 2ms, cpu 1ms")
    assert arrows(GO, *body) == [("join", "parallel", "M1", 4.0, "M1", 4.0)]


def test_no_arrow_leads_to_a_request_that_computes_no_more() -> None:
    assert arrows(LOOP, "cpu 1ms", offload("to_thread", "cpu 1ms"), "io 1ms") == [
        ("move", "executor", "loop", 1.0, "executor-1", 1.0)
    ]
