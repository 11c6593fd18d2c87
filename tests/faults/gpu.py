"""A scripted GPU that fails: the device's own code, on a stand-in for torch.cuda and NVML that runs out of memory, is
spoilt by an illegal access, disappears, or is in one of the conditions of `conditions.py`.

Layers compute on the CPU; each forward pass is a kernel of half a millisecond on the device's clock. Host and device go
by one scripted wall clock, on which a visit that takes half a minute is over at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from harness.devices import cuda_clock
from harness.devices.cuda import CudaDevice
from harness.layers.interface import Layer
from harness.probes import energy
from tests.faults.conditions import MACHINES, METERS, OUTPUTS
from tests.faults.layers import Moment
from tests.scripted_cuda import ScriptedCuda, ScriptedEvent, ScriptedNvml
from tests.scripted_wall import ScriptedWall

NAME = "NVIDIA Scripted"
KERNEL_MS, LONG_MS, KERNEL_BYTES = 0.5, 20.0, 4096
"""A pass, a pass of the energy probe (it makes as many as fill half a minute), and what either holds."""
OUT_OF_MEMORY, ILLEGAL_ACCESS, DISAPPEARS = "gpu-out-of-memory", "gpu-illegal-access", "gpu-disappears"
GPU_FAULTS = (OUT_OF_MEMORY, ILLEGAL_ACCESS, DISAPPEARS)


@dataclass
class FailingCuda(ScriptedCuda):
    """A context that answers with one error once it is broken, as CUDA does: late, and from then on always."""

    broken: str = ""

    def synchronize(self) -> None:
        self._answer()
        super().synchronize()

    def Event(self, enable_timing: bool) -> ScriptedEvent:  # noqa: N802
        self._answer()
        return super().Event(enable_timing)

    def _answer(self) -> None:
        if self.broken:
            raise torch.AcceleratorError(f"CUDA error: {self.broken}")


@dataclass
class ScriptedGpu:
    """One GPU, whose fate stands in files beside the witness: it is gone while there is `.gone` and no `.back`."""

    witness: Path
    moment: Moment
    wall: ScriptedWall = field(default_factory=ScriptedWall)
    passes: int = 0
    """Forward passes of the visit at hand."""

    def __post_init__(self) -> None:
        self.cuda, self.nvml = FailingCuda(wall=self.wall), ScriptedNvml(meter=self.wall)

    def device(self) -> CudaDevice:
        """Return the device; raise NoSuchDevice where it is gone."""
        self.cuda.available = self._is_back() or not _file(self.witness, "gone").exists()
        device = CudaDevice(cuda=self.cuda, nvml=self.nvml, allocate=self.cuda.buffer)
        device.torch_name = "cpu"
        self._script_time()
        return device

    def _script_time(self) -> None:
        """Let the device's clock and the energy probe go by the scripted wall clock: half a minute is short on it."""
        cuda_clock.time = self.wall  # type: ignore[assignment, attr-defined]
        energy.take = partial(energy.take, clock=energy.Clock(self.wall.perf_counter, self.wall.sleep))

    def rest(self) -> None:
        """Be as a GPU is between two visits: cool, and with nobody else on it."""
        self.passes, self.nvml.reasons, self.nvml.pids = 0, 0, ()
        self.nvml.missing, self.wall.counted = frozenset(), 1.0

    def load(self, layer: Layer) -> Layer:
        """Return `layer` as one of this GPU, with the fault that its variant is named after."""
        sound, variant = layer.forward, layer.case.variant

        def forward(x: Tensor) -> Tensor:
            self.cuda.kernel(LONG_MS if self.moment.probe == "energy" else KERNEL_MS, KERNEL_BYTES)
            self._befall(variant)
            y = sound(x)
            return OUTPUTS[variant](y) if variant in OUTPUTS else y

        layer.forward = forward  # type: ignore[method-assign]
        return layer

    def _befall(self, variant: str) -> None:
        self.passes += 1
        if variant in MACHINES and self.moment.probe == "latency":
            MACHINES[variant](self.cuda, self.nvml, self.passes)
        if variant in METERS:
            METERS[variant](self.wall, self.nvml)
        if _file(self.witness, "sound").exists():
            return
        if variant == OUT_OF_MEMORY:
            raise self.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")
        if variant == ILLEGAL_ACCESS:
            self.cuda.broken = "an illegal memory access was encountered"
        if variant == DISAPPEARS and not self._is_back():
            _file(self.witness, "gone").touch()
            self.cuda.broken, self.nvml.lost = "unspecified launch failure", True

    def _is_back(self) -> bool:
        return _file(self.witness, "back").exists()


def keep_sound(witness: Path) -> None:
    """Let nothing befall the GPU."""
    _file(witness, "sound").touch()


def bring_back(witness: Path) -> None:
    """Put the GPU back, which has disappeared."""
    _file(witness, "back").touch()


def _file(witness: Path, name: str) -> Path:
    return witness.with_suffix(f".{name}")
