"""A Ray cluster on this machine, and its nodes killed at random moments while a run goes on in this process."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.tally import begun

NODES = 4
"""The head, which this process is connected to, and three that can be killed."""
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
LOOK_S = 0.02


@contextmanager
def cluster(nodes: int = NODES) -> Iterator[Any]:
    """Start a cluster of so many nodes, each of one core, and end it with all that it started."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            made.add_node(**NODE)
        yield made
    finally:
        made.shutdown()


class NodeKiller(threading.Thread):
    """Kills nodes of a cluster, `most` times, each at a random moment after some visits, and lets another join."""

    def __init__(self, made: Any, folder: Path, chance: random.Random, most: int) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._made, self._folder, self._chance, self._most = made, folder, chance, most
        self._over = threading.Event()

    def run(self) -> None:
        while self.kills < self._most and not self._over.is_set():
            wanted = begun(self._folder).total() + 2 + self._chance.randrange(12)
            while begun(self._folder).total() < wanted and not self._over.wait(LOOK_S):
                pass
            self._over.wait(self._chance.uniform(0, 0.05))
            if not self._over.is_set():
                node = self._chance.choice(sorted(self._made.worker_nodes, key=lambda node: str(node.unique_id)))
                self._made.remove_node(node, allow_graceful=False)
                self.kills += 1
                self._made.add_node(**NODE)

    def end(self) -> int:
        """Stop, and return the number of kills."""
        self._over.set()
        self.join()
        return self.kills
