"""What a suite may say: the whole TOML format as Pydantic models, whose docstrings are the help in `harness schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StringConstraints

from harness.case import Case
from harness.declare.faults import Place
from harness.declare.layer_names import LayerName
from harness.declare.lines import Path
from harness.declare.match import Match
from harness.declare.point import Point, Product, Strict
from harness.declare.presets import PresetName

ProbeName = Literal["flops", "latency", "memory", "determinism", "routing", "phases", "compile", "energy"]
USUAL_PROBES: tuple[ProbeName, ...] = ("flops", "latency", "memory", "determinism", "routing", "phases", "compile")
"""All but energy, of which one case takes most of a minute."""
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that says something."""

MOST_ROUNDS = 10_000
MOST_A_A = 100
USUAL_GROWTH = 10
"""Times `rounds` that a suite with a `precision` may take, where it says no `max_rounds`."""
LARGEST_SEED = (1 << 63) - 1
"""torch takes unsigned 64 bits, and probes draw their second and third input with the seeds after this one."""


class Sweep(Product):
    """Axes that take several values; the cases are their product.

    Axes in one `[[sweep.linked]]` table move together: with `experts = [8, 16, 32]` and `slots = [4, 2, 1]` in it
    there are three cases, not nine.
    """

    linked: list[Product] = Field(default=[])
    """Groups of axes that move together; the lists of one group have the same length."""


class MatchTo(Strict):
    """Solves this variant's d_ff so that it costs what another variant does."""

    to: str
    """Name of the other variant."""
    on: Literal["flops", "params"]
    """What is made equal: the FLOPs of the mathematics (`flops_model`), or the parameters."""


class Variant(Point):
    """One layer under test, with its own axes; what it says wins over `[base]` and `[sweep]`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)
    """What the report calls it, and the first part of its cases' ids."""
    layer: LayerName
    """Kind of layer, a plug-in's name, or your own code: `mypackage.mymodule:build` (docs/plugins.md)."""
    preset: PresetName | None = None
    """A published recipe of token choice, by name: where this variant starts, after `[base]` and `[sweep]`."""
    sweep: Sweep = Sweep()
    """Axes of this variant alone; one that is in `[sweep]` too is replaced."""
    match: MatchTo | None = None
    """Makes this variant as costly as another one."""

    _position: int = PrivateAttr(0)

    @property
    def path(self) -> Path:
        """Where this variant stands in its file."""
        return ("variant", self._position)


class Select(Strict):
    """Which cases of the product are kept: those that some `include` holds for, and no `exclude`."""

    include: list[str] = Field(default=[])
    """Expressions over axes, `variant`, `layer` and `id`; empty: all cases."""
    exclude: list[str] = Field(default=[])
    """Expressions like those of `include`. A comparison with an axis that the layer does not have is false."""


class Measure(Strict):
    """What is measured, and how long."""

    probes: list[ProbeName] = Field(default=list(USUAL_PROBES), min_length=1)
    """The measurements; the check against the float64 reference always runs first."""
    rounds: int = Field(default=6, ge=1, le=MOST_ROUNDS)
    """How often each case's latency is visited, in a new random order each time; with `precision`, at the least."""
    precision: float | None = Field(default=None, gt=0, lt=1)
    """Half width of the 95 % interval, as a share of the time (0.02 is 2 %), at which a case has rounds enough; cases
    that are known less well get further ones. Left out: every case has `rounds`."""
    max_rounds: int | None = Field(default=None, ge=1, le=MOST_ROUNDS)
    """Rounds after which a case that is not yet precise gets no more; left out: ten times `rounds`."""
    a_a: int = Field(default=2, ge=0, le=MOST_A_A)
    """How many cases of each comparison are visited twice in every round, to measure the run's own noise floor."""
    seconds_per_visit: float = Field(default=0.05, gt=0, le=3600)
    """Time that one latency visit spends in timed calls."""
    min_samples: int = Field(default=3, ge=1, le=10_000)  # one line of the journal holds them all
    """Timed blocks of one latency visit, at the least."""
    energy_seconds: float = Field(default=10.0, gt=0, le=3600)
    """Length of each window in which the probe `energy` reads the device's counter."""
    timeout: float = Field(default=120.0, gt=0, le=86_400)
    """Seconds after which a visit is given up."""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """Seed of weights, inputs and the order of visits."""
    device_class: Words | list[Words] = Field(default=[])
    """What the devices have to be, as `NVIDIA H100*`: a pattern of their class, or several, each of which has a run.
    Left out: any."""

    @property
    def device_classes(self) -> list[str]:
        """The patterns of `device_class`."""
        return [self.device_class] if isinstance(self.device_class, str) else list(self.device_class)

    @property
    def most_rounds(self) -> int:
        """Rounds of latency that a case may have."""
        if self.precision is None:
            return self.rounds
        return self.max_rounds or min(USUAL_GROWTH * self.rounds, MOST_ROUNDS)


