"""Ceilings: what this device does at best, by dtype for matmul, and for copying; a program of its own.

`python -m harness.probes.ceilings --device cpu` measures, keeps the result in the user's cache folder and prints it as
JSON. Random data, not zeros: an H200 multiplies zeros 13 % faster. The best block of a sweep over sizes counts, since
a ceiling is what can be reached; after the Empirical Roofline Toolkit.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import itertools
import json
import math
import sys
import time
from collections.abc import Callable

import torch

from harness.devices import open_device
from harness.devices.ceilings import Ceilings, path_of, save
from harness.devices.interface import Device, NoSuchDevice
from harness.devices.names import detect

DTYPES = ("float32", "bfloat16", "float16", "float64")
SHAPES = {
    "cpu": ((512, 512, 2048), (1024, 1024, 1024), (2048, 2048, 2048)),
    "cuda": ((2048, 2048, 8192), (4096, 4096, 4096), (8192, 8192, 8192)),
}
"""Rows, inner and outer width of the products that are tried: one like an FFN's, and square ones."""
COPY_BYTES = {"cpu": 256 * 2**20, "cuda": 2**30}
"""Past every cache, read and written."""
SECONDS = 1.5
"""Time for each dtype, and for copying: the shapes are tried in turn until it is over, so that a neighbour who is busy
for a while does not set the ceiling. A shape that would outlast it is left out: some devices emulate some dtypes."""


def measure(device: Device, name: str) -> Ceilings:
    """Return the ceilings of `device`, whose name in the cache is `name`; takes some seconds."""
    rates = {dtype: rate for dtype in DTYPES if (rate := _matmul_rate(device, dtype)) is not None}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Ceilings(name, rates, _copy_rate(device), device.memory_bytes(), now, torch.__version__)


def _matmul_rate(device: Device, dtype: str) -> float | None:
    """Return the best FLOP/s over the shapes; None where the device cannot do the dtype."""
    products = [(2 * math.prod(shape), _product(device, dtype, *shape)) for shape in SHAPES[device.kind]]
    best, end = 0.0, time.perf_counter() + SECONDS
    for flops, product in itertools.cycle(products):
        if best and flops / best > end - time.perf_counter():
            return best
        try:
            best = max(best, flops / device.time(product, 1, cold=False).device_s)
        except RuntimeError:  # "not implemented for 'Half'" and the like
            return best or None
    return best


def _product(device: Device, dtype: str, rows: int, inner: int, outer: int) -> Callable[[], torch.Tensor]:
    a = torch.randn(rows, inner, device=device.torch_name).to(getattr(torch, dtype))
    b = torch.randn(inner, outer, device=device.torch_name).to(getattr(torch, dtype))
    return lambda: torch.mm(a, b)


def _copy_rate(device: Device) -> float:
    """Return the best bytes/s of a copy, those read and those written added up."""
    source = torch.randn(COPY_BYTES[device.kind] // 4, device=device.torch_name)
    target = torch.empty_like(source)
    best, end = math.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        best = min(best, device.time(lambda: target.copy_(source), 1, cold=False).device_s)
    return 2 * source.numel() * source.element_size() / best


def main() -> int:
    """Measure, keep, print; return the exit code: 0, or 5 where there is no such device."""
    parser = argparse.ArgumentParser(description="Measure this device's ceilings.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--as", dest="name", help="what they are kept by; left out: the device's name")
    options = parser.parse_args()
    try:
        kind, name = detect(options.device)
        device = open_device(kind)
    except NoSuchDevice as error:
        print(f"harness: {error}", file=sys.stderr)
        return 5
    ceilings = measure(device, options.name or name)
    _keep(ceilings)
    json.dump(dataclasses.asdict(ceilings), sys.stdout)
    return 0


def _keep(ceilings: Ceilings) -> None:
    """Keep the ceilings for later runs where that can be done: the cache is a convenience."""
    try:
        save(ceilings)
    except OSError as error:
        print(
            f"harness: the ceilings cannot be kept in {path_of(ceilings.device)} ({error.strerror}), and will be "
            "measured again; set XDG_CACHE_HOME to a folder that can be written",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
