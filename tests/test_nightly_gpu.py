"""The GPU around a night: the right one, idle, and its clocks locked and given back, on a scripted NVML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.devices.interface import NoSuchDevice
from harness.nightly import gpu
from harness.nightly.gpu import Gpu, busy, check, lock, main, restore


class Refused(Exception):
    """What NVML raises."""


@dataclass
class Nvml:
    """Stands in for pynvml: an H200 whose clocks can be locked, unless `rights` is False."""

    pids: list[int] = field(default_factory=list)
    used: int = 600 << 20
    percent: int = 0
    rights: bool = True
    one_memory_clock: bool = False
    default: int | None = 1980
    sm: int = 345
    persistence: int = 0
    done: list[tuple[Any, ...]] = field(default_factory=list)
    NVMLError = Refused
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetName": "NVIDIA H200",
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=pid) for pid in self.pids],
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=self.used),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=self.percent),
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetClockInfo": self.sm,
            "nvmlDeviceGetMaxClockInfo": 3201,
            "nvmlDeviceGetTemperature": 31,
            "nvmlDeviceGetPersistenceMode": self.persistence,
        }
        if name == "nvmlDeviceGetDefaultApplicationsClock" and self.default is not None:
            return lambda *_: self.default
        if name in answers:
            return lambda *_: answers[name]
        if name.startswith(("nvmlDeviceSet", "nvmlDeviceReset")):
            return lambda *words: self._act(name, *words[1:])
        raise AttributeError(name)

    def _act(self, name: str, *words: int) -> None:
        if not self.rights or (self.one_memory_clock and name == "nvmlDeviceSetMemoryLockedClocks"):
            raise Refused("Insufficient Permissions")
        self.done.append((name.removeprefix("nvmlDevice"), *words))


def one(**facts: Any) -> Gpu:
    return Gpu(Nvml(**facts), "gpu 0")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"pids": [17, 4]}, "processes compute on it: 17, 4"),
        ({"used": 20 << 30}, "20.0 GiB of its memory are in use"),
        ({"percent": 40}, "at work 40 % of the time"),
        ({}, None),
    ],
)
def test_somebody_else_is_seen(facts: dict[str, Any], words: str | None) -> None:
    found = busy(one(**facts))
    assert found is None if words is None else words in (found or "")


@pytest.mark.parametrize("expected", [None, "", "H200", "nvidia h200"])
def test_the_expected_gpu_passes(expected: str | None) -> None:
    assert check(one(), expected, 0) is None


def test_another_gpu_is_refused_without_a_wait() -> None:
    assert check(one(pids=[1]), "B200", 600) == "this is NVIDIA H200, and B200 was expected"


def test_others_are_waited_for_and_then_refused() -> None:
    slept: list[float] = []
    assert "not idle" in (check(one(pids=[1]), None, 12, slept.append) or "")
    assert slept == [5.0, 5.0, 2.0]
    leaving = one(pids=[1])
    assert check(leaving, None, 12, lambda _: leaving.nvml.pids.clear()) is None


def test_clocks_are_locked_and_given_back() -> None:
    here = one()
    kept = lock(here, None)
    assert kept["locked"] == {"sm_mhz": 1980, "memory_mhz": 3201}
    assert kept["before"] == {
        "sm_mhz": 345, "memory_mhz": 345, "sm_max_mhz": 3201, "temperature_c": 31, "power_limit_w": 700.0,
        "persistence": 0,
    }  # fmt: skip
    assert here.nvml.done == [
        ("SetPersistenceMode", 1), ("SetGpuLockedClocks", 1980, 1980), ("SetMemoryLockedClocks", 3201, 3201),
    ]  # fmt: skip
    here.nvml.done.clear()
    after = restore(here, kept)
    assert here.nvml.done == [("ResetGpuLockedClocks",), ("ResetMemoryLockedClocks",), ("SetPersistenceMode", 0)]
    assert after["not_restored"] is None
    assert after["after"]["sm_mhz"] == 345


def test_a_clock_that_was_named_is_taken_and_persistence_that_was_on_stays() -> None:
    here = one(persistence=1)
    assert restore(here, lock(here, 1500))["locked"]["sm_mhz"] == 1500
    assert ("SetPersistenceMode", 0) not in here.nvml.done


def test_without_rights_the_state_is_recorded_and_nothing_else() -> None:
    here = one(rights=False)
    kept = lock(here, None)
    assert (kept["locked"], kept["why"]) == (None, "nvmlDeviceSetGpuLockedClocks: Insufficient Permissions")
    assert restore(here, kept)["not_restored"] is None
    assert here.nvml.done == []


def test_a_memory_clock_that_cannot_be_locked_is_not_said_to_be() -> None:
    assert lock(one(one_memory_clock=True), None)["locked"] == {"sm_mhz": 1980, "memory_mhz": None}


def test_a_gpu_without_a_default_clock_is_left_alone() -> None:
    here = one(default=None)
    assert "name one by --clock" in lock(here, None)["why"]
    assert here.nvml.done == []


# the program


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    scripted = Nvml()

    @contextmanager
    def library() -> Iterator[Nvml]:
        yield scripted

    monkeypatch.setattr(gpu, "nvml_library", library)
    monkeypatch.setattr(gpu, "nvml_handle", lambda _: "gpu 0")
    return scripted


def test_the_program_checks(nvml: Nvml, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--expect", "H200"]) == 0
    nvml.pids = [99]
    assert main(["check"]) == 5
    assert "NVIDIA H200 is not idle: processes compute on it: 99" in capsys.readouterr().err


def test_the_program_locks_and_restores(nvml: Nvml, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "clocks.json"
    assert main(["restore", str(file)]) == 0
    assert "nothing was locked" in capsys.readouterr().err
    assert main(["lock", str(file)]) == main(["restore", str(file)]) == 0
    assert set(json.loads(file.read_text())) >= {"gpu", "locked", "before", "after"}
    assert ("ResetGpuLockedClocks",) in nvml.done


@pytest.mark.parametrize("words", [["check"], ["lock", "x.json"], ["restore", "x.json"]])
def test_without_a_gpu_it_ends_with_5(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> None:
        raise NoSuchDevice("no CUDA device: NVML does not start (planted)")

    monkeypatch.setattr(gpu, "nvml_library", none)
    assert main(words) == 5
    assert "NVML does not start (planted)" in capsys.readouterr().err
