"""One GPU for all tests of this folder, with its cuBLAS and its clocks awake."""

from __future__ import annotations

import pytest
import torch

from harness.devices import Device, open_device


@pytest.fixture(scope="session")
def gpu() -> Device:
    """The GPU, after some products: the first ones load libraries and find the clocks low."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    device = open_device("cuda")
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    for _ in range(200):
        a @ a
    device.synchronize()
    return device
