from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.devices import names
from harness.devices.interface import NoSuchDevice
from tests.scripted_cuda import ScriptedNvml


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml(starts=False))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ScriptedNvml:
    nvml = ScriptedNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(names, "_cpu_build", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return nvml


@pytest.mark.parametrize(("version", "cpu"), [("2.13.0+cpu", True), ("2.13.0+cu130", False), ("2.13.0", False)])
def test_a_build_for_the_cpu_says_so_in_its_version(monkeypatch: pytest.MonkeyPatch, version: str, cpu: bool) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert names._cpu_build() == (version if cpu else None)


def test_auto_passes_over_a_gpu_that_torch_is_not_built_for(gpu: ScriptedNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_cpu_build", lambda: "2.13.0+cpu")
    notes: list[str] = []
    assert names.detect("auto", notes.append).kind == "cpu"
    (note,) = notes
    assert note.startswith("NVIDIA Scripted is here, but torch 2.13.0+cpu is a build for the CPU, which is taken")
    assert names.detect("auto").kind == "cpu"
    assert names.detect("cuda", notes.append).kind == "cuda"
    assert len(notes) == 1


def test_auto_is_the_gpu_where_there_is_one(gpu: ScriptedNvml) -> None:
    assert names.detect("auto") == ("cuda", "NVIDIA Scripted")
    assert names.detect("cuda").kind == "cuda"
    assert names.detect("cpu").kind == "cpu"
    assert names.memory_bytes("cuda") == 80 << 30
    assert "shutdown" in gpu.asked


def test_auto_is_the_cpu_where_there_is_no_gpu(no_gpu: None) -> None:
    kind, name = names.detect("auto")
    assert kind == "cpu"
    assert "core" in name


def test_cuda_without_a_gpu_says_what_was_looked_for_and_what_is_here(no_gpu: None) -> None:
    with pytest.raises(NoSuchDevice) as caught:
        names.detect("cuda")
    message = str(caught.value)
    assert message.startswith("no CUDA device: NVML does not start (Driver Not Loaded); this machine has the CPU ")
    assert names.cpu_name() in message
    assert message.endswith("(--device cpu)")


def test_an_unknown_kind_is_quoted() -> None:
    with pytest.raises(NoSuchDevice, match="no kind of device named 'gpu'; expected auto, cpu or cuda"):
        names.detect("gpu")


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_none(gpu: ScriptedNvml, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(NoSuchDevice, match="hides every GPU"):
        names.detect("cuda")
    assert names.detect("auto").kind == "cpu"


@pytest.mark.parametrize(("visible", "handle"), [("1,0", "gpu 1"), ("GPU-abc", "gpu GPU-abc"), ("MIG-7", "gpu MIG-7")])
def test_the_first_visible_gpu_is_named(
    gpu: ScriptedNvml, monkeypatch: pytest.MonkeyPatch, visible: str, handle: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    names.detect("cuda")
    assert gpu.asked[0] == handle


def test_a_gpu_number_that_is_not_there_is_named(gpu: ScriptedNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(NoSuchDevice, match="NVML has no GPU 7"):
        names.detect("cuda")


def test_a_containers_limit_counts_where_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1048576\n")
    (tmp_path / "unlimited").write_text("max\n")
    monkeypatch.setattr(names, "CGROUP_LIMITS", (tmp_path / "none", tmp_path / "unlimited", tmp_path / "memory.max"))
    assert names.memory_bytes("cpu") == 1048576


def test_the_cpus_name_is_read_where_linux_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some  CPU @ 2 GHz\nflags\t\t: avx2 amx_tile\n")
    monkeypatch.setattr(names, "CPUINFO", tmp_path / "cpuinfo")
    assert names.cpu_name().startswith("Some CPU @ 2 GHz, ")
    assert names.cpu_flags() == {"avx2", "amx_tile"}
    monkeypatch.setattr(names, "CPUINFO", tmp_path / "none")
    assert names.cpu_name()
    assert names.cpu_flags() == frozenset()


def test_detecting_needs_no_torch() -> None:
    program = "import sys; from harness.devices import detect; detect('auto'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
