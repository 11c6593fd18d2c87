"""Noise floor: the same layer against itself, in interleaved pairs; a program of its own.

`python -m harness.engine.noise --device cpu` prints one JSON document: the ratio of the two labels with its interval
(1 must lie in it), and the smallest change that so many pairs would find four times out of five; a run states the same
of its own A/A cells (`harness/judge/noise.py`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys

from harness.case import Case
from harness.devices import open_device
from harness.devices.interface import Device, NoSuchDevice
from harness.judge.noise import Cell, noise_floor
from harness.layers import build
from harness.probes.subject import make_subject

PAIRS = 80
CASE = Case(
    variant="a-a", layer="dense", size="S", d_model=384, d_ff=1536, batch=8, tokens=64, dtype="float32",
    pass_="forward", backend="best", activation="gelu", gated=False,
)  # fmt: skip
"""A dense FFN of ViT-S: a few milliseconds on two cores, as most small layers are."""


def measure(device: Device, pairs: int = PAIRS, seed: int = 0) -> dict[str, float]:
    """Return `ratio`, `low`, `high`, `pairs` and `smallest_change` (a share: 0.01 is 1 %) of an A/A run."""
    subject = make_subject(CASE, build(CASE, device=device.torch_name))
    times: dict[str, list[float | None]] = {"a": [], "b": []}
    order, shuffle = ["a", "b"], random.Random(seed)
    for _ in range(3):
        device.time(subject.run, 1, cold=False)
    for _ in range(pairs):
        shuffle.shuffle(order)
        for label in order:
            times[label].append(device.time(subject.run, 1, cold=device.kind == "cuda").device_s)
    floor = noise_floor([Cell(times["a"], times["b"])], pairs)
    assert floor is not None
    assert floor.smallest_change is not None
    ratio = floor.ratio
    told = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    return told | {"pairs": pairs, "smallest_change": floor.smallest_change}


def main() -> int:
    """Measure and print; return the exit code: 0, or 5 where there is no such device."""
    parser = argparse.ArgumentParser(description="Measure this device's noise floor with an A/A run.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    try:
        device = open_device(parser.parse_args().device)
    except NoSuchDevice as error:
        print(f"harness: {error}", file=sys.stderr)
        return 5
    json.dump(measure(device), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
