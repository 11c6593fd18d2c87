"""Hints: what a slower or faster case's own numbers say of the cause; where they say nothing, there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.judge.compare import Change
from harness.metrics import show, show_percent, show_ratio
from harness.record import MARKS
from reports.results import Result
from reports.versus.words import TO_TELL

MOST = 0.5
"""Share of a change from which a phase that moved with it is named."""
EXCESS = 0.1
"""By how much that share must exceed the phase's share of the time: where all phases grow alike, none is the cause."""
OFTEN = 0.25
"""Share of marked rounds from which the machine is named."""
PHASES = ("router", "dispatch", "experts", "combine", "other")

Kind = Literal["method", "work", "phase", "whole run", "machine"]


@dataclass(frozen=True, slots=True)
class Hint:
    """A likely cause."""

    kind: Kind
    """`method`: measured otherwise; `work`: it does other work; `phase`: where in the layer the time went; `whole run`:
    no more than all cases moved; `machine`: the machine was disturbed."""
    text: str


def hint(before: Result, after: Result, change: Change, drift: float | None) -> Hint | None:
    """Return the most telling cause of a change of `latency_ms`, or None where nothing that was measured tells one."""
    return next(_hints(before, after, change, drift), None)


def _hints(before: Result, after: Result, change: Change, drift: float | None) -> Iterator[Hint]:
    if before.backend != after.backend:
        yield Hint("method", f"backend {before.backend}, then {after.backend}")
    work = _over(before.number("flops_executed"), after.number("flops_executed"))
    if work is not None and work != 1 and (work > 1) == (change.ratio.value > 1):
        yield Hint("work", f"it runs {show_ratio(work)} the FLOPs")
    if found := _phase(before, after):
        yield found
    if drift is not None and abs(drift - 1) >= TO_TELL and _as(drift, change):
        yield Hint("whole run", f"all cases moved alike, {show_ratio(drift)}")
    yield from _disturbed(before, after, change)


def _as(drift: float, change: Change) -> bool:
    """Whether the drift alone lies in the change's own interval, on the same side of 1."""
    within = change.ratio.low <= drift <= change.ratio.high
    return within and (drift > 1) == (change.ratio.value > 1)


def _phase(before: Result, after: Result) -> Hint | None:
    """Return the phase that moved most, where it makes up for MOST of the change."""
    whole = _difference(before.ms, after.ms)
    if whole is None or not whole:
        return None
    old, new = dict(_parts(before)), dict(_parts(after))
    moved = {name: new[name] - old[name] for name in new if name in old}
    name = max(moved, key=lambda each: moved[each] / whole, default="")
    if not name or moved[name] / whole < max(MOST, old[name] / (before.ms or math.inf) + EXCESS):
        return None
    sign = "+" if moved[name] > 0 else "−"
    return Hint("phase", f"{name} {sign}{show('latency_ms', abs(moved[name]))}")


def _parts(result: Result) -> Iterator[tuple[str, float]]:
    """Yield each phase with its milliseconds, forward and backward."""
    ms = result.ms or 0.0
    for suffix, pass_ in (("", "forward"), ("_backward", "backward")):
        share = result.number(f"pass_{pass_}_share") if result.case.trains else 1.0 if not suffix else None
        for phase in PHASES if share is not None else ():
            part = result.number(f"phase_{phase}{suffix}_share")
            if part is not None and share is not None:
                yield (f"{phase} in backward" if suffix else phase), part * share * ms


def _disturbed(before: Result, after: Result, change: Change) -> Iterator[Hint]:
    """Yield what the machine did to the slower side."""
    slower = after if change.ratio.value > 1 else before
    rounds = len(slower.rounds())
    for mark, words in MARKS.items():
        number = slower.marks.get(mark, 0)
        if rounds and number / rounds >= OFTEN:
            side = "the candidate’s" if slower is after else "the baseline’s"
            yield Hint("machine", f"{show_percent(round(number / rounds, 2))} of {side} rounds {words}")


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None or not math.isfinite(after - before) else after - before


def _over(before: float | None, after: float | None) -> float | None:
    return after / before if before and after else None
