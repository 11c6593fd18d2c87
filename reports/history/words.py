"""What a history says, in sentences: one grammar for page, Markdown and captions."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.stats import Interval
from harness.metrics import show, show_interval, show_ratio
from reports.history.groups import Group, Together
from reports.history.nights import Night
from reports.history.shifts import Shift
from reports.history.stops import Era, Stop
from reports.labels import name_of
from reports.words import Sentence, Span, capital, count, join, sentence

AS_RATIO = 2.0
"""Ratios from which a change is told as a ratio, not in per cent."""
VERBS = {"step": ("rose", "fell"), "drift": ("drifted up", "drifted down"), "exact": ("rose", "fell")}


def percent(ratio: Interval) -> str:
    """Return a change with its interval, `12 % [10, 14]` or `3.1× [2.9, 3.3]`; it tells the size, a verb the sign."""
    if not 1 / AS_RATIO < ratio.value < AS_RATIO:
        ends = (ratio.value, ratio.low, ratio.high)
        return f"{show_ratio(*ends)} {show_interval(*ends)}" if ratio.low < ratio.high else show_ratio(ratio.value)
    sign = 1 if ratio.value >= 1 else -1
    value, *ends_ = (100 * (end - 1) * sign for end in (ratio.value, ratio.low, ratio.high))
    low, high = sorted(ends_)
    if high < 0.1:
        return "less than 0.1 %"
    places = 0 if high - low >= 1 else 1
    shown = f" [{_number(low, places)}, {_number(high, places)}]" if high - low >= 0.1 else ""
    return f"{_number(value, places)} %{shown}"


def moved(how: str, ratio: Interval) -> str:
    """Return what a number did: `rose by 12 % [10, 14]`, `fell to 0.31× [0.29, 0.33]`."""
    by = "by" if 1 / AS_RATIO < ratio.value < AS_RATIO else "to"
    return f"{VERBS[how][ratio.value < 1]} {by} {percent(ratio)}"


def what(shift: Shift) -> str:
    """Return what a change did: `rose by 12 % [10, 14]`, `is 1.2 GiB, was 1.0 GiB`."""
    if shift.why is not None:
        return f"is unsteady: {shift.why}" if shift.how == "unsteady" else shift.why
    if shift.change is not None:
        return moved(shift.how, shift.change.ratio)
    before, after = ends(shift)
    return f"is {after}, was {before}"


def ends(shift: Shift) -> tuple[str, str]:
    """Return the numbers before and after a change as people read them, told apart even where they differ little."""
    if shift.metric is None:
        return str(shift.before or "–"), str(shift.after or "–")
    before, after = show(shift.metric, shift.before), show(shift.metric, shift.after)
    return (before, after) if before != after else (str(shift.before), str(shift.after))


def ends_of(group: Group) -> tuple[str, str]:
    """Return the numbers before and after a group's changes: of several cases the least and the greatest."""
    if len(group.shifts) == 1:
        return ends(group.first)
    befores = [each.before for each in group.shifts if each.before is not None]
    afters = [each.after for each in group.shifts if each.after is not None]
    return _from_to(group.metric, befores), _from_to(group.metric, afters)


def _from_to(metric: str | None, values: Sequence[float | str]) -> str:
    numbers = [value for value in values if isinstance(value, (int, float))]
    if metric is None or len(numbers) < len(values) or not numbers:
        return join(dict.fromkeys(map(str, values)), "or") if values else "–"
    low, high = show(metric, min(numbers)), show(metric, max(numbers))
    if low == high:
        return low
    unit = high.partition(" ")[2]
    return f"{low.removesuffix(f' {unit}') if unit else low} to {high}"


def told(group: Group, stops: Sequence[Stop]) -> Sentence:
    """Return a group in a sentence: `latency of top-2 with 32 experts rose by 12 % [10, 14] since run ...`."""
    first = group.first
    case = f"{first.subject.phrase} ({first.where})"
    if len(group.shifts) > 1:
        some = "all" if len(group.shifts) == group.of else f"{len(group.shifts)} of"
        case = f"{first.subject.variant} in {some} its {count(group.of, 'case')}"
    subject = case if first.metric is None else f"{name_of(first.metric)} of {case}"
    return sentence(f"{subject} ", Span(deed(group), "strong"), f" {since(group, stops)}")


def since(group: Group, stops: Sequence[Stop]) -> str:
    """Return since when: `since run quick-7 (commit 9f3c1ab, 2026-11-21)`, with what the noise leaves open."""
    if group.how == "drift":
        return f"from {stops[group.first.earliest].phrase} to {stops[group.first.latest].phrase}"
    early, late = span(group)
    if early == late or group.how == "unsteady":
        return f"since {stops[group.run].phrase}"
    return f"since {stops[group.run].phrase}, or a run between {stops[early].name} and {stops[late].name}"


def span(group: Group) -> tuple[int, int]:
    """Return the first and the last run at which every change of the group may have begun."""
    return max(shift.earliest for shift in group.shifts), min(shift.latest for shift in group.shifts)


def deed(group: Group) -> str:
    """Return what a group's changes did: `rose by 12 % [10, 14]`, or `rose by 12 % in the median` of several."""
    if len(group.shifts) == 1 or group.how in ("unsteady", "status", "plan"):
        return what(group.first)
    if group.ratio is None:
        return f"{what(group.first)} in the first of them"
    steps = "step" if group.how == "exact" else group.how
    return f"{moved(steps, Interval(group.ratio, group.ratio, group.ratio))} in the median"


def changed(era: Era) -> str:
    """Return in what an era differs from the one before: `environment changed: torch 2.11.0, then 2.13.0`."""
    return f"environment changed: {join(era.changed)}"


def alike(each: Together, stops: Sequence[Stop]) -> str:
    """Return what is to be thought of a run with which most latencies changed."""
    return (
        f"{each.cases} of {count(each.of, 'latency', 'latencies')} changed with {stops[each.run].phrase}, to "
        f"{show_ratio(each.ratio)} in the median: what hits most cases alike may be the machine, not the code."
    )


def alone(night: Night, stops: Sequence[Stop]) -> str:
    """Return what is to be thought of a run whose times stand alone."""
    then = "no run came after it yet" if night.last else "and they come back after it"
    return (
        f"{stops[night.run].phrase} stands alone: {night.cases} of {count(night.of, 'latency', 'latencies')} are "
        f"{show_ratio(night.ratio)} their level in the median, {then}"
    )


def upper(said: Sentence) -> Sentence:
    """Return a sentence with its first letter in upper case."""
    first, *rest = said
    return (Span(capital(first.text), first.mark), *rest)


def _number(value: float, places: int) -> str:
    text = f"{value:.{places}f}".replace("-", "−")
    return text[1:] if text.startswith("−") and not text.strip("−0.") else text
