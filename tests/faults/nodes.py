"""A Ray cluster on this machine, and its nodes killed at random moments while a run goes on in this process."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.tally import begun

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
LOOK_S = 0.02


@contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """Start a cluster of so many nodes, each of one core, and end it with all that it started.

    The first is the head, which a process connects to; the others can be killed.
    """
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            made.add_node(**NODE)
        yield made
    finally:
        made.shutdown()


def kill_nodes(made: Any, folder: Path, chance: random.Random, most: int, is_over: Callable[[], bool]) -> int:
    """Kill nodes of a cluster at random moments, each after some visits, let others join, and return the kills.

    For the main thread: Ray sets signal handlers where it starts a node.
    """
    kills = 0
    while kills < most:
        wanted = begun(folder).total() + 2 + chance.randrange(8)
        while begun(folder).total() < wanted and not is_over():
            time.sleep(LOOK_S)
        time.sleep(chance.uniform(0, 0.05))
        if is_over():
            break
        node = chance.choice(sorted(made.worker_nodes, key=lambda node: str(node.unique_id)))
        made.remove_node(node, allow_graceful=False)
        kills += 1
        made.add_node(**NODE)
    return kills
