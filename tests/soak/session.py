"""`nox -s soak`: two sweeps of 2,000 visits, and whether anything grows from the hundredth visit to the last.

    python -m tests.soak.session [--keep PAGE]

In the first sweep one worker makes all visits; every fifth is the same probe, so that the windows hold the same mix.
In the second there is a worker for each latency round, as in any run: the first round is compared with the one before
the last, which is another kind of round, since it brings every case to its end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.engine.keeper import WorkerOptions
from harness.engine.runner import run
from tests.reliability import markdown_table, plain_table, write_section
from tests.soak.samples import Growth, Watch, growth, least

HEAD = """
title = "A soak"
[base]
d_model = 16
d_ff = 32
dtype = "float32"
[[variant]]
name = "top-2"
layer = "token_choice"
experts = 4
top_k = 2
[measure]
seconds_per_visit = 0.002
min_samples = 2
"""
ONE_WORKER = f"""{HEAD}
probes = ["flops", "memory", "determinism", "routing"]
[sweep]
batch = {{ from = 1, to = 20, step = 1 }}
tokens = {{ from = 1, to = 20, step = 1 }}
"""
WORKER_A_ROUND = f"""{HEAD}
probes = ["latency"]
rounds = 20
a_a = 0
[sweep]
batch = {{ from = 1, to = 10, step = 1 }}
tokens = {{ from = 1, to = 10, step = 1 }}
"""
SOAKS = {"one worker": (ONE_WORKER, 2000, 80), "a worker each round": (WORKER_A_ROUND, 2100, 100)}
"""Suite, visits, and the visit at which the first window begins; the other begins at LAST."""
LAST = 1900
REPEATS = 3
CACHE_BYTES = 1 << 20
"""For layers and inputs: so little that it is full long before the first window."""


def main() -> int:
    """Soak; return 1 where something grew."""
    parser = argparse.ArgumentParser(description="Make 2,000 visits in one run, twice, and see what grows.")
    parser.add_argument("--keep", type=Path, help="write the table to this page")
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = [("what", "around visit 100", "visits 1,900 to 2,000", "change")]
    grown = False
    for name, (suite, visits, begin) in SOAKS.items():
        chosen = plan(parse_suite(suite, "soak.toml"))
        found = least([soak(chosen, visits, begin) for _ in range(REPEATS)])
        rows += [(f"{name}: {figure.row[0]}", *figure.row[1:]) for figure in found]
        grown |= any(figure.too_much for figure in found)
    print(plain_table(rows))
    if options.keep is not None:
        write_section(options.keep, "soak", markdown_table(rows))
    return int(grown)


def soak(chosen: Plan, visits: int, begin: int) -> Sequence[Growth]:
    """Run the plan and return what became of each figure."""
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = run(
            chosen,
            Path(folder),
            device_kind="cpu",
            progress=watch,
            worker=WorkerOptions(threads=1, cache_bytes=CACHE_BYTES),
        )
    assert (result.status, result.visited) == ("complete", visits), result.visited
    assert {record.status for record in result.records} == {"ok"}
    return growth(watch.samples, begin, LAST)


if __name__ == "__main__":
    sys.exit(main())
