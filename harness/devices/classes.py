"""Device classes: what devices have in common that are alike, in words; without torch.

Two devices of one class may share the cases of a sweep. Times of two classes stand in two runs, and no mean is taken
over them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, nvml_handle, nvml_library

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Which GPUs a process may see, and in what order."""


def device_class(device: Detected, threads: int = 0) -> str:
    """Return the class of a device: a GPU's model, memory and compute capability; a CPU's model, cores and threads.

    Args:
        device: The CPU, or the first GPU that this process may see.
        threads: Those that torch is told to use on a CPU; 0 leaves them to torch, which goes by the cores.
    """
    if device.kind == "cpu":
        return f"{device.name}, {_count(threads, 'thread')}" if threads else device.name
    with suppress(NoSuchDevice), nvml_library() as nvml:
        return ", ".join([device.name, *_facts(nvml, nvml_handle(nvml))])
    return device.name


def visible_gpus() -> list[str]:
    """Return the GPUs that CUDA may see, each as CUDA_VISIBLE_DEVICES names it alone; none without a driver."""
    said = os.environ.get(VISIBLE)
    if said is not None:
        return [word for word in map(str.strip, said.split(",")) if word and word != "-1"]
    with suppress(NoSuchDevice), nvml_library() as nvml:
        return [str(index) for index in range(int(nvml.nvmlDeviceGetCount()))]
    return []


def gpu_class(visible: str) -> str:
    """Return the class of one of `visible_gpus`; raise NoSuchDevice where the driver does not know it."""
    with nvml_library() as nvml:
        try:
            handle = (
                nvml.nvmlDeviceGetHandleByIndex(int(visible))
                if visible.isdigit()
                else nvml.nvmlDeviceGetHandleByUUID(visible)
            )
            name = str(nvml.nvmlDeviceGetName(handle))
        except nvml.NVMLError as error:
            raise NoSuchDevice(f"NVML has no GPU {visible} ({error})") from error
        return ", ".join([name, *_facts(nvml, handle)])


def is_wanted(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a class is one of those that are asked for: `NVIDIA H100*`, whatever the case; all of none."""
    return not patterns or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def listed(classes: Iterable[str]) -> str:
    """Return classes with how many devices each has, as `2 x NVIDIA H200, 139 GiB, sm_90; 1 x ...`."""
    names = list(classes)
    return "; ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def _facts(nvml: Any, handle: Any) -> list[str]:
    """Return a GPU's memory and compute capability, as far as the driver tells them."""
    facts = []
    with suppress(nvml.NVMLError, AttributeError):
        facts.append(f"{int(nvml.nvmlDeviceGetMemoryInfo(handle).total) / 2**30:.0f} GiB")
    with suppress(nvml.NVMLError, AttributeError):
        facts.append("sm_{}{}".format(*nvml.nvmlDeviceGetCudaComputeCapability(handle)))
    return facts


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
