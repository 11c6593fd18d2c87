"""A cluster's file: found by name or path, read, and checked as a whole; every fault of it is reported at once.

Faults are told as a suite's are, each with its line and the nearest valid name.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.declare.cluster import Cluster, DeviceInfo, LinkInfo, Links, misfit
from harness.declare.faults import SuiteError, listed, nearest, shown
from harness.declare.findings import Findings
from harness.declare.format import Text
from harness.declare.lines import line_numbers
from harness.declare.shipped import shipped_clusters
from harness.declare.suite import read_text, read_toml

_TABLES: dict[str, type[BaseModel]] = {"device": DeviceInfo, "links": Links, "node": LinkInfo, "network": LinkInfo}
_EXPECTED = {
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:,}",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "string_type": "a text in quotes",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least one",
    "finite_number": "a number that is finite",
}


def load_cluster(name_or_path: str) -> Cluster:
    """Return the shipped cluster of that name, or the one in that file; raise SuiteError with every fault in it."""
    shipped = shipped_clusters()
    shown_as = f"clusters/{name_or_path}.toml" if name_or_path in shipped else name_or_path
    wanted = f"{listed(shipped)}, or a cluster's TOML file"
    return parse_cluster(read_text(shipped.get(name_or_path) or Path(name_or_path), shown_as, wanted), shown_as)


def parse_cluster(source: str, file: str = "cluster.toml") -> Cluster:
    """Return the cluster that the TOML text says; raise SuiteError with every fault in it."""
    text = Text(Path(file).stem, file, source)
    data = read_toml(text)
    text.lines = line_numbers(source)
    findings = Findings(text)
    try:
        cluster = Cluster.model_validate(data)
    except ValidationError as error:
        for details in error.errors():
            _note(findings, details)
        raise SuiteError(findings.faults) from None
    for index, ranks in enumerate(cluster.ranks):
        if fault := misfit(ranks, cluster.links):
            findings.add(("ranks", index), *fault)
    if findings.faults:
        raise SuiteError(findings.faults)
    cluster._text = text
    return cluster


def _note(findings: Findings, details: ErrorDetails) -> None:
    """Note one of Pydantic's errors in the words of the format."""
    loc, kind = details["loc"], details["type"]
    key = next((part for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        valid = _keys(_table(loc[:-1]))
        findings.add(loc, "unknown key", listed(valid), nearest(key, valid))
    elif kind == "missing":
        info = _table(loc[:-1]).model_fields
        field = next(name for name, of in info.items() if (of.alias or name) == key)
        findings.add(loc[:-1], f"{key} is missing", info[field].description)
    elif kind == "literal_error":
        valid = [choice.strip("'") for choice in details["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        findings.add(
            loc, f"{shown(details['input'])} is not known here", listed(valid), nearest(details["input"], valid)
        )
    elif kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**details.get("ctx", {}))
        findings.add(loc, f"{shown(details['input'])} is not possible here", expected)
    else:
        message = details["msg"].removeprefix("Value error, ")
        findings.add(loc, message[:1].lower() + message[1:])


def _table(loc: tuple[str | int, ...]) -> type[BaseModel]:
    name = next((part for part in reversed(loc) if isinstance(part, str)), "")
    return _TABLES.get(name, Cluster)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]
