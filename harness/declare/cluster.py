"""Clusters: devices that are not here, and the links between them, as a TOML file; what a plan is priced on.

    title = "One node of eight H200"
    ranks = [1, 8]                      # devices that share a layer's experts

    [[device]]
    name = "NVIDIA H200"
    kind = "cuda"                       # cuda (the host launches ahead) or cpu
    flops_per_s = { bfloat16 = 989e12 } # dense peak of products, by dtype
    bytes_per_s = 4.8e12                # memory
    memory_bytes = 141e9
    launch_s = 4e-6                     # host time of one operation; left out: 0

    [links]
    ranks_per_node = 8
    node = { latency_s = 3e-6, bytes_per_s = 450e9 }
    network = { latency_s = 5e-6, bytes_per_s = 50e9 }   # between nodes; of one rank, in one direction
    algorithm = "direct"                # direct, or hierarchical: first in the node, then between nodes

Faults of a file are told as a suite's are: all at once, each with its line and the nearest valid name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from harness.case import DTYPES
from harness.declare.exchange import Algorithm, Link, Network
from harness.declare.faults import SuiteError, listed, nearest, shown
from harness.declare.findings import Findings
from harness.declare.format import Text
from harness.declare.lines import line_numbers
from harness.declare.point import Strict
from harness.declare.roofs import Roofs
from harness.declare.shipped import shipped_clusters
from harness.declare.suite import read_text, read_toml

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class LinkInfo(Strict):
    """What joins two ranks."""

    latency_s: Seconds
    """Alpha: seconds that a message takes however short it is."""
    bytes_per_s: Positive
    """Bytes a second that one rank sends, the other way at the same time."""

    @property
    def link(self) -> Link:
        """The same as the exchange's model takes it."""
        return Link(self.latency_s, self.bytes_per_s)


class Links(Strict):
    """How ranks are joined."""

    ranks_per_node: Count
    """Ranks of one node."""
    node: LinkInfo
    """Between ranks of one node: latency_s and bytes_per_s."""
    network: LinkInfo | None = None
    """Between ranks of different nodes; needed where there are more ranks than a node has."""
    algorithm: Algorithm = "direct"
    """direct: all messages at once; hierarchical: first in the node, then fewer and larger ones between nodes."""

    @property
    def joined(self) -> Network:
        """The same as the exchange's model takes it."""
        network = None if self.network is None else self.network.link
        return Network(self.ranks_per_node, self.node.link, network, self.algorithm)


class DeviceInfo(Strict):
    """A device, by its datasheet or by what was measured of one."""

    name: str = Field(min_length=1, max_length=80)
    """What tables call it."""
    kind: Literal["cuda", "cpu"] = "cuda"
    """cuda: the host launches while the device works; cpu: each waits for the other."""
    flops_per_s: dict[str, Positive] = Field(min_length=1)
    """Dense peak of products in FLOP/s, by dtype."""
    bytes_per_s: Positive
    """Bandwidth of its memory, read and written bytes together."""
    memory_bytes: Positive
    """What it has of memory."""
    launch_s: Seconds = 0.0
    """Seconds of the host for one operation, however small."""
    source: str | None = None
    """Where the numbers were read."""

    @field_validator("flops_per_s")
    @classmethod
    def _known(cls, rates: dict[str, float]) -> dict[str, float]:
        if unknown := [dtype for dtype in rates if dtype not in DTYPES]:
            raise ValueError(f"{shown(unknown[0])} is no dtype; there are {listed(DTYPES, 'and')}")
        return rates

    @property
    def roofs(self) -> Roofs:
        """What a prediction needs of it."""
        return Roofs(self.flops_per_s, self.bytes_per_s, self.launch_s, overlaps=self.kind == "cuda")


class Cluster(Strict):
    """Devices that are not here, and how they are joined."""

    title: str = Field(min_length=1, max_length=200)
    """What it is, in one line."""
    text: str | None = None
    """What a reader should know of its numbers."""
    ranks: list[Count] = Field(default=[1], min_length=1, max_length=32)
    """Over how many devices a layer's sequences and experts are shared; each number is priced."""
    devices: list[DeviceInfo] = Field(alias="device", min_length=1, max_length=16)
    """The devices, each of which is priced."""
    links: Links | None = None
    """How ranks are joined; needed where there are several."""

    _text: Text = PrivateAttr(default_factory=Text)

    @field_validator("ranks", mode="before")
    @classmethod
    def _one_or_many(cls, ranks: Any) -> Any:
        return [ranks] if isinstance(ranks, int) and not isinstance(ranks, bool) else ranks

    @model_validator(mode="after")
    def _told_apart(self) -> Cluster:
        names = [device.name for device in self.devices]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two devices are called {shown(twice)}")
        if len(set(self.ranks)) < len(self.ranks):
            raise ValueError("a number of ranks stands there twice")
        return self


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


def misfit(ranks: int, links: Links | None) -> tuple[str, str] | None:
    """Return why so many ranks cannot be joined by `links`, and what was expected; None where they can."""
    if ranks == 1:
        return None
    if links is None:
        return f"{ranks} ranks are joined by nothing", "a table [links]"
    if ranks <= links.ranks_per_node:
        return None
    if links.network is None:
        return f"{ranks} ranks are more than one node's {links.ranks_per_node}", "links.network, between nodes"
    if ranks % links.ranks_per_node:
        return f"{ranks} ranks do not fill nodes of {links.ranks_per_node}", f"a multiple of {links.ranks_per_node}"
    return None


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
