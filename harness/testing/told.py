"""What a session says of where it ran: the facts that must agree for times to be compared, and all others beside."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

from harness.devices.interface import NoSuchDevice
from harness.devices.names import detect
from harness.engine.conditions import CONDITIONS
from harness.engine.environment import environment, measuring_variables

LASTING = ("python", "torch", "triton", "os", "kernel", "cpu", "memory_bytes", "variables")
"""Of the environment: what stays from one session to the next. pytest-benchmark warns where a stored file differs."""

FROM_TORCH_ON = ("GOMP_SPINCOUNT", "KINETO_LOG_LEVEL")
"""Of a measuring process's conditions: those that count from the moment at which torch is loaded. glibc reads the
others when a process starts, and pytest's has started."""


def take_conditions() -> None:
    """Set what a measuring process starts under, as far as it still counts; what the user has set stands."""
    if "torch" not in sys.modules:
        os.environ.update({name: CONDITIONS[name] for name in FROM_TORCH_ON if name not in os.environ})


@cache
def surroundings() -> dict[str, Any]:
    """Return the environment as `run.json` has it, but for the variables: those that this process has."""
    return environment() | {"variables": measuring_variables(os.environ)}


def machine(asked: str) -> dict[str, Any]:
    """Return device and software of a session for which `--harness-device` is `asked`; needs no torch."""
    lasting = {name: surroundings()[name] for name in LASTING if name in surroundings()}
    try:
        return lasting | {"device": detect(asked)._asdict()}
    except NoSuchDevice:  # the suite's collection says so
        return lasting
