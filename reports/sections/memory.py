"""Memory: what a layer holds, and how near the closed form came."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass

from harness.metrics import show_bytes, show_percent, show_ratio
from reports.context import Context
from reports.glyph import Tick, linear_ticks
from reports.results import Result
from reports.sections import frontier
from reports.sections.bars import ROLES, Bar, bar_of
from reports.sections.base import Section
from reports.sections.peaks import Pair, drawn, fake_words, pair_of, prediction
from reports.settings import Setting, setting_of
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, join, sentence

ROWS = 20
"""Bars shown; the table of all cases has the rest."""
MOMENTS = {"backward": "the backward pass", "step": "the optimizer’s step", "other": "no phase of the layer"}
"""Moments of a pass in words, where they are not phases."""
LOST = 12
"""Cases out of memory that are named."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A case that ran out of memory."""

    subject: Subject
    reason: str


@dataclass(frozen=True, kw_only=True)
class Memory(Section):
    """The section's data."""

    id: str = "memory"
    name: str = "Memory"
    question: str = "What does each layer hold?"

    where: str = ""
    bars: tuple[Bar, ...] = ()
    left_out: int = 0
    lost: tuple[Lost, ...] = ()
    frontier: tuple[frontier.Row, ...] = ()
    top: float = 0.0
    """End of the bars' scale in bytes."""
    ticks: tuple[Tick, ...] = ()
    roles: tuple[str, ...] = ()
    """Those that any bar has."""
    columns: tuple[str, ...] = ()
    """Those of them that the table has a column for."""
    pairs: tuple[Pair, ...] = ()
    """Those that the chart draws."""
    prediction: str = ""
    """How near the closed form came, over all cases."""

    @property
    def frontier_left_out(self) -> int:
        """Lines of cases out of memory that the page does not draw."""
        return max(0, len(self.frontier) - frontier.ROWS)

    @property
    def lost_left_out(self) -> int:
        """Cases out of memory that are not named."""
        return max(0, len(self.lost) - LOST)


def build(context: Context) -> Memory:
    """Return the bars of one setting, and predicted beside measured for every case."""
    known = [result for result in context.results if result.number("memory_peak_bytes") is not None]
    measured = [result for result in known if _held(result)]  # a plug-in may hold nothing at all
    lost = tuple(
        Lost(context.subject(result), result.reason or "out of memory")
        for result in context.results
        if result.status == "oom"
    )
    attention = f"! {len(lost)}" if lost else None
    if not measured:
        why = "No layer of this run holds any memory." if known else context.why_without("memory", "memory")
        edge = frontier.build(context)
        return Memory(attention=attention, finding=_lost_only(lost), missing=why, lost=lost, frontier=edge)
    setting = max((setting_of(result.case) for result in measured), key=_weight)
    at = [result for result in measured if setting_of(result.case) == setting]
    every = {result.id: bar_of(context, result) for result in measured}
    bars = [every[result.id] for result in at][:ROWS]
    roles = tuple(role for role in ROLES if any(bar.roles.get(role) for bar in bars))
    top, marks = linear_ticks(max(bar.total for bar in bars) / _unit(bars), steps=3)
    unit = show_bytes(_unit(bars)).split()[1]
    ticks = tuple(Tick(100 * mark / top, f"{mark:g} {unit}" if mark == marks[-1] else f"{mark:g}") for mark in marks)
    pairs = tuple(pair for result in measured if (pair := pair_of(context, result)))
    shown, how = drawn(pairs)
    return Memory(
        attention=attention,
        finding=_finding(bars, lost),
        caption=_caption(
            bars,
            (moment_words(measured), workspace_words([*every.values()]), prediction(pairs), how, fake_words(measured)),
            context.words(setting),
        ),
        where=context.words(setting),
        bars=tuple(bars),
        left_out=max(0, len(at) - ROWS),
        lost=lost,
        frontier=frontier.build(context),
        top=top * _unit(bars),
        ticks=ticks,
        roles=roles,
        columns=tuple(role for role in roles if role not in ("inputs", "optimizer")),  # much alike in every row
        pairs=shown,
        prediction=prediction(pairs),
    )


