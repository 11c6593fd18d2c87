"""Kernels: where grouped_mm is one, by a scripted device, and what the record says where it is not."""

from __future__ import annotations

import pytest
import torch

from harness.layers import build
from harness.layers.kernels import CPU_REMARK, LOOP_REMARK, grouped_remark, has_grouped_kernel
from tests.cases import token_choice

CUDA = torch.device("cuda", 0)


def _script(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)


@pytest.mark.parametrize(
    ("capability", "dtype", "kernel"),
    [
        ((9, 0), torch.bfloat16, True),
        ((10, 0), torch.bfloat16, True),
        ((10, 3), torch.bfloat16, True),
        ((8, 0), torch.bfloat16, False),
        ((8, 9), torch.bfloat16, False),
        ((12, 0), torch.bfloat16, False),
        ((9, 0), torch.float16, False),
        ((9, 0), torch.float32, False),
    ],
)
def test_the_kernel_takes_bfloat16_on_hopper_and_b200(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype, kernel: bool
) -> None:
    _script(monkeypatch, capability)
    assert has_grouped_kernel(dtype, CUDA) is kernel
    remark = grouped_remark(dtype, CUDA)
    assert (remark is None) is kernel
    if remark is not None:
        assert f"this is {str(dtype).removeprefix('torch.')} on {capability[0]}.{capability[1]}" in remark


def test_a_cpu_is_asked_for_no_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: pytest.fail("asked"))
    assert not has_grouped_kernel(torch.bfloat16, torch.device("cpu"))
    assert grouped_remark(torch.float32, torch.device("cpu")) == CPU_REMARK


def test_a_layer_remarks_what_stands_in_for_its_kernel() -> None:
    assert "waits for the device" in build(token_choice(dtype="float64")).remarks[0]
    assert build(token_choice()).remarks == [CPU_REMARK]
    assert build(token_choice(), device="meta").remarks == []
    assert build(token_choice(backend="loop")).remarks == [LOOP_REMARK]
    assert build(token_choice(dtype="float64", capacity_factor=1.0)).remarks == []  # batched products, no grouped ones
