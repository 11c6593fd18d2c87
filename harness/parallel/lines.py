"""What a worker and its ranks say to each other: one JSON object a line, to and from rank 0 and the ranks' agent."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.probes.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Up:
    """All ranks are there; said once."""

    pids: list[int]
    """By rank."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One visit that the ranks are to make together."""

    variant: str
    case: dict[str, Any]
    """As `Case.as_dict` writes it."""
    probe: str
    settings: dict[str, float | int]
    """The fields of `harness.probes.Settings`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it."""

    outcome: dict[str, Any]
    """The fields of `harness.probes.Outcome`."""
    backend: str
    remarks: list[str] = field(default_factory=list)
    build: float = 0.0
    """Seconds that the slowest rank took to build the layer and its input."""
    inside: float = 0.0
    """Seconds inside the probe."""

    def read_outcome(self) -> Outcome:
        """Return the outcome."""
        return Outcome(**self.outcome)


@dataclass(frozen=True, slots=True)
class Lost:
    """A rank has ended, and the agent all others; the last line."""

    rank: int
    code: int
    """Its exit code; below 0 the signal that killed it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in one rank, which that rank leaves in a file before it ends."""

    rank: int
    fault: str | None
    """As `harness.devices.interface.Fault` has it."""
    kind: str
    """`unsupported` where the layer says so, else `error`."""
    what: str
    """One line."""
    detail: str
    """The traceback."""


Line = Up | Ask | Told | Lost | Failure
_KINDS: dict[str, type[Line]] = {kind.__name__.lower(): kind for kind in (Up, Ask, Told, Lost, Failure)}


def write(line: Line) -> bytes:
    """Return one line, line end included."""
    return json.dumps({"type": type(line).__name__.lower(), **asdict(line)}).encode() + b"\n"


def read(text: bytes | str) -> Line:
    """Return what one line says; raise ValueError where it is none of ours."""
    try:
        data = json.loads(text)
        return _KINDS[data.pop("type")](**data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a line of the ranks: {text[:120]!r}") from error
