"""What layers run on: `names` tells devices apart without torch, `open_device` gives one that can measure."""

from __future__ import annotations

from harness.devices.interface import Device, NoSuchDevice
from harness.devices.names import detect, memory_bytes

__all__ = ["Device", "NoSuchDevice", "detect", "memory_bytes", "open_device"]


def open_device(kind: str) -> Device:
    """Return the device of `kind` ("cpu" or "cuda"), ready to measure; imports torch.

    Raises:
        NoSuchDevice: This machine, or this torch, has no such device.
    """
    if kind == "cpu":
        from harness.devices.cpu import CpuDevice

        return CpuDevice()
    if kind == "cuda":
        from harness.devices.cuda import CudaDevice

        return CudaDevice()
    raise NoSuchDevice(f"there is no kind of device named {kind!r}; expected cpu or cuda")
