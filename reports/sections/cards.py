"""Cards: the four numbers of the first screen, chosen by the suite's `headline` or by default.

A headline is `candidate / reference` (two variants: their times at the first screen's setting), `memory` or
`determinism`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.judge.multiple import holm
from harness.judge.stats import Interval
from harness.metrics import show_interval, show_ratio
from reports.compare import (
    Comparison,
    budget_ratio,
    budget_words,
    compare,
    counted_together,
    distance,
    is_equal,
    nearest,
)
from reports.context import Context
from reports.glyph import Glyph, Scale, glyph, ratio_scale
from reports.sections.bars import Bar
from reports.sections.determinism import Determinism, in_part, invariant, kept_with
from reports.sections.memory import Memory
from reports.sections.ratios import Ratios
from reports.sections.ratios_blocks import against_dense
from reports.sections.ratios_pairs import asked
from reports.subjects import Subject
from reports.words import join

CARDS = 4
PARTS = 3
"""Rows that a card names of variants that are batch-invariant only in some."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name with its family's mark."""

    text: str
    family: str
    step: int


@dataclass(frozen=True, slots=True)
class Card:
    """One number, its interval, and what it is."""

    kind: str
    """ratio, memory or determinism."""
    word: str
    """The verdict's word."""
    big: str
    interval: str
    title: tuple[Name, ...]
    """One name, or candidate and reference."""
    text: str
    value: float | None = None
    estimate: Interval | None = None
    glyph: Glyph | None = None


def build(context: Context, ratios: Ratios, memory: Memory, determinism: Determinism) -> tuple[Card, ...]:
    """Return at most four cards; their ratios are headlines, and different only if Holm's procedure leaves them so."""
    chosen = list(_chosen(context, memory, determinism)) or _default(context, ratios, memory, determinism)
    shown = chosen[:CARDS]
    rows = iter(counted_together([row for row in shown if isinstance(row, Comparison)], holm))
    return _with_glyphs([_ratio(next(rows)) if isinstance(each, Comparison) else each for each in shown])


def scale_of(cards: Iterable[Card]) -> Scale:
    """Return the scale that all ratios on the cards share."""
    return ratio_scale([card.value for card in cards if card.value is not None])


def _chosen(context: Context, memory: Memory, determinism: Determinism) -> Iterable[Comparison | Card]:
    single = {"memory": _memory(context, memory), "determinism": _determinism(determinism)}
    for text in context.run.file.suite.headline:
        candidate, _, reference = (part.strip() for part in text.partition("/"))
        if found := _pair(context, candidate, reference) or single.get(candidate):
            yield found


def _pair(context: Context, candidate: str, reference: str) -> Comparison | None:
    """Return the comparison of two variants whose budgets are nearest, at the first setting that has both."""
    for setting in context.settings:
        at = context.at(setting)
        found = [(a, b) for name, a, b in asked(context, at) if name == f"{candidate} / {reference}"]
        if rows := [row for a, b in found if (row := compare(context, a, b))]:
            return min(rows, key=distance)
    return None


def _default(context: Context, ratios: Ratios, memory: Memory, determinism: Determinism) -> list[Comparison | Card]:
    """Return sparse and Soft MoE against dense, Soft MoE against sparse, then batch invariance or memory."""
    rows = ratios.blocks[0].rows if ratios.blocks else []
    picked: list[Comparison] = []
    equal = against_dense(ratios.blocks[0]) if ratios.blocks else []
    for candidate, reference in (("sparse", "dense"), ("soft", "dense"), ("soft", "sparse")):
        fits = [r for r in rows if (r.candidate.family, r.reference.family) == (candidate, reference)]
        same = [row for row in equal if row in fits]
        if same:
            picked.append(same[0])
        elif fits:
            picked.append(min(fits, key=distance))
    picked += [row for row in rows if row not in picked][: max(0, 2 - len(picked))]
    extra = [card for card in (_determinism(determinism), _memory(context, memory)) if card]
    return [*picked[:3], *extra]


