"""Review: everything that the page says, as data, before any markup. Every printer prints this and adds nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.declare.cluster import Cluster
from harness.record import CUT_SHORT
from reports.context import Context
from reports.families import Identity
from reports.glyph import Scale
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
from reports.words import Sentence, capital

SCHEMA = 1
"""Version of report.json."""


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
    facts: tuple[provenance.Fact, ...]
    cards: tuple[cards.Card, ...]
    card_scale: Scale
    coverage: coverage.Coverage
    identities: tuple[Identity, ...]
    harness: str
    run: str
    claims: claims.Claims
    ratios: ratios.Ratios
    fronts: fronts.Fronts
    winners: winners.Winners
    scaling: scaling.Scaling
    crossovers: crossovers.Crossovers
    phases: phases.Phases
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

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections in the page's order."""
        return (
            self.claims, self.ratios, self.fronts, self.winners, self.scaling, self.crossovers, self.phases,
            self.roofline, self.prediction, self.memory, self.energy, self.determinism, self.routing, self.noise,
            self.cases, self.provenance, self.glossary,
        )  # fmt: skip


def review(run: Run, cluster: Cluster | None = None) -> Review:
    """Return the Review of one run, with what `cluster` would take for its cases where one is given."""
    context = Context(run)
    covered = coverage.build(context)
    compared = ratios.build(context)
    scaled = scaling.build(context)
    remembered = memory.build(context)
    repeated = determinism.build(context)
    shown = cards.build(context, compared, remembered, repeated)
    return Review(
        schema=SCHEMA,
        title=run.file.suite.title,
        answer=answer.build(context, covered, compared, scaled, repeated),
        text=run.file.suite.text,
        banners=_banners(run, covered),
        facts=provenance.first_facts(context),
        cards=shown,
        card_scale=cards.scale_of(shown),
        coverage=covered,
        identities=tuple(context.identity.values()),
        harness=run.file.harness.version,
        run=run.name,
        claims=claims.build(context),
        ratios=compared,
        fronts=fronts.build(context),
        winners=winners.build(context),
        scaling=scaled,
        crossovers=crossovers.build(context, scaled),
        phases=phases.build(context),
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
    )


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
