"""Labels: a case in the few letters that a chart or a narrow cell has room for."""

from __future__ import annotations

from reports.context import Subject

LONGEST = 16
"""Characters of a name that a label keeps."""


def label(subject: Subject) -> str:
    """Return a case in few letters: `soft E32 s2`."""
    name = subject.variant if len(subject.variant) <= LONGEST else f"{subject.variant[: LONGEST - 1]}…"
    return " ".join([name, *filter(None, map(_letters, subject.detail.split(", ")))])


def _letters(part: str) -> str:
    """Return `E32` of `32 experts`, `s2` of `2 slots`, `c1.25` of `capacity 1.25`; what has no letter as it stands."""
    first, _, noun = part.partition(" ")
    letter = {"expert": "E", "experts": "E", "slot": "s", "slots": "s"}.get(noun)
    return f"{letter}{first}" if letter else part.replace("k = ", "k").replace("capacity ", "c").replace("d_ff ", "F")
