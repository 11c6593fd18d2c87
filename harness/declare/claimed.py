"""Claims and the cases that they are about: an expression that picks none is a slip, and no claim would tell of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness.case import Case
from harness.declare.faults import Fault, Place, SuiteError, listed
from harness.declare.format import Suite
from harness.declare.selection import Rule


def check_claims(suite: Suite, cases: Collection[Case], *, whole: bool) -> None:
    """Return if every claim of `suite` picks what it is about; `cases` are planned.

    Where they are the `whole` suite, and not what the command line makes of it, each expression must pick some of them.
    A claim that is taken over from another suite need not: not every suite has all of its variants.

    Raises:
        SuiteError: An expression has no value for a case, or holds for none.
    """
    faults: list[Fault] = []
    for text, place, is_own in _expressions(suite):
        rule = Rule.read(text, place)
        if not [case for case in cases if rule.holds(case)] and whole and is_own:
            variants = listed(dict.fromkeys(variant.name for variant in suite.variants), "and")
            expected = f"one that is true of some case; the variants are {variants}"
            faults.append(Fault.at(place, f"{text!r} holds for no case of this suite", expected))
    if faults:
        raise SuiteError(faults)


def _expressions(suite: Suite) -> Iterator[tuple[str, Place, bool]]:
    """Yield each claim's expressions, where they stand, and whether that is in the suite's own file."""
    for number, claim in enumerate(suite.claims, start=-suite._borrowed):
        for key, text in (("where", claim.where), ("against", claim.against)):
            if text is not None:
                own = suite.place(("claim", number, key))
                place = own if number >= 0 else Place(str(suite.path), None, f"claim {claim.id}: {key}")
                yield text, place, number >= 0
