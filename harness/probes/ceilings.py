"""Ceilings: what this device does at best, by dtype for matmul, and for copying; a program of its own.

`python -m harness.probes.ceilings --device cpu` measures, keeps the result in the user's cache folder and prints it as
JSON. Random data, not zeros: an H200 multiplies zeros 13 % faster. The best block of a sweep over sizes counts, since
a ceiling is what can be reached; after the Empirical Roofline Toolkit.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
import time

import torch

from harness.devices import open_device
from harness.devices.ceilings import Ceilings, save
from harness.devices.interface import Device
from harness.devices.names import detect

DTYPES = ("float32", "bfloat16", "float16", "float64")
MATMUL_SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
COPY_BYTES = {"cpu": 256 * 2**20, "cuda": 2**30}
"""Past every cache, read and written."""
REPEATS = 5
SECONDS_A_DTYPE = 1.5
"""A dtype that a device emulates would take minutes at the larger sizes: sizes that do not fit are left out."""


def measure(device: Device, name: str) -> Ceilings:
    """Return the ceilings of `device`, whose name in the cache is `name`; takes some seconds."""
    rates = {dtype: rate for dtype in DTYPES if (rate := _matmul_rate(device, dtype)) is not None}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Ceilings(name, rates, _copy_rate(device), device.memory_bytes(), now, torch.__version__)


def _matmul_rate(device: Device, dtype: str) -> float | None:
    """Return the best FLOP/s over the sizes that fit the time; None where the device cannot do the dtype."""
    best, end = 0.0, time.perf_counter() + SECONDS_A_DTYPE
    for size in MATMUL_SIZES[device.kind]:
        flops = 2 * size**3
        if best and flops / best * (REPEATS + 1) > end - time.perf_counter():
            break
        try:
            a, b = (torch.randn(size, size, device=device.torch_name).to(getattr(torch, dtype)) for _ in range(2))
            torch.mm(a, b)
        except RuntimeError:  # "not implemented for 'Half'" and the like
            return best or None
        seconds = min(device.time(lambda a=a, b=b: torch.mm(a, b), 1, cold=False).device_s for _ in range(REPEATS))
        best = max(best, flops / seconds)
    return best


def _copy_rate(device: Device) -> float:
    """Return the best bytes/s of a copy, those read and those written added up."""
    source = torch.randn(COPY_BYTES[device.kind] // 4, device=device.torch_name)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = min(device.time(lambda: target.copy_(source), 1, cold=False).device_s for _ in range(REPEATS))
    return 2 * source.numel() * source.element_size() / seconds


def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description="Measure this device's ceilings.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    kind, name = detect(parser.parse_args().device)
    ceilings = measure(open_device(kind), name)
    save(ceilings)
    json.dump(dataclasses.asdict(ceilings), sys.stdout)


if __name__ == "__main__":
    main()
