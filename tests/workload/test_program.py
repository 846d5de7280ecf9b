"""Steps become one flat row of operations; what is nested becomes ACQUIRE ... RELEASE."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from simsched.scenario import Constant, Exponential
from simsched.workload.program import (
    ACQUIRE,
    BLOCKING,
    CPU,
    IO,
    RELEASE,
    SLEEP,
    Op,
    Program,
    flatten,
)

from .scenarios import exponential, request_class, scenario


def program(*steps: Any, **more: Any) -> Program:
    made = scenario(request_class("get", *steps, **more), resources=["db", "cache"])
    return flatten(made.classes[0])


def test_the_codes_are_the_ones_engines_are_written_against() -> None:
    assert (CPU, IO, SLEEP, BLOCKING, ACQUIRE, RELEASE) == (0, 1, 2, 3, 4, 5)


def test_plain_steps_take_the_slots_of_the_demand_row_in_order() -> None:
    flat = program({"cpu": exponential("1ms")}, {"io": "20ms"}, {"sleep": "1s"})
    assert flat.ops == (
        Op(CPU, 0, name="cpu"),
        Op(IO, 1, name="io"),
        Op(SLEEP, 2, name="sleep"),
    )
    assert flat.demands == (
        Exponential(mean_s=0.001),
        Constant(value_s=0.02),
        Constant(value_s=1.0),
    )
    assert flat.slots == 3


def test_a_resource_is_acquired_before_its_steps_and_released_after() -> None:
    flat = program({"cpu": "1ms"}, {"use": "db", "steps": [{"io": "5ms"}, {"cpu": "1ms"}]})
    assert flat.ops == (
        Op(CPU, 0, name="cpu 1"),
        Op(ACQUIRE, -1, "db", "", "db"),
        Op(IO, 1, name="io"),
        Op(CPU, 2, name="cpu 2"),
        Op(RELEASE, -1, "db", "", "db"),
    )


def test_nested_holds_are_released_in_reverse() -> None:
    inner = {"lock": "row", "kind": "synchronized", "steps": [{"cpu": "1ms"}]}
    flat = program({"use": "db", "steps": [{"use": "cache", "steps": [inner]}]})
    assert [(op.code, op.arg, op.kind) for op in flat.ops] == [
        (ACQUIRE, "db", ""),
        (ACQUIRE, "cache", ""),
        (ACQUIRE, "lock:row", "synchronized"),
        (CPU, "", ""),
        (RELEASE, "lock:row", "synchronized"),
        (RELEASE, "cache", ""),
        (RELEASE, "db", ""),
    ]


def test_a_lock_and_a_resource_of_one_name_are_two_things() -> None:
    flat = program(
        {"use": "db", "steps": [{"cpu": "1ms"}]}, {"lock": "db", "steps": [{"cpu": "1ms"}]}
    )
    assert flat.wait_names == ("db", "lock:db")


def test_a_lock_let_go_is_acquired_anew() -> None:
    step = {"lock": "m", "steps": [{"cpu": "1ms"}]}
    flat = program(step, step)
    assert [op.code for op in flat.ops] == [ACQUIRE, CPU, RELEASE] * 2


def test_wait_names_are_in_the_order_of_the_first_acquisition_and_unique() -> None:
    db = {"use": "db", "steps": [{"io": "1ms"}]}
    lock = {"lock": "m", "steps": [{"cpu": "1ms"}]}
    assert program(lock, db, lock, db).wait_names == ("lock:m", "db")
    assert program({"cpu": "1ms"}).wait_names == ()


@pytest.mark.parametrize("kind", ["socket", "file", "synchronized", "native"])
def test_a_blocking_call_keeps_its_kind(kind: str) -> None:
    assert program({"blocking": "1ms", "kind": kind}).ops == (
        Op(BLOCKING, 0, "", kind, "blocking"),
    )


def test_a_step_keeps_the_name_it_was_given() -> None:
    """A given name does not count when the others are numbered."""
    flat = program(
        {"cpu": "1ms", "name": "parse"},
        {"use": "db", "name": "query", "steps": [{"cpu": "1ms"}]},
    )
    assert [op.name for op in flat.ops] == ["parse", "query", "cpu", "query"]


def test_the_rest_of_the_class_goes_with_the_program() -> None:
    flat = program(
        {"cpu": "1ms"},
        memory="64KiB",
        timeout="2s",
        weight=3,
        retries={"max": 2, "backoff": "10ms", "jitter": 0.5},
    )
    assert (flat.name, flat.memory_bytes, flat.timeout_s, flat.weight) == ("get", 65536, 2.0, 3.0)
    assert flat.retries is not None
    assert (flat.retries.max, flat.retries.backoff_s, flat.retries.jitter) == (2, 0.01, 0.5)


def test_a_program_cannot_be_changed() -> None:
    flat = program({"cpu": "1ms"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        flat.name = "other"  # type: ignore[misc]
    assert not hasattr(flat, "__dict__")
