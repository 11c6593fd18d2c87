"""The comparisons of one setting, in groups, with their verdicts once all are counted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.judge.multiple import benjamini_hochberg
from reports.compare import Comparison, compare, counted_together, distance
from reports.context import Context
from reports.results import Result
from reports.settings import Setting
from reports.words import join

BLOCK_ROWS = 60
"""Rows shown for one setting; a sweep beyond it is read in the table of all cases."""


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
    tally: str = ""
    """How many ratios came out which way, all comparisons counted: `3 faster, 2 slower and 1 undecided`."""

    @property
    def rows(self) -> list[Comparison]:
        """All comparisons of the block."""
        return [row for group in self.groups for row in group.rows]


def block_of(context: Context, setting: Setting, found: Sequence[tuple[str, Result, Result]]) -> Block | None:
    """Return the comparisons of the pairs that were `found` at `setting`, in groups by budget; None without any."""
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


def counted(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with the verdicts that are left when the comparisons of all of them are counted together."""
    words = iter(counted_together([row for block in blocks for row in block.rows], benjamini_hochberg))
    judged = [
        replace(block, groups=tuple(Group(g.title, tuple(islice(words, len(g.rows)))) for g in block.groups))
        for block in blocks
    ]
    return tuple(replace(block, tally=_tally(block)) for block in judged)


def _tally(block: Block) -> str:
    words = [row.verdict for row in block.rows]
    return join(f"{words.count(word)} {word}" for word in ("faster", "slower", "same", "undecided") if word in words)


def different(blocks: Sequence[Block]) -> int:
    """Return how many comparisons are called faster or slower."""
    return sum(row.verdict in ("faster", "slower") for block in blocks for row in block.rows)


def _share(row: Comparison) -> str:
    if row.equal == "FLOPs":
        return "equal FLOPs"
    return "equal parameters" if row.equal else "FLOPs differ"


def _rank(row: Comparison) -> tuple[bool, bool]:
    return row.reference.family != "dense", row.equal != "FLOPs"


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


def dense_of(block: Block) -> str:
    """Return what the dense FFN of `against_dense` is called: by its name where the suite has several."""
    found = against_dense(block)
    several = {row.reference.variant for row in block.rows if row.reference.family == "dense"}
    return (
        f"{found[0].reference.variant} of equal FLOPs" if len(several) > 1 and found else "the dense FFN of equal FLOPs"
    )


def leading(rows: Sequence[Comparison]) -> Comparison:
    """Return the comparison to speak of: the best that is certain, else the best that may be, else the nearest."""
    rank = ("faster", "undecided", "same", "slower")
    return min(rows, key=lambda row: (rank.index(row.verdict), row.value))


def moe(block: Block) -> list[Comparison]:
    """Return the comparisons of Soft MoE with sparse MoE, the nearest budget first."""
    found = [row for row in block.rows if row.candidate.family == "soft" and row.reference.family == "sparse"]
    return sorted(found, key=distance)


def spoken_of(block: Block) -> Comparison:
    """Return the comparison that the answer and the heading of the ratios both speak of, so that they agree."""
    if alike := against_dense(block):
        return leading(alike)
    return next(iter(moe(block)), None) or min(block.rows, key=distance)
