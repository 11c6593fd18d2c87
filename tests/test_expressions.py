"""Expressions: a small, safe part of Python, whose errors name what is valid."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.declare.expressions import Condition, Expression, ExpressionError

NAMES = ("size", "experts", "top_k", "batch", "pass", "capacity_factor")


def value_of(text: str, **values: Any) -> Any:
    expression = Expression(text, NAMES)
    return expression.value(tuple(values[name] for name in expression.names))


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("size == 'B' and experts > 64", {"size": "B", "experts": 128}, True),
        ("size in ('S', 'B') or experts in [8]", {"size": "Ti", "experts": 8}, True),
        ("8 <= experts < 64", {"experts": 64}, False),
        ("not experts % 3", {"experts": 9}, True),
        ("4 * experts ** 2 // top_k", {"experts": 3, "top_k": 5}, 7),
        ("max(1, experts // 64)", {"experts": 8}, 1),
        ("ceil(experts / 3) + floor(1.5) + round(0.6) + abs(-1) + log2(8)", {"experts": 7}, 3 + 1 + 1 + 1 + 3),
        ("batch if experts > 4 else -batch", {"batch": 2, "experts": 4}, -2),
        ("pass == 'forward'", {"pass_": "forward"}, True),
        ("size == 'pass'", {"size": "pass"}, True),
        ("capacity_factor == dropless", {"capacity_factor": math.inf}, True),
        ("capacity_factor > 2", {"capacity_factor": math.inf}, True),
        ("true and not false", {}, True),
        ("experts is None", {"experts": None}, True),
        ("1 + 1", {}, 2),
    ],
)
def test_expressions_compute_what_python_would(text: str, values: dict[str, Any], expected: Any) -> None:
    assert value_of(text, **values) == expected


@pytest.mark.parametrize("comparison", ["experts > 8", "experts < 8", "experts >= 8", "8 <= experts", "experts == 8"])
def test_a_comparison_with_an_axis_that_does_not_apply_is_false(comparison: str) -> None:
    assert value_of(comparison, experts=None) is False


@pytest.mark.parametrize(
    ("text", "message", "nearest"),
    [
        ("experst > 8", "'experst' is no name here", "experts"),
        ("Size == 'S'", "'Size' is no name here", "size"),
        ("experts >", "is no expression: invalid syntax", None),
        ("experts = 8", "is no expression", None),
        ("", "is no expression", None),
        ("experts; batch", "is no expression", None),
        ("minimum(1, 2)", "'minimum' is no function", "min"),
        ("experts.__class__", "attribute has no place in an expression", None),
        ("[x for x in (1,)]", "listcomp has no place in an expression", None),
        ("(lambda: 1)()", "this' is no function", None),
        ("experts[0]", "subscript has no place in an expression", None),
        ("f'{experts}'", "joinedstr has no place in an expression", None),
        ("experts << 2", "lshift has no place in an expression", None),
        ("batch == b'8'", "b'8' has no place in an expression", None),
        ("batch == 8j", "8j has no place in an expression", None),
        ("...", "Ellipsis has no place in an expression", None),
        ("min(*(1, 2))", "starred has no place in an expression", None),
        ("1" * 2000, "the expression is too long", None),
        (f"size in ['{'S' * 200_000}']", "the expression is too long", None),
        ("(a #'\n" + " and a" * 600 + " #')'\n)", "the expression is too long", None),
        ("(" * 400 + ")" * 400, "is no expression", None),
        ("'\0'", "is no expression", None),
    ],
)
def test_what_is_no_expression_says_why(text: str, message: str, nearest: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression(text, NAMES)
    assert message in caught.value.message
    assert caught.value.expected
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch == '8'", "8 is compared with '8', a number with a text"),
        ("batch in ('8', '16')", "a number with a text"),
        ("batch / 0", "division by zero"),
        ("batch + size", "unsupported operand"),
        ("size > batch", "not supported"),
        ("2 ** 1000", "the power is too large"),
        ("10 ** 60 ** 3", "the power is too large"),
        ("'a' * 1000000", "Sorry"),
        ("log2(0)", "math domain error"),
    ],
)
def test_an_expression_without_a_value_says_where(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match="gives no value") as caught:
        value_of(text, batch=8, size="S")
    assert caught.value.expected
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "experts > 8", "8 <= experts < 64", "size in ('S', 'B')", "experts is None", "not experts > 8",
        "batch == 1 and (size == 'S' or not top_k == 1)", "batch == 1 if size == 'S' else top_k == 1", "compile",
        "not gated and batch == 1", "true",
    ],
)  # fmt: skip
def test_a_condition_is_made_of_comparisons_and_flags(text: str) -> None:
    assert Condition(text, (*NAMES, "compile", "gated")).text == text


@pytest.mark.parametrize(
    "text", ["experts", "not experts", "1", "'B'", "size", "batch == 1 and experts", "[batch]", "max(1, 2)", "-batch",
             "experts % 3", "batch == 1 if experts else batch == 2", "inf", "dropless", "None"],
)  # fmt: skip
def test_what_is_neither_true_nor_false_is_no_condition(text: str) -> None:
    with pytest.raises(ExpressionError, match="is neither true nor false") as caught:
        Condition(text, NAMES)
    assert caught.value.expected
    assert "such as size == 'B' and experts > 64" in caught.value.expected


def test_values_are_kept_by_the_names_that_the_expression_has() -> None:
    expression = Expression("size == 'B' and experts > 64 or size == 'S'", NAMES)
    assert expression.names == ("size", "experts")
    assert expression.value(("B", 128)) is True
    expression._evaluator = None
    assert expression.value(("B", 128)) is True


@given(st.text(max_size=40) | st.text("()[]{}+-*/%<>=!.,:'\" 0129expertsize_pandorif", max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        expression = Expression(text, NAMES)
        expression.value(tuple(8 for _ in expression.names))


@given(st.integers(-1000, 1000), st.integers(1, 1000))
def test_arithmetic_is_pythons(a: int, b: int) -> None:
    assert value_of("(experts + batch) * 3 - experts // batch % 7", experts=a, batch=b) == (a + b) * 3 - a // b % 7
