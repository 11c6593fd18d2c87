"""Which devices this machine has, their names and their memory; without torch, so that planning starts at once."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from harness.devices.cgroup import Cgroup
from harness.devices.interface import NoSuchDevice

CPUINFO = Path("/proc/cpuinfo")
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much memory this container may use (cgroup 2, cgroup 1)."""


class Detected(NamedTuple):
    """A device that is here."""

    kind: str
    """cpu or cuda."""
    name: str
    """Its model, and for a CPU its logical cores; ceilings are kept by this name."""


def detect(kind: str, note: Callable[[str], object] | None = None) -> Detected:
    """Return the device that `kind` ("auto", "cpu" or "cuda") means here; auto prefers a GPU that torch can use.

    Args:
        kind: What was asked for.
        note: Is told where auto passes over a GPU, and why.

    Raises:
        NoSuchDevice: `kind` is "cuda" and there is no GPU, or `kind` is none of the three.
    """
    if kind not in ("auto", "cpu", "cuda"):
        raise NoSuchDevice(f"there is no kind of device named {kind!r}; expected auto, cpu or cuda")
    if kind == "cpu":
        return Detected("cpu", cpu_name())
    gpu, missing = _gpu_name()
    if gpu is not None and kind == "auto" and (build := _cpu_build()):
        if note is not None:
            note(
                f"{gpu} is here, but torch {build} is a build for the CPU, which is taken; for the GPU install another"
            )
        return Detected("cpu", cpu_name())
    if gpu is not None:
        return Detected("cuda", gpu)
    if kind == "auto":
        return Detected("cpu", cpu_name())
    raise NoSuchDevice(f"no CUDA device: {missing}; this machine has the CPU {cpu_name()} (--device cpu)")


def memory_bytes(kind: str) -> int:
    """Return the memory in bytes that layers may use in all on the device of `kind` ("cpu" or "cuda").

    Raises:
        NoSuchDevice: `kind` is "cuda" and there is no GPU.
    """
    if kind == "cuda":
        with nvml_library() as nvml:
            return int(nvml.nvmlDeviceGetMemoryInfo(nvml_handle(nvml)).total)
    nested = Cgroup().limits()["memory_limit_bytes"]
    return min([int(psutil.virtual_memory().total), *_cgroup_limits(), *([nested] if isinstance(nested, int) else [])])


def logical_cores() -> int:
    """Return the logical cores of this machine."""
    return psutil.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's model and its logical cores, as `AMD EPYC 7763, 2 cores`."""
    cores = logical_cores()
    return f"{cpu_model()}, {cores} core{'s' if cores != 1 else ''}"


def cpu_flags() -> frozenset[str]:
    """Return the processor's instruction set flags as Linux spells them; empty where they cannot be read."""
    return frozenset(_cpuinfo("flags").split() or _cpuinfo("Features").split())


@contextmanager
def nvml_library() -> Iterator[Any]:
    """Open NVML for the length of the block.

    Raises:
        NoSuchDevice: The driver's library is not here.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoSuchDevice(f"no CUDA device: NVML does not start ({error})") from error
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def nvml_handle(nvml: Any, uuid: str | None = None) -> Any:
    """Return NVML's handle of the GPU with `uuid`, or of the first one that CUDA may see.

    NVML counts all GPUs of the machine, CUDA those that CUDA_VISIBLE_DEVICES lists.

    Raises:
        NoSuchDevice: CUDA may see none, or NVML does not know it.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    try:
        if uuid is not None:
            return nvml.nvmlDeviceGetHandleByUUID(uuid)
        if first.isdigit():
            return nvml.nvmlDeviceGetHandleByIndex(int(first))
        if first.startswith(("GPU-", "MIG-")):
            return nvml.nvmlDeviceGetHandleByUUID(first)
    except nvml.NVMLError as error:
        raise NoSuchDevice(f"no CUDA device: NVML has no GPU {uuid or first} ({error})") from error
    raise NoSuchDevice(f"no CUDA device: CUDA_VISIBLE_DEVICES={first!r} hides every GPU")


def _gpu_name() -> tuple[str | None, str]:
    """Return the GPU's name, or None and what was missing."""
    try:
        with nvml_library() as nvml:
            return str(nvml.nvmlDeviceGetName(nvml_handle(nvml))), ""
    except NoSuchDevice as error:
        return None, str(error).removeprefix("no CUDA device: ")


def _cpu_build() -> str | None:
    """Return the version of a torch that says by its name that it is built without CUDA; None for any other."""
    with suppress(metadata.PackageNotFoundError):
        found = metadata.version("torch")
        return found if found.endswith("+cpu") else None
    return None


def cpu_model() -> str:
    """Return the processor's model."""
    return _cpuinfo("model name") or platform.processor() or platform.machine() or "unknown processor"


def _cpuinfo(field: str) -> str:
    with suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == field:
                return " ".join(value.split())
    return ""


def _cgroup_limits() -> Iterator[int]:
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # not in a container, or the word `max`
            yield int(path.read_text("utf-8"))
