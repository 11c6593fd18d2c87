"""Key ratios: which layer is faster, by how much, and at which budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.judge.multiple import benjamini_hochberg, flattery
from harness.judge.stats import geometric_mean
from harness.judge.verdict import MARGIN
from harness.metrics import show_percent, show_ratio, show_spread
from reports.compare import Comparison, compare, counted_together, distance, is_equal, nearest
from reports.context import Context, Setting
from reports.families import NAMES
from reports.glyph import Scale, ratio_scale
from reports.results import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, capital, count, ratio, sentence

BLOCK_ROWS = 60
"""Rows shown for one setting; a sweep beyond it is read in the table of all cases."""
BLOCKS = 12
"""Settings shown, the first screen's first; the means are over all of them."""
SMALL_LEAD = 5
"""A lead of less than five times what picking the fastest is worth is small: a fifth of it may be luck."""

WORD = {
    "faster": "beats",
    "slower": "is slower than",
    "same": "is level with",
    "undecided": "cannot be told apart from",
}
"""Verdict: what stands between the candidate and the reference in a sentence."""


@dataclass(frozen=True, slots=True)
class Group:
    """Comparisons against one kind of reference."""

    title: str
    rows: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """All comparisons of one setting."""

    where: str
    groups: tuple[Group, ...]
    left_out: int
    """Rows beyond BLOCK_ROWS."""

    @property
    def rows(self) -> list[Comparison]:
        """All comparisons of the block."""
        return [row for group in self.groups for row in group.rows]


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
    blocks = tuple(block for setting, some in found[:BLOCKS] if (block := _block(context, setting, some)))
    if not blocks:
        why = _why_nothing(context)
        return Ratios(finding=sentence("There is nothing to compare."), missing=why)
    alone = _different(blocks)
    blocks = _counted(blocks)
    comparisons, lost = sum(len(block.rows) for block in blocks), alone - _different(blocks)
    return Ratios(
        finding=_finding(blocks[0]),
        caption=sentence(
            _caption(blocks[0]), _counting(comparisons, lost), _flattery(blocks[0]), *_floor_words(context, blocks)
        ),
        blocks=blocks,
        comparisons=comparisons,
        lost=lost,
        left_out=max(0, len(found) - BLOCKS),
        means=_means(context),
        scale=_scale(blocks),
    )


def pairs(context: Context, setting: Setting) -> list[tuple[str, Result, Result]]:
    """Return (title, candidate, reference) of every fair pair at `setting`, each with the nearest budget."""
    family = {result.id: context.identity[result.case.variant].family for result in context.at(setting)}
    at = context.at(setting)
    dense = [result for result in at if family[result.id] == "dense"]
    sparse = [result for result in at if family[result.id] == "sparse"]
    soft = [result for result in at if family[result.id] == "soft"]
    out: list[tuple[str, Result, Result]] = []
    for budget in ("flops", "params"):
        of_budget = [result for result in dense if _budget_of(result) == budget]
        out += [
            ("Against the dense FFN", result, reference)
            for result in at
            if family[result.id] != "dense" and (reference := nearest(result, of_budget, budget))
        ]
    for result in soft:
        alike = [other for other in sparse if other.case.experts == result.case.experts] or sparse
        if reference := nearest(result, alike):
            out.append(("Soft MoE against sparse MoE", result, reference))
    known = {(a.id, b.id) for _, a, b in out}
    out += [(_against(b), a, b) for _, a, b in asked(context, at) if (a.id, b.id) not in known]
    return out or _against_first(context, at)


def asked(context: Context, at: list[Result]) -> list[tuple[str, Result, Result]]:
    """Return (`candidate / reference`, candidate, reference) of the pairs of variants that the suite's headline names.

    Each candidate of `at` is held against the reference with the nearest budget.
    """
    out = []
    for text in context.run.file.suite.headline:
        candidate, _, reference = (part.strip() for part in text.partition("/"))
        others = [result for result in at if result.case.variant == reference]
        out += [
            (f"{candidate} / {reference}", result, other)
            for result in at
            if result.case.variant == candidate and (other := nearest(result, others))
        ]
    return out


def _against(reference: Result) -> str:
    return f"Against {reference.case.variant}"


def _budget_of(result: Result) -> str:
    return "params" if result.match and result.match.on == "params" else "flops"


def _against_first(context: Context, at: list[Result]) -> list[tuple[str, Result, Result]]:
    """Where there is no family to stand against: every other variant against the suite's first one."""
    order = [name for name in context.identity if any(result.case.variant == name for result in at)]
    if len(order) < 2:
        return []
    first = [result for result in at if result.case.variant == order[0]]
    rest = [result for result in at if result.case.variant != order[0]]
    return [(f"Against {order[0]}", result, ref) for result in rest if (ref := nearest(result, first))]


def _block(context: Context, setting: Setting, found: list[tuple[str, Result, Result]]) -> Block | None:
    rows: dict[str, list[Comparison]] = {}
    for title, candidate, reference in found[:BLOCK_ROWS]:
        if row := compare(context, candidate, reference):
            rows.setdefault(f"{title}, {_share(row)}", []).append(row)
    order = list(context.identity)
    groups = [
        Group(title, tuple(sorted(some, key=lambda row: order.index(row.candidate.variant))))
        for title, some in sorted(rows.items(), key=lambda item: _rank(item[1][0]))
    ]
    return Block(context.words(setting), tuple(groups), max(0, len(found) - BLOCK_ROWS)) if groups else None


