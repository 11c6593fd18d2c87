"""Lines: every key and list element of a TOML text has one, and it is the right one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.declare.lines import Path, line_numbers
from harness.declare.shipped import shipped_suites


def paths_of(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in `node`."""
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from paths_of(child, (*path, key))


def test_lines_of_every_form_of_key_and_value() -> None:
    source = '''\
# a comment with = and [ ]
title = "a # b"     # 2

text = """
three [lines] = 5
"""
'quoted.key' = 1    # 7
a."b\\u0063".d = [   # 8
  1, # one, ]
  "two, ]",         # 10
  [3, { x = 'y' }],

]
[table]             # 14
inner = { p = 1, q = { r = [1, 2] } }
date = 1979-05-27 07:32:00
[[list]]            # 17
name = 'a'
sub.x = 1
[list.more]         # 20
y = """"quoted""""
[[list]]            # 22
[[list.deep]]       # 23
z = -inf
'''
    lines = line_numbers(source)
    assert {path: lines[path] for path in paths_of(tomllib.loads(source))} == lines
    expected = {
        ("title",): 2, ("text",): 4, ("quoted.key",): 7, ("a", "bc", "d"): 8, ("a", "bc", "d", 0): 9,
        ("a", "bc", "d", 1): 10, ("a", "bc", "d", 2, 1, "x"): 11, ("table",): 14, ("table", "inner", "q", "r", 1): 15,
        ("table", "date"): 16, ("list",): 17, ("list", 0, "name"): 18, ("list", 0, "sub", "x"): 19,
        ("list", 0, "more", "y"): 21, ("list", 1): 22, ("list", 1, "deep", 0, "z"): 24,
    }  # fmt: skip
    assert {path: lines[path] for path in expected} == expected


def test_windows_line_ends_count_once() -> None:
    assert line_numbers("a = 1\r\nb = [\r\n2]\r\n") == {("a",): 1, ("b",): 2, ("b", 0): 3}


@pytest.mark.parametrize("name", shipped_suites())
def test_every_key_of_the_shipped_suites_has_a_line(name: str) -> None:
    source = shipped_suites()[name].read_text("utf-8")
    lines = line_numbers(source)
    rows = source.splitlines()
    for path in paths_of(tomllib.loads(source)):
        key = next(part for part in reversed(path) if isinstance(part, str))
        if path[-1] == key:
            assert key in rows[lines[path] - 1]


KEYS = st.text("abc-_1", min_size=1, max_size=4)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
VALUES = st.recursive(
    st.integers(-(10**6), 10**6) | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def inline(value: Any) -> str:
    """Return `value` as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(st.lists(st.tuples(KEYS, VALUES), unique_by=lambda pair: pair[0], max_size=6))
def test_whatever_valid_toml_holds_has_its_line(pairs: list[tuple[str, Any]]) -> None:
    source = "".join(f"{key} = {inline(value)}\n" for key, value in pairs)
    data = tomllib.loads(source)
    lines = line_numbers(source)
    assert set(lines) == set(paths_of(data))
    assert [lines[key,] for key, _ in pairs] == list(range(1, len(pairs) + 1))
