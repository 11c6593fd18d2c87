"""Expressions in suites: `size == 'B' and experts > 64`, `4 * d_model`. Parsed once, evaluated by simpleeval.

The language is a small part of Python's: numbers, texts and lists, names from a fixed list, `+ - * / // % **`,
comparisons, `in`, `and or not`, `a if b else c`, and the functions of `FUNCTIONS`. No attributes, no subscripts, so
an expression can do nothing but compute.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Collection
from typing import Any

import simpleeval

from harness.declare.axes import FLAGS
from harness.declare.faults import listed, nearest, shown

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "round": round,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "log2": math.log2,
}
CONSTANTS: dict[str, Any] = {"true": True, "false": False, "inf": math.inf, "dropless": math.inf}
"""Names that mean the same everywhere; `capacity_factor == dropless` reads as a suite's author would say it."""

MAX_LENGTH = 1000
"""Characters beside its texts; a longer one is a mistake, or an attack on the parser."""
MAX_TEXTS = 100_000
"""Characters with its texts: a few hundred cases may be named by their ids."""
MAX_PARTS = 500
"""Names, comparisons and operations, which are as many calls deep at worst."""
MAX_POWER = 64
"""Largest exponent, so that no expression computes for minutes."""

_ALLOWED = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.Call, ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.List,
)  # fmt: skip
_TEXT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_PASS = re.compile(r"""("[^"]*"|'[^']*')|\bpass\b""")


