"""What the winner map says: who wins most contests, by how much at the most, and how the map is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reports.sections.winners_cells import Cell
from reports.sections.winners_maps import Map, Row
from reports.words import Sentence, Span, capital, count, join, ratio, sentence


def finding(first: Map) -> Sentence:
    """Return who wins most contests of the first map, and in how many nobody can be told to win.

    Contests of a variant with itself count only where there are no others.
    """
    cells = [cell for row in _between(first) for cell in row.cells if cell]
    where = f"Of layers with experts ({first.where})"
    alone = Counter(cell.winner.variant for cell in cells if not cell.ties)
    ties = len(cells) - alone.total()
    if not alone:
        return sentence(f"{where}, none is fastest beyond noise in any of {count(len(cells), 'contest')}.")
    first_name, first_wins = alone.most_common(1)[0]
    rest = [f"{name} in {number}" for name, number in alone.most_common(3)[1:]]
    left = alone.total() - sum(number for _, number in alone.most_common(3))
    others = join([*rest, *([f"others in {left}"] if left else [])]) if rest else ""
    wins = f"{first_name} is fastest in {first_wins} of {count(len(cells), 'contest')}"
    tied = f"; {'one is a tie' if ties == 1 else f'{ties} are ties'}" if ties else ""
    return sentence(f"{where}, {wins}", f", {others}" if others else "", f"{tied}.")


def caption(first: Map, comparisons: int, *, equal: bool) -> Sentence:
    """Return the largest lead, who meets whom, and how the map is read."""
    cells = [cell for row in _between(first) for cell in row.cells if cell and cell.next]
    lead = min(cells, key=lambda cell: (bool(cell.ties), cell.next.value if cell.next else 1.0))
    who = (
        "Each row is a contest: layers with so many experts and equal FLOPs (within 10 %)."
        if equal
        else "Each row is a contest of all layers with so many experts: no two of them have equal FLOPs, so that the"
        " fastest may be the one that does least."
    )
    return sentence(
        *_widest(lead, first.where),
        f" {who} {_themselves(first)}Under a winner stand its time, and that over the next one’s; a tie names who"
        f" cannot be told from the fastest, or is the same within 2 %. All {comparisons} comparisons of these maps are"
        " counted together (Benjamini and Hochberg). The dense FFN has no experts: key ratios hold it against each"
        " layer.",
    )


def _between(first: Map) -> Sequence[Row]:
    """Return the rows where variants meet each other; where there are none, all."""
    return [row for row in first.rows if row.variants > 1] or first.rows


def _themselves(first: Map) -> str:
    """Return that the heading leaves out contests of one variant with itself, where there are any beside others."""
    alone = [row for row in first.rows if row.variants == 1]
    return (
        "A layer that meets but itself is counted neither here nor in the heading. "
        if 0 < len(alone) < len(first.rows)
        else ""
    )


def _widest(cell: Cell, where: str) -> tuple[Sentence | Span, ...]:
    """Return the first sentence: the largest lead."""
    row = cell.next
    if row is None:
        return ()
    if cell.ties:
        return (Span(f"Every contest at {where} is a tie. ", "strong"),)
    name = f"{capital(cell.winner.phrase)} has the widest lead: "
    tail = f" the time of {row.reference.phrase}, {row.where}."
    return (Span(name, "strong"), ratio(row.value, row.interval), Span(tail, "strong"))
