"""Suites of any shape that the format has words for: many are sound, most say something that cannot be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from harness.declare.axes import AXES

NUMBERS = st.one_of(st.integers(-2, 300), st.floats(allow_nan=False, allow_infinity=False, width=32))
AXIS_WORDS = (
    "S",
    "Ti",
    "float32",
    "bfloat16",
    "forward",
    "train",
    "best",
    "onehot",
    "learned",
    "zipf:1.2",
    "gelu",
    "silu",
)
EXPRESSIONS = ("4 * d_model", "experts + 1", "d_model // 0", "min(8, tokens)", "layer", "dropless", "")
WORDS = st.sampled_from(AXIS_WORDS + EXPRESSIONS)
GIVEN = {"d_model": 16, "d_ff": 32, "tokens": 4, "batch": 2}
SCALARS = st.one_of(NUMBERS, WORDS, st.booleans())
RANGES = st.fixed_dictionaries({"from": st.integers(0, 9), "to": st.integers(0, 99), "times": st.integers(0, 4)})
SWEPT = st.one_of(st.lists(SCALARS, max_size=4), RANGES, SCALARS)
NAMES = st.sampled_from(["a", "b", "top-2", "c c", ""])
LAYERS = st.sampled_from(["dense", "token_choice", "expert_choice", "soft", "nonsense"])


def _table(values: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(list(AXES)), values, max_size=most)


@st.composite
def suites(draw: st.DrawFn) -> str:
    """Draw the TOML text of a suite."""
    lines = ['title = "Drawn"', "[base]", *(f"{axis} = {value}" for axis, value in GIVEN.items())]
    base = draw(_table(SCALARS, 2))
    lines += [f"{axis} = {_toml(value)}" for axis, value in base.items() if axis not in GIVEN]
    lines += ["[sweep]", *(f"{axis} = {_toml(value)}" for axis, value in draw(_table(SWEPT, 2)).items())]
    for name in draw(st.lists(NAMES, min_size=1, max_size=3)):
        lines += ["[[variant]]", f"name = {_toml(name)}", f"layer = {_toml(draw(LAYERS))}"]
        lines += [f"{axis} = {_toml(value)}" for axis, value in draw(_table(SCALARS, 3)).items()]
        lines += [f"sweep.{axis} = {_toml(value)}" for axis, value in draw(_table(SWEPT, 2)).items()]
        if draw(st.booleans()):
            lines.append(f'match = {{ to = {_toml(draw(NAMES))}, on = "flops" }}')
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """Return a value as TOML; a table stands inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
