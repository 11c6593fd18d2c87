"""Key ratios: which layer is faster, by how much, and at which budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.stats import geometric_mean
from harness.metrics import show_ratio
from reports.compare import is_equal
from reports.context import Context
from reports.families import NAMES
from reports.glyph import Scale, ratio_scale
from reports.sections.base import Section
from reports.sections.ratios_blocks import Block, block_of, counted, different
from reports.sections.ratios_pairs import pairs
from reports.sections.ratios_words import caption, counting, finding, flattery_words, floor_words
from reports.words import count, sentence

BLOCKS = 12
"""Settings shown, the first screen's first; the means are over all of them."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Many ratios in one number, with the range that it hides."""

    candidate: str
    reference: str
    pairs: int
    budget: str
    value: float
    low: float
    """Smallest of the ratios."""
    high: float


@dataclass(frozen=True, kw_only=True)
class Ratios(Section):
    """The section's data; the first block is the setting of the first screen."""

    id: str = "ratios"
    name: str = "Key ratios"
    question: str = "Which layer is faster, and by how much?"

    blocks: tuple[Block, ...] = ()
    left_out: int = 0
    """Settings beyond BLOCKS, the first screen's first."""
    comparisons: int = 0
    """Comparisons of all blocks, which were counted together."""
    lost: int = 0
    """Those of them that look different alone, and not once all are counted."""
    means: tuple[Mean, ...] = ()
    scale: Scale | None = None


def build(context: Context) -> Ratios:
    """Return every variant against the dense FFN, and Soft MoE against sparse, at the largest batches."""
    found = [(setting, some) for setting in context.largest_batch if (some := pairs(context, setting))]
    blocks = tuple(block for setting, some in found[:BLOCKS] if (block := block_of(context, setting, some)))
    if not blocks:
        why = _why_nothing(context)
        return Ratios(finding=sentence("There is nothing to compare."), missing=why)
    alone = different(blocks)
    blocks = counted(blocks)
    comparisons, lost = sum(len(block.rows) for block in blocks), alone - different(blocks)
    return Ratios(
        finding=finding(blocks[0]),
        caption=sentence(
            caption(blocks[0]), counting(comparisons, lost), flattery_words(blocks[0]), *floor_words(context, blocks)
        ),
        blocks=blocks,
        comparisons=comparisons,
        lost=lost,
        left_out=max(0, len(found) - BLOCKS),
        means=_means(context),
        scale=_scale(blocks),
    )


def _scale(blocks: Sequence[Block]) -> Scale:
    """Return a scale that holds every ratio at equal FLOPs; the others may become arrows."""
    rows = [row for block in blocks for row in block.rows]
    return ratio_scale([row.value for row in rows], [row.value for row in rows if row.equal == "FLOPs"])


def _means(context: Context) -> tuple[Mean, ...]:
    """Return one mean for each pair of families, over every setting, of the pairs that share a budget if any do."""
    found: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    for setting in context.settings:
        for _, a, b in pairs(context, setting):
            if a.ms and b.ms:
                names = tuple(NAMES[context.identity[result.case.variant].family] for result in (a, b))
                flops = a.flops / b.flops if a.flops and b.flops else None
                found.setdefault((names[0], names[1]), []).append((is_equal(flops), a.ms / b.ms))
    means = []
    for (candidate, reference), values in found.items():
        equal = [value for same, value in values if same]
        used, budget = (equal, "equal FLOPs") if len(equal) > 1 else ([value for _, value in values], "any FLOPs")
        if len(used) > 1:
            means.append(Mean(candidate, reference, len(used), budget, geometric_mean(used), min(used), max(used)))
    return tuple(means)


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    names: Sequence[str] = sorted({result.case.variant for result in context.timed})
    if len(names) == 1:
        return f"Only {names[0]} has times ({count(len(context.timed), 'case')}): there is nothing to hold it against."
    return "No two variants were timed at the same size, batch, tokens, number format, pass and activation."


def mean_text(mean: Mean) -> str:
    """Return `0.88×, from 0.60× to 1.08×`."""
    return f"{show_ratio(mean.value)}, from {show_ratio(mean.low)} to {show_ratio(mean.high)}"
