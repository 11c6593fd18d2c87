"""The formats of suites and clusters as JSON Schema, for editors that complete and check TOML."""

from __future__ import annotations

from typing import Any

from harness.declare.cluster import Cluster
from harness.declare.format import Suite
from harness.declare.point import Point

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite (draft 2020-12), with the format's own docstrings as descriptions."""
    document: dict[str, Any] = _without_null(Suite.model_json_schema(by_alias=True))
    tables = document["$defs"]
    axes = {info.alias or name: info.description for name, info in Point.model_fields.items()}
    for table in ("Product", "Sweep"):  # an axis is the same thing where it takes several values
        for axis, details in tables[table]["properties"].items():
            details.setdefault("description", axes.get(axis))
    return {"$schema": DRAFT} | document


def cluster_schema() -> dict[str, Any]:
    """Return the JSON Schema of a cluster (draft 2020-12); of ranks, one number may stand for a list of it."""
    document: dict[str, Any] = _without_null(Cluster.model_json_schema(by_alias=True))
    ranks = document["properties"]["ranks"]
    told = {name: ranks.pop(name) for name in ("description", "default", "title") if name in ranks}
    document["properties"]["ranks"] = {"anyOf": [ranks, ranks["items"]]} | told
    return {"$schema": DRAFT} | document


def _without_null(node: Any) -> Any:
    """Return the schema without `null`, which TOML does not have: what is not said is left out."""
    if isinstance(node, list):
        return [_without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: _without_null(item) for name, item in node.items() if not (name == "default" and item is None)}
    branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
    if "anyOf" not in node or len(branches) == len(node["anyOf"]):
        return node
    rest = {name: item for name, item in node.items() if name != "anyOf"}
    return {**branches[0], **rest} if len(branches) == 1 else {**rest, "anyOf": branches}
