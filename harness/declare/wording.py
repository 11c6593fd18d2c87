"""Pydantic's errors in the words of the format: what is wrong, what was expected, and the nearest valid name."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from harness.declare.faults import listed, nearest, shown

EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least one value",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:,}",
    "finite_number": "a number that is finite",
}
"""What was expected, by the kind of the error, with the limits that Pydantic tells."""

Words = tuple[str, str | None, str | None]
"""Message, what was expected, and the nearest valid name."""


def words(details: ErrorDetails, model: type[BaseModel]) -> Words:
    """Return what to tell of an error in a table that `model` describes."""
    kind, given = details["type"], details["input"]
    if kind == "extra_forbidden":
        valid = keys(model)
        return "unknown key", listed(valid), nearest(details["loc"][-1], valid)
    if kind == "missing":
        name = str(details["loc"][-1])
        return f"{name} is missing", model.model_fields[_field(model, name)].description, None
    if kind == "literal_error":
        valid = [choice.strip("'") for choice in details["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"{shown(given)} is not known here", listed(valid), nearest(given, valid)
    if kind == "value_error":
        message = details["msg"].removeprefix("Value error, ")
        return message[:1].lower() + message[1:], None, None
    if kind == "list_type" and isinstance(given, dict):
        return f"{shown(given)} is not possible here", f"a list of tables, each headed [[{details['loc'][-1]}]]", None
    expected = EXPECTED[kind].format(**details.get("ctx", {})) if kind in EXPECTED else details["msg"]
    return f"{shown(given)} is not possible here", expected, None


def keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of the table that `model` describes."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _field(model: type[BaseModel], key: str) -> str:
    return next(name for name, info in model.model_fields.items() if (info.alias or name) == key)
