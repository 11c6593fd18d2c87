"""Regressions: what became slower, worse, otherwise or faster than in the baseline, and what noise hides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.declare.policy import USUAL_THRESHOLD
from harness.metrics import show_percent, show_ratio, show_spread
from reports.against import curve, entries
from reports.against.curve import Curve
from reports.against.entries import Group
from reports.against.words import is_blind, limit, summary
from reports.context import Context
from reports.glyph import Scale
from reports.sections.base import Section
from reports.versus.gate import Gate
from reports.versus.pairs import Pair
from reports.versus.versus import Versus
from reports.versus.words import drift_sentence, noise_sentence
from reports.words import Sentence, Span, capital, count, join, sentence

READ = (
    "Sorted by the effect over its own noise, not by its size. The bar is the 95 % interval of the ratio, the heavy"
    " line 1×, the grey band what is not called a change."
)


@dataclass(frozen=True, kw_only=True)
class Regressions(Section):
    """The section's data."""

    id: str = "regressions"
    name: str = "Regressions"
    question: str = "Is the candidate slower or worse than its baseline?"

    groups: tuple[Group, ...] = ()
    scale: Scale
    curve: Curve | None = None
    band: float
    """The change of a time, as a share, up to which none is told."""
    tally: dict[str, int]
    """Numbers, of all cases and metrics, by verdict."""
    cases: dict[str, int]
    """Cases that are slower, worse, failed, missing, changed, faster or better in any number."""
    claims: tuple[str, ...]
    """Claims that came out otherwise than in the baseline, in words."""
    comparisons: int
    """Times that were compared, and are counted together."""
    drift: str
    """What happened to all times alike."""
    noise: str
    """Below which change nothing is told; empty where no times were compared."""
    counted: str
    """How comparisons were counted together, and what was not done; empty where no times were compared."""


def build(gate: Gate, both: Sequence[Pair], candidate: Context, base: Context) -> Regressions:
    """Return what became of every case of the baseline."""
    versus = gate.versus
    found, scale = entries.groups(versus, both, candidate, base)
    finding = summary(versus)
    worse = len({row.id for row in versus.rows if row.verdict in ("slower", "worse", "failed", "missing")})
    return Regressions(
        finding=sentence(capital(finding[0].text), *finding[1:], "."),
        caption=_caption(versus),
        attention=f"✗ {worse}" if worse else None,
        groups=found,
        scale=scale,
        curve=curve.build(versus, band(versus), limit(versus)),
        band=band(versus),
        tally=versus.tally,
        cases={word: len({row.id for row in versus.rows if row.verdict == word}) for word in versus.tally},
        claims=tuple(one.words for one in gate.claims),
        comparisons=versus.comparisons,
        drift=drift_sentence(versus) or _level(versus),
        noise=_noise(versus),
        counted=_counted(versus),
    )


def band(versus: Versus) -> float:
    """Return the change of a time, as a share, up to which none is told; without end where nothing can be."""
    return max(USUAL_THRESHOLD, versus.noise.floor)


def _level(versus: Versus) -> str:
    if versus.drift is None:
        why = f": {versus.forbidden[0].words}" if versus.forbidden else ""
        return f"No times were compared{why}."
    return f"The median of all ratios is {show_ratio(versus.drift)}: the run as a whole keeps its baseline’s pace."


def _noise(versus: Versus) -> str:
    if not versus.comparisons:
        return ""
    if is_blind(versus) and (told := noise_sentence(versus)):
        return told
    floor = versus.noise.smallest_change
    lower = "" if floor is None else f"; the runs’ noise floor is lower, {show_spread(floor)}"
    return f"No change of a time below {limit(versus)} of {show_percent(USUAL_THRESHOLD)} is told{lower}."


def _counted(versus: Versus) -> str:
    if not versus.comparisons:
        return ""
    return (
        f"{capital(count(versus.comparisons, 'time'))} {'was' if versus.comparisons == 1 else 'were'} compared, and all"
        " are counted together: of those called faster or slower one in twenty may be wrong (Benjamini and Hochberg)."
        " Nothing was measured again for this page; harness compare --gate does that before it calls for anybody."
    )


def _caption(versus: Versus) -> Sentence:
    return sentence(*_first(versus), *([f" {READ} ", *_beside(versus)] if versus.comparisons else []))


def _first(versus: Versus) -> Iterator[Span]:
    """Yield the finding with its numbers: how many numbers have which verdict."""
    tally = sorted(versus.tally.items(), key=lambda item: -item[1])
    told = join(f"{number} {word}" for word, number in tally)
    yield Span(f"Of {count(len(versus.rows), 'number')} of {count(_cases(versus), 'case')}: {told}.", "strong")


def _beside(versus: Versus) -> Iterator[str]:
    if versus.paired:
        yield "Both sides were measured side by side, and are judged round by round."
    elif math.isfinite(band(versus)):
        far = f"{limit(versus)} of ±{show_spread(band(versus))}"
        yield f"A time is called slower or faster beyond {far}, its whole interval beyond 1×."


def _cases(versus: Versus) -> int:
    return len({row.id for row in versus.rows})
