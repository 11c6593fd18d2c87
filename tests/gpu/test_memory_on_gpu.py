"""The allocator on a real GPU: its peak is what was held, what autograd saves is what it saves on a CPU."""

from __future__ import annotations

import pytest
import torch

from harness.case import Case
from harness.declare.costs import cost
from harness.devices import Device, open_device
from harness.layers import build
from harness.probes import PROBES, Settings, make_subject
from tests.cases import dense, expert_choice, soft, token_choice

pytestmark = pytest.mark.cuda

WIDE = {"d_model": 512, "d_ff": 2048, "batch": 8, "tokens": 256}
BLOCK = 2 << 20
"""The caching allocator's steps for large blocks; a peak is exact where all sizes are multiples of it."""


def measured(case: Case, device: Device) -> dict[str, object]:
    subject = make_subject(case, build(case, device=device.torch_name))
    return dict(PROBES["memory"].measure(subject, device, Settings()).values)


def test_a_peak_is_what_was_held_at_once(gpu: Device) -> None:
    def run() -> None:
        a = torch.empty(16 * BLOCK, dtype=torch.uint8, device="cuda")
        b = torch.empty(8 * BLOCK, dtype=torch.uint8, device="cuda")
        del a, b
        torch.empty(4 * BLOCK, dtype=torch.uint8, device="cuda")

    assert gpu.peak(run).peak_bytes == 24 * BLOCK


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_peak_is_within_two_per_cent_of_its_closed_form(gpu: Device, dtype: str) -> None:
    for case in (dense(dtype=dtype, **WIDE), dense(dtype=dtype, pass_="forward_backward", **WIDE)):
        peak = measured(case, gpu)["memory_peak_bytes"]
        assert peak == pytest.approx(cost(case).memory_predicted, rel=0.02), case.id


@pytest.mark.parametrize(
    "case",
    [
        dense(pass_="forward_backward", **WIDE),
        token_choice(pass_="forward_backward", backend="batched", **WIDE | {"tokens": 1}),  # it copies weights
        token_choice(pass_="forward_backward", capacity_factor=1.25, backend="onehot", **WIDE),
        expert_choice(pass_="forward_backward", **WIDE),
        soft(pass_="forward_backward", **WIDE),
    ],
    ids=lambda case: str(case.id),
)
def test_autograd_saves_the_same_bytes_as_on_a_cpu(gpu: Device, case: Case) -> None:
    on_gpu, on_cpu = measured(case, gpu), measured(case, open_device("cpu"))
    assert on_gpu["memory_saved_bytes"] == on_cpu["memory_saved_bytes"]
