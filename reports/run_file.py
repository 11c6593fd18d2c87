"""`run.json` as typed data: what was planned, on what, by which harness; keys of newer minor versions are let pass."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from harness.declare.format import Claim
from harness.declare.roofs import Roofs
from harness.judge.stats import Interval
from harness.record import End


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class Match(_Lenient):
    """The budget that a variant shares with another, and how well it was met."""

    to: str
    on: str
    ratio: float | None = None
    """Realised budget over the wanted one."""


class VariantInfo(_Lenient):
    """A variant as the suite names it."""

    name: str
    layer: str
    match: Match | None = None


class ClaimInfo(Claim):
    """A claim as the suite states it."""

    model_config = ConfigDict(extra="ignore")


class SuiteInfo(_Lenient):
    """The suite as `run.json` keeps it."""

    name: str
    title: str
    text: str | None = None
    """What a reader should know before the results."""
    source: str = ""
    overrides: list[str] = []
    select: str | None = None
    variants: list[VariantInfo] = []
    axes: dict[str, list[Any]] = {}
    measure: dict[str, Any] = {}
    headline: list[str] = []
    """What the first screen is about: see `reports.sections.cards`."""
    claims: list[ClaimInfo] = []


class Planned(_Lenient):
    """One case as it was planned."""

    id: str
    key: str
    variant: str
    case: dict[str, Any]
    params: int | None = None
    flops_model: int | None = None
    unsupported: str | None = None
    match: Match | None = None


class HarnessInfo(_Lenient):
    """The harness that measured."""

    version: str = "unknown"
    commit: str | None = None
    dirty: bool | None = None
    source: str | None = None


class Pairing(_Lenient):
    """Which paired run this run is a side of."""

    id: str
    side: Literal["base", "candidate"]


class NoiseRatio(_Lenient):
    """A ratio of A/A times, 1 where nothing is wrong, with its interval."""

    ratio: float = Field(gt=0, allow_inf_nan=False)
    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)

    @property
    def interval(self) -> Interval:
        """The same as an interval."""
        return Interval(self.ratio, self.low, self.high)


class NoiseCell(NoiseRatio):
    """One A/A cell: a case that every round visited twice."""

    id: str
    pairs: int
    later_over_earlier: NoiseRatio | None = None
    smallest_change: float | None = Field(None, ge=0, allow_inf_nan=False)


class BrokenCell(_Lenient):
    """A cell that failed under its second label, and why."""

    id: str
    reason: str | None = None


class NoiseFloor(NoiseRatio):
    """What the run's A/A cells show; `harness/judge/noise.py` finds it."""

    cells: int
    pairs: int
    rounds: int
    """Of the comparisons that `smallest_change` is about."""
    later_over_earlier: NoiseRatio | None = None
    smallest_change: float | None = Field(None, ge=0, allow_inf_nan=False)
    """A share: a change of a time by less cannot be told from nothing."""
    differ: bool
    """Whether the cells differ from themselves, so that nothing that the run says can be trusted."""
    by_cell: list[NoiseCell] = []
    broken: list[BrokenCell] = []


class SheetInfo(_Lenient):
    """What the device's datasheet promises, dense."""

    flops_per_s: dict[str, PositiveFloat]
    bytes_per_s: PositiveFloat
    source: str
    read: str


Finite = Annotated[float, Field(gt=0, lt=1e60, allow_inf_nan=False)]
Curve = list[tuple[Finite, Finite]]


class CeilingsInfo(_Lenient):
    """What was measured of the device, as a prediction needs it."""

    flops_per_s: dict[str, Finite]
    bytes_per_s: Finite
    launch_s: float | None = Field(None, ge=0, allow_inf_nan=False)
    products: dict[str, list[tuple[Finite, Curve]]] = {}
    copies: Curve = []

    @model_validator(mode="after")
    def _rising(self) -> CeilingsInfo:
        sizes = [[size for size, _ in banks] for banks in self.products.values()]
        sizes += [[rows for rows, _ in curve] for banks in self.products.values() for _, curve in banks]
        sizes += [[size for size, _ in self.copies]] if self.copies else []
        if any(not one or any(after <= before for before, after in pairwise(one)) for one in sizes):
            raise ValueError("sizes of ceilings do not rise")
        return self


class Station(_Lenient):
    """One of several devices that a run was spread over."""

    name: str
    hostname: str | None = None
    """Of its node; None where it is in the runner's machine."""
    cores: str | None = None
    """Those of the CPU that its workers were held to."""


class RunFile(_Lenient):
    """`run.json`."""

    schema_: int = Field(alias="schema")
    suite: SuiteInfo
    cases: list[Planned]
    device: dict[str, Any]
    devices: list[Station] = []
    """Where the run was spread over several; `device` is then what they have in common."""
    environment: dict[str, Any] = {}
    ceilings: dict[str, Any] | None = None
    datasheet: SheetInfo | None = None
    harness: HarnessInfo = HarnessInfo()
    command: str = ""
    seed: int | None = None
    started: str
    finished: str | None = None
    status: Literal["complete", "interrupted", "running"] = "complete"
    end: End | None = None
    noise: NoiseFloor | None = None
    """None in runs without A/A cells, and in those of older versions."""
    paired: Pairing | None = None
    """None in a run that was measured alone."""

    @cached_property
    def roofs(self) -> Roofs | None:
        """The ceilings as roofs of the device's kind; None where none were measured, or what stands there is none."""
        try:
            told = CeilingsInfo.model_validate(self.ceilings)
        except ValidationError:
            return None
        return Roofs.read(told.model_dump(), str(self.device.get("kind", "cpu")))