def _counted(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with the verdicts that are left when the comparisons of all of them are counted together."""
    words = iter(counted_together([row for block in blocks for row in block.rows], benjamini_hochberg))
    return tuple(
        replace(block, groups=tuple(Group(g.title, tuple(islice(words, len(g.rows)))) for g in block.groups))
        for block in blocks
    )


def _different(blocks: Sequence[Block]) -> int:
    return sum(row.verdict in ("faster", "slower") for block in blocks for row in block.rows)


def _share(row: Comparison) -> str:
    if row.equal == "FLOPs":
        return "equal FLOPs"
    return "equal parameters" if row.equal else "FLOPs differ"


def _rank(row: Comparison) -> tuple[bool, bool]:
    return row.reference.family != "dense", row.equal != "FLOPs"


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


def against_dense(block: Block) -> list[Comparison]:
    """Return the comparisons with the dense FFN whose FLOPs most families share, the fastest first.

    A suite may have several dense FFNs, each matched to another layer; only one is spoken of at a time.
    """
    by_reference: dict[str, list[Comparison]] = {}
    for row in block.rows:
        if row.reference.family == "dense" and row.equal == "FLOPs":
            by_reference.setdefault(row.reference.variant, []).append(row)
    rows = max(by_reference.values(), key=lambda some: len({row.candidate.family for row in some}), default=[])
    return sorted(rows, key=lambda row: row.value)


def leading(rows: Sequence[Comparison]) -> Comparison:
    """Return the comparison to speak of: the best that is certain, else the best that may be, else the nearest."""
    rank = ("faster", "undecided", "same", "slower")
    return min(rows, key=lambda row: (rank.index(row.verdict), row.value))


def _equal(block: Block) -> list[Comparison]:
    """Return the comparisons with any dense FFN of equal FLOPs."""
    return [row for row in block.rows if row.reference.family == "dense" and row.equal == "FLOPs"]


def _finding(block: Block) -> Sentence:
    equal = _equal(block)
    if not equal:
        row = min(block.rows, key=distance)
        return sentence(f"{capital(row.candidate.phrase)} {WORD[row.verdict]} {row.reference.phrase}, at {row.budget}.")
    best = leading(equal)
    more = sum(row.verdict == best.verdict for row in equal) - 1
    if best.verdict == "slower":
        return sentence(f"No layer beats the dense FFN of equal FLOPs; {best.candidate.phrase} comes nearest.")
    rest = {
        "faster": f", as {'does' if more == 1 else 'do'} {more} more of {len(equal)}" if more else "",
        "undecided": f", nor can {more} more of {len(equal)}" if more else "",
        "same": ", and none is ahead of it",
    }[best.verdict]
    return sentence(f"{capital(best.candidate.phrase)} {WORD[best.verdict]} the dense FFN of equal FLOPs{rest}.")


def _caption(block: Block) -> Sentence:
    equal = _equal(block)
    row = leading(equal) if equal else min(block.rows, key=distance)
    return sentence(
        _estimated(row),
        " Left of the heavy line is faster; the needle is the estimate, the bar its 95 % interval, an arrow points to"
        f" what lies off the scale. The grey band is ±{show_percent(MARGIN)}: same means that the whole interval lies"
        " in it. FLOPs are the candidate’s over the reference’s, called equal within 10 %. Ratios are judged round by"
        " round, intervals are over rounds; the last rows are geometric means over every setting of the run,"
        " with the range that a mean hides.",
    )


def _counting(comparisons: int, lost: int) -> str:
    """Return how many comparisons were counted together, and what that cost."""
    if comparisons < 2:
        return ""
    looks = "looks" if lost == 1 else "look"
    more = f"; {lost} of them {looks} different alone, and undecided so" if lost else ""
    return f" All {comparisons} comparisons of this section are counted together (Benjamini and Hochberg){more}."


def _flattery(block: Block) -> str:
    """Return the warning that the fastest of several was picked by its luck too, where its lead is small."""
    equal = _equal(block)
    best = leading(equal) if equal else None
    if best is None or best.interval is None or best.verdict != "faster" or len(equal) < 2:
        return ""
    by = flattery(best.interval, len(equal))
    if -math.log(best.value) > SMALL_LEAD * by:
        return ""
    return (
        f" The fastest of {len(equal)} was picked by the rounds that measure it, which flatters it by about"
        f" {show_spread(by)}: measure it and its runner-up again before you quote so small a lead."
    )


def _floor_words(context: Context, blocks: Sequence[Block]) -> Sequence[str]:
    """Return below which change no win is claimed, and why; a run without A/A cells is told of in its noise."""
    if context.floor <= MARGIN:
        return ()
    if context.distrusted:
        return (" Nothing is called faster or slower: the run’s A/A cells differ.",)
    withheld = sum(row.in_noise for block in blocks for row in block.rows)
    told = f"; {count(withheld, 'ratio')} would be called otherwise" if withheld else ""
    why = "the run’s A/A cells, a layer against itself, differ by too much to tell less"
    return (f" Nothing below {show_spread(context.floor)} is called faster or slower: {why}{told}.",)


def _estimated(row: Comparison) -> Sentence:
    name, estimate = capital(row.candidate.phrase), ratio(row.value, row.interval)
    at = f"{row.reference.phrase} at {row.budget}, {row.where}"
    if row.verdict == "undecided":
        return sentence(Span(f"{name} {WORD[row.verdict]} {at}: ", "strong"), estimate, Span(".", "strong"))
    return sentence(Span(f"{name} takes ", "strong"), estimate, Span(f" the time of {at}.", "strong"))


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
