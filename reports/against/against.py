"""Against: everything that a candidate's page says of its baseline, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.declare.policy import USUAL
from reports.against import cards, regressions
from reports.against.regressions import Regressions
from reports.against.words import summary
from reports.context import Context
from reports.glyph import Scale
from reports.read import ReportError
from reports.results import Run
from reports.sections import comparability
from reports.sections.cards import Card, scale_of
from reports.sections.comparability import Comparability
from reports.sections.provenance import Fact
from reports.versus import Versus
from reports.versus.gate import judge
from reports.versus.machines import commit_of
from reports.versus.pairs import pairs, refuse_strangers
from reports.words import Sentence, capital, sentence


@dataclass(frozen=True, kw_only=True)
class Against:
    """A candidate against its baseline."""

    base: str
    """Name of the baseline's folder."""
    answer: Sentence
    fact: Fact
    """Which two runs these are, for the first screen."""
    banners: tuple[str, ...]
    """What of the baseline a reader must know before anything else."""
    cards: tuple[Card, ...]
    card_scale: Scale
    comparability: Comparability
    regressions: Regressions


def build(candidate: Context, base: Run) -> Against:
    """Return what is said of the candidate against `base`, by the rules of a gate without a policy of its own."""
    run = candidate.run
    gate, both = judge(base, run, USUAL), tuple(pairs(base, run))
    versus = gate.versus
    shown = cards.build(versus, both, candidate)
    return Against(
        base=base.name,
        answer=_answer(versus),
        fact=Fact("Candidate and baseline", (_told(run), _told(base))),
        banners=tuple(_banners(base)),
        cards=shown,
        card_scale=scale_of(shown),
        comparability=comparability.build((base, run), ("Baseline", "Candidate")),
        regressions=regressions.build(gate, both, candidate, Context(base)),
    )


def refuse(candidate: Run, base: Run) -> None:
    """Raise ReportError where the two have nothing to compare; NothingInCommon where it is their cases."""
    ours, theirs = candidate.file.suite.name, base.file.suite.name
    if ours != theirs:
        raise ReportError(
            f"{candidate.name} is of suite {ours}, its baseline {base.name} of {theirs}: name two runs of one suite."
        )
    if candidate.file.started == base.file.started and candidate.records == base.records:
        raise ReportError(
            f"{candidate.name} and {base.name} are the same run: same start, same records; name another baseline."
        )
    refuse_strangers(base, candidate, "name a baseline that measured some of the same")


def _answer(versus: Versus) -> Sentence:
    return sentence(f"Against the baseline {versus.base}: ", *summary(versus), ". ")


def _told(run: Run) -> str:
    return f"{commit_of(run)}, {run.name}"


def _banners(base: Run) -> Iterator[str]:
    if base.damage:
        yield f"The baseline’s {base.damage}"
    if base.file.status != "complete":
        yield f"The baseline {base.name} was not finished: some of its cases may be missing or lack rounds."
    if base.distrusted:
        yield capital(f"the A/A cells of the baseline {base.name}, layers against themselves, differ.")
