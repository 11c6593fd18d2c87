"""Cards of a comparison: its headlines, the worst case, and what has no noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.judge.compare import Word
from harness.metrics import show_interval, show_ratio
from reports.against.words import kind_of
from reports.context import Context
from reports.glyph import glyph
from reports.sections.cards import CARDS, Card, Name, scale_of
from reports.versus.headline import ALL, Headline
from reports.versus.pairs import Pair
from reports.versus.versus import TIMED, Row, Versus
from reports.words import count, join

ORDER: tuple[Word, ...] = ("worse", "failed", "missing", "changed", "better", "same")
"""Which word a card of several numbers has: the first of these that any of them has."""


def build(versus: Versus, both: Sequence[Pair], candidate: Context) -> tuple[Card, ...]:
    """Return at most four cards, that of what has no noise the last."""
    times = [*_forbidden(versus), *_headlines(versus, candidate), *_worst(versus, both, candidate)]
    exact = list(_exact(versus))
    shown = [*times[: CARDS - len(exact)], *exact]
    scale = scale_of(shown)
    return tuple(card if card.value is None else replace(card, glyph=glyph(scale, card.value, card.estimate))
                 for card in shown)  # fmt: skip


def _forbidden(versus: Versus) -> Iterator[Card]:
    if versus.forbidden:
        why = join(one.words for one in versus.forbidden)
        yield Card("versus", "not comparable", "no ratio", "of times", (Name("Times", "", 0),), why)


def _headlines(versus: Versus, candidate: Context) -> Iterator[Card]:
    for one in versus.headlines[: CARDS - 2]:
        yield _ratio(one.verdict, one, _names(one, candidate), _about(one))


def _worst(versus: Versus, both: Sequence[Pair], candidate: Context) -> Iterator[Card]:
    """Yield the slower case whose effect stands out most from its noise; where none is, the faster one."""
    for word in ("slower", "faster"):
        rows = [row for row in versus.rows if row.verdict == word and row.change is not None]
        if rows:
            yield _of_case(rows[0], len(rows), both, candidate)
            return


def _of_case(row: Row, number: int, both: Sequence[Pair], candidate: Context) -> Card:
    assert row.change is not None
    result = next(pair.candidate for pair in both if pair.id == row.id)
    assert result is not None
    subject, ratio = candidate.subject(result), row.change.ratio
    which = f"the clearest of {number} {row.verdict}" if number > 1 else f"the only {row.verdict} case"
    return Card(
        kind="versus",
        word=row.verdict,
        big=show_ratio(ratio.value, ratio.low, ratio.high),
        interval=show_interval(ratio.value, ratio.low, ratio.high),
        title=(Name(subject.variant, subject.family, subject.step),),
        text=f"time over its baseline’s, {which}: {row.id}",
        value=ratio.value,
        estimate=ratio,
    )


def _ratio(word: Word, one: Headline, title: tuple[Name, ...], text: str) -> Card:
    ratio = one.change.ratio
    return Card(
        kind="versus",
        word=word,
        big=show_ratio(ratio.value, ratio.low, ratio.high),
        interval=show_interval(ratio.value, ratio.low, ratio.high),
        title=title,
        text=text,
        value=ratio.value,
        estimate=ratio,
    )


def _names(one: Headline, candidate: Context) -> tuple[Name, ...]:
    if one.name == ALL:
        return (Name("All cases", "", 0),)
    known = (candidate.identity.get(name) for name in one.name.split(" / "))
    return tuple(Name(who.name, who.family, who.step) for who in known if who is not None)


def _about(one: Headline) -> str:
    if one.name == ALL:
        return f"time over the baseline’s, geometric mean of {count(one.cases, 'case')}"
    return f"their ratio of times, over what it was in the baseline; {count(one.cases, 'case')}"


def _exact(versus: Versus) -> Iterator[Card]:
    """Yield the card of memory, FLOPs and determinism: how many cases changed in them."""
    rows = [row for row in versus.rows if row.metric is not None and row.metric not in TIMED]
    if not rows:
        return
    word = next((word for word in ORDER if any(row.verdict == word for row in rows)), "not comparable")
    cases = {row.id for row in rows}
    hit = {row.id for row in rows if row.verdict == word}
    kinds = join(dict.fromkeys(kind_of(row.metric) for row in rows if row.verdict == word))
    big = f"{len(hit)} of {len(cases)}" if word != "same" else f"{len(cases)} of {len(cases)}"
    text = f"{kinds}: the same to the last digit" if word == "same" else f"in {kinds}; what it was and is stands below"
    yield Card("versus", word, big, "case" if len(cases) == 1 else "cases", (Name("What has no noise", "", 0),), text)
