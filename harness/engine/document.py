"""The shape of run.json: what resume and report rely on. Fields that they do not read may be anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.declare.format import MOST_ROUNDS
from harness.devices.ceilings import Ceilings
from harness.record import End

CEILINGS = {field.name for field in fields(Ceilings)}


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True)


class _Measure(_Shape):
    rounds: int = Field(ge=1, le=MOST_ROUNDS)
    precision: float | None = Field(None, gt=0, lt=1)
    max_rounds: int | None = Field(None, ge=1, le=MOST_ROUNDS)


class _Suite(_Shape):
    name: str
    file: str | None = None
    """Where the suite was read from: its own code is looked for beside it."""
    source: str
    """The TOML text."""
    overrides: list[str]
    select: str | None
    measure: _Measure


class _Case(_Shape):
    key: str
    variant: str
    case: dict[str, Any]
    """As `Case.as_dict` writes it."""
    seconds: float | None = None
    fits: bool | None = None
    unsupported: str | None = None


class _Device(_Shape):
    kind: Literal["cpu", "cuda"]
    name: str
    memory_bytes: int | None = None
    cache_bytes: int | None = None
    l2_bytes: int | None = None
    class_: str | None = Field(None, alias="class")
    """What devices that are alike have in common; None in runs of older versions."""


class _Environment(_Shape):
    torch: str | None = None
    variables: dict[str, str] = {}


class _Harness(_Shape):
    source: str | None = None


class _Sources(_Shape):
    layers: dict[str, str]
    probes: dict[str, str]


class _Spread(_Shape):
    devices: str | None = None
    ray: str | None = None


class RunDocument(_Shape):
    """run.json; `manifest` writes it."""

    suite: _Suite
    cases: list[_Case]
    device: _Device
    environment: _Environment
    harness: _Harness
    started: str
    status: Literal["running", "complete", "interrupted"]
    end: End | None = None
    """Why the run ended; None while it is going on, and in runs of versions that kept only the status."""
    budget_s: float | None = None
    """Seconds that its last sitting was given; None: no end."""
    sources: _Sources | None = None
    prune: bool = True
    trace: bool = False
    """Whether a Chrome trace of each profiled case is kept."""
    memory_limit: int | None = Field(None, ge=1)
    """Bytes of host memory that a worker may hold."""
    threads: int = Field(0, ge=0)
    """CPU threads that were asked for; 0 left the choice to torch."""
    spread: _Spread | None = None
    """How several devices were asked for; None in a run on one."""
    ceilings: Ceilings | None = None

    @field_validator("ceilings", mode="wrap")
    @classmethod
    def _of_this_version(cls, value: Any, read: Callable[[Any], Any]) -> Any:
        """Refuse what `Ceilings` has no field for; by itself pydantic lets it pass, and the fold would raise."""
        ceilings = read(value)
        if isinstance(value, dict) and (unknown := sorted(set(value) - CEILINGS)):
            raise ValueError(f"ceilings have no {unknown[0]!r}")
        return ceilings


def fault(text: str) -> str | None:
    """Return the first thing in which `text` is no run.json, as `suite.source: Input should be a valid string`."""
    try:
        RunDocument.model_validate_json(text)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" + (f", and {more} more" if more else "")
    return None