def _ratio(row: Comparison) -> Card:
    interval = row.interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    a, b = row.candidate, row.reference
    details = [part for part in (_details(a, b), row.where) if part]
    return Card(
        kind="ratio",
        word=row.verdict,
        big=show_ratio(row.value, low, high),
        interval=show_interval(interval.value, interval.low, interval.high) if interval else "",
        title=(_name(a), _name(b)),
        text=f"time at {row.budget}: {', '.join(details)}",
        value=row.value,
        estimate=interval,
    )


def _details(a: Subject, b: Subject) -> str:
    """Return the candidate's own axes, and its reference's where they are others; a dense FFN's only beside another."""
    alone = b.detail in ("", a.detail) or (b.family == "dense" and b.variant != a.variant)
    return a.detail if alone else f"{a.detail or a.variant} against {b.detail}"


def _name(subject: Subject) -> Name:
    return Name(subject.variant, subject.family, subject.step)


def _with_glyphs(cards: list[Card]) -> tuple[Card, ...]:
    scale = scale_of(cards)
    return tuple(
        card if card.value is None else replace(card, glyph=glyph(scale, card.value, card.estimate)) for card in cards
    )


def _memory(context: Context, memory: Memory) -> Card | None:
    """Return the heaviest MoE layer's bytes against those of the dense FFN nearest in FLOPs, or of the lightest."""
    moe = [bar for bar in memory.bars if bar.subject.family != "dense"]
    dense = [bar for bar in memory.bars if bar.subject.family == "dense"]
    if not moe or len(memory.bars) < 2:
        return None
    heavy = max(moe, key=lambda bar: bar.total)
    light = _nearest(context, heavy, dense) or min(memory.bars, key=lambda bar: bar.total)
    if light is heavy or not light.total:
        return None
    value = heavy.total / light.total
    details = [_budget(context, heavy, light), *filter(None, (_details(heavy.subject, light.subject), memory.where))]
    return Card(
        kind="memory",
        word="more memory" if value > 1 else "less memory",
        big=show_ratio(value),
        interval="",
        title=(_name(heavy.subject), _name(light.subject)),
        text=f"all bytes at the peak of one pass at {', '.join(details)}",
        value=value,
    )


def _nearest(context: Context, bar: Bar, others: list[Bar]) -> Bar | None:
    found = nearest(context.by_id[bar.subject.id], [context.by_id[other.subject.id] for other in others])
    return next((other for other in others if found and other.subject.id == found.id), None)


def _budget(context: Context, bar: Bar, other: Bar) -> str:
    flops = budget_ratio(context.by_id[bar.subject.id], context.by_id[other.subject.id], "flops")
    return budget_words(flops, "FLOPs" if is_equal(flops) else None)


def _determinism(determinism: Determinism) -> Card | None:
    """Return how many variants are what the card's word says: all batch-invariant, or so many not."""
    yes, no = invariant(determinism)
    if not yes and not no:
        return None
    told = f"whose rows, all or some, change when the batch size does{_who(determinism, yes)}"
    return Card(
        kind="determinism",
        word="not batch-invariant" if no else "batch-invariant",
        big=f"{len(no or yes)} of {len(yes) + len(no)}",
        interval="variants" if len(yes) + len(no) > 1 else "variant",
        title=(Name("Batch invariance", "", 0),),
        text=told if no else f"whose rows keep every bit when the batch size changes: {join(yes)}",
    )


def _who(determinism: Determinism, yes: list[str]) -> str:
    """Return who keeps every bit all the same, with what, and in which of its rows; where nobody does, why not."""
    common = kept_with(determinism)
    of_common = [row for rows in common.values() for row in rows]
    some = [f"{row.variant} ({row.detail})" for row in in_part(determinism) if row not in of_common]
    whole = [*yes, *(f"all {len({row.variant for row in rows})} with {part}" for part, rows in common.items())]
    if whole or some:
        others = join(some if len(some) <= PARTS else [*some[: PARTS - 1], f"{len(some) - PARTS + 1} more"])
        return f"; bit for bit the same: {join(whole) or 'none'}" + (f"; in part {others}" if some else "")
    worst = {c.word for row in determinism.rows for c in row.cells if c.axis == "batch_size" and c.kind != "no"}
    return f"; why: {join(sorted(worst))}"
