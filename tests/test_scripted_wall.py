"""The stand-in for the GPU's power and clock is held to what NVML's counter is known to do."""

from __future__ import annotations

import pytest

from tests.scripted_cuda import ScriptedCuda, ScriptedNvml, ScriptedNvmlError
from tests.scripted_wall import ScriptedWall


def counter(nvml: ScriptedNvml) -> int:
    return int(nvml.nvmlDeviceGetTotalEnergyConsumption("gpu 0"))


def test_the_counter_steps_every_100_ms_and_says_nothing_new_between() -> None:
    wall = ScriptedWall(idle_watts=100.0)
    nvml = ScriptedNvml(meter=wall)
    before = counter(nvml)
    wall.sleep(0.09)
    assert counter(nvml) == before, "a window shorter than an update reads 0 J"
    wall.sleep(0.02)
    assert counter(nvml) - before == 10_000
    wall.sleep(10.0)
    assert counter(nvml) - before == pytest.approx(100 * 10.11e3, rel=0.01)


def test_a_busy_device_takes_more_and_the_host_waits_for_it() -> None:
    wall = ScriptedWall(idle_watts=100.0, busy_watts=500.0)
    cuda, nvml = ScriptedCuda(wall=wall), ScriptedNvml(meter=wall)
    before, start = counter(nvml), wall.perf_counter()
    for _ in range(1000):
        cuda.kernel(1.0)
    assert wall.perf_counter() - start < 0.01, "launching is not waiting"
    assert nvml.nvmlDeviceGetPowerUsage("gpu 0") == 500_000
    cuda.synchronize()
    assert wall.perf_counter() - start == pytest.approx(1.0)
    assert nvml.nvmlDeviceGetPowerUsage("gpu 0") == 100_000
    assert counter(nvml) - before == pytest.approx(500e3, abs=500e3 * 0.1)


def test_a_counter_may_stand_still_be_wrong_or_be_missing() -> None:
    still, wrong = ScriptedWall(counted=0.0), ScriptedWall(counted=0.5)
    for wall in (still, wrong):
        wall.sleep(1.0)
        nvml, start = ScriptedNvml(meter=wall), counter(ScriptedNvml(meter=wall))
        wall.sleep(10.0)
        assert counter(nvml) - start == pytest.approx(80 * 10e3 * wall.counted, rel=0.02)
    with pytest.raises(ScriptedNvmlError, match="Not Supported"):
        counter(ScriptedNvml())


def test_the_instant_power_field_is_that_of_the_moment() -> None:
    nvml = ScriptedNvml(meter=ScriptedWall(idle_watts=75.0))
    (field,) = nvml.nvmlDeviceGetFieldValues("gpu 0", [nvml.NVML_FI_DEV_POWER_INSTANT])
    assert (field.nvmlReturn, field.value.uiVal) == (0, 75_000)


def test_a_side_stream_is_not_waited_for_by_the_current_one() -> None:
    wall = ScriptedWall()
    cuda = ScriptedCuda(wall=wall)
    cuda.kernel(1.0)
    cuda.kernel(50.0, stream="side")
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    start.record()
    end.record()
    end.synchronize()
    assert not cuda.is_idle(), "the side stream still works"
    before = wall.perf_counter()
    cuda.synchronize()
    assert cuda.is_idle()
    assert wall.perf_counter() - before == pytest.approx(0.049, rel=0.05)
    assert start.elapsed_time(end) == 0.0
