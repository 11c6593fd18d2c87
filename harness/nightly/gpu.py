"""The GPU around a night: is it the right one and idle; its clocks, locked where that is allowed, and given back.

    python -m harness.nightly.gpu check [--expect NAME] [--patience SECONDS]
    python -m harness.nightly.gpu lock FILE [--clock MHZ]
    python -m harness.nightly.gpu restore FILE

`check` ends with 5 where no GPU is there, another one than expected, or one that somebody computes on. `lock` and
`restore` end with 0 also where the driver refuses, as it does without administrator's rights and in most containers:
FILE (JSON) then says why the clocks were left alone, and the harness records them around every visit all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.devices.interface import NoSuchDevice
from harness.devices.names import nvml_handle, nvml_library
from harness.nightly.night import NO_DEVICE

FOREIGN_BYTES = 1 << 30
"""Memory in use by which somebody computes whom NVML does not name, as from within a container; an idle GPU's context
and ECC take some hundred MB."""
BUSY_PERCENT = 5
"""Of the last second or so in which a kernel ran."""
LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as NVML knows it."""

    nvml: Any
    handle: Any

    def ask(self, function: str, *arguments: object) -> Any:
        """Return NVML's answer, or None where this GPU, driver or right has none."""
        with suppress(AttributeError, self.nvml.NVMLError):
            return getattr(self.nvml, function)(self.handle, *arguments)
        return None

    @property
    def name(self) -> str:
        """Its model."""
        return str(self.ask("nvmlDeviceGetName"))

    def state(self) -> dict[str, Any]:
        """Return clocks in MHz, temperature in °C and power limit in W, each None where NVML does not tell it."""
        limit = self.ask("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "sm_mhz": self.ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_SM),
            "memory_mhz": self.ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_MEM),
            "sm_max_mhz": self.ask("nvmlDeviceGetMaxClockInfo", self.nvml.NVML_CLOCK_SM),
            "temperature_c": self.ask("nvmlDeviceGetTemperature", self.nvml.NVML_TEMPERATURE_GPU),
            "power_limit_w": None if limit is None else limit / 1e3,
            "persistence": self.ask("nvmlDeviceGetPersistenceMode"),
        }


def busy(gpu: Gpu) -> str | None:
    """Return who else is on the GPU, in words; None where nobody is seen."""
    processes = gpu.ask("nvmlDeviceGetComputeRunningProcesses") or []
    if processes:
        return f"processes compute on it: {', '.join(str(process.pid) for process in processes)}"
    used = gpu.ask("nvmlDeviceGetMemoryInfo")
    if used is not None and used.used > FOREIGN_BYTES:
        return f"{used.used / 2**30:.1f} GiB of its memory are in use, by nobody that can be seen from here"
    rates = gpu.ask("nvmlDeviceGetUtilizationRates")
    if rates is not None and rates.gpu > BUSY_PERCENT:
        return f"it is at work {rates.gpu} % of the time"
    return None


def check(
    gpu: Gpu, expected: str | None, patience_s: float, wait: Callable[[float], object] = time.sleep
) -> str | None:
    """Return why this GPU cannot stand for a night; None where it can.

    Args:
        gpu: The GPU.
        expected: What its model must hold, such as "H200"; None: any.
        patience_s: For how long somebody else on it is waited for.
        wait: Sleeps.
    """
    if expected and expected.lower() not in gpu.name.lower():
        return f"this is {gpu.name}, and {expected} was expected"
    left = patience_s
    while (why := busy(gpu)) is not None and left > 0:
        _say(f"{gpu.name}: {why}; waiting, for at most {left:.0f} s")
        wait(min(LOOK_S, left))
        left -= LOOK_S
    return f"{gpu.name} is not idle: {why}" if why else None


def lock(gpu: Gpu, clock: int | None) -> dict[str, Any]:
    """Lock the clocks where the driver lets us, and return what is to be known of them.

    `clock` is that of the SMs in MHz; None: the default that the GPU's maker gives it, where NVML tells it. The highest
    would only be left again at the power limit.
    """
    before = gpu.state()
    wanted = clock or gpu.ask("nvmlDeviceGetDefaultApplicationsClock", gpu.nvml.NVML_CLOCK_SM)
    why = _refusal(gpu, wanted)
    locked = None if why else {"sm_mhz": wanted, "memory_mhz": _locked_memory(gpu)}
    return {"schema": 1, "gpu": gpu.name, "locked": locked, "why": why, "before": before}


