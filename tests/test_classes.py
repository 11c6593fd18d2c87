from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from harness.devices import classes
from harness.devices.classes import device_class, gpu_class, is_wanted, listed, visible_gpus
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected

CPU = Detected("cpu", "AMD EPYC 7763, 2 cores")


def test_a_cpus_class_is_its_model_its_cores_and_the_threads_that_are_asked_for() -> None:
    assert device_class(CPU) == "AMD EPYC 7763, 2 cores"
    assert device_class(CPU, threads=1) == "AMD EPYC 7763, 2 cores, 1 thread"
    assert device_class(CPU, threads=2) == "AMD EPYC 7763, 2 cores, 2 threads"


def test_a_gpu_that_nothing_tells_of_has_its_name() -> None:
    assert device_class(Detected("cuda", "NVIDIA H200")).startswith("NVIDIA H200")


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], True),
        (["NVIDIA H100*"], True),
        (["nvidia h100*"], True),
        (["NVIDIA A100*", "*80 GiB*"], True),
        (["NVIDIA A100*"], False),
        (["H100"], False),
    ],
)
def test_a_class_is_asked_for_by_patterns(patterns: list[str], wanted: bool) -> None:
    assert is_wanted("NVIDIA H100 80GB HBM3, 80 GiB, sm_90", patterns) is wanted


def test_classes_are_listed_with_their_numbers() -> None:
    assert listed(["a", "b", "a"]) == "2 x a; 1 x b"


@pytest.mark.parametrize(("said", "seen"), [("0,1", ["0", "1"]), ("", []), ("-1", []), ("GPU-a, 3", ["GPU-a", "3"])])
def test_gpus_that_may_be_seen_are_those_of_the_variable(
    said: str, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(classes.VISIBLE, said)
    assert visible_gpus() == seen


def handle(index: int) -> int:
    if index:
        raise RuntimeError("scripted: no such index")
    return index


NVML = SimpleNamespace(
    NVMLError=RuntimeError,
    nvmlDeviceGetHandleByIndex=handle,
    nvmlDeviceGetName=lambda handle: "NVIDIA H200",
    nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=150 << 30),
)
"""NVML's answers about one GPU, by an older library that tells no compute capability."""


def test_a_gpus_class_has_what_the_driver_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "nvml_library", lambda: nullcontext(NVML))
    assert gpu_class("0") == "NVIDIA H200, 150 GiB"
    with pytest.raises(NoSuchDevice, match="NVML has no GPU 7"):
        gpu_class("7")
