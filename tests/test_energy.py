"""The energy probe on scripted counters: known watts come back, and a counter that lies or stands still is told."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.case import Case
from harness.declare.energy import WINDOWS, seconds_of_visit
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.declare.visits import seconds_allowed, visits
from harness.devices.cpu import CpuDevice
from harness.devices.cuda import CudaDevice
from harness.devices.rapl import Rapl
from harness.layers import build
from harness.metrics import METRICS, NOISY_SERIES
from harness.probes import Outcome, Settings, energy, make_subject
from harness.probes.energy import Clock, NotMeasured, take
from tests.cases import dense
from tests.scripted_cuda import ScriptedCuda, ScriptedMeter, ScriptedNvml

TOKENS = 256
PASS_S = 0.004


def gpu(meter: ScriptedMeter | None, **script: Any) -> CudaDevice:
    return CudaDevice(cuda=ScriptedCuda(), nvml=ScriptedNvml(meter=meter, **script), allocate=lambda _: None)


def taken(meter: ScriptedMeter, seconds: float = 10.0, run: Callable[[], object] | None = None) -> Outcome:
    """Return what comes of a pass of 4 ms and 256 tokens on the scripted GPU."""
    clock = Clock(meter.now, meter.sleep)
    return take(run or (lambda: meter.work(PASS_S)), TOKENS, gpu(meter), seconds, random.Random(0), clock)


def test_known_watts_come_back_as_joules_a_token() -> None:
    """500 W for 4 ms and 256 tokens are 2 J, so 7812.5 J for a million; at 75 W of rest, 6640.6 of them are net."""
    outcome = taken(ScriptedMeter())
    assert outcome.values["power_w"] == pytest.approx(500, rel=0.02)
    assert outcome.values["power_idle_w"] == pytest.approx(75, rel=0.005)
    assert outcome.values["energy_j_per_mtoken"] == pytest.approx(7812.5, rel=0.02)
    assert outcome.values["energy_net_j_per_mtoken"] == pytest.approx(7812.5 * 0.85, rel=0.02)
    assert outcome.notes == []
    assert set(outcome.values) == set(energy.METRICS) <= set(METRICS)


def test_windows_are_long_enough_and_kept_with_temperatures() -> None:
    series = taken(ScriptedMeter()).series
    assert len(series["energy_windows_s"]) == WINDOWS
    assert min(series["energy_windows_s"]) >= 10
    assert series["energy_counter_s"] == pytest.approx([0.1], rel=0.01)
    assert min(series["energy_windows_s"]) / series["energy_counter_s"][0] >= 99.5
    assert series["energy_temperature_c"] == [61, 61]
    assert series["energy_pass_ms"] == pytest.approx([4.0] * WINDOWS)
    assert {*series} <= NOISY_SERIES


def test_windows_start_at_random_offsets() -> None:
    meter = ScriptedMeter()
    starts: list[float] = []

    def run() -> None:
        starts.append(meter.now())
        meter.work(PASS_S)

    taken(meter, run=run)
    again = ScriptedMeter()
    clock = Clock(again.now, again.sleep)
    other = take(lambda: again.work(PASS_S), TOKENS, gpu(again), 10.0, random.Random(1), clock)
    assert again.now() != meter.now()
    assert other.values["power_w"] == pytest.approx(500, rel=0.02)


def test_a_slightly_slow_counter_draws_the_window_out() -> None:
    series = taken(ScriptedMeter(step_s=0.11)).series
    assert min(series["energy_windows_s"]) == pytest.approx(11.0, rel=0.02)


@pytest.mark.parametrize(
    ("meter", "seconds", "words"),
    [
        (ScriptedMeter(stuck=True), 10.0, "its counter did not move in 5 s at rest"),
        (ScriptedMeter(step_s=4.0, now_s=1000.5), 10.0, "its counter moved once in 5 s at rest"),
        (ScriptedMeter(), 0.1, "its counter did not move in 0.05 s at rest"),
        (ScriptedMeter(), 1.0, "its counter moves every 0.1 s, 10 times in a window of 1 s, and 100 are wanted; set"),
        (ScriptedMeter(step_s=1.0), 10.0, "set energy_seconds in [measure] to 100"),
        (ScriptedMeter(factor=2.0), 10.0, "150 W at rest and its power sensor 75 W: one of them is wrong"),
        (ScriptedMeter(factor=0.5), 10.0, "its counter says 37.5 W at rest and its power sensor 75 W"),
    ],
    ids=["still", "slow", "short", "hundred", "second", "double", "half"],
)
def test_what_cannot_be_believed_is_not_measured_and_says_why(meter: ScriptedMeter, seconds: float, words: str) -> None:
    with pytest.raises(NotMeasured) as caught:
        taken(meter, seconds)
    assert words in str(caught.value)


def test_a_counter_that_stops_under_load_is_told() -> None:
    meter = ScriptedMeter()

    def run() -> None:
        meter.stuck = meter.now() > 1010  # after the time at rest
        meter.work(PASS_S)

    with pytest.raises(NotMeasured, match="stood still through 10 s of work"):
        taken(meter, run=run)


def test_a_counter_a_little_off_is_believed_and_told() -> None:
    outcome = taken(ScriptedMeter(factor=1.1))
    assert outcome.notes == ["energy: its counter says 82.5 W at rest and its power sensor 75 W"]
    assert "energy_j_per_mtoken" in outcome.values


def test_a_pass_longer_than_a_window_is_one_call_of_it() -> None:
    meter = ScriptedMeter()
    outcome = taken(meter, run=lambda: meter.work(15.0))
    assert outcome.series["energy_windows_s"] == pytest.approx([15.0] * WINDOWS)
    assert outcome.values["power_w"] == pytest.approx(500, rel=0.02)


def test_the_instants_power_is_taken_where_nvml_tells_it() -> None:
    """The other reading is a mean of a second since Ampere."""
    device = gpu(ScriptedMeter(watts=75.0))
    assert device.power_watts() == 75.0
    nvml = device._nvml
    nvml.NVML_FI_DEV_POWER_INSTANT = 186
    reading = SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=431_000))
    nvml.nvmlDeviceGetFieldValues = lambda handle, fields: (
        [reading] if fields == [186] else pytest.fail("another field")
    )
    assert device.power_watts() == 431.0
    reading.nvmlReturn = 3  # not supported
    assert device.power_watts() == 75.0


def test_a_gpu_without_a_counter_is_not_measured_and_never_estimated() -> None:
    for device, why in (
        (gpu(None), "energy is not measured: this GPU has no total energy counter"),
        (gpu(None, starts=False), "energy is not measured: NVML does not answer"),
    ):
        case = dense()
        outcome = energy.measure(make_subject(case, build(case)), device, Settings())
        assert outcome.values == {}
        assert outcome.notes == [why]


# RAPL


def powercap(root: Path, *microjoules: int, wraps_at: int = 1_000_000) -> Path:
    """Write powercap as Linux shows it: packages, and domains that must not be added to them."""
    for index, value in enumerate(microjoules):
        _domain(root / f"intel-rapl:{index}", f"package-{index}", value, wraps_at)
        _domain(root / f"intel-rapl:{index}:0", "core", value, wraps_at)
    _domain(root / "intel-rapl:9", "psys", 77, wraps_at)
    return root


def _domain(folder: Path, name: str, value: int, wraps_at: int) -> None:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{value}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps_at}\n")


def test_packages_are_added_and_wraparound_is_no_loss(tmp_path: Path) -> None:
    rapl = Rapl(powercap(tmp_path, 900_000, 100_000))
    assert rapl.joules() == 0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("50000\n")  # 150,000 later, around the end
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("300000\n")
    assert rapl.joules() == pytest.approx(0.35)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("60000\n")
    assert rapl.joules() == pytest.approx(0.36)


def test_no_counter_is_said_in_words(tmp_path: Path) -> None:
    rapl = Rapl(tmp_path)
    assert rapl.joules() is None
    assert rapl.missing == f"this machine has no counter ({tmp_path} shows no package of RAPL)"


def test_a_counter_that_vanishes_is_none(tmp_path: Path) -> None:
    rapl = Rapl(powercap(tmp_path, 5))
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert rapl.joules() is None


def test_a_counter_for_root_alone_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    powercap(tmp_path, 5)

    def refuse(path: Path) -> int:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr("harness.devices.rapl._number", refuse)
    rapl = Rapl(tmp_path)
    assert rapl.joules() is None
    assert "for root alone to read" in rapl.missing


def test_a_cpu_without_rapl_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("harness.devices.cpu.Rapl", lambda: Rapl(tmp_path))
    case = dense()
    outcome = energy.measure(make_subject(case, build(case)), CpuDevice(), Settings())
    assert outcome.values == {}
    assert outcome.notes[0].startswith("energy is not measured: this machine has no counter")


def test_a_cpu_with_rapl_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A processor of 20 W at rest and 65 W at work, whose counter has no power sensor beside it."""
    meter = ScriptedMeter(step_s=0.001, idle_w=20.0, busy_w=65.0)
    device = CpuDevice()
    monkeypatch.setattr(device, "energy_joules", lambda: meter.shown)
    clock = Clock(meter.now, meter.sleep)
    values = take(lambda: meter.work(0.1), 1000, device, 10.0, random.Random(0), clock).values
    assert values["power_w"] == pytest.approx(65, rel=0.001)
    assert values["energy_j_per_mtoken"] == pytest.approx(6500, rel=0.001)
    assert values["energy_net_j_per_mtoken"] == pytest.approx(4500, rel=0.002)


# what the engine must know


def test_a_visit_of_energy_has_its_time_and_others_do_not() -> None:
    suite = parse_suite(SUITE, "test.toml")
    made = {visit.probe: visit for visit in visits(plan(suite))}
    assert made["energy"].seconds == seconds_of_visit(12) == 1 + 6 + 3 * 14
    assert made["flops"].seconds == made["check"].seconds == 0
    case: Case = plan(suite).cases[0].case
    assert seconds_allowed(case, 5.0, made["energy"].seconds) == 5.0 + 2 * made["energy"].seconds


SUITE = """
title = "Energy"
[base]
d_model = 16
d_ff = 32
tokens = 4
batch = 2
[measure]
probes = ["flops", "energy"]
energy_seconds = 12
[[variant]]
name = "dense"
layer = "dense"
"""
