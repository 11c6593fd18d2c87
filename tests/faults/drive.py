"""The command line as it is, but for the worker's program.

python -m tests.faults.drive WITNESS run SUITE -o DIR
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from harness.cli import main
from harness.engine import runner
from tests.faults.sweeps import program

if __name__ == "__main__":
    witness = Path(sys.argv.pop(1))
    runner.WorkerOptions = partial(runner.WorkerOptions, program=program(witness))  # type: ignore[assignment, misc]
    main()
