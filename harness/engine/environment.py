"""What machine and what software a run stood on; without torch. Variables by allow-list only: no secret is read."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import harness
from harness.devices.names import cpu_flags, cpu_name, memory_bytes
from harness.engine.conditions import measuring_environment
from harness.engine.machine import machine

PACKAGE = Path(harness.__file__).parent
DISTRIBUTIONS = ("torch", "triton", "numpy", "scipy", "pandas", "pydantic", "nvidia-ml-py", "psutil")
VARIABLES = re.compile(
    r"OMP_(NUM_THREADS|PROC_BIND|PLACES|SCHEDULE|DYNAMIC|WAIT_POLICY|STACKSIZE|THREAD_LIMIT|MAX_ACTIVE_LEVELS)"
    r"|KMP_(AFFINITY|BLOCKTIME|HW_SUBSET)|GOMP_(CPU_AFFINITY|SPINCOUNT)"
    r"|MKL_(NUM_THREADS|DYNAMIC|CBWR|ENABLE_INSTRUCTIONS|THREADING_LAYER|DEBUG_CPU_TYPE|VERBOSE)|ONEDNN_(MAX_CPU_ISA|VERBOSE|DEFAULT_FPMATH_MODE)"
    r"|OPENBLAS_NUM_THREADS|NUMEXPR_NUM_THREADS|MALLOC_[A-Z_]+_|LD_PRELOAD|GLIBC_TUNABLES"
    r"|PYTHON(HASHSEED|OPTIMIZE|MALLOC|DEVMODE|FAULTHANDLER|DONTWRITEBYTECODE)"
    r"|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|LAUNCH_BLOCKING|DEVICE_MAX_CONNECTIONS|MODULE_LOADING|CACHE_DISABLE)"
    r"|CUBLAS(LT)?_WORKSPACE_(CONFIG|SIZE)|NVIDIA_TF32_OVERRIDE|NVIDIA_VISIBLE_DEVICES"
    r"|TORCHINDUCTOR_(MAX_AUTOTUNE|FREEZING|COMPILE_THREADS|FORCE_DISABLE_CACHES|CPP_WRAPPER)|TRITON_(INTERPRET|DEBUG)"
    r"|PYTORCH_(ALLOC_CONF|CUDA_ALLOC_CONF|NO_CUDA_MEMORY_CACHING|NVML_BASED_CUDA_CHECK|JIT)"
    r"|TORCH_(ALLOW_TF32_CUBLAS_OVERRIDE|BLAS_PREFER_CUBLASLT|CUDNN_V8_API_DISABLED|COMPILE_DISABLE|LOGS"
    r"|DETERMINISTIC|NUM_THREADS|CPU_ALLOC_ALIGNMENT|USE_MKLDNN|MKLDNN_MATMUL_MIN_DIM)"
)
"""Environment variables that change what is measured; all others stay unread."""
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def environment() -> dict[str, Any]:
    """Return versions, machine, checkout, and the variables that matter, as `run.json` keeps them."""
    commit, dirty = checkout(Path())  # not Path.cwd(): that fails where the folder has been deleted
    return {
        "python": platform.python_version(),
        **{name: found for name in DISTRIBUTIONS if (found := version(name))},
        "os": _os_name(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "hostname": platform.node(),
        "cpu": cpu_name(),
        "memory_bytes": memory_bytes("cpu"),
        **machine(),
        "swap_bytes": psutil.swap_memory().total,
        "swap_used_bytes": psutil.swap_memory().used,
        "load_1min": round(psutil.getloadavg()[0], 2),
        "container": _container(),
        "virtual_machine": _virtual_machine(),
        "variables": measuring_variables(),
        "commit": commit,
        "dirty": dirty,
    }


def measuring_variables(found: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that change what is measured, as a worker will find them, or as they are `found`."""
    every = measuring_environment() if found is None else found
    return {name: value for name, value in sorted(every.items()) if VARIABLES.fullmatch(name)}


def version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None; the distribution is not imported."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def harness_identity() -> dict[str, Any]:
    """Return the harness's version, its commit where it runs from its own checkout, and its source's digest."""
    commit, dirty = checkout(PACKAGE) if _git(PACKAGE, "ls-files", "__init__.py") else (None, None)
    return {"version": harness.__version__, "commit": commit, "dirty": dirty, "source": source_digest()}


@cache
def source_digest(package: Path = PACKAGE) -> str:
    """Return 16 hex digits over the names and contents of all of the harness's Python files."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit that `folder` is a checkout of, and whether it was changed since; (None, None) if none."""
    commit = _git(folder, "rev-parse", "--verify", "-q", "HEAD")
    if not commit:
        return None, None
    return commit, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform()


def _container() -> bool:
    return any(Path(mark).exists() for mark in CONTAINER_MARKS) or "container" in os.environ


def _virtual_machine() -> bool | None:
    """Return whether a hypervisor shows in the processor's flags; None where there are no flags to read."""
    flags = cpu_flags()
    return "hypervisor" in flags if flags else None
