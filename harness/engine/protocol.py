"""What runner and worker say to each other: one JSON object a line, nothing else on the two pipes.

The worker opens with `Ready` or `Refused`; then each `Request` gets one `Result`. The runner ends the worker by closing
its stdin. Anything that can say these lines can stand on either side: another interpreter, another machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from harness.devices.interface import Fact
from harness.record import ENDS, End, FailedStatus

VERSION = 1
"""Raised when a line changes its meaning; a runner refuses a worker of another version."""

STATUSES = ("ok", *get_args(FailedStatus))


class ProtocolError(Exception):
    """A line that is none of ours; the message quotes it."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker is up."""

    pid: int
    device: dict[str, Fact]
    """Kind and facts of the device that it opened."""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker cannot serve at all, and ends."""

    error: str
    """Name of the exception, such as NoSuchDevice."""
    reason: str


@dataclass(frozen=True, slots=True)
class Request:
    """One visit that the worker is to make."""

    visit: int
    variant: str
    case: dict[str, Any]
    """As `Case.as_dict` writes it."""
    probe: str
    settings: dict[str, float | int]
    """The fields of `harness.probes.Settings`."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a visit."""

    visit: int
    status: str
    """One of STATUSES."""
    reason: str | None = None
    """One line; None where ok."""
    detail: str | None = None
    """The traceback, where there is one."""
    values: dict[str, float | int | str | list[float]] = field(default_factory=dict)
    n: dict[str, int] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)
    """As `harness.probes.Outcome` has it."""
    notes: list[str] = field(default_factory=list)
    backend: str | None = None
    """The implementation that ran."""
    build: float = 0.0
    """Seconds spent to build the layer and its input; next to nothing where they stood ready."""
    inside: float = 0.0
    """Seconds inside the probe."""
    state: dict[str, Fact] = field(default_factory=dict)
    """The machine after the visit."""
    before: dict[str, Fact] = field(default_factory=dict)
    """The machine before it."""
    end: str | None = None
    """One of ENDS, of this status; a worker that leaves it out leaves the choice to the runner."""
    spent: str | None = None
    """Why this worker must make no further visit, in words: its next one would pay for what this one left behind."""


Message = Ready | Refused | Request | Result
_KINDS: dict[str, type[Message]] = {kind.__name__.lower(): kind for kind in (Ready, Refused, Request, Result)}


def write(message: Message) -> bytes:
    """Return the message as one line, line end included."""
    text = json.dumps({"type": type(message).__name__.lower(), **said(message)}, separators=(",", ":"))
    return text.encode() + b"\n"


def said(message: Message) -> dict[str, Any]:
    """Return the fields of a message; unlike `asdict` it copies nothing, which a run would do for most of its time."""
    return {name: getattr(message, name) for name in message.__slots__}


def read(line: bytes) -> Message:
    """Return the message of one line.

    Raises:
        ProtocolError: The line is not JSON, or of no known type, status or end, or lacks or adds a field.
    """
    try:
        data = json.loads(line)
        message = _KINDS[data.pop("type")](**data)
        if isinstance(message, Result):
            _check(message)
        return message
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"not a line of the worker protocol: {line[:120]!r}") from error


def _check(result: Result) -> None:
    """Raise ValueError on a status or an end that there is not, or that do not belong together."""
    if result.status not in STATUSES:
        raise ValueError(result.status)
    if result.end is not None and ENDS[cast("End", result.end)].status != result.status:
        raise ValueError(f"{result.end} is not an end of {result.status}")
