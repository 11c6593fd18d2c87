"""Measuring programs that a command starts in a fresh process, which alone imports torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.console import fail, note
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.devices.ceilings import Ceilings


def measure_ceilings(kind: str, name: str) -> Ceilings:
    """Measure the device's ceilings, keep them in the user's cache folder, and return them."""
    from harness.devices.ceilings import Ceilings

    note(f"harness: measuring the ceilings of {name}; this takes some seconds")
    return Ceilings(**_output_of("harness.probes.ceilings", kind))


def measure_noise(kind: str) -> dict[str, float]:
    """Run one layer against itself and return the ratio, its interval and the smallest change that it could see."""
    return _output_of("harness.engine.noise", kind)


def _output_of(module: str, kind: str) -> dict[str, Any]:
    from harness.engine.conditions import measuring_environment

    command = [sys.executable, "-m", module, "--device", kind]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        env=measuring_environment(),
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C is ours alone: the program would answer it with a traceback
    )
    if done.returncode == Exit.NO_DEVICE:
        raise typer.Exit(Exit.NO_DEVICE)  # the program has said why
    if done.returncode:
        fail(Exit.FAILED_CASES, f"`python -m {module}` ended with {done.returncode}; its words stand above")
    data: dict[str, Any] = json.loads(done.stdout)
    return data
