"""The agent: a program that starts the ranks by torch's elastic agent, and says which of them was lost.

    python -m harness.parallel.agent FOLDER --ranks 4 --device cpu

Its stdin and stdout are rank 0's. A rank that ends takes the others with it, and nobody is started again: a visit that
lost a rank is lost, and the next one gets new ranks.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from harness.parallel.lines import Lost, write
from harness.program import die_with_parent

PROGRAM = "harness.parallel.rank"
RUN = "moe-harness"


def main() -> int:
    """Return 0 where all ranks ended by themselves, 1 where one was lost."""
    options, passed = _parse()
    die_with_parent()
    try:
        start = elastic_launch(launch(options.folder, options.ranks), sys.executable)
        start("-m", options.program, str(options.folder), *passed)
    except ChildFailedError as error:
        lost, failure = error.get_first_failure()
        os.write(1, write(Lost(lost, failure.exitcode)))
        return 1
    return 0


def launch(folder: Path, ranks: int) -> LaunchConfig:
    """Return how `ranks` are launched on this machine; what torch keeps of them lies in `folder`."""
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id=RUN,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
    )


def _parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m harness.parallel.agent", description="Starts a worker's ranks.")
    parser.add_argument("folder", type=Path, help="what the ranks and their owner share")
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--program", default=PROGRAM, help="module that each rank runs")
    return parser.parse_known_args()


if __name__ == "__main__":
    sys.exit(main())
