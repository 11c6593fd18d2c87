from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from harness.devices import cuda_clock
from harness.devices.clock import LOOKS, ClockState
from harness.devices.cuda import FALLBACK_L2_BYTES, CudaDevice
from harness.devices.cuda_clock import EVENT_RESOLUTION_S
from harness.devices.cuda_graph import WARM_UP_CALLS
from harness.devices.interface import CaptureFailed, NoSuchDevice
from tests.scripted_cuda import ScriptedCuda, ScriptedEvent, ScriptedNvml, ScriptedOutOfMemoryError


def device(cuda: ScriptedCuda, nvml: Any = None) -> CudaDevice:
    return CudaDevice(cuda=cuda, nvml=nvml or ScriptedNvml(), allocate=cuda.buffer)


def test_without_a_gpu_there_is_no_device_and_the_message_says_what_torch_sees() -> None:
    with pytest.raises(NoSuchDevice, match=r"no CUDA device: torch .* sees none"):
        device(ScriptedCuda(available=False))


def test_this_machines_torch_raises_too_where_it_has_no_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(NoSuchDevice):
        CudaDevice()


def test_cold_time_is_the_kernels_alone_with_a_flush_before_each_call() -> None:
    cuda = ScriptedCuda(l2_bytes=60 << 20)
    gpu = device(cuda)
    durations = iter([2.0, 4.0])
    block = gpu.time(lambda: cuda.kernel(next(durations)), 2, cold=True)
    assert block.device_s == pytest.approx(3e-3)
    assert block.calls == 2
    assert cuda.log == [
        "set_device 0", f"allocate {120 << 20}",
        "flush", "record", "kernel", "record",
        "flush", "record", "kernel", "record", "event synchronize", "synchronize",
    ]  # fmt: skip


def test_the_flush_buffer_is_allocated_once() -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda)
    for _ in range(3):
        gpu.time(lambda: cuda.kernel(1.0), 1, cold=True)
    assert [entry for entry in cuda.log if entry.startswith("allocate")] == [f"allocate {100 << 20}"]


def test_a_device_that_hides_its_l2_size_is_flushed_all_the_same() -> None:
    cuda = ScriptedCuda(l2_bytes=0)
    device(cuda).time(lambda: cuda.kernel(1.0), 1, cold=True)
    assert f"allocate {2 * FALLBACK_L2_BYTES}" in cuda.log


def test_hot_calls_share_one_pair_of_events_and_are_not_flushed() -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda)
    block = gpu.time(lambda: cuda.kernel(0.5), 4, cold=False)
    assert block.device_s == pytest.approx(0.5e-3)
    assert cuda.log == ["set_device 0", "record", *["kernel"] * 4, "record", "event synchronize", "synchronize"]


@pytest.mark.parametrize("cold", [True, False])
def test_host_time_is_the_launches_alone(cold: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda)
    host = iter(range(0, 10_000_000, 1_000_000))
    monkeypatch.setattr("harness.devices.cuda_clock.time.perf_counter_ns", lambda: next(host))
    block = gpu.time(lambda: cuda.kernel(9.0), 2, cold=cold)
    assert block.host_s == pytest.approx(1e-3 if cold else 0.5e-3)
    assert block.device_s == pytest.approx(9e-3)


def test_the_resolution_is_the_least_step_of_a_row_of_events_and_found_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda)
    assert gpu.resolution_s() == EVENT_RESOLUTION_S, "a clock that stands shows none"
    assert cuda.log.count("record") == LOOKS
    gpu.resolution_s()
    assert cuda.log.count("record") == LOOKS

    ticks = ScriptedCuda()
    sound = ScriptedEvent.record

    def record(event: ScriptedEvent) -> None:
        ticks.clock_ms += 0.002
        sound(event)

    monkeypatch.setattr(ScriptedEvent, "record", record)
    assert device(ticks).resolution_s() == pytest.approx(2e-6)


def test_a_wait_for_another_stream_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda)
    monkeypatch.setattr(cuda_clock, "time", cuda.wall)

    def launches() -> None:
        cuda.kernel(1.0)
        cuda.kernel(4.0, stream="side")

    block = gpu.time(launches, 1, cold=False)
    assert block.device_s == pytest.approx(1e-3)
    assert block.late_s == pytest.approx(3e-3, rel=0.01)
    assert gpu.time(lambda: cuda.kernel(1.0), 3, cold=True).late_s == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("reasons", "words", "throttled"), [(0, "none", False), (0x8, "hardware slowdown", True)])
def test_between_blocks_only_the_clock_and_what_holds_it_back_are_read(
    reasons: int, words: str, throttled: bool
) -> None:
    nvml = ScriptedNvml(reasons=reasons)
    gpu = device(ScriptedCuda(), nvml)
    nvml.asked.clear()
    assert gpu.clock_state() == ClockState(1755, words, throttled)
    assert len(nvml.asked) == 2, "a reading between blocks is to be light"


def test_a_gpu_without_those_sensors_tells_no_clock() -> None:
    for missing in ("nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksEventReasons"):
        assert device(ScriptedCuda(), ScriptedNvml(missing=frozenset({missing}))).clock_state() is None
    assert device(ScriptedCuda(), ScriptedNvml(starts=False)).clock_state() is None


def test_a_captured_call_runs_at_each_replay_and_not_in_the_capture() -> None:
    cuda = ScriptedCuda()
    captured = device(cuda).capture(lambda: cuda.kernel(2.0))
    assert cuda.clock_ms == 2.0 * WARM_UP_CALLS, "the capture itself runs nothing"
    captured.replay()
    assert cuda.clock_ms == 2.0 * (WARM_UP_CALLS + 1)


