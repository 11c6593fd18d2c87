"""The names that `layer` may have in a suite: our kinds, announced plug-ins, and code as `module:function`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from harness.declare.axes import KINDS
from harness.declare.plugins import TARGET, announced, names_code


def _known(layer: str) -> str:
    """Return `layer`; raise Pydantic's error, with what is valid, where it can be no layer."""
    if layer in KINDS or TARGET.fullmatch(layer):
        return layer
    if names_code(layer):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": TARGET.pattern})
    if layer in announced():
        return layer
    valid = [*KINDS, *announced(), "mypackage.mymodule:build"]
    raise PydanticKnownError("literal_error", {"expected": ", ".join(f"'{name}'" for name in valid)})


_SCHEMA = {"anyOf": [{"enum": list(KINDS)}, {"type": "string", "pattern": "^[^ ]+$"}]}
LayerName = Annotated[str, AfterValidator(_known), WithJsonSchema(_SCHEMA)]
