"""Checkouts that differ from this one by one planted change, each with what a gate must say of it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PARTS = ("harness", "reports", "suites", "docs", "pyproject.toml", "constraints.txt")
"""What of a checkout measures and renders."""

SUITE = """
title = "What a gate must see"
[base]
d_model = 256
d_ff = 1024
tokens = 64
dtype = "float32"
[sweep]
batch = [1, 8]
[[variant]]
name = "dense"
layer = "dense"
backend = "fixed_tile"               # bit-equal rows whatever their company: what an order of sums takes away
[[variant]]
name = "top-2"
layer = "token_choice"
top_k = 2
experts = 8
[[variant]]
name = "soft"
layer = "soft"
slots = 4
sweep.experts = [8, 16]
[measure]
probes = ["flops", "latency", "memory", "determinism"]
rounds = 12
seconds_per_visit = 0.05
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """One change of one layer, and what a gate must make of it."""

    what: str
    file: str
    """Of the checkout; `source` is written behind what stands in it."""
    source: str
    variant: str
    """Whose cases must alarm, and nobody else's."""
    metrics: str
    """How the names of the metrics that must alarm begin; no other may."""


PLANTED = {
    "slower": Planted(
        "a forward pass 10 % slower",
        "harness/layers/soft.py",
        '''

def _later(forward):
    """Keep the core busy after the pass for a tenth of the processor time that it took."""
    import time

    def late(self, x, mask=None):
        start = time.thread_time()
        y = forward(self, x, mask)
        done = time.thread_time()
        while time.thread_time() < done + 0.1 * (done - start):
            pass
        return y

    return late


Soft.forward = _later(Soft.forward)
''',
        "soft",
        "latency",
    ),
    "copy": Planted(
        "a copy of the input held through the pass",
        "harness/layers/soft.py",
        """

def _copying(forward):
    def holding(self, x, mask=None):
        spare = x.clone()
        y = forward(self, x, mask)
        del spare
        return y

    return holding


Soft.forward = _copying(Soft.forward)
""",
        "soft",
        "memory",
    ),
    "order": Planted(
        "sums in another order from the second tile on",
        "harness/layers/tiles.py",
        '''

_tiled = tiled


def tiled(function, rows):
    """Add the second bias in two parts in every tile but the first, in no more time and bytes than in one.

    The first bias is added in place, which pays for the second part.
    """
    ffn, done = function.__self__, 0

    def turned(tile):
        nonlocal done
        done += 1
        if done == 1:
            return function(tile)
        hidden = torch.nn.functional.gelu((tile @ ffn.w1).add_(ffn.b1))
        return (hidden @ ffn.w2).add_(ffn.b2, alpha=0.25).add_(ffn.b2, alpha=0.75)

    return _tiled(turned, rows)
''',
        "dense",
        "det_",
    ),
}


def checkout(folder: Path) -> Path:
    """Copy what measures of this checkout into `folder`, as the one commit of a repository of its own; return it."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    _git(folder, "init", "-q")
    _commit(folder, "as it is")
    return folder


def changed(sound: Path, folder: Path, *planted: Planted) -> Path:
    """Copy the checkout `sound` into `folder` and commit the planted changes there; return it.

    So a gate that stands in it can have the baseline's code, as on any night.
    """
    shutil.copytree(sound, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for change in planted:
        file = folder / change.file
        file.write_text(file.read_text("utf-8") + change.source, "utf-8")
    _commit(folder, "planted")
    return folder


def _commit(folder: Path, message: str) -> None:
    (folder / ".gitignore").write_text("__pycache__/\n", "utf-8")
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=gatecheck", "-c", "user.email=", "commit", "-q", "-m", message)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)
