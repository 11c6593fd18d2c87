from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest
import torch

from harness.devices import open_device
from harness.devices.cpu import CpuDevice
from harness.devices.interface import CaptureFailed, NoSuchDevice


@pytest.fixture(scope="module")
def cpu() -> CpuDevice:
    return CpuDevice()


def test_a_known_wait_is_timed_per_call(cpu: CpuDevice) -> None:
    block = cpu.time(lambda: time.sleep(0.02), 3, cold=True)
    assert 0.02 <= block.device_s < 0.2
    assert block.device_s == block.host_s
    assert block.calls == 3


def test_the_peak_of_an_ffn_is_its_hidden_tensors_to_the_byte(cpu: CpuDevice) -> None:
    x, up, down = torch.randn(512, 256), torch.randn(256, 1024), torch.randn(1024, 256)

    def ffn() -> torch.Tensor:
        with torch.no_grad():
            return torch.relu(x @ up) @ down

    assert cpu.peak(ffn).peak_bytes == 4_194_304  # the hidden tensor and its relu, [512, 1024] float32 each
    assert cpu.peak(ffn).reserved_bytes is None


def test_the_peak_holds_what_a_kernel_allocates_inside_itself(cpu: CpuDevice) -> None:
    expanded, other = torch.randn(1024, 1).expand(1024, 1024), torch.randn(1024, 16)
    peak = cpu.peak(lambda: expanded @ other).peak_bytes
    assert peak >= 1024 * 1024 * 4, "the contiguous copy of the expanded operand does not show"
    assert peak == 4_259_840


def test_memory_freed_in_the_pass_does_not_hide_what_came_before_it(cpu: CpuDevice) -> None:
    def twice() -> None:
        torch.empty(1 << 20, dtype=torch.uint8)
        torch.empty(1 << 18, dtype=torch.uint8)

    assert cpu.peak(twice).peak_bytes == 1 << 20


def test_facts_are_plain_values_and_name_the_machine(cpu: CpuDevice) -> None:
    facts = cpu.facts()
    assert facts["cores"] == psutil.cpu_count()
    assert facts["threads"] == torch.get_num_threads()
    assert facts["torch"] == torch.__version__
    assert 0 < cpu.memory_bytes() <= psutil.virtual_memory().total
    assert json.loads(json.dumps(facts)) == facts


def test_state_is_plain_values(cpu: CpuDevice) -> None:
    state = cpu.state()
    assert set(state) <= {"clock_mhz", "temperature_c", "temperature_limit_c", "throttle_count"}
    assert json.loads(json.dumps(state)) == state


def test_a_processors_own_thermometer_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("nvme", "k10temp")):
        folder = tmp_path / f"hwmon{number}"
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "temp1_input").write_text(f"{41000 + number * 10500}\n")
        (folder / "temp1_crit").write_text("95000\n")
    (tmp_path / "count").write_text("7\n")
    monkeypatch.setattr("harness.devices.cpu.HWMON", tmp_path)
    monkeypatch.setattr("harness.devices.cpu.THROTTLE_COUNT", tmp_path / "count")
    state = CpuDevice().state()
    assert (state["temperature_c"], state["temperature_limit_c"], state["throttle_count"]) == (51.5, 95, 7)


def test_a_failed_allocation_is_out_of_memory(cpu: CpuDevice) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert cpu.fault(caught.value) == "host memory"
    assert cpu.fault(MemoryError()) == "host memory"
    assert cpu.fault(RuntimeError("shapes cannot be multiplied")) is None


def test_open_device_knows_two_kinds() -> None:
    assert open_device("cpu").kind == "cpu"
    with pytest.raises(NoSuchDevice, match="no kind of device named 'tpu'; expected cpu or cuda"):
        open_device("tpu")


def test_the_hosts_clock_tells_microseconds_apart_and_has_no_graphs(cpu: CpuDevice) -> None:
    assert 0 < cpu.resolution_s() < 1e-5
    assert cpu.clock_state() is None
    with pytest.raises(CaptureFailed, match="this device has no graphs"):
        cpu.capture(lambda: None)
