"""What the scaling charts say: how each leading line grows, and how the charts are read."""

from __future__ import annotations

from harness.judge.stats import TRIM, Interval
from harness.metrics import show_interval, show_number, show_percent
from reports.sections.scaling_lines import Line, Overtaking, Panel, leaders
from reports.words import Sentence, Span, capital, join, join_sentences, sentence, slope

FLAT = 0.1
"""A slope whose whole interval lies within ±0.1 is flat: less than a third more time over sixteen times the axis."""


def growth(line: Line, panel: Panel, noun: str = "") -> Sentence:
    """Return `soft’s time grows as E^0.95`, that it is flat, or that its rounds cannot tell; `noun` is ` time`."""
    name = f"{line.variant}’s{noun}"
    if line.slope is None:
        return sentence(f"{line.variant} does not have the axis")
    if _is_flat(line.slope):
        return sentence(f"{name} is flat in {panel.x_title}")
    if is_unsure(line.slope):
        return sentence(f"whether {name} grows with {panel.x_title} cannot be told")
    verb = "grows" if line.slope.value > 0 else "falls"
    number = show_number(line.slope.value, line.slope.low, line.slope.high)
    return sentence(f"{name} {verb} as {panel.letter}", Span(number, "sup"))


def _is_flat(slope: Interval) -> bool:
    return slope.holds(0) and max(-slope.low, slope.high) <= FLAT


def is_unsure(slope: Interval) -> bool:
    """Return whether the rounds cannot tell that time grows, falls or is flat."""
    return slope.holds(0) and not _is_flat(slope)


def _surely(line: Line, panel: Panel, noun: str = "") -> Sentence:
    """Return the growth with the interval of its exponent, where one stands."""
    said = growth(line, panel, noun)
    if line.slope is None or said[-1].mark != "sup":
        return said
    between = show_interval(line.slope.value, line.slope.low, line.slope.high)
    return sentence(said, " ", Span(between, "interval"))


def finding(panel: Panel) -> Sentence:
    """Return how the leading line of each family grows along the first axis."""
    leading = leaders(panel.lines)
    if not leading:
        return sentence(f"{panel.title}: too few rounds for a slope.")
    first, *after = _surely(leading[0], panel, f" time{_own(leading[0])}")
    rest = (part for line in leading[1:] for part in ("; ", _surely(line, panel, _own(line))))
    return sentence(Span(capital(first.text), first.mark), tuple(after), *rest, ".")


def _own(line: Line) -> str:
    """Return ` (1 slot)`: which of its variant's lines this one is."""
    return f" ({line.detail})" if line.detail else ""


def caption(panels: tuple[Panel, ...]) -> Sentence:
    """Return the slopes of the leading lines, and how the charts are read."""
    parts = [_slopes(panel) for panel in panels if any(line.slope for line in panel.lines)]
    lead = sentence(join_sentences(parts, "; "), ".") if parts else ()
    pairs = {f"{line.variant} to {line.follows}": None for panel in panels for line in panel.lines if line.follows}
    matched = f" Matched case by case, and drawn at the case that is matched: {join(pairs)}." if pairs else ""
    ideal = join(dict.fromkeys(panel.ideal.variant for panel in panels if panel.ideal), "or")
    dots = f" Dots lead from the first point of {ideal} to where its FLOPs alone would take its time." if ideal else ""
    return sentence(
        lead,
        " Both axes are logarithmic: a straight line is a power law. At its end stands the exponent: fitted to each"
        f" round, then their {show_percent(TRIM)} trimmed mean, which the line through the medians need not follow;"
        f" ? where the rounds cannot tell its sign.{dots} A level line without marks is a layer that does not have"
        f" the axis.{matched}{_drawn(panels)}"
        " Bars are 95 % intervals of the median.",
    )


def _drawn(panels: tuple[Panel, ...]) -> str:
    """Return whose lines are drawn of variants that have several."""
    lines = [line for panel in panels for line in panel.lines if line.family != "dense"]
    own = dict.fromkeys(f"{line.variant} ({rest})" for line in lines if (rest := _without_experts(line.detail)))
    return f" Drawn are {join(own)}." if own else ""


def _without_experts(detail: str) -> str:
    return ", ".join(part for part in detail.split(", ") if not part.endswith(("expert", "experts")))


def _slopes(panel: Panel) -> Sentence:
    parts = [
        sentence(f"{line.variant} ", slope(line.slope)) for line in leaders(panel.lines) if line.slope is not None
    ]  # fmt: skip
    return sentence(Span(f"Slope in {panel.x_title}: ", "strong"), join_sentences(parts, ", "))


def alt(panel: Panel) -> str:
    """Return what the panel's lines do, for a reader who does not see the chart."""
    grown = [growth(line, panel) for line in panel.lines if line.slope is not None]
    told = ["".join(f" to the power {s.text}" if s.mark == "sup" else s.text for s in one) for one in grown]
    said = join([*told, *(_passing(crossing) for crossing in panel.crossings)])
    return f"Time against {panel.x_title}: {said or capital(panel.title)}."


def _passing(crossing: Overtaking) -> str:
    """Return `soft passes dense at 13 [8, 19]`."""
    at = crossing.at
    where = f"{show_number(at.value, at.low, at.high)} {show_interval(at.value, at.low, at.high)}"
    return f"{crossing.winner} passes {crossing.other} at {where}"
