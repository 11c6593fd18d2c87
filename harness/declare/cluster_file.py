"""A cluster's file: found by name or path, read, and checked as a whole; every fault of it is reported at once.

Faults are told as a suite's are, each with its line and the nearest valid name.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from harness.declare.checked import checked
from harness.declare.cluster import Cluster, DeviceInfo, LinkInfo, Links, misfit
from harness.declare.faults import SuiteError, listed
from harness.declare.shipped import shipped_clusters
from harness.declare.suite import read_text

_TABLES: dict[str, type[BaseModel]] = {"device": DeviceInfo, "links": Links, "node": LinkInfo, "network": LinkInfo}


def load_cluster(name_or_path: str) -> Cluster:
    """Return the shipped cluster of that name, or the one in that file; raise SuiteError with every fault in it."""
    shipped = shipped_clusters()
    shown_as = f"clusters/{name_or_path}.toml" if name_or_path in shipped else name_or_path
    wanted = f"{listed(shipped)}, or a cluster's TOML file"
    return parse_cluster(read_text(shipped.get(name_or_path) or Path(name_or_path), shown_as, wanted), shown_as)


def parse_cluster(source: str, file: str = "cluster.toml") -> Cluster:
    """Return the cluster that the TOML text says; raise SuiteError with every fault in it."""
    cluster, findings = checked(Cluster, source, file, _TABLES)
    for index, ranks in enumerate(cluster.ranks):
        if fault := misfit(ranks, cluster.links):
            findings.add(("ranks", index), *fault)
    if findings.faults:
        raise SuiteError(findings.faults)
    cluster._text = findings.text
    return cluster