def test_a_call_that_waits_cannot_be_captured_and_the_first_error_says_why() -> None:
    cuda = ScriptedCuda()
    with pytest.raises(CaptureFailed, match=r"^CUDA error: operation not permitted when stream is capturing$"):
        device(cuda).capture(cuda.synchronize)
    assert cuda.capturing is None


def test_peak_is_above_what_stood_before_and_read_after_a_wait() -> None:
    cuda = ScriptedCuda(allocated=5000, peak=90_000)
    peak = device(cuda).peak(lambda: cuda.kernel(1.0, temporary=700))
    assert (peak.peak_bytes, peak.reserved_bytes) == (700, 2 << 20)
    assert cuda.log == ["set_device 0", "synchronize", "reset_peak", "kernel", "synchronize"]


def test_facts_name_the_gpu_and_hash_its_uuid() -> None:
    nvml = ScriptedNvml()
    facts = device(ScriptedCuda(), nvml).facts()
    assert facts["name"] == "NVIDIA Scripted"
    assert (facts["sms"], facts["capability"], facts["l2_bytes"]) == (132, "9.0", 50 << 20)
    assert (facts["driver"], facts["ecc"], facts["power_limit_w"]) == ("570.86", True, 700.0)
    assert facts["memory_bytes"] == 80 << 30
    assert "11111111" not in str(facts)
    assert len(str(facts["uuid_hash"])) == 12
    assert set(nvml.asked) == {"gpu GPU-11111111-2222"}, "NVML was asked about another GPU than torch uses"


def test_without_nvml_the_device_works_and_says_what_is_missing() -> None:
    cuda = ScriptedCuda()
    gpu = device(cuda, ScriptedNvml(starts=False))
    assert gpu.state() == {}
    assert "not available" in str(gpu.facts()["nvml"])
    assert gpu.time(lambda: cuda.kernel(2.0), 1, cold=False).device_s == pytest.approx(2e-3)


def test_a_torch_without_uuids_takes_the_first_visible_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    nvml = ScriptedNvml()
    device(ScriptedCuda(uuid=None), nvml).state()
    assert set(nvml.asked) == {"gpu 1"}


def test_state_reads_clocks_temperature_and_power() -> None:
    state = device(ScriptedCuda()).state()
    assert state == {
        "sm_clock_mhz": 1755,
        "memory_clock_mhz": 1755,
        "temperature_c": 61,
        "temperature_limit_c": 91,
        "power_w": 412.5,
        "event_reasons": "none",
        "throttled": False,
        "foreign_processes": 0,
    }


@pytest.mark.parametrize(
    ("reasons", "words", "throttled"),
    [
        (0x1, "idle", False),
        (0x4, "power cap", False),
        (0x4 | 0x40, "power cap, hardware thermal slowdown", True),
        (0x8, "hardware slowdown", True),
        (0x200, "board limit", False),
    ],
)
def test_event_reasons_become_words_and_a_power_cap_is_no_throttling(reasons: int, words: str, throttled: bool) -> None:
    state = device(ScriptedCuda(), ScriptedNvml(reasons=reasons)).state()
    assert state["event_reasons"] == words
    assert state["throttled"] is throttled


def test_other_processes_on_the_gpu_are_counted() -> None:
    state = device(ScriptedCuda(), ScriptedNvml(pids=(os.getpid(), 17, 18))).state()
    assert state["foreign_processes"] == 2


def test_in_a_container_this_process_is_not_taken_for_another() -> None:
    assert device(ScriptedCuda(), ScriptedNvml(pids=(4_000_001,))).state()["foreign_processes"] == 0
    assert device(ScriptedCuda(), ScriptedNvml(pids=(4_000_001, 18))).state()["foreign_processes"] == 1


def test_a_sensor_that_the_gpu_lacks_is_left_out() -> None:
    nvml = ScriptedNvml(missing=frozenset({"nvmlDeviceGetPowerUsage", "nvmlDeviceGetEccMode"}))
    gpu = device(ScriptedCuda(), nvml)
    assert "power_w" not in gpu.state()
    assert gpu.facts()["ecc"] is None


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ScriptedOutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), "device memory"),
        (RuntimeError("CUDA error: out of memory"), "device memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "device memory"),
        (MemoryError(), "host memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "host memory"),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), "device error"),
        (torch.AcceleratorError("an error in words that nobody knows yet"), "device error"),
        (RuntimeError("CUDA error: device-side assert triggered"), "device error"),
        (RuntimeError("Triton Error [CUDA]: misaligned address"), "device error"),
        (torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), "device lost"),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), "device lost"),
        (RuntimeError("shapes cannot be multiplied"), None),
        (ValueError("CUDA error: said by somebody else"), None),
    ],
)
def test_an_error_says_what_befell_the_machine(error: BaseException, fault: str | None) -> None:
    assert device(ScriptedCuda()).fault(error) == fault


def test_a_gpu_that_nvml_calls_lost_is_lost_whatever_the_error_says() -> None:
    nvml = ScriptedNvml()
    gpu = device(ScriptedCuda(), nvml)
    error = torch.AcceleratorError("CUDA error: unspecified launch failure")
    assert gpu.fault(error) == "device error"
    nvml.lost = True
    assert gpu.fault(error) == "device lost"


def test_without_nvml_a_device_error_is_one() -> None:
    gpu = device(ScriptedCuda(), ScriptedNvml(starts=False))
    assert gpu.fault(RuntimeError("CUDA error: unknown error")) == "device error"
