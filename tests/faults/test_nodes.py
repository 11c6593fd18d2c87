"""SIGKILL of all processes of a node, at random moments: what it was at goes elsewhere."""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.engine.folder import read_run
from tests.faults.conftest import Size
from tests.faults.nodes import cluster, kill_nodes
from tests.faults.sweeps import make_plan, sweep
from tests.faults.tally import Counts, Tally, Truth, count

pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Ray's cluster of several nodes on one machine needs Linux"),
    pytest.mark.filterwarnings("default"),  # Ray's own, of which there are many
]
SEED = 20260102


def test_a_killed_node_costs_its_visits_in_flight(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    from harness.engine.ray_cluster import joined
    from harness.engine.ray_fleet import RayFleet

    chance, counts = random.Random(SEED), Counts()
    while counts.injected < size.times(1, 10):
        run = folder.with_name(f"run-{counts.injected}")
        with cluster(size.times(3, 4)) as made, joined(made.address), ThreadPoolExecutor(1) as aside:
            fleet = RayFleet("cpu", threads=1)
            going = aside.submit(sweep, run, make_plan(probes=size.probes), fleet=fleet)
            kills = kill_nodes(made, run, chance, size.times(1, 5), going.done)
            assert going.result().end == "ok"
        assert len({line.device for line in read_run(run).lines}) > 1
        counts += count(run, sound, injected=kills)
    tally.add("SIGKILL of a node (Ray)", counts)
