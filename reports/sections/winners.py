"""Winner map: which layer and backend is fastest at each number of experts and tokens; a tie where noise hides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.metrics import show
from reports.compare import Comparison
from reports.context import Context
from reports.sections.base import Section
from reports.sections.contests import RIVALS, Contest, contests, counted, held, own
from reports.settings import Setting
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, join, plain, ratio, sentence, some

MAPS, ROWS, COLUMNS = 6, 24, 6
"""Maps, and rows and columns of one; what is beyond them is counted."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One contest: the fastest, and who cannot be told from it."""

    winner: Subject
    backend: str | None
    """The winner's implementation; None where the whole run has one."""
    ms: float
    low: float | None
    high: float | None
    ties: tuple[Subject, ...]
    """Those that may be as fast, the nearest first; empty where the winner stands alone."""
    next: Comparison | None
    """The winner's time over that of the next fastest; None where it has no rival."""
    contestants: int
    name: str = ""
    """The winner, where the number of experts is said already."""
    tied: str = ""
    """Who cannot be told from the fastest, the nearest by name; empty where the winner stands alone."""
    lead: str = ""
    """The winner's time, its backend where there are several, and its lead, in words."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of experts, and the layers that share a budget there."""

    experts: int
    contestants: tuple[str, ...]
    met: str
    """The contestants in words, of many the first."""
    cells: tuple[Cell | None, ...]
    """One a column; None where that contest was not held."""
    variants: int
    """Variants among them; where there is one, it meets but itself."""


@dataclass(frozen=True, slots=True)
class Map:
    """All contests at settings that differ in their tokens alone."""

    where: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Winners(Section):
    """The section's data."""

    id: str = "winners"
    name: str = "Winner map"
    question: str = "Which layer is fastest at which size?"

    maps: tuple[Map, ...] = ()
    left_out: int = 0
    equal: bool = True
    """Whether only layers of equal FLOPs meet; where no two have them, all of one number of experts do."""
    comparisons: int = 0


def build(context: Context) -> Winners:
    """Return who is fastest among the layers with experts, at each number of experts and tokens."""
    found = contests(context, equal=True)
    equal = bool(found)
    found = found or contests(context, equal=False)
    if not found:
        return Winners(finding=sentence("No winners to show."), missing=_why_nothing(context))
    rests = list(dict.fromkeys(_rest(contest.setting) for contest in found))
    grids = [_grid([one for one in found if _rest(one.setting) == rest]) for rest in rests[:MAPS]]
    judged = counted([held(context, contest) for grid in grids for contest in grid.shown])
    maps = tuple(_map(context, grid, {(one.setting, one.row): one for one in judged}) for grid in grids)
    comparisons = sum(len(contest.rivals) for contest in judged)
    return Winners(
        finding=_finding(maps[0]),
        caption=_caption(maps[0], comparisons, equal=equal),
        maps=maps,
        left_out=max(0, len(rests) - MAPS),
        equal=equal,
        comparisons=comparisons,
    )


def _rest(setting: Setting) -> Setting:
    return replace(setting, batch=0, tokens=0)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The columns of a map, each an input; the rows with a contest in the columns that are shown; those contests."""

    rows: list[tuple[int, tuple[str, ...]]]
    columns: list[Setting]
    shown: list[Contest]


def _grid(contests: list[Contest]) -> _Grid:
    settings = dict.fromkeys(one.setting for one in contests)
    columns = sorted(settings, key=lambda s: (s.batch * s.tokens, s.batch, s.tokens))
    kept = {*columns[:COLUMNS]}
    shown = [one for one in contests if one.setting in kept]
    rows = list(dict.fromkeys(sorted((one.row for one in shown), key=lambda row: row[0])))
    return _Grid(rows, columns, [one for one in shown if one.row in rows[:ROWS]])


def _map(context: Context, grid: _Grid, found: Mapping[tuple[Setting, tuple[int, tuple[str, ...]]], Contest]) -> Map:
    places = [(setting.batch, setting.tokens) for setting in grid.columns]
    shown = grid.columns[:COLUMNS]
    return Map(
        where=context.words(grid.shown[0].setting, without=("batch", "tokens")),
        columns=tuple(_column(at, places) for at in places[:COLUMNS]),
        rows=tuple(
            Row(
                *row,
                some(row[1]),
                tuple(_cell(context, found.get((setting, row))) for setting in shown),
                len({result.case.variant for one in grid.shown if one.row == row for result in one.results}),
            )
            for row in grid.rows[:ROWS]
        ),
        left_out=max(0, len(grid.rows) - ROWS) + max(0, len(grid.columns) - COLUMNS),
    )


def _column(at: tuple[int, int], places: Sequence[tuple[int, int]]) -> str:
    """Return `batch 8`, `196 tokens`, or `8 × 196 tokens` where both vary."""
    batch, tokens = at
    if len({tokens for _, tokens in places}) == 1:
        return f"batch {batch}, {count(batch * tokens, 'token')}"
    return count(tokens, "token") if len({batch for batch, _ in places}) == 1 else f"{batch} × {count(tokens, 'token')}"


def _cell(context: Context, contest: Contest | None) -> Cell | None:
    if contest is None:
        return None
    best = contest.results[0]
    value = best.metrics["latency_ms"]
    backends = context.backends
    cell = Cell(
        winner=context.subject(best),
        backend=best.backend if len(backends) > 1 else None,
        ms=best.ms or 0.0,
        low=value.low,
        high=value.high,
        ties=tuple(row.reference for row in contest.rivals if row.verdict != "faster"),
        next=contest.rivals[0] if contest.rivals else None,
        contestants=len(contest.results),
    )
    return replace(cell, name=short(cell.winner), tied=tie(cell) if cell.ties else "", lead=ahead(cell))


def _finding(first: Map) -> Sentence:
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


def _caption(first: Map, comparisons: int, *, equal: bool) -> Sentence:
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


def short(subject: Subject) -> str:
    """Return `soft, 2 slots`: a contestant where the number of experts is said already."""
    return f"{subject.variant}, {detail}" if (detail := own(subject)) else subject.variant


def tie(cell: Cell) -> str:
    """Return `tie of 3: top-1, dropless; expert-choice; soft, 2 slots`, the fastest estimate first."""
    names = [short(subject) for subject in (cell.winner, *cell.ties)]
    beyond = " or more" if len(cell.ties) == RIVALS < cell.contestants - 1 else ""  # no more of them were held
    return f"tie of {len(names)}{beyond}: {some(names, between='; ')}"


def ahead(cell: Cell) -> str:
    """Return the winner's time, its backend where there are several, and its lead: `1.20 ms, 0.81× the next’s`."""
    parts = [show("latency_ms", cell.ms, cell.low, cell.high), *([cell.backend] if cell.backend else [])]
    row = cell.next
    if row and not cell.ties:
        parts.append(f"{plain(ratio(row.value, row.interval))} the next’s")
    return ", ".join(parts)


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    return "No two layers with experts were timed at one setting with the same number of experts."
