"""All cases: every number, with the command that measures it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import pairwise

from harness.metrics import METRICS, show, show_bytes, show_percent, show_scaled, show_spread
from harness.record import TRACE_NOTE
from reports.context import Context
from reports.results import Result, Run
from reports.sections import sums
from reports.sections.base import Section
from reports.sections.coverage import KINDS
from reports.sections.samples import tail_notes
from reports.subjects import Subject
from reports.words import Sentence, Span, count, join, sentence

LIMIT = 20_000
"""Rows on the page; of a run of more cases it tells what they sum up to, and `harness export` makes the table."""
WHERE = ("--threads", "--devices", "--ray", "--device-class")
"""Options of a run without which a case would be measured on other devices, or on more or fewer cores."""
PASS_SHORT = {"forward": "forward", "forward_backward": "fwd + bwd", "train": "train"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, and the metric that it shows."""

    title: str
    metric: str | None = None
    """None where it says what a case is, not what was measured."""

    @property
    def unit(self) -> str | None:
        """The metric's unit, in the registry's words."""
        return None if self.metric is None else METRICS[self.metric].unit

    @property
    def better(self) -> str | None:
        """`lower` or `higher`: which is an improvement."""
        return None if self.metric is None else METRICS[self.metric].better


COLUMNS = (
    Column("Case"),
    Column("Experts"),
    Column("k, slots"),
    Column("Batch"),
    Column("Pass"),
    Column("Median, ms", "latency_ms"),
    Column("±"),
    Column("FLOP", "flops_model"),
    Column("Routed", "padding_efficiency"),
    Column("Tokens/s", "tokens_per_s"),
    Column("Peak", "memory_peak_bytes"),
    Column("Status"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as printed, and the number itself."""

    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One case."""

    subject: Subject
    status: str
    word: str
    """ok, or what kind of failure."""
    reason: str | None
    notes: tuple[str, ...]
    trace: str | None
    """Where in the run's folder the trace of its phases lies."""
    filters: dict[str, str]
    experts: Cell
    width: Cell
    """Top-k or slots."""
    batch: Cell
    pass_: str
    latency: Cell
    spread: Cell
    flops: Cell
    routed: Cell
    """Share of the FLOPs that run which serves assignments that were kept."""
    rate: Cell
    peak: Cell
    compiling: Cell
    """What torch.compile takes; among the notes on the page, for a column would be empty in nearly every report."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One select above the table."""

    key: str
    title: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cases(Section):
    """The section's data."""

    id: str = "cases"
    name: str = "All cases"
    question: str = "What exactly was measured?"

    columns: tuple[Column, ...] = COLUMNS
    rows: tuple[Row, ...] = ()
    sums: tuple[sums.Axis, ...] = ()
    """In place of rows, where the run has more than LIMIT cases."""
    filters: tuple[Filter, ...] = ()
    again: tuple[str, str] = ("", "")
    """The command that measures one case again: what stands before the case's id, and what after it."""


_FILTERS = (("variant", "Variant"), ("size", "Size"), ("experts", "Experts"), ("batch", "Batch"),
            ("tokens", "Tokens"), ("dtype", "Format"), ("pass", "Pass"), ("status", "Status"))  # fmt: skip


def build(context: Context) -> Cases:
    """Return one row for each planned case, in the plan's order."""
    if len(context.results) > LIMIT:
        return _summed(context)
    rows = tuple(_row(context, result) for result in context.results)
    failed = sum(not result.ok for result in context.results)
    if not rows:
        why = "The suite’s filters left no case."
        return Cases(finding=sentence("No case was planned."), missing=why)
    whole = count(len(context.results), "case")
    return Cases(
        attention=f"! {failed}" if failed else None,
        finding=sentence(f"{whole}, {'every one with its' if len(context.results) > 1 else 'with its'} command."),
        caption=_caption(any(row.compiling.value is not None for row in rows)),
        rows=rows,
        filters=_filters(rows),
        again=again(context.run),
    )


def _summed(context: Context) -> Cases:
    failed = sum(not result.ok for result in context.results)
    return Cases(
        attention=f"! {failed}" if failed else None,
        finding=sentence(f"{len(context.results)} cases, summed up: a page lists {LIMIT} at most."),
        caption=sentence(
            "Times are medians over rounds, of cases that may differ in all but the one axis; the peak is the largest.",
            " Every case is a row of the table that ",
            Span("harness export RUN -o cases.csv", "code"),
            " writes.",
        ),
        sums=sums.build(context),
        again=again(context.run),
    )


def again(run: Run) -> tuple[str, str]:
    """Return the command that measures one case again, in two parts: the case's id stands between them."""
    suite = run.file.suite
    overrides = " ".join(f"--set {shlex.quote(text)}" for text in suite.overrides)
    device = str(run.file.device.get("kind") or "auto")
    head = " ".join(part for part in ("harness run", shlex.quote(suite_argument(run)), overrides) if part)
    where = "".join(f" {option} {shlex.quote(value)}" for option, value in _where(run))
    return f"{head} --select 'id == \"", f"\"' --device {shlex.quote(device)}{where}"


def _where(run: Run) -> list[tuple[str, str]]:
    """Return the run's options that say on which devices, and on how many cores of each, with their values."""
    return [(option, value) for option, value in pairwise(_words(run)) if option in WHERE]


def _words(run: Run) -> list[str]:
    """Return the words of the run's command; none where it cannot be read."""
    try:
        return shlex.split(run.file.command)
    except ValueError:
        return []


def command(section: Cases, case_id: str) -> str:
    """Return the command that measures one case again; the page's script writes the same."""
    before, after = section.again
    return before + case_id.replace("'", "'\"'\"'") + after


def suite_argument(run: Run) -> str:
    """Return the suite as the run's command named it, else its name."""
    words = _words(run)
    after = words[words.index("run") + 1 :] if "run" in words else []
    return after[0] if after and not after[0].startswith("-") else run.file.suite.name


def _compile_notes(compiling: Cell) -> tuple[str, ...]:
    return () if compiling.value is None else (f"torch.compile takes {compiling.text}, caches cold",)


def _flop_notes(result: Result) -> tuple[str, ...]:
    """Return the three counts of FLOPs, where they are not one."""
    counts = {name: result.number(f"flops_{name}") for name in ("model", "routed", "executed")}
    known = [f"{show_scaled(number, '').strip()} {name}" for name, number in counts.items() if number is not None]
    return (f"FLOPs: {join(known)}",) if len({*counts.values()}) > 1 else ()


def _row(context: Context, result: Result) -> Row:
    case = result.case
    interval = result.interval("latency_ms")
    half = (interval.high - interval.low) / 2 / interval.value if interval and interval.value else None
    milliseconds = result.number("compile_ms")
    compiling = Cell(show("compile_ms", milliseconds), milliseconds)
    routed = result.number("padding_efficiency")
    peak, rate = result.number("memory_peak_bytes"), result.number("tokens_per_s")
    width = case.top_k if case.top_k is not None else case.slots
    letter = "k" if case.top_k is not None else "s"
    size = case.size or f"d{case.d_model}"
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Row(
        subject=context.subject(result),
        status=result.status,
        word=KINDS.get(result.status, result.status),
        reason=result.reason,
        notes=(
            *_flop_notes(result),
            *tail_notes(context.run, result),
            *(note for note in result.notes if not note.startswith(TRACE_NOTE)),
            *_compile_notes(compiling),
        ),
        trace=_trace(result),
        filters={
            "variant": case.variant,
            "size": size,
            "experts": "" if case.experts is None else str(case.experts),
            "batch": str(case.batch),
            "tokens": str(case.tokens),
            "dtype": case.dtype,
            "pass": PASS_SHORT.get(case.pass_, case.pass_),
            "status": KINDS.get(result.status, result.status),
        },
        experts=Cell("–" if case.experts is None else str(case.experts), case.experts),
        width=Cell("–" if width is None else f"{letter} {width}", width),
        batch=Cell(str(case.batch), case.batch),
        pass_=PASS_SHORT.get(case.pass_, case.pass_),
        latency=Cell(show("latency_ms", result.ms, low, high).removesuffix(" ms"), result.ms),
        spread=Cell("–" if half is None else f"±{show_spread(half)}", half),
        flops=Cell("–" if result.flops is None else show_scaled(result.flops, ""), result.flops),
        routed=Cell("–" if routed is None else show_percent(routed), routed),
        rate=Cell("–" if rate is None else show_scaled(rate, ""), rate),
        peak=Cell("–" if peak is None else show_bytes(peak), peak),
        compiling=compiling,
    )


def _trace(result: Result) -> str | None:
    kept = (note.removeprefix(TRACE_NOTE) for note in result.notes if note.startswith(TRACE_NOTE))
    return next(kept, None)


def _filters(rows: tuple[Row, ...]) -> tuple[Filter, ...]:
    out = []
    for key, title in _FILTERS:
        values = list(dict.fromkeys(row.filters[key] for row in rows if row.filters[key]))
        if len(values) > 1:
            numbers = all(value.isdigit() for value in values)
            out.append(Filter(key, title, tuple(sorted(values, key=int) if numbers else values)))
    return tuple(out)


def _caption(compiled: bool) -> Sentence:
    return sentence(
        "Median over rounds; ± is half its 95 % interval. FLOPs are"
        " the model’s, 2 a multiply-add, of the case’s pass (of a plug-in,"
        " those that torch’s counter saw); routed is the share of all FLOPs that run which serves assignments that were"
        " kept, the rest being padding and one-hot products (padding efficiency); peak is the allocator’s, above"
        " weights and input.",
        " What torch.compile takes stands under a compiled case’s name." if compiled else "",
        " The same rows as data: ",
        Span("records.jsonl", "code"),
        ", raw samples: ",
        Span("journal.jsonl", "code"),
        ".",
    )
