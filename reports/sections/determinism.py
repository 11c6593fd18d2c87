"""Determinism: whether a row's result depends on anything but the row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.case import DTYPES
from harness.metrics import METRICS, show, show_percent
from reports.context import Context, axes_words
from reports.read import Result
from reports.sections.base import Section
from reports.words import Sentence, Span, count, join, sentence

COLUMNS = {
    "run": ("Run", "the same input twice"),
    "batch_size": ("Batch size", "alone, or among others"),
    "position": ("Position", "elsewhere in the batch"),
    "composition": ("Composition", "beside other sequences"),
    "padding": ("Padding", "padding beside it"),
    "causal": ("Causal", "later tokens changed"),
}
"""Axes in the page's order: heading, and what varies."""

CAUSES = {
    "none": ("eq", "bit-equal"),
    "rounding": ("rd", "rounding"),
    "routing_flip": ("fl", "routing flips"),
    "drop": ("dr", "drops"),
    "coupling": ("cp", "coupled"),
    "unknown": ("un", "cause unknown"),
}
"""Cause: the cell's class, and its word; from the mildest to what changes the result most."""
_SEVERITY = list(CAUSES)


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant on one axis: the worst of its cases."""

    axis: str
    kind: str
    """eq, rd, fl, dr, cp; un where rows differ and nobody knows why; no where the axis was not measured."""
    word: str
    detail: str
    """Share of rows that stayed bit-equal and the largest error; empty where all are."""
    share: float | None
    max_rel: float | None
    cause: str | None
    worst: str | None
    """Id of the case that the cell speaks of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variant in one number format."""

    variant: str
    family: str
    step: int
    own: str
    """What sets the row apart from the variant's others, its number format left out: `capacity 1.25`."""
    detail: str
    cases: tuple[str, ...]
    """Ids of the cases that the row was made of."""
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The row in a sentence: `top-1 (capacity 1.25)`."""
        return f"{self.variant} ({self.own})" if self.own else self.variant

    def cell(self, axis: str) -> Cell | None:
        """Return the row's cell on `axis`, or None where it was not measured."""
        return next((cell for cell in self.cells if cell.axis == axis and cell.kind != "no"), None)


@dataclass(frozen=True, kw_only=True)
class Determinism(Section):
    """The section's data."""

    id: str = "determinism"
    name: str = "Determinism"
    question: str = "Does a row’s result depend on anything but the row?"

    columns: tuple[tuple[str, str, str], ...] = ()
    """(axis, heading, what varies)."""
    rows: tuple[Row, ...] = ()

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
    )


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
        cells = tuple(_cell(axis, results) for axis in axes)
        ids = tuple(result.id for result in results)
        rows.append(Row(variant, identity.family, identity.step, own, detail, ids, cells))
    return rows


def _row_key(context: Context, result: Result) -> tuple[str, str, str]:
    own = [axis for axis in ROW_AXES if axis in context.own_axes[result.case.variant]]
    return result.case.variant, axes_words(result.case, own), result.case.dtype


def _cell(axis: str, results: list[Result]) -> Cell:
    known = [result for result in results if result.number(f"det_{axis}") is not None]
    if not known:
        return Cell(axis, "no", "not measured", "", None, None, None, None)
    worst = max(known, key=lambda result: _badness(result, axis))
    share, max_rel = worst.number(f"det_{axis}"), worst.number(f"det_{axis}_max_rel")
    cause = _cause(worst, axis)
    kind, word = CAUSES.get(cause, ("fl", cause.replace("_", " ")))
    return Cell(axis, kind, word, _detail(kind, share, max_rel), share, max_rel, cause, worst.id)


def _badness(result: Result, axis: str) -> tuple[int, float, float]:
    cause = _cause(result, axis)
    rank = _SEVERITY.index(cause) if cause in _SEVERITY else len(_SEVERITY)
    return rank, -(result.number(f"det_{axis}") or 0.0), result.number(f"det_{axis}_max_rel") or 0.0


def _cause(result: Result, axis: str) -> str:
    value = result.metrics.get(f"det_{axis}_cause")
    if value is not None and isinstance(value.value, str):
        return value.value
    return "none" if result.number(f"det_{axis}") == 1 else "unknown"


def _detail(kind: str, share: float | None, max_rel: float | None) -> str:
    if kind == "eq" or share is None:
        return ""
    if kind == "rd":
        error = f", {show('det_run_max_rel', max_rel)}" if max_rel is not None else ""
        return f"{show_percent(share)} equal{error}" if share else f"no row equal{error}"
    return f"{show_percent(1 - share)} of rows change"


def _finding(rows: list[Row]) -> Sentence:
    """Say who depends on its neighbours beyond rounding, or that nobody does."""
    beside = ("batch_size", "composition", "position")
    bound = [row.name for row in rows
             if any(cell.axis in beside and cell.kind in ("cp", "dr", "fl", "un") for cell in row.cells)]  # fmt: skip
    bound = list(dict.fromkeys(bound))
    cells = [cell for row in rows for cell in row.cells if cell.kind != "no"]
    if not bound:
        free = all(cell.kind == "eq" for cell in cells)
        return sentence("Every row stayed bit-equal." if free else "Beyond rounding, no row depends on its neighbours.")
    if len(bound) > 3:
        return sentence(f"Beyond rounding, neighbours matter in {len(bound)} of {len(rows)} rows.")
    return sentence(f"Beyond rounding, a row’s neighbours matter only to {join(bound)}.")


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
        " neighbours; ◇ the layer’s mathematics couples the rows. A cell tells of the variant’s worst case.",
    )


def invariant(section: Determinism) -> tuple[list[str], list[str]]:
    """Return the variants whose rows keep every bit when the batch size changes, and those whose rows do not."""
    yes: list[str] = []
    no: list[str] = []
    for row in section.rows:
        if cell := row.cell("batch_size"):
            (yes if cell.kind == "eq" else no).append(row.variant)
    return [name for name in dict.fromkeys(yes) if name not in no], list(dict.fromkeys(no))


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
