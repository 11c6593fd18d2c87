"""Noise floor: what the run's A/A cells show, in one sentence and a small table."""

from __future__ import annotations

from dataclasses import dataclass

from harness.judge.stats import Interval
from harness.judge.verdict import MARGIN
from harness.metrics import show_percent, show_spread
from reports.context import Context
from reports.run_file import NoiseFloor, NoiseRatio
from reports.words import Sentence, Span, count, sentence

DIFFER = (
    "The A/A cells differ: the same layer, timed twice in a round, does not take the same time. Do not trust this run."
)
"""What a run's page begins with where its own control fails."""


@dataclass(frozen=True, slots=True)
class Twice:
    """A/A cells: one, or all together."""

    name: str
    """The case's id; `all` for all together."""
    pairs: int
    label: Interval
    """Time under the second label over that under the first."""
    order: Interval | None
    """Time of a round's later visit over that of its earlier one."""
    smallest_change: float | None
    """A share; None where too few pairs tell it."""


def short(context: Context) -> str:
    """Return the noise floor as the end of a sentence; empty where it is not known."""
    found = context.run.file.noise
    if found is None or found.smallest_change is None:
        return ""
    if found.differ:
        return ", but a layer does not take the same time as itself"
    return f"; no change below the noise floor of {show_spread(found.smallest_change)} can be told"


def words(context: Context) -> Sentence:
    """Return what the A/A cells say in one sentence, and why nothing is known where there are none."""
    found = context.run.file.noise
    if found is None:
        asked = context.run.file.suite.measure.get("a_a", 0)
        why = "the suite asks for none" if not asked else "none has two pairs of times"
        return sentence(f"This run has no A/A cells ({why}), so its noise floor is not known.")
    cells = f"{count(found.cells, 'A/A cell')} of {count(found.pairs, 'pair')} in all"
    if found.differ:
        return sentence(Span(DIFFER, "strong"), f" {cells}; nothing is called faster or slower.")
    if found.smallest_change is None:
        return sentence(f"{cells}: too few to tell the smallest change that this run can see.")
    floor = show_spread(found.smallest_change)
    why = "" if found.smallest_change <= MARGIN else ", and none is called faster or slower"
    return sentence(
        Span(f"The noise floor is {floor}: no smaller change of a time can be told from nothing{why}.", "strong"),
        f" It is what comparisons of {count(found.rounds, 'round')} find four times in five, by {cells}."
        f"{_broken(found)} A ratio within {show_percent(MARGIN)} of 1 is no win in any run.",
    )


def _broken(found: NoiseFloor) -> str:
    """Return which cells failed under their second label; empty where none did."""
    if not found.broken:
        return ""
    told = "; ".join(f"{cell.id} ({cell.reason})" if cell.reason else cell.id for cell in found.broken)
    return f" {count(len(found.broken), 'cell')} failed under the second label: {told}."


def twice(found: NoiseFloor | None) -> tuple[Twice, ...]:
    """Return the cells one by one, and together where there are several."""
    if found is None:
        return ()
    cells = [Twice(cell.id, cell.pairs, cell.interval, _interval(cell.later_over_earlier), cell.smallest_change)
             for cell in found.by_cell]  # fmt: skip
    whole = Twice("all", found.pairs, found.interval, _interval(found.later_over_earlier), found.smallest_change)
    return (*cells, whole) if len(cells) > 1 else tuple(cells)


def _interval(ratio: NoiseRatio | None) -> Interval | None:
    return None if ratio is None else ratio.interval
