"""Error messages: everything at once, in order, at the right place, safe to print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsched.scenario import Problem, Scenario, ScenarioError, load_scenario, loads_scenario

from .texts import VALID, changed, only_problem, problems, underlined

MANY = """\
[scenario]
name = "many"
duration = 10
replication = 3

[host]
cores = "eight"

[workload.arrivals]
kind = "poison"

[[workload.requests]]
name = "a"
steps = [
  { cpu = "5sm" },
  { use = "bd", steps = [{ lock = "l", steps = [{ blocking = "1ms", kind = "flie" }] }] },
]

[[workload.requests]]
name = "a"
steps = [{ use = "dc", steps = [{ cpu = "1ms" }] }]

[resources.db]
capacity = 0

[[schedulers]]
kind = "thread_pool"
maxThread = 4
"""


def test_all_problems_are_reported_at_once_in_order_of_place() -> None:
    found = problems(MANY)
    assert [(p.line, p.column, underlined(p)) for p in found] == [
        (3, 12, "10"),
        (4, 1, "replication"),
        (7, 9, '"eight"'),
        (10, 8, '"poison"'),
        (15, 11, '"5sm"'),
        (16, 76, '"flie"'),
        (20, 8, '"a"'),
        (21, 18, '"dc"'),
        (24, 12, "0"),
        (28, 1, "maxThread"),
    ]


def test_a_rule_between_tables_is_checked_where_both_are_valid() -> None:
    """A wrong class hides no unknown resource of another class."""
    assert 'unknown resource "dc"' in " ".join(p.message for p in problems(MANY))


def test_a_problem_is_rendered_with_its_line_and_a_caret() -> None:
    text = changed("cores = 4", 'cores = "eight"  # a comment')
    assert only_problem(text).render() == (
        'shop.toml:6:9: host.cores: expected an integer >= 1 and <= 4096, got "eight"\n'
        "  |\n"
        '6 | cores = "eight"  # a comment\n'
        "  |         ^^^^^^^"
    )


def test_an_unknown_key_shows_the_keys_there_are_and_the_nearest() -> None:
    text = changed('preset = "go"', 'preset = "go"\nmaxthread = 4')
    assert only_problem(text).render() == (
        'shop.toml:27:1: schedulers[1].maxthread: unknown key "maxthread"\n'
        "   |\n"
        "27 | maxthread = 4\n"
        "   | ^^^^^^^^^\n"
        '   = expected: one of the keys "preset", "name", "memory", "processes", "listen", '
        '"cpu_factor", "ingress", "read", "submit", "kind", "GOMAXPROCS", "go", "create", '
        '"switch", "steal", "request", "accept", "sysmon", "poll_resolution", "thread_create", '
        '"maxThreads", "asyncpreempt", "cgo", "LockOSThread", "gc"\n'
        '   = help: did you mean "maxThreads"?'
    )


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("cores = 4", "coers = 4", 'did you mean "cores"?'),
        ("[host]", "[hots]", 'did you mean "host"?'),
        ("duration", "duration_s", 'did you mean "duration"?'),
        ("rate =", "rate_rps =", 'did you mean "rate"?'),
        ('"go"', '"golang"', "presets are"),
        ('"go"', '"Tomcat"', 'did you mean "tomcat"?'),
        ('"go"', '"fastapi"', 'did you mean "fastapi-async" or "fastapi-def"?'),
        ('"poisson"', '"Poisson"', 'did you mean "poisson"?'),
        ('"lognormal"', '"log-normal"', 'did you mean "lognormal"?'),
        ("{ io =", "{ oi =", 'did you mean "io"?'),
        ("{ cpu =", "{ cup =", 'did you mean "cpu"?'),
        ('use = "db"', 'use = "bd"', 'did you mean "db"?'),
        ("cores = 4", 'cores = "4"', "write 4 without quotes"),
        ("steps = [\n", "step = [\n", 'did you mean "steps"?'),
    ],
)
def test_did_you_mean(old: str, new: str, hint: str) -> None:
    hints = [p.hint for p in problems(changed(old, new))]
    assert any(hint in h for h in hints), hints


def test_the_error_counts_its_problems_in_the_end() -> None:
    with pytest.raises(ScenarioError) as caught:
        loads_scenario(MANY)
    assert str(caught.value).endswith("\n\n10 problems found.")


def test_rendering_cannot_move_the_cursor_of_a_terminal() -> None:
    text = changed("cores = 4", "cores = 4\n'\u202eevil \x9b31m' = 1".replace("\x9b", "\u009b"))
    shown = only_problem(text).render()
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_a_long_line_is_cut_around_the_problem() -> None:
    text = changed("cores = 4", f"cores = 4{' ' * 500}\nx.y = '{'a' * 500}' # {'b' * 900}")
    lines = only_problem(text).render().split("\n")
    assert max(len(line) for line in lines[:4]) < 200
    text = (
        VALID.replace("\n  ", "").replace("steps = [", f"steps = [{' ' * 400}").replace("1.5", "-1")
    )
    source, caret = only_problem(text).render().split("\n")[2:4]
    assert source[caret.index("^") :].startswith("-1")


def test_carets_stand_under_wide_characters() -> None:
    problem = Problem("f", 1, 8, "'日本' = x", "m", length=1)
    source, caret = problem.render().split("\n")[2:4]
    assert source.index("x") == caret.index("^") - 2  # two characters that take two columns each


def test_the_same_problems_come_in_the_same_order() -> None:
    assert [str(p) for p in problems(MANY)] == [str(p) for p in problems(MANY)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"\x7fELF\x02\x01\x00\x00", "a binary file"),
        (b"name = '\xff'\n", "not UTF-8 text"),
        (b"x" * 5_000_001, "larger than 5 MB"),
        ("\ufeff".encode() + b"[scenario]\n", 'missing key "name"'),
    ],
)
def test_files_that_are_no_scenario(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_byte_that_is_not_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"# fine\nname = '\xff'\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (2, 9)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "io_heavy.toml").write_text(VALID)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "io-heavy.toml")
    assert caught.value.problems[0].hint == 'did you mean "io_heavy.toml"?'


def test_a_folder_lists_the_scenarios_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(VALID)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path)
    assert "a folder" in str(caught.value)
    assert caught.value.problems[0].hint == "it contains a.toml"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = \n", 1, 5),
        ("a = 1\na = 2\n", 2, 6),
        ("[t\n", 1, 3),
        ("a = [1,\n", 2, 1),
        ("x = 1__0", 1, 6),
    ],
)
def test_syntax_errors_have_a_place(text: str, line: int, column: int) -> None:
    (problem,) = problems(text)
    assert problem.message.startswith("not valid TOML: ")
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "[" * 70 + "]" * 70, "a = " + "{b=" * 90 + "1" + "}" * 90],
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert "not valid TOML" in str(problems(text)) or "levels deep" in str(problems(text))


def test_a_number_too_long_to_be_read_is_refused() -> None:
    assert problems(changed("cores = 4", f"cores = {'9' * 5000}"))


def test_a_problem_found_later_can_still_be_placed(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(VALID)
    problem = load_scenario(path).problem_at(("host", "cores"), "too many", "use fewer")
    assert (problem.file, problem.line, underlined(problem)) == (str(path), 6, "4")
    assert problem.message == "host.cores: too many"


def test_a_problem_of_data_without_a_file_has_no_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_dict({"scenario": {"name": "x"}})
    assert all(p.line is None and p.file == "" for p in caught.value.problems)
    assert 'scenario: missing key "duration"' in str(caught.value)


def outcome(load: Callable[[], Scenario]) -> str:
    """The name of the scenario, or the text of its problems; nothing else may be raised."""
    try:
        return load().name
    except ScenarioError as error:
        return str(error)


PIECES = st.sampled_from(["", "[", "]", '"', "'", "{", "}", "=", "\n", ".", "0", "-", "nan", "\\"])


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(VALID)), cut=st.integers(0, 12), piece=PIECES)
def test_any_damage_gives_a_scenario_or_a_scenario_error(at: int, cut: int, piece: str) -> None:
    assert outcome(lambda: loads_scenario(VALID[:at] + piece + VALID[at + cut :]))


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["kind", "dist", "cpu", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
PLACES = [
    ("scenario",),
    ("host",),
    ("host", "os"),
    ("workload",),
    ("workload", "arrivals"),
    ("workload", "requests"),
    ("workload", "requests", 0),
    ("workload", "requests", 0, "name"),
    ("workload", "requests", 0, "steps"),
    ("workload", "requests", 0, "steps", 0),
    ("workload", "requests", 0, "steps", 0, "cpu"),
    ("workload", "requests", 0, "steps", 1, "use"),
    ("resources",),
    ("resources", "db"),
    ("schedulers",),
    ("schedulers", 0),
    ("schedulers", 0, "preset"),
    ("schedulers", 0, "memory"),
    ("slo",),
]


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), value=ODD)
def test_any_value_anywhere_gives_a_scenario_or_a_scenario_error(
    place: tuple[str | int, ...], value: object
) -> None:
    data: dict[str, object] = loads_scenario(VALID).resolved()
    node: object = data
    for part in place[:-1]:
        assert isinstance(node, (dict, list))
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[int(part)]
    assert isinstance(node, (dict, list))
    node[place[-1]] = value  # type: ignore[index]
    assert outcome(lambda: Scenario.from_dict(data))