class ExpressionError(Exception):
    """An expression that cannot be read or evaluated; `nearest` is the valid name most like the one that is not."""

    def __init__(self, message: str, expected: str | None = None, nearest: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.nearest = nearest


class Expression:
    """One parsed expression. Results are kept by the values of the names in it, since a sweep repeats them."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        """Parse `text`, which may use `names`; raise ExpressionError where it is no expression over them."""
        self.text = text
        self._node = _parse(text)
        self.names = _names_in(self._node, names)
        self._known: dict[tuple[Any, ...], Any] = {}
        self._evaluator = simpleeval.EvalWithCompoundTypes(operators=_OPERATORS, functions=dict(FUNCTIONS), names={})

    def value(self, values: tuple[Any, ...]) -> Any:
        """Return what the expression gives where `names` have `values`; raise ExpressionError where it has no value."""
        try:
            return self._known[values]
        except KeyError:
            result = self._known[values] = self._compute(values)
            return result

    def _compute(self, values: tuple[Any, ...]) -> Any:
        self._evaluator.names = CONSTANTS | dict(zip(self.names, values, strict=True))
        try:
            return self._evaluator.eval(self.text, previously_parsed=self._node)
        except (simpleeval.InvalidExpression, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            pairs = zip(self.names, values, strict=True)
            given = ", ".join(f"{name.rstrip('_')} = {shown(value)}" for name, value in pairs)
            where = f" where {given}" if given else ""
            message = f"{shown(self.text)} gives no value{where}: {error}"
            raise ExpressionError(message, "one that has a value for every case") from None


class Condition(Expression):
    """An expression that is true or false of a case."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        """Parse `text`, which may use `names`; raise ExpressionError where it is no condition over them."""
        super().__init__(text, names)
        if not _is_condition(self._node):
            expected = "comparisons, alone or joined by `and`, `or` and `not`, such as size == 'B' and experts > 64"
            raise ExpressionError(f"{shown(text)} is neither true nor false", expected)

    @property
    def may_fail(self) -> bool:
        """Whether it may give no value for some case: it reckons, or orders texts."""
        return any(_may_fail(node) for node in ast.walk(self._node))

    def all_of(self) -> list[Condition]:
        """Return the conditions that all hold where this one does: the parts that `and` joins, or itself alone."""
        return self._parts(ast.And)

    def any_of(self) -> list[Condition]:
        """Return the conditions of which one holds where this one does: the parts that `or` joins, or itself alone."""
        return self._parts(ast.Or)

    def _parts(self, operator_: type[ast.boolop]) -> list[Condition]:
        node = self._node
        if not isinstance(node, ast.BoolOp) or not isinstance(node.op, operator_):
            return [self]
        names = [name.rstrip("_") for name in self.names]
        texts = [re.sub(r"\bpass_\b", "pass", ast.unparse(part)) for part in node.values]
        return [part for text in texts for part in Condition(text, names)._parts(operator_)]


def _may_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        texts = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in ast.walk(node))
        return texts and not all(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
    return isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp) and not isinstance(getattr(node, "op", None), ast.Not)


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_TEXTS or len(_TEXT.sub("''", text)) > MAX_LENGTH:
        raise ExpressionError("the expression is too long", f"at most {MAX_LENGTH} characters beside its texts")
    # `pass` is an axis, and a keyword of Python's
    renamed = _PASS.sub(lambda found: found[1] or "pass_", text.strip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(renamed, mode="eval")
        _check_nodes(tree.body)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        message = f"{shown(text)} is no expression: {reason}"
        raise ExpressionError(message, "one such as size == 'B' and experts > 64") from None
    return tree.body


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.Constant(value=bool()):
            return True
        case ast.Name(id=name):
            return name in FLAGS or isinstance(CONSTANTS.get(name), bool)
        case ast.BoolOp(values=parts):
            return all(_is_condition(part) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return _is_condition(part)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return all(_is_condition(part) for part in (test, body, orelse))
    return False


def _check_nodes(root: ast.expr) -> None:
    if sum(isinstance(node, ast.expr) and not isinstance(node, ast.Constant) for node in ast.walk(root)) > MAX_PARTS:
        raise ExpressionError("the expression is too long", f"at most {MAX_PARTS} names, comparisons and operations")
    for node in ast.walk(root):
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(
                f"{type(node).__name__.lower()} has no place in an expression",
                "numbers, texts, names, comparisons, `in`, `and`, `or`, `not`, arithmetic, "
                + listed(f"{name}()" for name in FUNCTIONS),
            )
        if isinstance(node, ast.Constant) and not isinstance(node.value, int | float | str | None):
            raise ExpressionError(f"{shown(node.value)} has no place in an expression", "numbers and texts")
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
            name = node.func.id if isinstance(node.func, ast.Name) else "this"
            raise ExpressionError(f"{name!r} is no function", listed(FUNCTIONS), nearest(name, FUNCTIONS))


def _names_in(root: ast.expr, valid: Collection[str]) -> tuple[str, ...]:
    """Return the names that `root` uses, in order of their first use; raise ExpressionError on one not in `valid`."""
    functions = {id(node.func) for node in ast.walk(root) if isinstance(node, ast.Call)}
    used: dict[str, None] = {}
    for node in ast.walk(root):
        if isinstance(node, ast.Name) and id(node) not in functions and node.id not in CONSTANTS:
            name = "pass" if node.id == "pass_" else node.id
            if name not in valid:
                raise ExpressionError(f"{name!r} is no name here", listed(valid), nearest(name, valid))
            used[node.id] = None
    return tuple(used)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a comparison that is false for an axis that the layer does not have."""
    return lambda a, b: a is not None and b is not None and compare(a, b)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, str) != isinstance(b, str) and a is not None and b is not None:
        raise TypeError(f"{shown(a)} is compared with {shown(b)}, a number with a text")
    return bool(a == b)


def _contains(a: Any, b: Any) -> bool:
    return a in b if isinstance(b, str) else any(_equal(a, item) for item in b)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > MAX_POWER or abs(base) > 2**MAX_POWER:
        raise ValueError(f"the power is too large; exponents go to {MAX_POWER}")
    return base**exponent


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    **simpleeval.DEFAULT_OPERATORS,
    ast.Pow: _power,
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda a, b: not _contains(a, b),
}
