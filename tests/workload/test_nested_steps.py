"""Offloads, branches and repeats as programs: what is unrolled, what is kept, and the demands."""

from __future__ import annotations

import pytest

from simsched.scenario import ScenarioError
from simsched.workload import draw, flatten
from simsched.workload.program import FORK, OFFLOAD, OP_NAMES, RETURN, Op, inline, without_offload

from .scenarios import exponential, request_class, scenario

NESTED = request_class(
    "nested",
    {"cpu": "1ms"},
    {
        "parallel": [
            [{"io": "5ms"}, {"offload": "getaddrinfo", "steps": [{"blocking": "2ms"}]}],
            [{"use": "db", "steps": [{"cpu": "4ms", "releases_gil": True}]}],
        ]
    },
    {"offload": "to_thread", "name": "resize", "steps": [{"repeat": 2, "steps": [{"cpu": "3ms"}]}]},
)


def shape(ops: tuple[Op, ...]) -> list[object]:
    """Names and columns of the operations; branches as lists."""
    return [
        [shape(branch) for branch in op.branches]
        if op.code == FORK
        else OP_NAMES[op.code] + (f" {op.slot}" if op.slot >= 0 else "")
        for op in ops
    ]


def program_ops(step: dict[str, object]) -> tuple[Op, ...]:
    return flatten(scenario(step, resources=["db"]).classes[0]).ops


def test_repeats_are_written_out_and_branches_keep_their_shape() -> None:
    assert shape(program_ops(NESTED)) == [
        "cpu 0",
        [["io 1", "offload", "blocking 2", "return"], ["acquire", "cpu 3", "release"]],
        "offload",
        "cpu 4",
        "cpu 5",
        "return",
    ]


def test_a_plain_thread_runs_branches_in_turn_and_offloads_nothing() -> None:
    assert shape(inline(program_ops(NESTED))) == [
        "cpu 0", "io 1", "blocking 2", "acquire", "cpu 3", "release", "cpu 4", "cpu 5",
    ]  # fmt: skip


def test_a_runtime_without_a_loop_keeps_the_branches() -> None:
    assert shape(without_offload(program_ops(NESTED))) == [
        "cpu 0",
        [["io 1", "blocking 2"], ["acquire", "cpu 3", "release"]],
        "cpu 4",
        "cpu 5",
    ]


def test_what_an_offload_is_called_and_where_it_goes() -> None:
    named = {op.code: (op.arg, op.name) for op in program_ops(NESTED) if op.code >= OFFLOAD}
    assert named[OFFLOAD] == named[RETURN] == ("to_thread", "resize")
    assert named[FORK] == ("", "parallel")


def test_code_without_the_interpreter_lock_is_native() -> None:
    kinds = {op.slot: op.kind for op in inline(program_ops(NESTED)) if op.slot >= 0}
    assert kinds == {0: "", 1: "", 2: "socket", 3: "native", 4: "", 5: ""}


def test_a_step_has_one_name_however_often_it_is_repeated() -> None:
    ops = program_ops(
        request_class(
            "r",
            {"cpu": "1ms"},
            {"repeat": 2, "steps": [{"cpu": "2ms"}, {"io": "1ms"}]},
            {"cpu": "3ms"},
        )
    )
    assert [op.name for op in ops] == ["cpu 1", "cpu 2", "io", "cpu 2", "io", "cpu 3"]


def test_what_branches_wait_for_is_known_of_the_program() -> None:
    assert flatten(scenario(NESTED, resources=["db"]).classes[0]).wait_names == ("db",)


def test_every_round_draws_demands_of_its_own() -> None:
    repeated = request_class("r", {"repeat": 3, "steps": [{"cpu": exponential("1ms")}]})
    rows = [row for _, _, row in draw(scenario(repeated), 0).requests()]  # type: ignore[union-attr]
    assert len(rows[0]) == 3
    assert len({demand for row in rows for demand in row}) == 3 * len(rows)


def test_offered_time_counts_the_longest_branch_and_offered_cpu_all_of_them() -> None:
    made = scenario(
        NESTED, arrivals={"kind": "constant", "rate": "2/s"}, duration="1s", resources=["db"]
    )
    offered = draw(made, 0).offered()
    n = offered["requests"]
    assert offered["cpu_s"] == pytest.approx(n * (0.001 + 0.004 + 2 * 0.003))
    assert offered["busy_s"] == pytest.approx(n * (0.001 + (0.005 + 0.002) + 2 * 0.003))
    assert offered["resources"] == {"db": pytest.approx(n * 0.004)}


def test_what_is_held_around_branches_is_held_for_the_longest() -> None:
    held = request_class(
        "h", {"use": "db", "steps": [{"parallel": [[{"io": "1ms"}], [{"io": "3ms"}]]}]}
    )
    offered = draw(scenario(held, resources=["db"]), 0).offered()
    assert offered["resources"]["db"] == pytest.approx(offered["requests"] * 0.003)


def test_more_demands_than_memory_holds_are_refused() -> None:
    long = request_class("r", {"repeat": 10_000, "steps": [{"cpu": "1us"}] * 9})
    made = scenario(long, arrivals={"kind": "constant", "rate": "1000/s"}, duration="10s")
    with pytest.raises(ScenarioError, match="repeat less often"):
        draw(made, 0)
