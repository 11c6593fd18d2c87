"""Review: everything that the page says, as data, before any markup. Every printer prints this and adds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.declare.cluster import Cluster
from harness.declare.faults import listed, nearest
from harness.record import CUT_SHORT
from reports import outcomes
from reports.against import against
from reports.against.against import Against
from reports.context import Context
from reports.families import Identity
from reports.glyph import Scale
from reports.read import ReportError
from reports.results import Run
from reports.sections import (
    answer,
    cards,
    cases,
    claims,
    coverage,
    crossovers,
    determinism,
    energy,
    exchange,
    fronts,
    glossary,
    memory,
    noise,
    noise_floor,
    phases,
    prediction,
    provenance,
    ratios,
    roofline,
    routing,
    scaling,
    winners,
)
from reports.sections.base import Section
from reports.words import Sentence, capital, join

SCHEMA = 1
"""Version of report.json."""
SECTIONS = (
    "claims", "ratios", "fronts", "winners", "scaling", "crossovers", "phases", "exchange", "roofline", "prediction",
    "memory", "energy", "determinism", "routing", "noise", "cases", "provenance", "glossary",
)  # fmt: skip
"""The sections that may be asked for, in the page's order."""
VERSUS = ("comparability", "regressions")
"""The sections of a page with a baseline, which it always prints."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """One run, reviewed."""

    schema: int
    title: str
    """The question: the suite's title."""
    answer: Sentence
    text: str | None
    """What the suite wants a reader to know before the results."""
    banners: tuple[str, ...]
    """What a reader must know before anything else: a run that was cut short, records that cannot be read."""
    extract: str | None = None
    """What is left out of a page of some sections, and how to have it; None for a whole page."""
    only: tuple[str, ...] = ()
    """The sections that were asked for; none: all are printed."""
    facts: tuple[provenance.Fact, ...]
    cards: tuple[cards.Card, ...]
    card_scale: Scale
    coverage: coverage.Coverage
    identities: tuple[Identity, ...]
    harness: str
    run: str
    against: Against | None
    """What it says of a baseline; None where it has none."""
    claims: claims.Claims
    ratios: ratios.Ratios
    fronts: fronts.Fronts
    winners: winners.Winners
    scaling: scaling.Scaling
    crossovers: crossovers.Crossovers
    phases: phases.Phases
    exchange: exchange.Exchanged
    roofline: roofline.Roofline
    prediction: prediction.Predictions
    memory: memory.Memory
    energy: energy.Energy
    determinism: determinism.Determinism
    routing: routing.Routing
    noise: noise.Noise
    cases: cases.Cases
    provenance: provenance.Provenance
    glossary: glossary.Glossary
    outcomes: outcomes.Outcomes

    @property
    def every(self) -> tuple[Section, ...]:
        """All sections in the page's order."""
        compared = (self.against.comparability,) if self.against else ()
        judged = (self.against.regressions,) if self.against else ()
        return (
            self.claims, *compared, self.ratios, self.fronts, self.winners, self.scaling, self.crossovers, self.phases,
            self.exchange, self.roofline, self.prediction, self.memory, self.energy, self.determinism, self.routing,
            *judged, self.noise, self.cases, self.provenance, self.glossary,
        )  # fmt: skip

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that are printed, in the page's order."""
        return tuple(section for section in self.every if self.shows(section.id))

    def shows(self, section: str) -> bool:
        """Return whether the section of this name is printed."""
        return not self.only or section in (*self.only, *VERSUS)


def review(run: Run, base: Run | None = None, cluster: Cluster | None = None) -> Review:
    """Return the Review of one run.

    It is held against `base` where there is one, and has what `cluster` would take for its cases where one is given.
    """
    context = Context(run)
    covered = coverage.build(context)
    compared = ratios.build(context)
    scaled = scaling.build(context)
    crossed = crossovers.build(context, scaled)
    remembered = memory.build(context)
    repeated = determinism.build(context)
    versus = against.build(context, base) if base else None
    shown = cards.build(context, compared, remembered, repeated)
    return Review(
        schema=SCHEMA,
        title=run.file.suite.title,
        answer=(*(versus.answer if versus else ()), *answer.build(context, covered, compared, scaled, repeated)),
        text=run.file.suite.text,
        banners=(*_banners(run, covered), *(versus.banners if versus else ())),
        facts=((versus.fact, *provenance.first_facts(context)[1:]) if versus else provenance.first_facts(context)),
        cards=shown,
        card_scale=cards.scale_of(shown),
        coverage=covered,
        identities=tuple(context.identity.values()),
        harness=run.file.harness.version,
        run=run.name,
        against=versus,
        claims=claims.build(context),
        ratios=compared,
        fronts=fronts.build(context),
        winners=winners.build(context),
        scaling=crossovers.marked(scaled, crossed),
        crossovers=crossed,
        phases=phases.build(context),
        exchange=exchange.build(context),
        roofline=roofline.build(context),
        prediction=prediction.build(context, cluster),
        memory=remembered,
        energy=energy.build(context),
        determinism=repeated,
        routing=routing.build(context),
        noise=noise.build(context),
        cases=cases.build(context),
        provenance=provenance.build(context),
        glossary=glossary.build(),
        outcomes=outcomes.build(context),
    )


def check_names(names: Sequence[str]) -> None:
    """Refuse a name that no section has.

    Raises:
        ReportError: One of them is no section.
    """
    for name in names:
        if name not in SECTIONS:
            near = nearest(name, SECTIONS)
            hint = f"; did you mean {near}?" if near else "."
            raise ReportError(f"--only {name}: expected a section, {listed(SECTIONS)}{hint}")


def narrowed(review: Review, names: Sequence[str]) -> Review:
    """Return the Review that prints its verdict and the sections of these names alone; without names, all of it."""
    every = [section.id for section in review.every]
    only = tuple(name for name in every if name in names)
    if not names or len(only) == len(every):
        return review
    some = join(section.name for section in review.every if section.id in only)
    extract = f"An extract: {some}, of {len(every)} sections; harness report without --only prints them all."
    return replace(review, only=only, extract=extract)


def _banners(run: Run, covered: coverage.Coverage) -> tuple[str, ...]:
    out = [run.damage] if run.damage else []
    if run.file.status != "complete":
        untried = sum(result.untried for result in run.results)
        state = "the run is still going" if run.file.status == "running" else "the run was interrupted"
        why = capital(CUT_SHORT.get(run.file.end or "ok", state))
        left = f"{untried} of {covered.planned} cases have no result yet, and others" if untried else "some cases"
        out.append(f"{why}: {left} may lack rounds; harness run --resume goes on with it.")
    if run.distrusted:
        out.append(noise_floor.DIFFER)
    return tuple(out)
