"""Clusters: what the files that are shipped say, and every fault of a file with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.declare.cluster_file import load_cluster, parse_cluster
from harness.declare.faults import SuiteError
from harness.declare.schema import cluster_schema
from harness.declare.shipped import shipped_clusters
from harness.devices.datasheet import DATASHEETS

HEAD = 'title = "One"\n'
DEVICE = '[[device]]\nname = "a"\nflops_per_s = { float32 = 1e12 }\nbytes_per_s = 1e11\nmemory_bytes = 1e10\n'
BANDWIDTH = "Bandwidth of its memory, read and written bytes together."
KEYS = "name, kind, flops_per_s, bytes_per_s, memory_bytes, launch_s or source"
LINKS = "[links]\nranks_per_node = 4\nnode = { latency_s = 1e-6, bytes_per_s = 1e10 }\n"


def faults(source: str) -> list[str]:
    with pytest.raises(SuiteError) as error:
        parse_cluster(source, "c.toml")
    return [str(fault).replace("\n    ", " | ") for fault in error.value.faults]


def test_the_least_that_a_file_says() -> None:
    cluster = parse_cluster(HEAD + DEVICE)
    assert cluster.ranks == [1]
    (device,) = cluster.devices
    assert (device.kind, device.launch_s, device.roofs.overlaps) == ("cuda", 0.0, True)
    assert device.roofs.flops_per_s == {"float32": 1e12}


def test_one_number_of_ranks_needs_no_list() -> None:
    assert parse_cluster(HEAD + "ranks = 4\n" + DEVICE + LINKS).ranks == [4]


@pytest.mark.parametrize("name", shipped_clusters())
def test_what_is_shipped_agrees_with_the_datasheets(name: str) -> None:
    names = {"NVIDIA H100 SXM": "NVIDIA H100 80GB HBM3", "NVIDIA A100 SXM 80 GB": "NVIDIA A100-SXM4-80GB"}
    for device in load_cluster(name).devices:
        sheet = DATASHEETS[names.get(device.name, device.name)]
        assert device.flops_per_s == sheet.flops_per_s
        assert device.bytes_per_s == pytest.approx(sheet.bytes_per_s)
        assert device.source == sheet.source


def test_two_nodes_are_joined_by_two_kinds_of_links() -> None:
    joined = load_cluster("h200-two-nodes").links
    assert joined is not None
    over = joined.joined
    assert over.network is not None
    assert over.network.bytes_per_s < over.node.bytes_per_s
    assert over.network.latency_s > over.node.latency_s


def test_all_faults_come_at_once_with_their_lines() -> None:
    wrong = """title = 3
ranks = [1, 0]
[[device]]
name = "x"
flops_per_s = { bfloat = 1e12 }
bytes_per_seconds = 3
memory_bytes = -1
[links]
ranks_per_node = 8
node = { latency_s = "a", bytes_per_s = 1e9 }
algorithm = "ring"
"""
    assert faults(wrong) == [
        "c.toml:1: title: 3 is not possible here | expected: a text in quotes",
        "c.toml:2: ranks[1]: 0 is not possible here | expected: a number of at least 1",
        f"c.toml:3: device[0]: bytes_per_s is missing | expected: {BANDWIDTH}",
        "c.toml:5: device[0].flops_per_s: 'bfloat' is no dtype; there are float64, float32, bfloat16 and float16",
        f"c.toml:6: device[0].bytes_per_seconds: unknown key | expected: {KEYS} | did you mean: bytes_per_s",
        "c.toml:7: device[0].memory_bytes: -1 is not possible here | expected: a number above 0",
        "c.toml:10: links.node.latency_s: 'a' is not possible here | expected: a number",
        "c.toml:11: links.algorithm: 'ring' is not known here | expected: direct or hierarchical",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HEAD, "c.toml: device is missing | expected: The devices, each of which is priced."),
        (HEAD + "ranks = [2]\n" + DEVICE, "2 ranks are joined by nothing | expected: a table [links]"),
        (HEAD + "ranks = [1, 8]\n" + DEVICE + LINKS, "8 ranks are more than one node's 4"),
        (HEAD + DEVICE + DEVICE, "two devices are called 'a'"),
        (HEAD + "ranks = [1, 1]\n" + DEVICE, "a number of ranks stands there twice"),
        (HEAD + DEVICE.replace("[[device]]", "[device]"), "expected: a list of tables, each headed [[device]]"),
        (HEAD + "ranks = true\n" + DEVICE, "True is not possible here | expected: a list"),
        (HEAD + DEVICE.replace("1e11", "inf"), "inf is not possible here | expected: a number that is finite"),
        (HEAD + DEVICE + "launch_s = 3\n", "3 is not possible here | expected: a number below 1"),
        ("title = ", "this is not TOML"),
    ],
)
def test_a_fault_says_what_was_expected(source: str, said: str) -> None:
    assert said in " ".join(faults(source))


def test_ranks_must_fill_nodes() -> None:
    network = LINKS + "network = { latency_s = 1e-5, bytes_per_s = 1e9 }\n"
    assert parse_cluster(HEAD + "ranks = [8]\n" + DEVICE + network).ranks == [8]
    assert "6 ranks do not fill nodes of 4" in faults(HEAD + "ranks = [6]\n" + DEVICE + network)[0]


def test_a_file_that_is_not_there_names_what_is(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="h200-node"):
        load_cluster(str(tmp_path / "h200.toml"))


def test_the_schema_says_every_key_with_its_help() -> None:
    document = json.loads(json.dumps(cluster_schema()))
    assert document["required"] == ["title", "device"]
    for table in (document, *document["$defs"].values()):
        assert all(said["description"] for said in table["properties"].values())
    assert {"type": "null"} not in [
        branch for said in document["properties"].values() for branch in said.get("anyOf", [])
    ]
