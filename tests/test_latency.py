"""The latency probe on a scripted GPU: graphs, throttled blocks, other streams, and what reaches the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.devices import cuda_clock
from harness.devices.cuda import CudaDevice
from harness.engine.marks import marks
from harness.engine.protocol import Request, Result
from harness.engine.worker import Worker
from harness.layers import build
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.graph import SPOILT
from harness.probes.subject import Subject
from tests.cases import dense
from tests.scripted_cuda import ScriptedCuda, ScriptedNvml

SETTINGS = Settings(seconds_per_visit=0.02, min_samples=3)
KERNEL_MS = 0.5


class Gpu:
    """A scripted GPU whose layers compute on the CPU and launch kernels."""

    def __init__(self, patch: pytest.MonkeyPatch, **nvml: Any) -> None:
        self.cuda, self.nvml = ScriptedCuda(), ScriptedNvml(**nvml)
        patch.setattr(cuda_clock, "time", self.cuda.wall)
        self.device = CudaDevice(cuda=self.cuda, nvml=self.nvml, allocate=self.cuda.buffer)
        self.device.torch_name = "cpu"

    def subject(self, launches: Callable[[], object] | None = None, case: Case | None = None) -> Subject:
        """Return a dense layer that launches one kernel of half a millisecond, or what `launches` does."""
        case = case or dense()
        layer = build(case)
        sound = layer.forward

        def forward(x: Tensor) -> Tensor:
            (launches or (lambda: self.cuda.kernel(KERNEL_MS)))()
            return sound(x)

        layer.forward = forward  # type: ignore[method-assign]
        return make_subject(case, layer)

    def measure(self, subject: Subject) -> Outcome:
        return PROBES["latency"].measure(subject, self.device, SETTINGS)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return Gpu(monkeypatch)


def median_of(outcome: Outcome, name: str) -> float:
    samples = outcome.values[name]
    assert isinstance(samples, list)
    return sorted(samples)[len(samples) // 2]


def test_cold_hot_host_and_graph_times_are_metrics_of_their_own(gpu: Gpu) -> None:
    found = gpu.measure(gpu.subject())
    for name in ("latency_ms", "latency_hot_ms", "latency_graph_ms"):
        assert median_of(found, name) == pytest.approx(KERNEL_MS)
    assert median_of(found, "host_ms") < KERNEL_MS
    assert found.values["graph_capturable"] == "yes"
    assert found.notes == []
    assert {"warm_up_ms", "hot_warm_up_ms", "graph_warm_up_ms", "block_clock_mhz", "graph_block_throttled"} <= set(
        found.series
    )


# CUDA graphs


def test_a_layer_that_reads_on_the_host_cannot_be_captured_and_keeps_its_other_times(gpu: Gpu) -> None:
    found = gpu.measure(gpu.subject(gpu.cuda.synchronize_after(KERNEL_MS)))
    assert found.values["graph_capturable"] == "no"
    assert "latency_graph_ms" not in found.values
    assert median_of(found, "latency_ms") == pytest.approx(KERNEL_MS)
    (note,) = found.notes
    assert note == ("no CUDA graph can be captured: CUDA error: operation not permitted when stream is capturing"), (
        "the first line of the first error, and not that of the one which follows from it"
    )
    assert found.spent == SPOILT, "torch 2.11 goes on as in a capture: a later visit would pay for it"


def test_a_gpu_that_a_failed_capture_leaves_unfit_is_given_up_with_its_process(gpu: Gpu) -> None:
    gpu.cuda.spoils = True
    found = gpu.measure(gpu.subject(gpu.cuda.synchronize_after(KERNEL_MS)))
    assert found.values["graph_capturable"] == "no"
    assert str(found.spent).startswith("a failed capture has left the device unfit (CUDA error")
    assert median_of(found, "latency_ms") == pytest.approx(KERNEL_MS), "what was timed before stands"


def test_the_worker_of_a_spoilt_capture_is_replaced_and_its_numbers_stand(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu.cuda.spoils = True
    case = dense()
    worker, subject = Worker(gpu.device), gpu.subject(gpu.cuda.synchronize_after(KERNEL_MS), case)
    monkeypatch.setattr(worker._shelf, "subject", lambda *_: subject)
    result = visit(worker, case)
    assert (result.status, result.values["graph_capturable"]) == ("ok", "no")
    assert "left the device unfit" in str(result.spent)


def test_a_graph_that_does_not_fit_says_nothing_about_the_layer(gpu: Gpu) -> None:
    def needs_memory() -> None:
        gpu.cuda.kernel(KERNEL_MS)
        if gpu.cuda.capturing is not None:
            raise gpu.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    found = gpu.measure(gpu.subject(needs_memory))
    assert "graph_capturable" not in found.values
    assert found.notes == ["no CUDA graph was captured: its memory did not fit beside the rest"]


def test_a_replay_with_another_output_is_no_time(gpu: Gpu) -> None:
    subject = gpu.subject()
    sound = subject.layer.forward

    def forward(x: Tensor) -> Tensor:
        y: Tensor = sound(x)
        return y * 1.01 if gpu.cuda.capturing is not None else y

    subject.layer.forward = forward  # type: ignore[method-assign]
    found = gpu.measure(subject)
    assert found.values["graph_capturable"] == "no"
    assert "latency_graph_ms" not in found.values
    assert found.notes == ["captured, but a replay of the CUDA graph gives another output"]


def test_only_a_forward_pass_without_gradients_is_captured(gpu: Gpu) -> None:
    found = gpu.measure(gpu.subject(case=dense(pass_="forward_backward")))
    assert not {"graph_capturable", "latency_graph_ms"} & set(found.values)
    assert "replay" not in gpu.cuda.log


# work on another stream


@pytest.mark.parametrize("side_ms", [0.2, 5.0])
def test_a_kernel_on_a_side_stream_that_nobody_waits_for_is_incorrect(gpu: Gpu, side_ms: float) -> None:
    """The trick of KernelBench's adversarial kernels: events on the current stream see next to nothing."""

    def launches() -> None:
        gpu.cuda.kernel(0.01)
        gpu.cuda.kernel(side_ms, stream="side")

    found = gpu.measure(gpu.subject(launches))
    assert "work on another stream was not timed" in str(found.incorrect)
    assert found.values == {}


