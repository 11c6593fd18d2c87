"""Exchange: what ranks of a layer that is spread over several send each other in one pass, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.declare.exchange import own_ranks
from harness.metrics import show_bytes, show_ratio
from reports.context import MANY, Context
from reports.glyph import Tick, linear_ticks
from reports.results import Result
from reports.sections.base import Section
from reports.sections.exchange_times import Time, error_words, missing_words, time_of, times_of
from reports.settings import Setting
from reports.subjects import Subject
from reports.words import Sentence, Span, join, sentence


@dataclass(frozen=True, slots=True)
class Row:
    """What the ranks of one case send each other."""

    subject: Subject
    sent: float
    """Bytes of all ranks together."""
    predicted: float
    """Bytes of the closed form before anything ran; dropless, for even loads."""
    message: float
    """The largest message over the mean."""
    rank: float
    """The busiest rank's bytes over the mean rank's."""
    summed: float
    """Bytes of gradients that each rank sums with the others."""
    share: float | None
    """Of the forward pass's time."""
    overlap: float | None
    """Share of the exchange in which the device also computes."""
    time: Time


@dataclass(frozen=True, slots=True)
class Table:
    """The cases of one setting."""

    where: str
    rows: tuple[Row, ...]
    left_out: int
    top: float
    ticks: tuple[Tick, ...]
    ms_top: float
    """End of the scale of times; 0 where no row has any."""
    ms_ticks: tuple[Tick, ...]


@dataclass(frozen=True, kw_only=True)
class Exchanged(Section):
    """The section's data."""

    id: str = "exchange"
    name: str = "Exchange"
    question: str = "What do ranks send each other?"

    tables: tuple[Table, ...] = ()
    times: tuple[Time, ...] = ()
    """Of every case, those of other settings too."""


def build(context: Context) -> Exchanged:
    """Return what is sent in the first setting of each pass that has any, or why nothing is."""
    firsts: dict[str, Table] = {}
    for setting in context.settings:
        if setting.pass_ not in firsts and (table := _table(context, setting)):
            firsts[setting.pass_] = table
    tables = tuple(firsts.values())
    if not tables:
        return Exchanged(finding=sentence("No exchange to show."), missing=_why(context))
    rows = [row for table in tables for row in table.rows]
    times = times_of(context)
    return Exchanged(finding=_finding(rows), caption=_caption(tables[0].rows, times), tables=tables, times=times)


def _why(context: Context) -> str:
    if any(own_ranks(result.case) > 1 for result in context.results):
        return context.why_without("exchange", "exchange")
    return "No case has an exchange: no layer is spread over ranks (expert_parallel)."


def _table(context: Context, setting: Setting) -> Table | None:
    found = [row for result in context.measured(setting) if (row := _row(context, result))]
    if not found:
        return None
    rows = tuple(found[:MANY])
    top, ticks = _scale(max(max(row.sent, row.predicted) for row in rows))
    ms_top, ms_ticks = _ms_scale([ms for row in rows for ms in (row.time.predicted, row.time.measured) if ms])
    return Table(context.words(setting), rows, len(found) - len(rows), top, ticks, ms_top, ms_ticks)


def _scale(most: float) -> tuple[float, tuple[Tick, ...]]:
    """Return the end of a scale in bytes that holds `most`, and its marks."""
    number, unit = show_bytes(max(1.0, most)).split()
    step = max(1.0, most) / float(number)
    top, ticks = _linear(float(number), unit)
    return top * step, ticks


def _ms_scale(times: Sequence[float]) -> tuple[float, tuple[Tick, ...]]:
    return _linear(max(times), "ms") if times else (0.0, ())


def _linear(most: float, unit: str) -> tuple[float, tuple[Tick, ...]]:
    """Return the end of a scale that holds `most`, and its marks, of which the last has the unit."""
    top, marks = linear_ticks(most)
    texts = [*(f"{mark:g}" for mark in marks[:-1]), f"{marks[-1]:g} {unit}"]
    return top, tuple(Tick(100 * mark / top, text) for mark, text in zip(marks, texts, strict=True))


def _row(context: Context, result: Result) -> Row | None:
    names = ("bytes", "predicted_bytes", "message_imbalance", "imbalance")
    found = [value for name in names if (value := result.number(f"exchange_{name}")) is not None]
    if len(found) < len(names):
        return None
    sent, predicted, message, rank = found
    summed = result.number("exchange_summed_bytes") or 0.0
    share, overlap = result.number("phase_exchange_share"), result.number("exchange_overlap")
    time = time_of(context, result)
    return Row(context.subject(result), sent, predicted, message, rank, summed, share, overlap, time)


def _finding(rows: Sequence[Row]) -> Sentence:
    uneven = [row for row in rows if row.message > 1]
    if not uneven:
        return sentence("All messages of a case have one size.")
    worst = max(uneven, key=lambda row: row.message)
    whose = dict.fromkeys(row.subject.variant for row in uneven)
    others = any(row.subject.variant not in whose for row in rows)
    told = f"; what {join(whose)} sends depends on the data, the others’ messages have one size" if others else ""
    return sentence(f"The largest message is {show_ratio(worst.message)} the mean, in {worst.subject.phrase}{told}.")


def _caption(rows: Sequence[Row], times: Sequence[Time]) -> Sentence:
    least, most = min(rows, key=lambda row: row.sent), max(rows, key=lambda row: row.sent)
    amount = f"{least.subject.phrase} sends {show_bytes(least.sent)}"
    if most.sent > least.sent > 0:
        amount += f", the least, and {most.subject.phrase} {show_ratio(most.sent / least.sent)} as much"
    return sentence(
        Span(f"{amount[0].upper()}{amount[1:]}. ", "strong"),
        "A bar is what all ranks of a case send each other in one pass, rows there and back; what stays on its rank is"
        " no message. The upright mark is the closed form before anything ran, dropless for even loads; with the"
        " choices that the router made it agrees to the byte, or the case would be incorrect. Message and rank are the"
        " largest over the mean. Summed are the gradients that each rank sums with the others, which are counted"
        " apart. Share is the exchange’s of the forward time, the wait for whoever comes last in it; overlap is the"
        " part of it in which the device also computes. ",
        Span(error_words(times), "strong"),
        missing_words(times),
        "Predicted is the alpha-beta model of as many all-to-alls as the pass makes, at the latency and the bytes a"
        " second that these ranks measured of their link in exchanges of their own; measured is the phase, which also"
        " holds the wait for whoever comes last, and, in the backward pass, what autograd does around it.",
    )
