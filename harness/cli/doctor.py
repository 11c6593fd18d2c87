"""`harness doctor`: what this device is, what it can do, how noisy it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import document, out
from harness.cli.options import DeviceOption, JsonOption
from harness.cli.planning import detect_or_exit
from harness.cli.programs import measure_ceilings, measure_noise

if TYPE_CHECKING:
    from harness.devices.ceilings import Ceilings

SCHEMA = 1
CEILINGS = ("flops_per_s", "bytes_per_s", "launch_s", "products", "copies")
"""What the document says of them."""


def doctor(
    device: DeviceOption = "auto",
    noise: Annotated[bool, typer.Option(help="Measure the noise floor too (some seconds more).")] = True,
    json_: JsonOption = False,
) -> None:
    """Measure the device's ceilings and noise floor, and keep the ceilings for `plan` and `run`."""
    from dataclasses import asdict

    from harness.devices.datasheet import datasheet
    from harness.engine.environment import environment

    kind, name = detect_or_exit(device)
    ceilings = measure_ceilings(kind, name)
    floor, told = measure_noise(kind) if noise else None, asdict(ceilings)
    if not json_:
        _print(kind, ceilings, floor)
        return
    document(
        {
            "schema": SCHEMA,
            "device": {"kind": kind, "name": name, "memory_bytes": ceilings.memory_bytes},
            "ceilings": {name: told[name] for name in CEILINGS},
            "datasheet": None if (sheet := datasheet(name)) is None else asdict(sheet),
            "noise": floor,
            "environment": environment(),
        }
    )


def _print(kind: str, ceilings: Ceilings, floor: dict[str, float] | None) -> None:
    from harness.devices.ceilings import load, path_of

    out(f"device    {ceilings.device} ({kind}), {ceilings.memory_bytes / 2**30:.1f} GiB")
    for dtype, rate in ceilings.flops_per_s.items():
        out(f"matmul    {dtype:9} {rate / 1e12:8.3f} TFLOP/s")
    out(f"copy      {ceilings.bytes_per_s / 1e9:18.1f} GB/s, read and written")
    _print_small(ceilings)
    _print_datasheet(ceilings)
    if floor:
        interval = f"{floor['ratio']:.4f} [{floor['low']:.4f}, {floor['high']:.4f}]"
        out(f"noise     the same layer against itself, {floor['pairs']} interleaved pairs: {interval}")
        out(f"          a change under {floor['smallest_change']:.1%} cannot be seen by so many pairs")
    if load(ceilings.device) == ceilings:
        out(f"kept in   {path_of(ceilings.device)}")


def _print_small(ceilings: Ceilings) -> None:
    """Print what of small work was measured, for predictions: operations, few rows, and what caches hold."""
    if ceilings.launch_s:
        out(f"operation {ceilings.launch_s * 1e6:18.2f} µs of the host, on next to nothing")
    for size, rate in ceilings.copies[:-1]:
        out(f"copy      {rate / 1e9:18.1f} GB/s, {size / 2**20:g} MiB again and again")
    for dtype, banks in ceilings.products.items():
        for size, curve in banks:
            rates = ", ".join(f"{rows:g} rows {rate / 1e12:.3g}" for rows, rate in curve)
            out(f"experts   {dtype:9} TFLOP/s of products with {size / 2**20:g} MiB of weights: {rates}")


def _print_datasheet(ceilings: Ceilings) -> None:
    """Print what the device's datasheet promises, and what share of it was measured."""
    from harness.devices.datasheet import beyond, datasheet, missing

    sheet = datasheet(ceilings.device)
    if sheet is None:
        out(f"datasheet {missing(ceilings.device)}")
        return
    out(f"datasheet {sheet.source}, dense peaks, read {sheet.read}")
    for dtype, peak in sheet.flops_per_s.items():
        measured = ceilings.flops_per_s.get(dtype)
        share = "" if measured is None else f", of which {measured / peak:.0%} measured"
        out(f"          {dtype:9} {peak / 1e12:8.3f} TFLOP/s{share}")
    share = f"{ceilings.bytes_per_s / sheet.bytes_per_s:.0%}"
    out(f"          memory    {sheet.bytes_per_s / 1e9:8.1f} GB/s, of which {share} measured")
    for words in beyond(sheet, ceilings.flops_per_s, ceilings.bytes_per_s):
        out(f"          {words}")
