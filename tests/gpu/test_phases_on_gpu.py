"""Phases and energy on a real GPU: sleeps of known length come back as shares, the counter agrees with the sensor."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.devices import Device
from harness.layers.interface import PHASES, Layer
from harness.probes import PROBES, Settings, make_subject
from tests.cases import token_choice

pytestmark = pytest.mark.cuda

SLEEPS = {"router": 4, "dispatch": 2, "experts": 8, "combine": 3, "other": 3}
"""Parts of the pass."""
CYCLES = 1_000_000
WINDOW_S = 6.0


class Sleep(torch.autograd.Function):
    """Keeps the GPU busy; an operator, since the profiler ties kernels to the operators that launch them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: int) -> Tensor:
        torch.cuda._sleep(parts * CYCLES)  # type: ignore[no-untyped-call]
        return x.view_as(x)


def sleep(x: Tensor, parts: int) -> Tensor:
    y: Tensor = Sleep.apply(x, parts)  # type: ignore[no-untyped-call]
    return y


class Sleeping(Layer):
    """Sleeps in each phase, and outside of them, for as long as is planted there."""

    def __init__(self) -> None:
        super().__init__(token_choice(), "reference")
        self.weight = nn.Parameter(torch.ones((), device="cuda"))

    def forward(self, x: Tensor) -> Tensor:
        for phase in PHASES:
            with self.phase(phase):
                x = sleep(x, SLEEPS[phase])
        return sleep(x, SLEEPS["other"])


def test_sleeps_come_back_as_shares_within_two_points(gpu: Device) -> None:
    layer = Sleeping()
    outcome = PROBES["phases"].measure(make_subject(layer.case, layer), gpu, Settings())
    for phase, parts in SLEEPS.items():
        share = outcome.values[f"phase_{phase}_share"]
        assert share == pytest.approx(parts / sum(SLEEPS.values()), abs=0.02), phase


def test_the_energy_counter_agrees_with_the_power_sensor(gpu: Device) -> None:
    """From one step of the counter to another, under a steady load: within 5 % of the mean of the power between."""
    if gpu.energy_joules() is None:
        pytest.skip("this GPU has no energy counter")
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def work() -> None:
        for _ in range(10):
            a @ a
        gpu.synchronize()

    def next_step() -> tuple[float, float]:
        last = gpu.energy_joules()
        while (joules := gpu.energy_joules()) == last:
            work()
        assert joules is not None
        return time.perf_counter(), joules

    end = time.perf_counter() + 1.5  # power settles
    while time.perf_counter() < end:
        work()
    start, before = next_step()
    watts = []
    while time.perf_counter() < start + WINDOW_S:
        work()
        watts.append(gpu.power_watts())
    stop, after = next_step()
    sensed = [reading for reading in watts if reading is not None]
    assert (after - before) / (stop - start) == pytest.approx(sum(sensed) / len(sensed), rel=0.05)
