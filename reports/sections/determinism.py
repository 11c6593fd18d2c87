"""Determinism: whether a row's result depends on anything but the row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.case import DTYPES
from harness.metrics import METRICS, show_percent
from reports.context import Context
from reports.results import Result
from reports.sections.base import Section
from reports.sections.determinism_alike import Row, alike
from reports.sections.determinism_cells import COLUMNS, Cell, cell_of
from reports.sections.determinism_ties import Tie, tie_of
from reports.subjects import axes_words
from reports.words import Sentence, Span, count, join, sentence


@dataclass(frozen=True, kw_only=True)
class Determinism(Section):
    """The section's data."""

    id: str = "determinism"
    name: str = "Determinism"
    question: str = "Does a row’s result depend on anything but the row?"

    ties: tuple[Tie, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()
    """(axis, heading, what varies)."""
    rows: tuple[Row, ...] = ()

    @property
    def shown(self) -> tuple[tuple[Row, int], ...]:
        """The rows of the page, each with how many others read like it: of a matrix that is read all, none do."""
        return alike(self.rows)

    @property
    def left_out(self) -> int:
        """Rows that are neither on the page nor like one that is."""
        return len(self.rows) - sum(1 + others for _, others in self.shown)

    def row(self, case: str) -> Row | None:
        """Return the row that speaks of the case with the id `case`: its capacity, group, backend and format."""
        return next((row for row in self.rows if case in row.cases), None)


def build(context: Context) -> Determinism:
    """Return the matrix of variants and number formats against what was varied."""
    axes = [axis for axis in COLUMNS if any(result.number(f"det_{axis}") is not None for result in context.results)]
    if not axes:
        why = context.why_without("determinism", "determinism")
        return Determinism(finding=sentence("No determinism to show."), missing=why)
    rows = _rows(context, axes)
    cells = [cell for row in rows for cell in row.cells if cell.kind != "no"]
    return Determinism(
        finding=_finding(rows),
        caption=_caption(cells),
        columns=tuple((axis, *COLUMNS[axis]) for axis in axes),
        rows=tuple(rows),
        ties=_ties([row for row, _ in alike(rows)], context),
    )


NAMED = 6
"""Variants that the heading names."""

ROW_AXES = ("capacity_factor", "group", "routing", "backend")
"""Axes of a variant that decide what couples its rows: each of their values is a row of its own."""


def _rows(context: Context, axes: list[str]) -> list[Row]:
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in context.results:
        if any(result.number(f"det_{axis}") is not None for axis in axes):
            groups.setdefault(_row_key(context, result), []).append(result)
    order = list(context.identity)
    rows = []
    for (variant, own, dtype), results in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        identity = context.identity[variant]
        backends = sorted({result.backend for result in results if result.backend} - set(own.split(", ")))
        detail = ", ".join(part for part in (own, *backends, DTYPES.get(dtype, (dtype,))[0]) if part)
        cells = tuple(cell_of(axis, results) for axis in axes)
        ids = tuple(result.id for result in results)
        rows.append(Row(variant, identity.family, identity.step, own, detail, ids, cells))
    return rows


def _row_key(context: Context, result: Result) -> tuple[str, str, str]:
    own = [axis for axis in ROW_AXES if axis in context.own_axes[result.case.variant]]
    return result.case.variant, axes_words(result.case, own), result.case.dtype


def _ties(rows: list[Row], context: Context) -> tuple[Tie, ...]:
    found = (tie_of(f"{row.variant}, {row.detail}", [context.by_id[case] for case in row.cases]) for row in rows)
    return tuple(tie for tie in found if tie)


def _finding(rows: list[Row]) -> Sentence:
    """Say who depends on its neighbours beyond rounding, or that nobody does."""
    beside = ("batch_size", "composition", "position", "padding")
    touched = [row for row in rows
               if any(cell.axis in beside and cell.kind in ("cp", "dr", "fl", "un") for cell in row.cells)]  # fmt: skip
    bound = list(dict.fromkeys(row.name for row in touched))
    cells = [cell for row in rows for cell in row.cells if cell.kind != "no"]
    kept = _invariant_rows(rows)
    if not bound:
        free = all(cell.kind == "eq" for cell in cells)
        return sentence("Every row stayed bit-equal." if free else
                        f"Beyond rounding, no row depends on its neighbours{kept}.")  # fmt: skip
    if len(bound) > 3:
        return sentence(f"Beyond rounding, a row’s neighbours matter in {_touched(touched, rows)}{kept}.")
    return sentence(f"Beyond rounding, a row’s neighbours matter only to {join(bound)}{kept}.")


def _touched(touched: list[Row], rows: list[Row]) -> str:
    """Return `16 of 30 configurations: all of top-2 and soft, some of dense`; without names, if they are many."""
    some = dict.fromkeys(row.variant for row in rows if row not in touched)
    names = list(dict.fromkeys(row.variant for row in touched))
    whole, part = [name for name in names if name not in some], [name for name in names if name in some]
    told = ", ".join(f"{word} of {join(who)}" for word, who in (("all", whole), ("some", part)) if who)
    named = f": {told}" if len(touched) < len(rows) and len(names) <= NAMED else ""
    return f"{len(touched)} of {len(rows)} configurations{named}"


def _invariant_rows(rows: list[Row]) -> str:
    """Return `; A and B keep every bit when the batch size changes` where that tells them from others, else nothing."""
    cells = [(row, cell) for row in rows if (cell := row.cell("batch_size"))]
    names = list(dict.fromkeys(row.name for row, cell in cells if cell.kind == "eq"))
    names = [name for name in names if all(cell.kind == "eq" for row, cell in cells if row.name == name)]
    if not names or len(names) > 3 or len(names) == len({row.name for row, _ in cells}):
        return ""
    return f"; {join(names)} {'keeps' if len(names) == 1 else 'keep'} every bit when the batch size changes"


def _caption(cells: list[Cell]) -> Sentence:
    counts = Counter(cell.kind for cell in cells)
    words = {"rd": "rounding", "fl": "routing flips", "dr": "drops", "cp": "coupling", "un": "an unknown cause"}
    listed = join([f"{counts['eq']} {'is' if counts['eq'] == 1 else 'are'} bit-equal"]
                  + [f"{counts[kind]} {'differs' if counts[kind] == 1 else 'differ'} by {word}"
                     for kind, word in words.items() if counts[kind]])  # fmt: skip
    unit = METRICS["det_run_max_rel"].unit
    return sentence(
        Span(f"Of {count(len(cells), 'cell')} {listed}. ", "strong"),
        "✓ every bit is the same; ≈ another order of sums, errors in ",
        Span(unit, "code"),
        ", the number format’s step at the row’s largest value; ✗ capacity drops or a routing decision turns with the"
        " neighbours; ◇ the layer’s mathematics couples the rows. A cell tells of the variant’s worst case: where"
        " its rows begin to differ, and what confirmed it (rounding goes away in float64 and design stays; a flip goes"
        " away when the routing is replayed). Where no row differed, the share that might is bounded at 95 %.",
    )


def invariant(section: Determinism) -> tuple[list[str], list[str]]:
    """Return the variants that keep every bit of their rows when the batch size changes, and those that do not.

    One of several number formats, capacities or backends keeps them only if it does in each.
    """
    kinds: dict[str, set[str]] = {}
    for row in section.rows:
        if cell := row.cell("batch_size"):
            kinds.setdefault(row.variant, set()).add(cell.kind)
    yes = [variant for variant, seen in kinds.items() if seen == {"eq"}]
    return yes, [variant for variant in kinds if variant not in yes]


def in_part(section: Determinism) -> list[Row]:
    """Return the rows that keep every bit when the batch size changes, of variants that as a whole do not."""
    _, no = invariant(section)
    return [row for row in section.rows if row.variant in no and (cell := row.cell("batch_size")) and cell.kind == "eq"]


def kept_with(section: Determinism) -> dict[str, list[Row]]:
    """Return what two or more variants have in common (a backend, a format) where it keeps every bit, and those rows.

    Of a run whose rows all keep every bit when the batch size changes it is nothing: there is nothing to tell apart.
    """
    kinds: dict[str, list[Row]] = {}
    known = [row for row in section.rows if row.cell("batch_size")]
    for row in known:
        for part in row.detail.split(", "):
            kinds.setdefault(part, []).append(row)
    return {
        part: rows
        for part, rows in kinds.items()
        if len(rows) < len(known)
        and len({row.variant for row in rows}) > 1
        and all((cell := row.cell("batch_size")) and cell.kind == "eq" for row in rows)
    }


def batch_words(section: Determinism, case: str) -> str:
    """Return what a change of the batch size does to the rows of a case, given its id; empty if not measured."""
    row = section.row(case)
    cell = row.cell("batch_size") if row else None
    if row is None or cell is None:
        return ""
    if cell.kind == "eq":
        return f"{row.name} is batch-invariant, bit for bit"
    by = {"rd": "by rounding", "dr": "through drops", "cp": "by coupling", "fl": "through routing flips"}.get(cell.kind)
    changed = f"{show_percent(1 - cell.share)} of its rows change, " if cell.share is not None else ""
    return f"{row.name} is not batch-invariant ({changed}{by or cell.word})"
