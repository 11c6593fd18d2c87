"""Claims: which of the things that papers and articles say hold on this device."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.claims import Decided, decided, shown
from reports.context import Context
from reports.sections.base import Section
from reports.words import Sentence, Span, count, join, sentence

ORDER = ("refuted", "undecided", "confirmed")
NAMED = 12
"""Cases behind a claim that are named."""


MARGIN = 0.15
"""Free on both sides of a row's own scale, as a share of what stands on it."""
SLIM = 0.8
"""Half the least width of the grey, in per cent: a claim that allows one value alone is to be seen too."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the estimate stands and where the claim holds, in per cent of the row's own scale."""

    holds: tuple[float, float]
    interval: tuple[float, float]
    estimate: float


@dataclass(frozen=True, slots=True)
class Row:
    """One claim."""

    decided: Decided
    estimate: str
    """The estimate with its interval, as it is printed; a dash where there is none."""
    picture: Picture | None

    @property
    def left_out(self) -> int:
        """Cases behind it that are not named."""
        return max(0, len(self.decided.rows) - NAMED)


@dataclass(frozen=True, kw_only=True)
class Claims(Section):
    """The section's data."""

    id: str = "claims"
    name: str = "Claims"
    question: str = "Does what is said of these layers hold here?"

    rows: tuple[Row, ...] = ()
    """By group; in each what was refuted first."""


def build(context: Context) -> Claims:
    """Return every claim of the suite with its verdict."""
    found = decided(context)
    if not found:
        return Claims(finding=sentence("Nothing is claimed."), missing="The suite states no claims ([[claim]]).")
    groups = list(dict.fromkeys(claim.group for claim in context.run.file.suite.claims))
    found.sort(key=lambda one: (groups.index(one.group), ORDER.index(one.verdict)))
    refuted = sum(one.verdict == "refuted" for one in found)
    return Claims(
        attention=f"! {refuted}" if refuted else None,
        finding=_finding(found),
        caption=_CAPTION,
        rows=tuple(Row(one, shown(one), picture(one)) for one in found),
    )


def picture(one: Decided) -> Picture | None:
    """Return the estimate beside what the claim allows, ratios on a logarithmic scale; None where one is missing."""
    found, wanted = one.estimate, one.wanted
    if found is None or wanted is None or not all(map(math.isfinite, (found.low, found.value, found.high))):
        return None
    logarithmic = one.kind == "ratio" and found.low > 0

    def place(value: float) -> float:
        if logarithmic:
            return math.log(value) if value > 0 else -math.inf
        return value

    marks = [place(value) for value in (found.low, found.value, found.high, wanted.low, wanted.high)]
    held = [mark for mark in marks if math.isfinite(mark)]
    room = MARGIN * (max(held) - min(held)) or 1.0
    first, wide = min(held) - room, max(held) - min(held) + 2 * room
    low, at, high, start, end = (min(100.0, max(0.0, 100 * (mark - first) / wide)) for mark in marks)
    middle = (start + end) / 2
    return Picture((min(start, middle - SLIM), max(end, middle + SLIM)), (low, high), at)


def _finding(decided: list[Decided]) -> Sentence:
    numbers = {word: sum(one.verdict == word for one in decided) for word in ("confirmed", "refuted", "undecided")}
    said = {"confirmed": "holds", "refuted": "does not", "undecided": "cannot be decided"}
    many = {"confirmed": "hold", "refuted": "do not", "undecided": "cannot be decided"}
    parts = [f"{number} {(said if number == 1 else many)[word]}" for word, number in numbers.items() if number]
    return sentence(f"Of {count(len(decided), 'claim')}, {join(parts)} here.")


_CAPTION = sentence(
    Span("A claim is confirmed where the whole 95 % interval lies in what it allows, and refuted where all of it lies"
         " outside. ", "strong"),
    "Grey is where the claim holds, the needle the estimate and the bar its interval, each row on a scale of its own. "
    "Along an axis, the estimate is the last case over the first, by a line through all of them; where cases of several"
    " settings are behind it, times are pooled round by round, and of numbers without noise the farthest one counts.",
)  # fmt: skip