def restore(gpu: Gpu, kept: dict[str, Any]) -> dict[str, Any]:
    """Give the clocks back as `lock` found them, and return `kept` with what they are then."""
    why = None
    if kept["locked"]:
        why = _refused(gpu, "nvmlDeviceResetGpuLockedClocks")
        _refused(gpu, "nvmlDeviceResetMemoryLockedClocks")
    if kept["before"]["persistence"] == 0:
        _refused(gpu, "nvmlDeviceSetPersistenceMode", 0)
    return kept | {"after": gpu.state(), "not_restored": why}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = _parse(arguments)
    try:
        with nvml_library() as nvml:
            code: int = options.do(Gpu(nvml, nvml_handle(nvml)), options)
            return code
    except NoSuchDevice as error:
        _say(str(error))
        return NO_DEVICE


def _check(gpu: Gpu, options: argparse.Namespace) -> int:
    why = check(gpu, options.expect, options.patience)
    _say(why or f"{gpu.name} is idle")
    return NO_DEVICE if why else 0


def _lock(gpu: Gpu, options: argparse.Namespace) -> int:
    found = lock(gpu, options.clock)
    _say(f"clocks locked at {found['locked']}" if found["locked"] else f"clocks not locked: {found['why']}")
    _keep(options.file, found)
    return 0


def _restore(gpu: Gpu, options: argparse.Namespace) -> int:
    if not options.file.exists():
        _say(f"nothing was locked: there is no {options.file}")
        return 0
    found = restore(gpu, json.loads(options.file.read_text("utf-8")))
    _say(f"not restored: {found['not_restored']}" if found["not_restored"] else "clocks are as they were")
    _keep(options.file, found)
    return 0


def _keep(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _refusal(gpu: Gpu, clock: int | None) -> str | None:
    """Lock the SMs' clock, and return why that was not possible; None where it is locked."""
    if not clock:
        return "the driver tells no default clock for this GPU; name one by --clock"
    _refused(gpu, "nvmlDeviceSetPersistenceMode", 1)  # without it the driver forgets the lock between two processes
    return _refused(gpu, "nvmlDeviceSetGpuLockedClocks", clock, clock)


def _locked_memory(gpu: Gpu) -> int | None:
    """Lock the memory at its highest clock and return that; None where the driver refuses, as where it has but one."""
    clock: int | None = gpu.ask("nvmlDeviceGetMaxClockInfo", gpu.nvml.NVML_CLOCK_MEM)
    return None if not clock or _refused(gpu, "nvmlDeviceSetMemoryLockedClocks", clock, clock) else clock


def _refused(gpu: Gpu, function: str, *arguments: object) -> str | None:
    """Call NVML, and return why it refused; None where it did as it was told."""
    try:
        getattr(gpu.nvml, function)(gpu.handle, *arguments)
    except (AttributeError, gpu.nvml.NVMLError) as error:
        return f"{function}: {error}"
    return None


def _say(words: str) -> None:
    print(f"gpu: {words}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.nightly.gpu", description="The GPU around a night.")
    commands = parser.add_subparsers(required=True)
    checks = commands.add_parser("check", help="end with 5 unless the GPU is there, the expected one, and idle")
    checks.add_argument("--expect", metavar="NAME", help="what its model must hold, such as H200")
    checks.add_argument("--patience", type=float, default=0.0, metavar="SECONDS", help="how long to wait for others")
    checks.set_defaults(do=_check)
    locks = commands.add_parser("lock", help="lock the clocks where that is allowed")
    locks.add_argument("--clock", type=int, metavar="MHZ", help="of the SMs; default: the maker's")
    locks.set_defaults(do=_lock)
    restores = commands.add_parser("restore", help="give the clocks back")
    restores.set_defaults(do=_restore)
    for command in (locks, restores):
        command.add_argument("file", type=Path, metavar="FILE", help="JSON: what was found and done")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
