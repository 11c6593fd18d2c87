"""Clusters: devices that are not here, and the links between them, as a TOML file; what a plan is priced on.

A file says, the rates being those of one device, in one direction where links are meant:

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
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from harness.case import DTYPES
from harness.declare.exchange import Algorithm, Link, Network
from harness.declare.faults import listed, shown
from harness.declare.format import Text
from harness.declare.point import Strict
from harness.declare.roofs import Roofs

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
