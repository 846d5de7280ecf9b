"""Positions: the text at every span is the key, or parses to the value, that the data has there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tomli
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from simsched.scenario.positions import Path, Positions

CASES = {
    "keys": "a = 1\nb.c = 2\n\"d e\".'f.g' = 3\n",
    "key spacing": 'a . b = 1\n"x"   =   2 # comment\n',
    "quoted key escapes": '"\\u00e9\\"" = 1\n\'\\n\' = 2\n"" = 3\n',
    "tables": "[a]\nx = 1\n[a.b]\ny = 2\n[ c . d ]\nz = 3\n",
    "super table later": "[a.b]\nx = 1\n[a]\ny = 2\n",
    "arrays of tables": "[[a]]\nx = 1\n[[a]]\nx = 2\n[a.t]\ny = 3\n[[a.b]]\nz = 4\n[[a.b]]\n",
    "array below a table": "[t]\nq = 1\n[[t.a]]\nx = 1\n[[t.a]]\nx = 2\n[t.a.u]\nv = 3\n",
    "inline tables": "a = { x = 1, y.z = 2, w = { v = [1, { u = 2 }] } }\n",
    "arrays": "a = [1, [2, 3], [], 'x', # c, d\n  4,\n]\n",
    "brackets in strings": "a = ']#'\nb = [\"]\", '}', \"#\"]\nc = { d = '}' }\n",
    "escapes": 'a = "x\\"y\\\\"\nb = "z"\n',
    "literal backslash": "a = 'c:\\'\nb = 1\n",
    "long strings": 'a = """\none "quote" and ""two""\n"""\nb = \'\'\'\nit\'s\'\'\'\nc = 1\n',
    "long string that ends in quotes": 'a = """x"""""\nb = """"y"""\nc = \'\'\'z\'\'\'\'\'\n',
    "long string with escaped quotes": 'a = """x\\""""\nb = 1\n',
    "values": "a = 1979-05-27 07:32:00\nb = 1e3\nc = true # no\nd = 0x1F\ne = -inf\nf = 07:32:00\n",
    "no end of line": "a = [1,\n2]",
    "windows lines": "[a]\r\nx = 1\r\n# c\r\ny = '''\r\nq'''\r\n",
    "comments": "# [x]\na = 1 # b = 2\n[t] # [u]\nb = 2\n",
    "wide characters": "'日本' = '語' # 日\nz = 1\n",
    "lines in inline tables": "a = { x = 1,\n  # c\n  y = 2,\n}\n",
    "dotted in a table": "[a]\nb.c.d = 1\nb.c.e = 2\n",
}


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of the data that is not a container."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
    else:
        yield path, value


def check(text: str) -> None:
    data = tomli.loads(text)
    positions = Positions(text)
    found = dict(leaves(data))
    for path, value in found.items():
        span = positions.spans[path]
        written = text[slice(*span.value)]
        assert tomli.loads("v = " + written)["v"] == value, path
        if isinstance(path[-1], str):
            assert next(iter(tomli.loads(text[slice(*span.key)] + " = 0"))) == path[-1]
    for path in positions.spans:
        node: Any = data
        for part in path:
            node = node[part]  # every span is of something in the data


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_every_value_is_where_its_span_says(text: str) -> None:
    check(text)


KEYS = st.text("ab.\"' é#=[]{}\\", min_size=0, max_size=4)
VALUES = st.recursive(
    st.integers(-99, 99) | st.booleans() | st.text("ab\"'\\\n#]},é ", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(data=st.dictionaries(KEYS, VALUES, max_size=4), long=st.booleans())
def test_any_written_document_is_found_again(data: dict[str, Any], long: bool) -> None:
    check(tomli_w.dumps(data, multiline_strings=long))


def test_lines_and_columns_count_characters_from_one() -> None:
    text = "'é' = 1\n[t]\n  b = 'x'\n"
    positions = Positions(text)
    assert positions.line_column(positions.spans[("é",)].value[0]) == (1, 7)
    assert positions.line_column(positions.spans[("t", "b")].key[0]) == (3, 3)
    assert positions.line_column(positions.spans[("t", "b")].value[0]) == (3, 7)
    assert positions.line_text(3) == "  b = 'x'"


def test_what_is_not_there_is_placed_at_the_table_around_it() -> None:
    text = "[a]\n[[b]]\nx = 1\n[[b]]\ny = 2\n"
    positions = Positions(text)
    around = positions.find(("b", 1, "missing"))
    assert around is not None
    assert positions.line_column(around[0]) == (4, 3)
    assert positions.find(("nowhere",)) is None


def test_array_tables_made_by_a_header_are_counted_per_parent() -> None:
    text = "[[a]]\n[[a.b]]\nx = 1\n[[a]]\n[[a.b]]\nx = 2\n"
    positions = Positions(text)
    assert text[slice(*positions.spans[("a", 0, "b", 0, "x")].value)] == "1"
    assert text[slice(*positions.spans[("a", 1, "b", 0, "x")].value)] == "2"
