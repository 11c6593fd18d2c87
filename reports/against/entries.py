"""Entries: the rows of a comparison as a reader meets them, a time each, and what has no noise a case each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from harness.judge.compare import Word
from harness.judge.stats import Interval
from harness.metrics import show
from reports.against.hints import Hint, hint
from reports.context import Context
from reports.glyph import Glyph, Scale, glyph, ratio_scale
from reports.labels import name_of
from reports.sections.cases import again
from reports.subjects import Subject
from reports.versus.pairs import Pair
from reports.versus.versus import TIMED, Row, Versus
from reports.versus.words import by

LISTED = 40
"""Entries of one group on the page; the data beside it have them all."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number without noise, or one that a side lacks: from what to what."""

    name: str
    text: str
    """`208 KiB, then 272 KiB: 64.0 KiB more`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A time that was judged, or a case whose other numbers changed, or that has none."""

    subject: Subject
    verdict: Word
    command: str
    """What measures the case again."""
    name: str
    """Of a time: what it is, `latency`."""
    base: str = ""
    candidate: str = ""
    ratio: Interval | None = None
    """Candidate over baseline."""
    noise: float | None = None
    """Half the interval, as a share."""
    factor: float | None = None
    """The effect over its noise."""
    numbers: tuple[Number, ...] = ()
    why: str | None = None
    hint: Hint | None = None
    glyph: Glyph | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one kind."""

    id: str
    title: str
    """`4 slower`."""
    aside: str
    """What of them all a reader should know: `all of soft`."""
    entries: tuple[Entry, ...]
    folded: bool = False

    @property
    def left_out(self) -> int:
        """Entries that the page leaves to the data beside it."""
        return max(0, len(self.entries) - LISTED)


@dataclass(frozen=True, slots=True)
class Kind:
    """Which rows make a group."""

    id: str
    one: str
    many: str
    verdicts: tuple[Word, ...]
    timed: bool = False
    """Whether it is of times, a row each; the others tell a case a row."""
    whole: bool | None = None
    """Whether it is of cases as a whole, or of single numbers of theirs; None: of both."""

    def has(self, row: Row) -> bool:
        """Whether a row of a comparison stands in this group."""
        if self.whole is not None and self.whole != (row.metric is None):
            return False
        return row.verdict in self.verdicts and (not self.timed or row.change is not None)


KINDS = (
    Kind("slower", "slower", "slower", ("slower",), timed=True),
    Kind("failed", "case failed or missing", "cases failed or missing", ("failed", "missing"), whole=True),
    Kind("failed-before", "case failed on both sides", "cases failed on both sides", ("same",), whole=True),
    Kind("worse", "case worse in what has no noise", "cases worse in what has no noise", ("worse",)),
    Kind("lacking", "case lacks a number", "cases lack numbers", ("missing",), whole=False),
    Kind("changed", "case changed", "cases changed", ("changed",)),
    Kind("not-comparable", "case not comparable", "cases not comparable", ("not comparable",)),
    Kind("faster", "faster", "faster", ("faster",), timed=True),
    Kind("better", "case better", "cases better", ("better",)),
    Kind("noise", "time within noise", "times within noise", ("same", "cannot tell"), timed=True),
)
"""The groups in the page's order."""
FOLDED = "noise"


def groups(versus: Versus, both: Sequence[Pair], candidate: Context, base: Context) -> tuple[tuple[Group, ...], Scale]:
    """Return the groups that have entries, in the page's order, and the scale that their glyphs share."""
    by_id = {pair.id: pair for pair in both}
    found = [(kind, _entries(versus, kind, by_id, candidate, base)) for kind in KINDS]
    told = [entry for kind, entries in found if kind.id != FOLDED for entry in entries if entry.ratio]
    drawn = told or [entry for _, entries in found for entry in entries]
    scale = ratio_scale([entry.ratio.value for entry in drawn if entry.ratio])
    return tuple(_group(kind, entries, scale) for kind, entries in found if entries), scale


def _group(kind: Kind, entries: Sequence[Entry], scale: Scale) -> Group:
    number = len(entries)
    variants = list(dict.fromkeys(entry.subject.variant for entry in entries))
    return Group(
        id=kind.id,
        title=f"{number} {kind.one if number == 1 else kind.many}",
        aside=f"all of {variants[0]}" if len(variants) == 1 and number > 1 else "",
        entries=tuple(_drawn(entry, scale) for entry in entries),
        folded=kind.id == FOLDED,
    )


def _drawn(entry: Entry, scale: Scale) -> Entry:
    return entry if entry.ratio is None else replace(entry, glyph=glyph(scale, entry.ratio.value, entry.ratio))


def _entries(versus: Versus, kind: Kind, both: dict[str, Pair], candidate: Context, base: Context) -> list[Entry]:
    rows = [row for row in versus.rows if kind.has(row) and _is_told(row, versus)]
    if kind.timed:
        return [_of_time(row, both[row.id], candidate, versus.drift) for row in rows]
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row.id, []).append(row)
    return [_of_case(some, both[name], candidate, base) for name, some in cases.items()]


def _is_told(row: Row, versus: Versus) -> bool:
    """Whether a row is told by itself: times that another machine forbids to compare are told in one sentence."""
    return not (versus.forbidden and row.metric in TIMED)


def _of_time(row: Row, pair: Pair, candidate: Context, drift: float | None) -> Entry:
    assert row.change is not None
    assert row.metric is not None
    assert pair.base is not None
    assert pair.candidate is not None
    told = row.metric == "latency_ms" and row.verdict in ("slower", "faster")
    return Entry(
        subject=candidate.subject(pair.candidate),
        verdict=row.verdict,
        command=command(candidate, row.id),
        name=name_of(row.metric),
        base=show(row.metric, row.base),
        candidate=show(row.metric, row.candidate),
        ratio=row.change.ratio,
        noise=row.change.noise,
        factor=row.change.factor,
        hint=hint(pair.base, pair.candidate, row.change, drift) if told else None,
    )


def _of_case(rows: Sequence[Row], pair: Pair, candidate: Context, base: Context) -> Entry:
    mine = pair.candidate is not None
    side = pair.candidate or pair.base
    assert side is not None
    context = candidate if mine else base
    return Entry(
        subject=context.subject(side),
        verdict=rows[0].verdict,
        command=command(context, side.id),
        name="",
        numbers=tuple(numbers_of(rows)),
        why="; ".join(row.why for row in rows if row.metric is None and row.why) or None,
    )


def numbers_of(rows: Iterable[Row]) -> Iterable[Number]:
    """Yield each number that changed; those of one reason alone, such as that a side has not measured them, as one."""
    named = sorted((row for row in rows if row.metric is not None), key=lambda row: row.why or "")
    for why, some in groupby(named, key=lambda row: row.why):
        if why is not None:
            yield Number(", ".join(name_of(row.metric or "") for row in some), why)
        else:
            yield from (Number(name_of(row.metric or ""), from_to(row)) for row in some)


def from_to(row: Row) -> str:
    """Return `208 KiB, then 272 KiB: 64.0 KiB more`."""
    assert row.metric is not None
    return f"{show(row.metric, row.base)}, then {show(row.metric, row.candidate)}{by(row)}"


def command(context: Context, case_id: str) -> str:
    """Return what measures a case again."""
    before, after = again(context.run)
    return before + case_id.replace("'", "'\"'\"'") + after
