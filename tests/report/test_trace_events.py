"""The trace file obeys the Trace Event Format, so that viewers read it."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from simsched import Trace, load_scenario, trace
from simsched.report.trace_events import FIRST_WORKER, events_of, write_trace

Event = dict[str, Any]

CONFIGS = Path(__file__).parents[2] / "configs"
BRIEFLY = {
    "coroutine_story": (),
    "fan_out": ("scenario.duration=200ms", "scenario.warmup=0s"),
    "gil_convoy": ("scenario.duration=1s", "scenario.warmup=0s"),
    "db_pool": ("scenario.duration=200ms", "scenario.warmup=0s"),
    "sync_worker_killed": ("scenario.duration=8s", "scenario.warmup=0s"),
    "to_thread_against_limiter": ("scenario.duration=300ms", "scenario.warmup=0s"),
    "pinning": ("scenario.duration=300ms", "scenario.warmup=0s"),
}
FIELDS = {
    "M": {"ph", "pid", "tid", "ts", "name", "args"},
    "X": {"ph", "pid", "tid", "ts", "dur", "name", "cat"},
    "b": {"ph", "pid", "tid", "ts", "name", "cat", "id"},
    "e": {"ph", "pid", "tid", "ts", "name", "cat", "id"},
    "n": {"ph", "pid", "tid", "ts", "name", "cat", "id"},
    "C": {"ph", "pid", "tid", "ts", "name", "args"},
    "s": {"ph", "pid", "tid", "ts", "name", "cat", "id"},
    "f": {"ph", "pid", "tid", "ts", "name", "cat", "id", "bp"},
}
"""What each phase must have; "args" may come with all."""


@cache
def traced(name: str) -> Trace:
    return trace(load_scenario(CONFIGS / f"{name}.toml", BRIEFLY[name]), limit=60_000)


@cache
def written(name: str) -> bytes:
    file = io.BytesIO()
    write_trace(file, traced(name).timelines, traced(name).about())
    return file.getvalue()


def events(name: str, *phases: str) -> list[Event]:
    found: list[Event] = json.loads(written(name))["traceEvents"]
    return [event for event in found if not phases or event["ph"] in phases]


@pytest.mark.parametrize("name", BRIEFLY)
class TestTheFile:
    def test_every_event_has_what_its_phase_needs(self, name: str) -> None:
        found = events(name)
        assert {event["ph"] for event in found} <= set(FIELDS)
        for event in found:
            assert set(event) - {"args"} == FIELDS[event["ph"]] - {"args"}
            assert "args" in event or "args" not in FIELDS[event["ph"]]
            assert event["name"]
            assert isinstance(event["pid"], int)
            assert isinstance(event["tid"], int)

    def test_time_never_goes_back_and_is_told_to_the_nanosecond(self, name: str) -> None:
        times = [event["ts"] for event in events(name)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert all(round(ts * 1000) == pytest.approx(ts * 1000, abs=1e-6) for ts in times)

    def test_complete_events_have_a_length_and_do_not_overlap_on_a_track(self, name: str) -> None:
        free: dict[tuple[int, int], int] = defaultdict(int)
        for event in events(name, "X"):
            key = event["pid"], event["tid"]
            start, dur = round(event["ts"] * 1000), round(event["dur"] * 1000)
            assert dur > 0
            assert start >= free[key]
            free[key] = start + dur

    def test_async_events_nest_and_end_by_id(self, name: str) -> None:
        stacks: dict[str, list[str]] = defaultdict(list)
        deepest = 0
        for event in events(name, "b", "e", "n"):
            stack = stacks[event["id"]]
            if event["ph"] == "b":
                stack.append(event["name"])
                deepest = max(deepest, len(stack))
            elif event["ph"] == "e":
                assert stack.pop() == event["name"]
        assert not any(stacks.values())
        assert deepest == 3  # request, step, part

    def test_there_is_one_id_per_request_or_branch_of_a_scheduler(self, name: str) -> None:
        owners: dict[str, tuple[int, int, int]] = {}
        for event in events(name, "b"):
            args = event.get("args")
            if args:
                key = event["pid"], args["request"], args.get("branch", 0)
                assert event["id"] not in owners
                owners[event["id"]] = key
        assert len(set(owners.values())) == len(owners)
        requests = {
            (i, s.request, 0) for i, t in enumerate(traced(name).timelines, 1) for s in t.requests
        }
        assert {key for key in owners.values() if not key[2]} == requests

    def test_a_flow_begins_once_and_ends_once_inside_slices(self, name: str) -> None:
        slices: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        for event in events(name, "X"):
            span = (event["ts"], event["ts"] + event["dur"])
            slices[event["pid"], event["tid"]].append(span)
        open_flows: dict[str, Event] = {}
        ended = set()
        for event in events(name, "s", "f"):
            spans = slices[event["pid"], event["tid"]]
            assert any(start <= event["ts"] < end for start, end in spans)
            if event["ph"] == "s":
                assert event["id"] not in open_flows
                open_flows[event["id"]] = event
            else:
                assert event["bp"] == "e"
                begun = open_flows[event["id"]]
                assert (begun["cat"], begun["name"]) == (event["cat"], event["name"])
                assert event["id"] not in ended
                ended.add(event["id"])
        assert ended == set(open_flows)

    def test_counters_are_whole_numbers_from_0(self, name: str) -> None:
        found = events(name, "C")
        assert found
        assert all(isinstance(event["args"]["n"], int) for event in found)
        assert min(event["args"]["n"] for event in found) >= 0

    def test_every_process_and_track_has_a_name(self, name: str) -> None:
        named = {
            (event["pid"], event["tid"]): event["args"]["name"]
            for event in events(name, "M")
            if event["name"] == "thread_name"
        }
        used = {(event["pid"], event["tid"]) for event in events(name, "X")}
        assert used == set(named)
        processes = [e["args"]["name"] for e in events(name, "M") if e["name"] == "process_name"]
        lines = traced(name).timelines
        assert processes == [f"{line.scheduler} ({line.kind})" for line in lines]
        cores = {text for (_, tid), text in named.items() if tid < FIRST_WORKER}
        assert cores <= {f"core {i}" for i in range(traced(name).scenario.host.cores)}

    def test_the_same_scenario_gives_the_same_bytes(self, name: str) -> None:
        again = trace(load_scenario(CONFIGS / f"{name}.toml", BRIEFLY[name]), limit=60_000)
        file = io.BytesIO()
        write_trace(file, again.timelines, again.about())
        assert file.getvalue() == written(name)

    def test_it_keeps_to_its_limit(self, name: str) -> None:
        under_way = sum(s.end_s is None for t in traced(name).timelines for s in t.requests)
        assert len(events(name, "X", "b", "e", "n", "C", "s", "f")) <= 60_000 + 6 * under_way


def test_the_kinds_of_arrows_are_those_that_the_model_knows() -> None:
    assert {event["cat"] for event in events("db_pool", "s")} == {"io", "permit"}
    assert {event["cat"] for event in events("fan_out", "s")} == {"io", "join"}
    assert {event["cat"] for event in events("to_thread_against_limiter", "s")} == {
        "move",
        "return",
    }


def test_arrows_are_called_by_what_leads_on() -> None:
    assert {event["name"] for event in events("coroutine_story", "s")} == {"query is done"}
    assert "last branch of backends" in {event["name"] for event in events("fan_out", "s")}
    assert {event["name"] for event in events("to_thread_against_limiter", "s")} == {
        "goes to anyio",
        "anyio has returned",
        "goes to executor",
        "executor has returned",
    }


def test_a_call_leaves_the_loop_where_it_stops_and_comes_back_where_it_goes_on() -> None:
    """Of each flow: from a slice of the loop to one of a thread, or the other way round."""
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events("to_thread_against_limiter", "M")
        if event["name"] == "thread_name"
    }
    ends: dict[str, list[str]] = defaultdict(list)
    for event in events("to_thread_against_limiter", "s", "f"):
        ends[event["id"]].append(names[event["pid"], event["tid"]].split("-")[0])
        ends[event["id"]].append(event["cat"])
    assert {tuple(end) for end in ends.values()} == {
        ("loop", "move", "executor", "move"),
        ("loop", "move", "anyio", "move"),
        ("executor", "return", "loop", "return"),
        ("anyio", "return", "loop", "return"),
    }


def test_the_story_is_in_microseconds() -> None:
    loop = [e for e in events("coroutine_story", "X") if e["pid"] == 1 and e["tid"] >= FIRST_WORKER]
    assert [(e["name"], e["ts"], e["dur"]) for e in loop] == [
        ("#0 parse", 0, 3000),
        ("#1 parse", 3000, 3000),
        ("asleep", 6000, 1000),
        ("#0 render", 7000, 2000),
        ("asleep", 9000, 1000),
        ("#1 render", 10000, 2000),
    ]
    first = [e for e in events("coroutine_story", "b", "e") if e["pid"] == 1]
    mine = [e for e in first if e["id"] == first[0]["id"]]
    assert [(e["ph"], e["name"], e["ts"]) for e in mine] == [
        ("b", "#0 page", 0),
        ("b", "parse", 0),
        ("b", "cpu", 0),
        ("e", "cpu", 3000),
        ("e", "parse", 3000),
        ("b", "query", 3000),
        ("b", "io", 3000),
        ("e", "io", 7000),
        ("e", "query", 7000),
        ("b", "render", 7000),
        ("b", "cpu", 7000),
        ("e", "cpu", 9000),
        ("e", "render", 9000),
        ("e", "#0 page", 9000),
    ]


def test_the_gil_is_waited_for_by_name() -> None:
    assert "waits for the GIL" in {e["name"] for e in events("gil_convoy", "X")} or any(
        e["cat"] == "gil" for e in events("gil_convoy", "X")
    )


def test_a_cut_trace_says_so() -> None:
    found = trace(load_scenario(CONFIGS / "io_heavy.toml"), limit=2_000)
    about = found.about()
    assert about["cut"] is True
    assert about["to_s"] == found.end_s
    assert f"cut at {found.end_s:.9g} s" in about["completeness"]
    assert events_of(found.timelines)[-1]["ts"] <= found.end_s * 1e6 + 1e-3
