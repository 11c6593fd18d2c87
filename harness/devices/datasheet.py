"""What a GPU's datasheet promises, dense, to stand beside what was measured; no torch, no measurement.

Datasheets print the tensor cores' rate with 2:4 sparsity, which no layer here has: half of it is dense. A product in
float32 is torch's default one, without TF32. One in float64 runs on tensor cores where there are such. Tables of peaks
that others ship have the sparse number in places, or another GPU's (torch's own listed 1979 TFLOP/s for an H100).
A device is looked up by its whole name, as NVML gives it, so that a MIG slice is not taken for its GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

READ = "2026-11-22"
"""When these were transcribed, from public copies of the datasheets."""


@dataclass(frozen=True, slots=True)
class Datasheet:
    """The dense peaks of one GPU."""

    flops_per_s: dict[str, float]
    """By dtype of the operands; a dtype that the sheet does not tell is not here."""
    bytes_per_s: float
    """Memory bandwidth."""
    source: str
    """The public document."""
    read: str = READ
    """ISO date of the transcription."""


def _sheet(source: str, tb_per_s: float, *, sparse16: float, float32: float, float64: float | None = None) -> Datasheet:
    """Return a datasheet from its numbers in TFLOP/s; `sparse16` is printed "with sparsity" for both 16-bit formats."""
    rates = {"float32": float32, "bfloat16": sparse16 / 2, "float16": sparse16 / 2}
    if float64 is not None:
        rates["float64"] = float64
    return Datasheet({dtype: rate * 1e12 for dtype, rate in rates.items()}, tb_per_s * 1e12, source)


_H200, _H100 = "NVIDIA H200 Tensor Core GPU datasheet", "NVIDIA H100 Tensor Core GPU datasheet"
_A100, _L40S = "NVIDIA A100 Tensor Core GPU datasheet", "NVIDIA L40S GPU datasheet"
DATASHEETS: Mapping[str, Datasheet] = {
    "NVIDIA H200": _sheet(_H200, 4.8, sparse16=1979, float32=67, float64=67),
    "NVIDIA H100 80GB HBM3": _sheet(_H100, 3.35, sparse16=1979, float32=67, float64=67),
    "NVIDIA H100 PCIe": _sheet(_H100, 2.0, sparse16=1513, float32=51, float64=51),
    "NVIDIA A100-SXM4-40GB": _sheet(_A100, 1.555, sparse16=624, float32=19.5, float64=19.5),
    "NVIDIA A100-SXM4-80GB": _sheet(_A100, 2.039, sparse16=624, float32=19.5, float64=19.5),
    "NVIDIA A100-PCIE-40GB": _sheet(_A100, 1.555, sparse16=624, float32=19.5, float64=19.5),
    "NVIDIA A100 80GB PCIe": _sheet(_A100, 1.935, sparse16=624, float32=19.5, float64=19.5),
    "NVIDIA L40S": _sheet(_L40S, 0.864, sparse16=733, float32=91.6),
    "NVIDIA L40": _sheet("NVIDIA L40 GPU datasheet", 0.864, sparse16=362.1, float32=90.5),
}
"""By the device's name."""


def datasheet(device: str) -> Datasheet | None:
    """Return the datasheet of the device of this name, or None where none is kept, as of any CPU."""
    return DATASHEETS.get(device)


def missing(device: str) -> str:
    """Return in words that there is none."""
    return f"none is kept for {device}: only measured ceilings stand here"


def beyond(sheet: Datasheet, flops_per_s: Mapping[str, float], bytes_per_s: float) -> list[str]:
    """Return which measured ceilings lie above the datasheet's, in words; by rights none does."""
    pairs = [(dtype, rate, sheet.flops_per_s.get(dtype), 1e12, "TFLOP/s") for dtype, rate in flops_per_s.items()]
    pairs.append(("copying", bytes_per_s, sheet.bytes_per_s, 1e12, "TB/s"))
    return [
        f"{what} was measured at {measured / unit:.3g} {name}, above the datasheet's {peak / unit:.3g}: "
        "a clock that errs, a wrong entry, or another device"
        for what, measured, peak, unit, name in pairs
        if peak is not None and measured > peak
    ]
