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
from harness.devices.ceilings import Bank, Ceilings, path_of, save
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
BANK = {"cpu": (256, 1024), "cuda": (2048, 2048)}
"""Widths of one matrix of a bank of experts."""
BANK_BYTES = {"cpu": (4 * 2**20, 32 * 2**20, 128 * 2**20), "cuda": (2**30,)}
"""Of the banks: what an inner cache holds, an outer one, and none. On CUDA caches are emptied before each call."""
BANK_ROWS = {"cpu": (1, 4, 16, 64, 256), "cuda": (1, 4, 16, 64, 256, 1024)}
SMALL_COPIES = {"cpu": (2**20, 8 * 2**20, 64 * 2**20), "cuda": ()}
"""Bytes of both ends together of copies that caches may hold."""
TURN = 0.01
"""Seconds that a bank's products have at a time: small ones are tried many times, so that one try is undisturbed."""
LAUNCHES = 1000
SECONDS = 1.5
"""Time for each dtype, and for copying: the shapes are tried in turn until it is over, so that a neighbour who is busy
for a while does not set the ceiling. A shape that would outlast it is left out: some devices emulate some dtypes."""


def measure(device: Device, name: str) -> Ceilings:
    """Return the ceilings of `device`, whose name in the cache is `name`; takes some seconds."""
    rates = {dtype: rate for dtype in DTYPES if (rate := _matmul_rate(device, dtype)) is not None}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    copies = [[float(size), _copy_rate(device, size // 2)] for size in SMALL_COPIES[device.kind]]
    far = _copy_rate(device, COPY_BYTES[device.kind])
    return Ceilings(
        device=name,
        flops_per_s=rates,
        bytes_per_s=far,
        memory_bytes=device.memory_bytes(),
        measured_at=now,
        torch=torch.__version__,
        launch_s=_launch_seconds(device),
        products={dtype: _banks(device, dtype, peak) for dtype, peak in rates.items()},
        copies=[*copies, [2.0 * COPY_BYTES[device.kind], far]] if copies else [],
    )


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


def _banks(device: Device, dtype: str, peak: float) -> list[Bank]:
    """Return for each size of a bank the best FLOP/s of its products, by the rows that each expert gets."""
    calls: dict[tuple[int, int], tuple[int, Callable[[], torch.Tensor]]] = {}
    for size in BANK_BYTES[device.kind]:
        weights = _bank(device, dtype, size)
        for rows in BANK_ROWS[device.kind]:
            if (flops := 2 * rows * weights.numel()) / peak < SECONDS / 10:
                calls[size, rows] = flops, _products(weights, rows)
    best, end = dict.fromkeys(calls, 0.0), time.perf_counter() + SECONDS
    for key, (flops, products) in itertools.cycle(calls.items()):
        if best[key] and time.perf_counter() > end:  # each once at the least
            break
        turn = time.perf_counter() + TURN
        while not best[key] or time.perf_counter() < turn:
            best[key] = max(best[key], flops / device.time(products, 1, cold=True).device_s)
    sizes = dict.fromkeys(size for size, _ in best)
    return [[float(size), [[float(n), rate] for (own, n), rate in best.items() if own == size]] for size in sizes]


def _bank(device: Device, dtype: str, size: int) -> torch.Tensor:
    """Return a bank of experts [E, D, F] of about so many bytes."""
    (inner, outer), kind = BANK[device.kind], getattr(torch, dtype)
    experts = max(1, size * 8 // (inner * outer * torch.finfo(kind).bits))
    return torch.randn(experts, inner, outer, device=device.torch_name).to(kind)


def _products(weights: torch.Tensor, rows: int) -> Callable[[], torch.Tensor]:
    """Return the call that multiplies `rows` of each expert with its matrix."""
    x = torch.randn(len(weights), rows, weights.shape[1], device=weights.device).to(weights.dtype)
    out = weights.new_empty(len(weights), rows, weights.shape[2])
    return lambda: torch.bmm(x, weights, out=out)


def _launch_seconds(device: Device) -> float:
    """Return the least time that the host takes for one operation, on next to nothing."""
    x, best, end = torch.ones(8, device=device.torch_name), math.inf, time.perf_counter() + SECONDS / 3
    while time.perf_counter() < end:
        best = min(best, device.time(lambda: torch.add(x, 1), LAUNCHES, cold=False).host_s)
    return best


def _copy_rate(device: Device, size: int) -> float:
    """Return the best bytes/s of a copy of so many bytes, those read and those written added up."""
    source = torch.randn(size // 4, device=device.torch_name)
    target = torch.empty_like(source)
    calls = max(1, COPY_BYTES[device.kind] // 32 // size)
    best, end = math.inf, time.perf_counter() + SECONDS / (1 if size == COPY_BYTES[device.kind] else 3)
    while time.perf_counter() < end:
        best = min(best, device.time(lambda: target.copy_(source), calls, cold=False).device_s)
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
