"""What the fronts say: which families hold the first, who stands on it, and of whom nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.front import Standing
from harness.metrics import show, show_scaled
from reports.families import NAMES, Family
from reports.sections.fronts_points import POINTS, Front, Point
from reports.words import Sentence, Span, capital, count, join, sentence

NAMED = 6
"""Members of a front that a sentence names."""


def finding(front: Front) -> Sentence:
    """Return which families hold the front, and which have no case on it."""
    if len({point.subject.family for point in front.points}) == 1:
        return _of_one_family(front)
    on = _families(front, ("front", "level"))
    maybe = [family for family in _families(front, ("undecided",)) if family not in on]
    off = [family for family in _families(front, ("dominated",)) if family not in (*on, *maybe)]
    what = "the front of time against parameters"
    if not on:
        return sentence(f"Noise hides who is on {what}.")
    names, verb = join([_name(family) for family in on]), "is" if len(on) == 1 else "are"
    only = "Only " if len(on) == 1 and (off or maybe) else ""
    rest = f"; no {join([NAMES[family] for family in off], 'and no')} is" if off and len(on) > 1 else ""
    unsure = f"; noise hides whether {join([_name(family) for family in maybe], 'or')} is" if maybe else ""
    return sentence(capital(f"{only}{names} {verb}{' surely' if maybe else ''} on {what}{rest}{unsure}."))


def _of_one_family(front: Front) -> Sentence:
    """Return how many cases are on the front, where no other family could be."""
    sure = sum(point.standing in ("front", "level") for point in front.points)
    unsure = sum(point.standing == "undecided" for point in front.points)
    verb = "is" if sure == 1 else "are"
    hidden = f"; noise hides whether {unsure} more {'is' if unsure == 1 else 'are'}" if unsure else ""
    cases = count(len(front.points), "case")
    return sentence(f"{sure} of {cases} {verb} on the front of time against parameters{hidden}.")


def _families(front: Front, standings: Sequence[Standing]) -> list[Family]:
    return list(dict.fromkeys(point.subject.family for point in front.points if point.standing in standings))


def _name(family: Family) -> str:
    return NAMES[family] if NAMES[family].endswith("MoE") else f"the {NAMES[family]}"


def caption(fronts: Sequence[Front], cases: int) -> Sentence:
    """Return who stands on the first front, whose place is in doubt, and how the charts are read."""
    front = fronts[0]
    sure = [point for point in front.points if point.standing in ("front", "level")]
    unsure = [point for point in front.points if point.standing == "undecided"]
    named = join([f"{point.subject.phrase} ({told(point)})" for point in sure[:NAMED]])
    more = f" and {len(sure) - NAMED} more" if len(sure) > NAMED else ""
    left = cases - len(front.points)
    return sentence(
        Span(f"On the front, the cheapest first: {named}{more}. " if sure else "", "strong"),
        _unsure(unsure),
        " Up and left is better; the grey line joins what is not dominated. Pale is dominated: another case has no less"
        " capacity (within 10 %) and costs less beyond noise, or the same within 2 % and has more. Where noise hides"
        " it, the table names whom a case cannot be told from. Bars are 95 % intervals; what one chart calls dominated"
        " is counted together (Benjamini and Hochberg). Memory is all that the pass holds, weights and input too.",
        f" {count(left, 'case')} of this setting {'lacks' if left == 1 else 'lack'} a number, or stand beyond the first"
        f" {POINTS}." if left else "",
    )  # fmt: skip


def told(point: Point) -> str:
    """Return a point's time, in the digits that its interval bears."""
    return show("latency_ms", point.cost, point.low, point.high)


def _unsure(points: Sequence[Point]) -> str:
    if not points:
        return "Nobody’s place on it is in doubt."
    names = [f"{point.subject.phrase} (not told from {point.rival.phrase})" for point in points[:2] if point.rival]
    rest = [count(len(points) - 2, "other")] if len(points) > 2 else []
    return f"In doubt {'is' if len(points) == 1 else 'are'} {len(points)}: {join([*names, *rest])}."


def show_capacity(value: int) -> str:
    """Return parameters or FLOPs in few digits: `38.5 M`."""
    return show_scaled(value, "").strip()