def _held(result: Result) -> float:
    return (result.number("memory_peak_bytes") or 0.0) + (result.number("memory_weights_bytes") or 0.0)


def _weight(setting: Setting) -> tuple[object, ...]:
    """The heaviest setting, where memory matters most."""
    order = {"forward": 0, "forward_backward": 1, "train": 2}.get(setting.pass_, 0)
    return (order, setting.d_model, setting.batch, setting.tokens, setting.dtype, setting.size or "", setting.scope)


def _unit(bars: list[Bar]) -> float:
    """Return the power of 1024 in which the largest bar is printed, so that ticks are round in it."""
    top = max(bar.total for bar in bars)
    unit = 1.0
    while top / unit >= 1024 and unit < 1024**4:
        unit *= 1024
    return unit


def _finding(bars: list[Bar], lost: tuple[Lost, ...]) -> Sentence:
    biggest, smallest = max(bars, key=lambda bar: bar.total), min(bars, key=lambda bar: bar.total)
    if lost:
        names = sorted({item.subject.variant for item in lost})
        which = f"{capital(names[0])} runs" if len(names) == 1 else f"{count(len(names), 'variant')} run"
        return sentence(f"{which} out of memory in {count(len(lost), 'case')}.")
    if biggest is smallest or biggest.total == smallest.total:
        return sentence(f"{capital(biggest.subject.phrase)} needs {show_bytes(biggest.total)}.")
    times = show_ratio(biggest.total / smallest.total)
    return sentence(
        f"{capital(biggest.subject.phrase)} needs {show_bytes(biggest.total)}, "
        f"{times} as much as the least, {smallest.subject.phrase}."
    )


def _lost_only(lost: tuple[Lost, ...]) -> Sentence:
    text = f"{count(len(lost), 'case')} ran out of memory." if lost else "No memory to show."
    return sentence(capital(text))


def _caption(bars: list[Bar], of_all: tuple[str, ...], where: str) -> Sentence:
    weights = statistics.median(bar.weights / bar.total for bar in bars if bar.total)
    first = Span(f"Weights are {show_percent(weights)} of what the median layer holds ({where}). ", "strong")
    return sentence(
        first,
        "".join(f"{words} " for words in of_all if words),
        "A bar is what stands before the pass (weights, inputs, in training the optimizer’s state), then the"
        " allocator’s peak above that; total is both. MiB are powers of 1024; the last column is the measured peak over"
        " its closed form, which compiled cases do not have.",
    )


def moment_words(results: list[Result]) -> str:
    """Return where in the pass the peaks stand, the most frequent place first; nothing where none was told."""
    told = Counter(
        MOMENTS.get(str(value.value), f"the {value.value}")
        for result in results
        if (value := result.metrics.get("memory_peak_moment")) is not None
    )
    places = [f"in {where} in {count(cases, 'case')}" for where, cases in told.most_common()]
    return f"The peak stands {join(places)}." if places else ""


def workspace_words(bars: list[Bar]) -> str:
    """Return how much of a peak kernels take inside themselves at most; nothing where no peak was told apart."""
    told = [bar for bar in bars if "workspace" in bar.roles and bar.peak]
    if not told:
        return ""
    most = max(told, key=lambda bar: bar.roles["workspace"] / bar.peak)
    inside = most.roles["workspace"]
    if not inside:
        return "No kernel takes memory of its own: the tensors that torch shows are the whole peak, in every case."
    return (
        f"Workspace, which kernels take inside themselves and no tensor shows, is {show_percent(inside / most.peak)} of"
        f" the peak of {most.subject.id} ({show_bytes(inside)}), and less in all other cases."
    )