Expectation = Literal["flat", "rises", "falls", "equal", "at_most", "at_least", "exponent", "faster_than", "correlates"]


class Claim(Strict):
    """What is expected, as data, with its source."""

    id: Words
    """Short name of the claim."""
    text: Words
    """The claim as a sentence."""
    source: str | None = None
    """Where it is claimed."""
    group: str | None = None
    """What it is about, such as cost or memory: claims of one group stand together."""
    metric: str | None = None
    """The metric that decides it."""
    where: str | None = None
    """Expression that picks the cases it is about."""
    along: str | None = None
    """The axis that it is about; every other axis is held, but for those of `moving`."""
    moving: list[str] = Field(default=[])
    """Axes that move together with `along`, such as slots where experts times slots are held; with `against`, axes that
    the two sides need not share, such as dtype."""
    expect: Expectation | None = None
    """What the metric should do: flat, rises, falls, equal, at_most, at_least, exponent, faster_than, correlates."""
    against: str | None = None
    """Expression that picks the cases it is compared with, at the same setting; for equal, faster_than, at_most and
    at_least, whose estimate then is a ratio."""
    to: str | None = None
    """The other metric of the same case; for correlates, equal, at_most and at_least."""
    value: float | None = None
    """The number of equal, at_most, at_least and exponent; the least rank correlation of correlates. With `against` or
    `to` the ratio, which is 1 for equal where it is left out."""
    within: float = Field(default=0.0, ge=0, le=10)
    """Tolerance: as a share, or for an exponent as it is."""


@dataclass(slots=True)
class Text:
    """The file that a suite was read from."""

    name: str = "suite"
    """The file's name without its ending."""
    file: str = "suite.toml"
    """The file as the user named it."""
    source: str = ""
    lines: dict[Path, int] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Return where `path` stands, or what is around it where the file does not have it."""
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        return Place(self.file, line, dotted(path))


class Suite(Strict):
    """A sweep over layers: which, along which axes, what is measured, and what is claimed."""

    title: Words
    """The question that the report answers, as its heading."""
    text: str | None = None
    """What a reader should know before the results."""
    headline: list[str] = Field(default=[])
    """What the report's first screen is about."""
    base: Point = Point()
    """Where every case starts."""
    sweep: Sweep = Sweep()
    """Axes of every variant that has them."""
    variants: list[Variant] = Field(alias="variant", min_length=1)
    """The layers under test."""
    select: Select = Select()
    """Which cases of the product are kept."""
    measure: Measure = Measure()
    """What is measured."""
    claims_from: Words | None = None
    """A suite, by name or by its file's path from this one's folder, whose claims are made here too: write a claim once
    and hold it at several sizes. One with the id of a claim in this file is left out."""
    claims: list[Claim] = Field(default=[], alias="claim")
    """What is expected."""

    _text: Text = PrivateAttr(default_factory=Text)
    _drawn: dict[Case, Match | None] = PrivateAttr(default_factory=dict)
    """The cases as the file says them, which reading it has worked out already."""

    def model_post_init(self, context: Any, /) -> None:
        """Tell each variant where it stands."""
        for position, variant in enumerate(self.variants):
            variant._position = position

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._text.name

    @property
    def source(self) -> str:
        """The TOML text."""
        return self._text.source

    @property
    def path(self) -> File:
        """The file that the suite was read from."""
        return File(self._text.file)

    def place(self, path: Path) -> Place:
        """Return where `path` stands in the suite's file."""
        return self._text.place(path)


def dotted(path: Path) -> str:
    """Return `path` as messages write it: `variant[1].sweep.experts[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
