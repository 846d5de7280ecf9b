"""Offloads, branches and repeats as TOML, and how they may deadlock."""

from __future__ import annotations

import pytest

from simsched.scenario import loads_scenario

from .texts import changed, only_problem, problems, underlined, with_step


class TestSteps:
    @pytest.mark.parametrize(
        ("step", "under", "message"),
        [
            (
                '{ offload = "to_thrad", steps = [{ cpu = "1ms" }] }',
                '"to_thrad"',
                'expected one of "to_thread", "run_in_threadpool", "getaddrinfo"',
            ),
            ('{ offload = "to_thread" }', "{", 'missing key "steps"'),
            ('{ offload = "to_thread", steps = [] }', "[]", "at least one entry"),
            ('{ parallel = [[{ cpu = "1ms" }]] }', "[[", "expected 2 to 64 branches, got 1"),
            ('{ parallel = [[{ cpu = "1ms" }], []] }', "[]", "at least one entry"),
            ('{ parallel = [[{ cpu = "1ms" }], [{ coffee = "1ms" }]] }', "{ c", "does nothing"),
            ('{ parallel = [{ cpu = "1ms" }, { cpu = "1ms" }] }', "{", "expected an array"),
            ('{ repeat = 0, steps = [{ cpu = "1ms" }] }', "0", "an integer >= 1 and <= 10000"),
            ('{ repeat = 10_001, steps = [{ cpu = "1ms" }] }', "10_001", "an integer >= 1"),
            ('{ cpu = "1ms", releases_gil = 1 }', "1", "expected true or false"),
        ],
    )
    def test_a_bad_step_is_pointed_at(self, step: str, under: str, message: str) -> None:
        problem = problems(with_step(step))[0]
        assert message in problem.message
        assert underlined(problem).startswith(under)

    def test_branches_are_at_most_64(self) -> None:
        text = with_step("{ parallel = [" + '[{ cpu = "1ms" }], ' * 65 + "] }")
        assert only_problem(text).message.endswith("expected 2 to 64 branches, got 65")

    @pytest.mark.parametrize(
        "between",
        [
            "{}",
            "{{ repeat = 2, steps = [{}] }}",
            '{{ use = "db", steps = [{}] }}',
            '{{ parallel = [[{{ cpu = "1ms" }}], [{}]] }}',
        ],
    )
    def test_an_offload_inside_an_offload_is_refused(self, between: str) -> None:
        inner = '{ offload = "getaddrinfo", steps = [{ io = "1ms" }] }'
        text = with_step(f'{{ offload = "to_thread", steps = [{between.format(inner)}] }}')
        problem = only_problem(text)
        assert '"getaddrinfo" inside "to_thread"' in problem.message
        assert underlined(problem) == '"getaddrinfo"'
        assert problem.hint

    def test_two_offloads_after_one_another_are_fine(self) -> None:
        step = '{ offload = "to_thread", steps = [{ io = "1ms" }] }'
        loads_scenario(with_step(f"{step}, {step}"))

    def test_repeats_that_make_too_many_operations_are_pointed_at(self) -> None:
        inner = '{ repeat = 1000, steps = [{ cpu = "1us" }] }'
        problem = only_problem(with_step(f"{{ repeat = 101, steps = [{inner}] }}"))
        # 101 x 1000 in the repeats, and render, use, io and release beside them.
        assert "101,004 operations, more than 100,000" in problem.message
        assert underlined(problem) == "101"

    def test_a_column_in_a_branch_needs_a_trace(self) -> None:
        step = '{ parallel = [[{ cpu = "1ms" }], [{ io = { column = "x" } }]] }'
        problem = only_problem(with_step(step))
        assert 'column "x" needs a trace' in problem.message
        assert underlined(problem) == '{ column = "x" }'


class TestDeadlocks:
    ONE = "capacity = 1"

    def one_connection(self, step: str) -> str:
        return changed("capacity = 20", self.ONE, with_step(step))

    def test_two_branches_may_use_the_same_thing(self) -> None:
        use = '{ use = "db", steps = [{ io = "1ms" }] }'
        loads_scenario(self.one_connection(f"{{ parallel = [[{use}], [{use}]] }}"))

    def test_a_branch_that_takes_what_is_held_around_it_waits_for_itself(self) -> None:
        use = '{ use = "db", steps = [{ io = "1ms" }] }'
        inside = f'{{ parallel = [[{use}], [{{ cpu = "1ms" }}]] }}'
        problem = only_problem(self.one_connection(f'{{ use = "db", steps = [{inside}] }}'))
        assert 'takes resource "db" while it already holds it' in problem.message
        assert underlined(problem) == '"db"'

    @pytest.mark.parametrize(
        "around", ['{{ offload = "to_thread", steps = [{}] }}', "{{ repeat = 2, steps = [{}] }}"]
    )
    def test_so_does_an_offloaded_or_repeated_step(self, around: str) -> None:
        inside = around.format('{ use = "db", steps = [{ io = "1ms" }] }')
        problem = only_problem(with_step(f'{{ use = "db", steps = [{inside}] }}'))
        assert "while it already holds it" in problem.message

    def test_branches_that_take_two_locks_in_opposite_order_can_deadlock(self) -> None:
        def both(first: str, second: str) -> str:
            inner = f'{{ lock = "{second}", steps = [{{ cpu = "1ms" }}] }}'
            return f'[{{ lock = "{first}", steps = [{inner}] }}]'

        crossed = f"{{ parallel = [{both('a', 'b')}, {both('b', 'a')}] }}"
        assert "possible deadlock" in only_problem(with_step(crossed)).message

    def test_an_unknown_resource_in_a_branch_is_pointed_at(self) -> None:
        step = '{ parallel = [[{ cpu = "1ms" }], [{ use = "bd", steps = [{ io = "1ms" }] }]] }'
        problem = only_problem(with_step(step))
        assert (problem.message.split(": ")[-1], problem.hint) == (
            'unknown resource "bd"',
            'did you mean "db"?',
        )
        assert underlined(problem) == '"bd"'
