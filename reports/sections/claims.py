"""Claims: which of the things that papers and articles say hold on this device."""

from __future__ import annotations

from dataclasses import dataclass

from reports.claims import Decided, decided, shown
from reports.context import Context
from reports.sections.base import Section
from reports.words import Sentence, Span, count, join, sentence

ORDER = ("refuted", "undecided", "confirmed")
NAMED = 12
"""Cases behind a claim that are named."""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim."""

    decided: Decided
    estimate: str
    """The estimate with its interval, as it is printed; a dash where there is none."""

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
        rows=tuple(Row(one, shown(one)) for one in found),
    )


def _finding(decided: list[Decided]) -> Sentence:
    numbers = {word: sum(one.verdict == word for one in decided) for word in ("confirmed", "refuted", "undecided")}
    said = {"confirmed": "holds", "refuted": "does not", "undecided": "cannot be decided"}
    many = {"confirmed": "hold", "refuted": "do not", "undecided": "cannot be decided"}
    parts = [f"{number} {(said if number == 1 else many)[word]}" for word, number in numbers.items() if number]
    return sentence(f"Of {count(len(decided), 'claim')}, {join(parts)} here.")


_CAPTION = sentence(
    Span("A claim is confirmed where the whole 95 % interval lies in what it allows, and refuted where all of it lies"
         " outside. ", "strong"),
    "Along an axis, the estimate is the last case over the first, by a line through all of them; where cases of several"
    " settings are behind it, times are pooled round by round, and of numbers without noise the farthest one counts.",
)  # fmt: skip
