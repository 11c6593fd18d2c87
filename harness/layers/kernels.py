"""Which of torch's operators are kernels on a device, and which are loops under the same name."""

from __future__ import annotations

import torch

GROUPED_MAJORS = (9, 10)
"""CUDA compute capabilities, by major number, that torch's grouped_mm has a kernel for: Hopper and Blackwell's B200
(ATen, GroupedBlas.cpp; torch 2.8 to 2.13). Elsewhere it copies the offsets to the host and loops over the groups."""

LOOP_REMARK = "loop is the eager baseline: it asks the device which experts were hit, and waits for the answer"


def has_grouped_kernel(dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether torch's grouped_mm is one kernel, without a wait, for `dtype` on `device`."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return False
    return torch.cuda.get_device_capability(device)[0] in GROUPED_MAJORS


CPU_REMARK = "grouped products are a loop over the experts here: no CPU has a kernel for them"
"""What is said of `grouped` on a CPU, whichever loop it takes: torch's inside grouped_mm, or ours."""


def grouped_remark(dtype: torch.dtype, device: torch.device) -> str | None:
    """Return in a sentence what stands in for a grouped kernel where `device` has none for `dtype`; None where it has.

    float64, which grouped_mm does not take on any device, is a loop of our own.
    """
    name = str(dtype).removeprefix("torch.")
    if dtype == torch.float64:
        return "grouped_mm takes no float64: a loop over the experts stands in, which waits for the device"
    if device.type == "cpu":
        return CPU_REMARK
    if device.type != "cuda" or has_grouped_kernel(dtype, device):
        return None
    major, minor = torch.cuda.get_device_capability(device)
    return (
        f"grouped_mm is no kernel here but torch's loop over the experts, which waits for the device: the kernel takes "
        f"bfloat16 on compute capability 9.x or 10.x, and this is {name} on {major}.{minor}"
    )
