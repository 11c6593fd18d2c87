"""The bench in pytest's process: its clock is the device's, and what spoils the process ends its measuring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.format import Measure
from harness.declare.planned import PlannedCase
from harness.devices.interface import Device
from harness.devices.names import Detected
from harness.layers.plugins import BlackBox
from harness.record import OkRecord
from harness.testing import bench as room
from harness.testing.bench import Bench
from harness.testing.clock import RoundClock
from harness.testing.outcome import Spoiled, Taken
from tests.cases import dense
from tests.test_latency import KERNEL_MS, Gpu

WANTED = Measure(probes=["latency"], rounds=3, seconds_per_visit=0.005, min_samples=2)
Act = Callable[[], object]


class Launching(nn.Module):
    """Launches something, and gives its input back."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.act = act

    def __deepcopy__(self, memo: object) -> Launching:
        return Launching(lambda: None)

    def forward(self, x: Tensor) -> Tensor:
        self.act()
        return x * 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gpu:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Gpu(monkeypatch)


def on(device: Device, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(room, "open_device", lambda kind: device)
    return Bench(Detected(device.kind, "Scripted device"), RoundClock())


def measure(bench: Bench, act: Act) -> Taken:
    case = dense(layer="tests:own")

    def make(case: Case, seed: int) -> BlackBox:
        return BlackBox(case, case.layer, Launching(act), torch.device("cpu"))

    return bench.measure(PlannedCase(case, None, None, None, None, None), WANTED, bench.worker(make=make), None)


def test_on_cuda_a_round_is_what_events_say_of_a_pass(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = on(gpu.device, monkeypatch)
    before = bench._clock()
    record = measure(bench, lambda: gpu.cuda.kernel(KERNEL_MS)).record
    assert isinstance(record, OkRecord)
    assert record.metrics["latency_ms"].value == pytest.approx(KERNEL_MS)
    assert len(record.metrics["latency_ms"].rounds or []) == 3
    assert bench._clock() - before == pytest.approx(3 * KERNEL_MS * 1e-3)


def test_no_capture_is_tried_in_a_process_that_goes_on(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    record = measure(on(gpu.device, monkeypatch), gpu.cuda.synchronize_after(KERNEL_MS)).record
    assert isinstance(record, OkRecord)
    assert not {"graph_capturable", "latency_graph_ms"} & set(record.metrics)
    assert "latency_hot_ms" in record.metrics


def test_work_on_another_stream_is_no_time(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def act() -> None:
        gpu.cuda.kernel(KERNEL_MS)
        gpu.cuda.kernel(10 * KERNEL_MS, stream="side")

    record = measure(on(gpu.device, monkeypatch), act).record
    assert record.status == "incorrect"
    assert "work on another stream was not timed" in str(record.reason)


def test_an_error_of_the_device_ends_the_measuring(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    bench = on(gpu.device, monkeypatch)
    taken = measure(bench, fails)
    assert (taken.record.status, taken.record.end) == ("crashed", "crashed_cuda")
    assert "illegal memory access" in str(taken.traceback)
    with pytest.raises(Spoiled, match="spoils all later work of its process, in an earlier case"):
        measure(bench, lambda: gpu.cuda.kernel(KERNEL_MS))


def test_what_is_pytests_goes_through(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = on(gpu.device, monkeypatch)
    for ending in (KeyboardInterrupt, pytest.skip.Exception, pytest.exit.Exception):

        def act(ending: type[BaseException] = ending) -> None:
            raise ending("now")

        with pytest.raises(ending):
            measure(bench, act)
