"""Draw: every case of a suite, expanded, selected and matched; what `load_suite` checks and `plan` prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.case import Case
from harness.declare.dimensions import Dimension
from harness.declare.expand import UNSOLVED_D_FF, Points, expand
from harness.declare.faults import Fault, SuiteError
from harness.declare.findings import Findings
from harness.declare.format import Suite, Variant
from harness.declare.match import Match, MatchError, matched, shared
from harness.declare.selection import Selection

Drawn = dict[Case, Match | None]
"""Cases in plan order, with how they were matched."""


def draw(
    suite: Suite, findings: Findings, overrides: Sequence[Dimension] = (), narrow: Selection | None = None
) -> Drawn:
    """Return the cases of `suite`, variant by variant; note in `findings` what keeps it from being a sweep.

    Variants that are broken already are left out: what follows from their faults is no news. Nor are combinations
    that `narrow`, the command line's selection, leaves out; the other cases are returned, though it does so too,
    since a variant may be matched to them.
    """
    try:
        drawing = _Drawing(suite, findings, overrides, Selection.of(suite), narrow or Selection())
        drawn = {case: match for variant in suite.variants for case, match in drawing.of(variant).items()}
    except SuiteError as error:
        findings.faults += error.faults
        return {}
    if not drawn and not findings.faults:
        findings.add(("select",), "no case is left", "an include that holds, and excludes that do not, for some case")
    return drawn


@dataclass(slots=True)
class _Drawing:
    suite: Suite
    findings: Findings
    overrides: Sequence[Dimension]
    selection: Selection
    narrow: Selection
    _done: dict[str, Drawn] = field(default_factory=dict)

    def of(self, variant: Variant) -> Drawn:
        """Return the selected cases of `variant`; its match is drawn before it."""
        if variant.name not in self._done:
            self._done[variant.name] = {} if self._broken(variant) else self._draw(variant)
        return self._done[variant.name]

    def _broken(self, variant: Variant) -> bool:
        if self.findings.all_broken or variant.path[1] in self.findings.broken:
            return True
        return variant.match is not None and not any(
            other.name == variant.match.to and not self._broken(other) for other in self.suite.variants
        )

    def _draw(self, variant: Variant) -> Drawn:
        points = expand(self.suite, variant, self.findings, self.overrides)
        cases = self._match(variant, points) if variant.match else dict.fromkeys(points.cases)
        kept = {case: match for case, match in cases.items() if self.selection.keeps(case)}
        refused = [case for case in kept if _point(case, variant) in points.impossible] if points.impossible else []
        for case in refused:
            del kept[case]
        self._note(points.impossible[_point(case, variant)] for case in refused if self.narrow.keeps(case))
        return kept

    def _match(self, variant: Variant, points: Points) -> Drawn:
        """Return the cases of a matched variant, at those points that the target has cases at."""
        assert variant.match
        target = next(other for other in self.suite.variants if other.name == variant.match.to)
        at: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
        for case in self.of(target):
            at[shared(case)].append(case)
        cases: Drawn = {}
        faults: list[Fault] = []
        for point in points.cases:
            try:
                if targets := at.get(shared(point)):
                    cases |= matched(point, targets, variant.match.on)
                elif (at or not self.findings.faults) and self.selection.keeps(point) and self.narrow.keeps(point):
                    faults.append(self._fault(variant, f"{target.name} has no case {_where(point)}"))
            except MatchError as error:
                faults.append(self._fault(variant, f"{variant.name} cannot match {target.name}: {error}"))
        self._note(faults)
        return cases

    def _fault(self, variant: Variant, message: str) -> Fault:
        place = self.suite.place((*variant.path, "match"))
        return Fault.at(place, message, "a case of the other variant with this width, input, dtype and pass, in reach")

    def _note(self, faults: Iterable[Fault]) -> None:
        """Note the first of the faults of each place, and how many more there are."""
        by_place: dict[tuple[Any, ...], list[Fault]] = defaultdict(list)
        for fault in faults:
            by_place[fault.file, fault.line, fault.key].append(fault)
        for first, *more in by_place.values():
            count = f" (and in {len(more)} more cases)" if more else ""
            self.findings.faults.append(
                Fault(first.file, first.line, first.key, first.message + count, first.expected, first.nearest)
            )


def _point(case: Case, variant: Variant) -> Case:
    """Return the point that `case` was made of: a matched one had no d_ff yet."""
    return replace(case, d_ff=UNSOLVED_D_FF) if variant.match else case


def _where(case: Case) -> str:
    return f"where d_model = {case.d_model}, batch = {case.batch}, tokens = {case.tokens}, {case.dtype}, {case.pass_}"