def test_a_side_stream_that_is_done_in_time_is_no_fault(gpu: Gpu) -> None:
    def launches() -> None:
        gpu.cuda.kernel(0.1, stream="side")
        gpu.cuda.kernel(KERNEL_MS)

    assert gpu.measure(gpu.subject(launches)).incorrect is None


def test_a_kernel_that_is_late_on_its_own_stream_is_timed_in_full(gpu: Gpu) -> None:
    found = gpu.measure(gpu.subject(lambda: gpu.cuda.kernel(40.0)))
    assert median_of(found, "latency_ms") == pytest.approx(40.0)
    assert median_of(found, "host_ms") < 1.0, "the host goes on long before the kernel is done"


# the state of the clock round each block


class Falters(ScriptedNvml):
    """Held back in some of the moments at which it is asked."""

    looks = 0

    def __getattr__(self, name: str) -> Any:
        if name == "nvmlDeviceGetCurrentClocksEventReasons":
            self.looks += 1
            self.reasons = 0x8 if self.looks == 12 else 0
        return super().__getattr__(name)


def test_a_throttled_block_is_marked_and_kept(gpu: Gpu) -> None:
    sound = gpu.measure(gpu.subject())
    assert not any(sound.series["block_throttled"])
    gpu.device._nvml = Falters()
    found = gpu.measure(gpu.subject())
    assert sum(found.series["block_throttled"]) == 2, "the block before the reading and the one after it"
    assert len(found.values["latency_ms"]) == len(found.series["block_throttled"])  # type: ignore[arg-type]
    calm = {"throttled": False}
    assert marks(calm, calm) == []
    assert marks(calm, calm, found.series) == ["throttled"], (
        "neither the state before the visit nor that after shows it"
    )


def test_without_nvml_there_is_no_clock_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, starts=False)
    found = gpu.measure(gpu.subject())
    assert "block_clock_mhz" not in found.series
    assert median_of(found, "latency_ms") == pytest.approx(KERNEL_MS)


def test_a_visit_that_never_settled_is_marked() -> None:
    assert marks({}, {}, {"unsettled": [1.0]}) == ["unsettled"]
    assert marks({}, {}, {"unsettled": [0.0], "warm_up_ms": [3.0]}) == []


# clocks that cannot be believed, through the worker


def visit(worker: Worker, case: Case) -> Result:
    settings: dict[str, float | int] = {"seconds_per_visit": 0.005, "min_samples": 3, "seed": 0}
    return worker.visit(Request(1, case.variant, case.as_dict(), "latency", settings))


@pytest.mark.parametrize(
    ("ms", "end", "words"),
    [
        (-3.0, "clock_backwards", "the clock went backwards, in latency: a block of 1 call took -3 ms"),
        (0.0, "clock_still", "no time passed on the clock, in latency: a block of 10000 calls took 0 ms"),
    ],
)
def test_a_clock_that_gives_no_time_ends_the_visit_in_words_of_its_own(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, ms: float, end: str, words: str
) -> None:
    case = dense()

    def launches() -> None:
        gpu.cuda.clock_ms += ms

    worker, subject = Worker(gpu.device), replace(gpu.subject(launches, case), x=torch.zeros(1, 1, 32))
    monkeypatch.setattr(worker._shelf, "subject", lambda *_: subject)
    monkeypatch.setattr(cuda_clock.EventClock, "cold", cuda_clock.EventClock.hot)
    result = visit(worker, case)
    assert (result.status, result.end, result.reason) == ("crashed", end, words)
    assert result.values == {}
