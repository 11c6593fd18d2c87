"""Why a night ended as it did, in a sentence; pure functions of what its commands said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.nightly.night import FAILED, INTERRUPTED, NO_COMPARISON, NO_DEVICE, Ended, Side

KNOWN = ("same", "changed", "failed")
"""Verdicts by which a comparison has judged a case that has no numbers tonight."""


def why(
    code: int,
    name: str,
    base: Side | None,
    candidate: Side | None,
    steps: Sequence[Ended],
    gate: dict[str, Any] | None,
) -> str:
    """Return the verdict of a night that ended with `code`; `name` is the baseline's."""
    if code == NO_COMPARISON:
        return _not_comparable(name, base, candidate, steps)
    if code in (INTERRUPTED, NO_DEVICE, 2):
        return _cut_short(code, steps)
    if base is None:
        failed = "" if code == 0 else f"{_last(steps, FAILED)} "
        return f"{failed}There is nothing to compare with: no baseline {name} was kept yet."
    against = f"the baseline {name} ({base.commit}, {base.started[:10]})"
    if gate is None:
        return f"{_last(steps, code)} There is no comparison with {against}."
    return _gated(code, against, gate)


def known_failures(gate: dict[str, Any]) -> set[str]:
    """Return the ids of cases without numbers that the gate has judged: it knows what the baseline had."""
    return {row["id"] for row in gate["rows"] if row["metric"] is None and row["verdict"] in KNOWN}


def _gated(code: int, against: str, gate: dict[str, Any]) -> str:
    failures, numbers = len(gate["gate"]["failures"]), len(gate["rows"])
    refuted = sum(claim["alert"] == "fail" for claim in gate["gate"].get("claims", ()))
    claims = f"{refuted} claim{'s' if refuted > 1 else ''} of the suite {'are' if refuted > 1 else 'is'} newly refuted."
    if failures:
        word = "is" if failures == 1 else "are"
        worse = f"Of {numbers} numbers, {failures} {word} worse than in {against} by more than the policy lets pass."
        return f"{worse} {claims}" if refuted else worse
    if refuted:
        return f"No number is worse than in {against}, but {claims}"
    if code:
        return f"Cases that {against} does not have ended without numbers tonight; of all others none is worse."
    return f"Of {numbers} numbers, none that the policy counts is worse than in {against}."


def _not_comparable(name: str, base: Side | None, candidate: Side | None, steps: Sequence[Ended]) -> str:
    if base is not None and candidate is not None and base.device != candidate.device:
        return (
            f"The baseline {name} was made on {base.device}, and this is {candidate.device}: their times are not "
            "comparable. Keep a baseline for each device, and name it by --baseline."
        )
    return f"Tonight's run and the baseline {name} cannot be compared: {_last(steps, NO_COMPARISON)}"


def _cut_short(code: int, steps: Sequence[Ended]) -> str:
    step = next((step for step in steps if step.code == code), steps[-1])
    return f"`harness {step.name}` was interrupted." if code == INTERRUPTED else _last(steps, code)


def _last(steps: Sequence[Ended], code: int) -> str:
    """Return what the command that ended with `code` said last."""
    step = next((step for step in steps if step.code == code), steps[-1])
    words = step.words.removeprefix("harness: ") or "it said nothing"
    return f"`harness {step.name}` ended with {step.code}: {words.rstrip('.')}."
