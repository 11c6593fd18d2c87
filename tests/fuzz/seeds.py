"""What fuzzing begins with: the shipped suites, and a small whole run, written by the harness's own code."""

from __future__ import annotations

import random
from pathlib import Path

from harness.declare.plan import plan, visits
from harness.declare.planned import Plan
from harness.declare.shipped import shipped_suites
from harness.declare.suite import parse_suite
from harness.devices.ceilings import Ceilings
from harness.devices.names import Detected
from harness.engine.folder import JOURNAL, RECORDS, RUN, settle, write_run
from harness.engine.journal import Journal, Line
from harness.engine.keeper import WorkerOptions
from harness.engine.manifest import manifest

CLUSTER = """\
title = "Two nodes"
text = "small ones"
ranks = [1, 2, 4]
[[device]]
name = "a device"
kind = "cuda"
flops_per_s = { float32 = 1e12, bfloat16 = 4e12 }
bytes_per_s = 1e11
memory_bytes = 1e9
launch_s = 4e-6
source = "made up"
[links]
ranks_per_node = 2
node = { latency_s = 1e-6, bytes_per_s = 1e11 }
network = { latency_s = 1e-5, bytes_per_s = 1e10 }
algorithm = "hierarchical"
"""
SUITE = """\
title = "Small"
headline = ["dense / top-2", "memory"]
[base]
d_model = 16
d_ff = 32
batch = 2
tokens = 8
[sweep]
pass = ["forward", "train"]
[[variant]]
name = "top-2"
layer = "token_choice"
top_k = 2
sweep.experts = { from = 4, to = 16, times = 2 }
[[variant]]
name = "soft"
layer = "soft"
sweep.linked = [{ experts = [4, 8], slots = [2, 1] }]
[[variant]]
name = "dense"
layer = "dense"
match = { to = "top-2", on = "flops" }
[select]
exclude = ["experts > 8 and pass == 'train'"]
[measure]
probes = ["flops", "latency", "memory", "determinism"]
rounds = 2
[[claim]]
id = "flat"
text = "It is flat."
source = "Somebody 2024"
metric = "latency_ms"
where = "variant == 'top-2'"
along = "experts"
expect = "flat"
within = 0.1
"""
SETS = [
    "batch=1,64", "dtype=bfloat16", "experts=[4, 8]", "pass=train", "d_ff=4 * d_model", "capacity_factor=1.25,dropless",
    "experts={ from = 4, to = 64, times = 2 }", "routing=zipf:1.2", "size=S,B", "gated=true", "tokens=max(8, d_model)",
]  # fmt: skip
SELECTS = [
    "experts <= 32", "variant == 'top-2' and batch in (1, 2)", "not (d_ff > 4 * d_model or pass == 'train')",
    "d_model == 16", "batch * tokens % 8 == 0", "min(d_ff, 8) ** 2 < 100", "layer != 'soft'", "gated or batch == 2",
]  # fmt: skip
POLICIES = [
    """\
failed = "warn"
missing = "ignore"
[[rule]]
metrics = ["latency_ms", "energy_*"]
where = "variant == 'soft' and batch in (1, 2)"
threshold = 0.05
[[rule]]
metrics = ["latency_*"]
alert = "warn"
[[rule]]
metrics = ["params*", "det_*", "memory_*"]
threshold = 0
""",
    '[[rule]]\nmetrics = ["params"]\nwhere = "not (d_ff > 4 * d_model)"\nalert = "ignore"\n',
]
DEVICE = Detected("cpu", "A CPU of the fuzzing, 2 cores")
CEILINGS = Ceilings(DEVICE.name, {"float32": 1e11}, 1e10, 1 << 34, "2026-01-01", "2.13.0")


def suites() -> list[bytes]:
    """Return the shipped suites that are small enough to be read a thousand times, and SUITE."""
    shipped = [path.read_bytes() for path in shipped_suites().values()]
    return [SUITE.encode(), *(text for text in shipped if len(text) < 4000)]


def small_plan() -> Plan:
    """Return the plan of SUITE."""
    return plan(parse_suite(SUITE, "small.toml"))


def write_seed_run(folder: Path) -> Path:
    """Write a run of `small_plan` into `folder`, with invented numbers in its journal, and return `folder`."""
    chosen = small_plan()
    document = manifest(chosen, DEVICE, CEILINGS, "harness run small", WorkerOptions(threads=1))
    write_run(folder, document | {"status": "running"})
    (folder / JOURNAL).unlink(missing_ok=True)
    journal, chance = Journal(folder / JOURNAL), random.Random(0)
    for visit in visits(chosen):
        own = {"visit": visit.index, "key": visit.key, "id": "x", "probe": visit.probe, "round": visit.round}
        journal.append(Line(status="ok", values=_values(visit.probe, chance), started=STARTED, seconds=0.01, **own))  # type: ignore[arg-type]
    journal.close()
    settle(folder)
    write_run(folder, document | {"status": "complete", "finished": STARTED})
    return folder


STARTED = "2026-01-01T00:00:00.000+00:00"


def _values(probe: str, chance: random.Random) -> dict[str, float | int | str | list[float]]:
    if probe == "latency":
        return {"latency_ms": [chance.uniform(1, 2) for _ in range(3)]}
    if probe == "determinism":
        return {"det_run": 1.0, "det_run_cause": "none", "det_batch_size": chance.random()}
    return {"memory_peak_bytes": chance.randrange(1 << 20)} if probe == "memory" else {}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files that make a run."""
    return {name: (folder / name).read_bytes() for name in (RUN, JOURNAL, RECORDS)}
