"""The JSON Schema of suites: says every key with its help, and knows no null."""

from __future__ import annotations

import json
import typing
from typing import Any

from harness.case import DTYPES, PASSES
from harness.declare.axes import AXES, HAS, START
from harness.declare.catalogue import SIZES
from harness.declare.costs import BACKENDS
from harness.declare.point import BackendName, DtypeName, PassName, Point, Product, SizeName
from harness.declare.schema import suite_schema


def _nodes(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node, *(inner for child in children for inner in _nodes(child))]


def test_the_schema_is_json_and_has_every_axis_with_its_help() -> None:
    document = json.loads(json.dumps(suite_schema()))
    assert document["$schema"].startswith("https://json-schema.org/")
    assert {"title", "base", "sweep", "variant", "select", "measure", "claim"} <= set(document["properties"])
    assert document["required"] == ["title", "variant"]
    for table in ("Point", "Product", "Sweep", "Variant"):
        properties = document["$defs"][table]["properties"]
        assert set(AXES) <= set(properties)
        assert all(properties[axis]["description"] for axis in AXES)
        assert document["$defs"][table]["additionalProperties"] is False


def test_the_schema_knows_no_null() -> None:
    assert {"type": "null"} not in _nodes(suite_schema())
    assert not [node for node in _nodes(suite_schema()) if isinstance(node, dict) and node.get("default", 0) is None]


def test_the_format_knows_what_the_rest_of_the_house_knows() -> None:
    assert typing.get_args(SizeName) == tuple(SIZES)
    assert typing.get_args(DtypeName) == tuple(DTYPES)
    assert typing.get_args(PassName) == PASSES
    assert {backend for backends in BACKENDS.values() for backend in backends} < set(typing.get_args(BackendName))
    for model in (Point, Product):
        assert [info.alias or name for name, info in model.model_fields.items()] == list(AXES)
    assert set(HAS) == set(START) == set(BACKENDS)
    assert all(set(START[kind]) <= HAS[kind] <= set(AXES) for kind in HAS)


def test_sizes_are_what_the_papers_say() -> None:
    assert {name: (size.d_model, size.d_ff, size.heads) for name, size in SIZES.items()} == {
        "Ti": (192, 768, 3), "S": (384, 1536, 6), "B": (768, 3072, 12), "L": (1024, 4096, 16), "H": (1280, 5120, 16),
    }  # fmt: skip
