"""Sides of a paired run: a checkout and an interpreter each, asked what they are before anything is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.declare.planned import Plan
from harness.engine.protocol import VERSION

SideName = Literal["base", "candidate"]
PROGRAM = Path(__file__).with_name("described.py")
WORKER = Path("harness/engine/worker.py")
"""What a checkout of the harness has, from its root."""
PATIENCE_S = 60.0
"""For an interpreter to start and to look at its environment; torch is not imported."""


class SideError(Exception):
    """A side cannot be measured; the message says which, why, and what to try."""


class TooOld(SideError):
    """A side's code cannot be asked what this one asks: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are measured."""

    name: SideName
    said: str
    """As the user named it: a folder, or a revision."""
    root: Path
    """Of its checkout."""
    python: str = sys.executable


@dataclass(frozen=True, slots=True)
class Description:
    """What a side says of itself."""

    environment: dict[str, Any]
    harness: dict[str, Any]
    """As run.json keeps both."""


def check_root(root: Path, said: str) -> Path:
    """Return the absolute root of a checkout of the harness; raise SideError where it is none."""
    if not (root / WORKER).is_file():
        raise SideError(
            f"{said} holds no harness (it has no {WORKER}): with --paired a side is the root of a checkout of "
            "moe-harness, or a git revision of the repository you stand in"
        )
    return root.resolve()


def describe(side: Side, plan: Plan) -> Description:
    """Return what a side says of itself.

    Raises:
        SideError: Its interpreter is not there, or cannot run its code, or has no torch.
        TooOld: Its code does not know the plan's cases, or speaks another protocol.
    """
    told = _ask(side, json.dumps([(planned.case.variant, planned.case.as_dict()) for planned in plan.cases]))
    if told["protocol"] != VERSION:
        raise TooOld(
            f"{_of(side)} speaks version {told['protocol']} of the worker protocol, and this harness {VERSION}"
        )
    if unknown := told["unknown"]:
        raise TooOld(
            f"{_of(side)} does not know {len(unknown)} of the suite's {len(plan.cases)} cases ({unknown[0]}); "
            "leave them out by --select"
        )
    if not told["environment"].get("torch"):
        raise SideError(f"{_of(side)}: {side.python} has no torch; name another by --{side.name}-python")
    return Description(told["environment"], told["harness"])


def _ask(side: Side, cases: str) -> dict[str, Any]:
    command = [side.python, "-P", str(PROGRAM), str(side.root)]
    try:
        done = subprocess.run(command, input=cases, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except OSError as error:
        hint = f"name an interpreter that has torch by --{side.name}-python"
        raise SideError(f"{_of(side)}: {side.python} cannot be started ({error.strerror}); {hint}") from None
    except subprocess.TimeoutExpired:
        raise SideError(f"{_of(side)}: {side.python} gave no answer within {PATIENCE_S:.0f} s") from None
    if done.returncode == 0:
        told: dict[str, Any] = json.loads(done.stdout)
        return told
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if "harness" in last:
        raise TooOld(f"{_of(side)} is too old to be measured beside this harness ({last})")
    hint = f"expected one with the harness's dependencies, of Python 3.11 or later: --{side.name}-python PATH"
    raise SideError(f"{_of(side)}: {side.python} cannot run its code ({last}); {hint}")


def _of(side: Side) -> str:
    return f"the {side.name} {side.said}"
