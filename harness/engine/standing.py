"""Which of a journal's visits still stand: those made with the layer and the method that the run has now.

The journal keeps every visit ever made. Of two of one place (a case, a probe, a round) the later one stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.case import Case
from harness.declare.rounds import measured_by
from harness.engine.journal import Line
from harness.engine.sources import Sources
from harness.record import SPOILED


@dataclass(frozen=True, slots=True)
class Standing:
    """The visits that stand, and why the others do not."""

    lines: list[Line]
    """In the order in which they were made."""
    stale: Counter[str] = field(default_factory=Counter)
    """Visits to be made again, by reason."""
    stale_cases: frozenset[str] = frozenset()
    """Keys of their cases."""

    @property
    def sentence(self) -> str:
        """What a resumed run does with the visits that there are."""
        reused = f"{_count(len(self.lines), 'finished visit')} are not made again"
        if not self.stale:
            return reused
        why = "; ".join(f"{reason} ({count})" for reason, count in self.stale.most_common())
        again = f"{_count(self.stale.total(), 'visit')} of {_count(len(self.stale_cases), 'case')} are made again"
        return f"{reused}, {again}: {why}"


def standing(
    lines: Iterable[Line], cases: Mapping[str, Case], sources: Sources | None, *, resuming: bool = False
) -> Standing:
    """Return the visits of `cases` that stand.

    Args:
        lines: The journal.
        cases: By content key; visits of other cases are left out.
        sources: What the run stands on now; None: unknown, and every visit stands.
        resuming: Leave out visits that say nothing about their case too, such as the one that lost the device.
    """
    kept: dict[object, Line] = {}
    gone: dict[object, tuple[str, str]] = {}
    for line in lines:
        if (case := cases.get(line.key)) is None:
            continue
        why = _why_stale(line, case, sources)
        if why is None and resuming and line.end in SPOILED:
            why = "the device was lost in it" if line.end == "device_lost" else "the clock went backwards in it"
        kept.pop(line.place, None)  # a later visit replaces an earlier one, and stands at its own place in the order
        gone.pop(line.place, None)
        if why is None:
            kept[line.place] = line
        else:
            gone[line.place] = (why, line.key)
    reasons = Counter(why for why, _ in gone.values())
    return Standing(list(kept.values()), reasons, frozenset(key for _, key in gone.values()))


def _why_stale(line: Line, case: Case, sources: Sources | None) -> str | None:
    if sources is None:
        return None
    if case.layer not in sources.layers or measured_by(line.probe) not in sources.probes:
        return None  # nobody will make it again: it belongs to what the run once was
    layer, method = sources.of_visit(case, line.probe)
    if line.source != layer:
        return f"the source of the layer {case.layer} has changed"
    return f"the code of the probe {line.probe} has changed" if line.method != method else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
