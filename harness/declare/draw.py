"""Draw: every case of a suite, expanded, selected and matched; what `load_suite` checks and `plan` prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.case import Case
from harness.declare.dimensions import Dimension
from harness.declare.expand import MAX_CASES, UNSOLVED_D_FF, Points, expand, size
from harness.declare.faults import Fault, SuiteError
from harness.declare.findings import Findings
from harness.declare.format import Suite, Variant
from harness.declare.match import Match, MatchError, matched, shared
from harness.declare.narrowing import SHARED, Test, tests_of
from harness.declare.selection import Selection

DRAWN_WHOLE = 10_000
"""Points of a product up to which drawing it takes no time to speak of."""

Drawn = dict[Case, Match | None]
"""Cases in plan order, with how they were matched."""


def draw(
    suite: Suite, findings: Findings, overrides: Sequence[Dimension] = (), narrow: Selection | None = None
) -> Drawn:
    """Return the cases of `suite`, variant by variant; note in `findings` what keeps it from being a sweep.

    Variants that are broken already are left out: what follows from their faults is no news. So is what `narrow`, the
    command line's selection, does not keep.
    """
    narrow = narrow or Selection()
    try:
        drawing = _Drawing(suite, findings, overrides, Selection.of(suite), narrow)
        drawn = drawing.all()
    except SuiteError as error:
        findings.faults += error.faults
        return {}
    if not drawn and not findings.faults and narrow.keeps_all:
        findings.add(("select",), "no case is left", "an include that holds, and excludes that do not, for some case")
    return drawn


def points(suite: Suite, findings: Findings, overrides: Sequence[Dimension] = ()) -> int:
    """Return how many points the products of those variants have that are not broken, before any selection."""
    sound = (variant for variant in suite.variants if not _broken(suite, variant, findings))
    return sum(size(suite, variant, overrides) for variant in sound)


@dataclass(slots=True)
class _Drawing:
    suite: Suite
    findings: Findings
    overrides: Sequence[Dimension]
    selection: Selection
    narrow: Selection
    _done: dict[str, Drawn] = field(default_factory=dict)

    def all(self) -> Drawn:
        """Return the cases of every variant that both selections keep; raise SuiteError where they are too many."""
        total = points(self.suite, self.findings, self.overrides)
        if total > MAX_CASES and self.selection.keeps_all and self.narrow.keeps_all:
            raise self._too_many(f"{total:,}")
        drawn: Drawn = {}
        for variant in self.suite.variants:
            drawn |= {case: match for case, match in self.of(variant).items() if self.narrow.keeps(case)}
            if len(drawn) > MAX_CASES:
                raise self._too_many(f"more than {MAX_CASES:,}")
        return drawn

    def _too_many(self, count: str) -> SuiteError:
        expected = f"at most {MAX_CASES:,}; --select \"size == 'S'\" keeps some of them, --set batch=8 fixes an axis"
        return SuiteError([Fault.at(self.suite.place(()), f"the plan has {count} cases", expected)])

    def of(self, variant: Variant) -> Drawn:
        """Return the selected cases of `variant`; its match is drawn before it."""
        if variant.name not in self._done:
            self._done[variant.name] = {} if _broken(self.suite, variant, self.findings) else self._draw(variant)
        return self._done[variant.name]

    def _draw(self, variant: Variant) -> Drawn:
        points = expand(self.suite, variant, self.findings, self.overrides, self._tests(variant))
        cases = self._match(variant, points) if variant.match else dict.fromkeys(points.cases)
        kept = {case: match for case, match in cases.items() if self.selection.keeps(case)}
        refused = [case for case in kept if _point(case, variant) in points.impossible] if points.impossible else []
        for case in refused:
            del kept[case]
        told = [case for case in refused if self.narrow.keeps(case)]
        self._note(fault for case in told for fault in points.impossible[_point(case, variant)])
        if any(other.match and other.match.to == variant.name for other in self.suite.variants):
            return kept  # all of them: some may be matched to what is not kept itself
        return {case: match for case, match in kept.items() if self.narrow.keeps(case)}

    def _tests(self, variant: Variant) -> list[Test]:
        """Return what leaves points of `variant` out for sure.

        A variant that others are matched to is also needed where it is not kept itself, so of the command line only
        what it shares with them counts. Small products are drawn whole: their faults are told wherever they are.
        """
        if size(self.suite, variant, self.overrides) <= DRAWN_WHOLE:
            return []
        is_target = any(other.match and other.match.to == variant.name for other in self.suite.variants)
        narrow = tests_of(self.narrow)
        return tests_of(self.selection) + [test for test in narrow if not is_target or test.axes <= SHARED]

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


def _broken(suite: Suite, variant: Variant, findings: Findings) -> bool:
    """Return whether `variant`, or what it is matched to, has a fault already."""
    if findings.all_broken or variant.path[1] in findings.broken:
        return True
    return variant.match is not None and not any(
        other.name == variant.match.to and not _broken(suite, other, findings) for other in suite.variants
    )


def _point(case: Case, variant: Variant) -> Case:
    """Return the point that `case` was made of: a matched one had no d_ff yet."""
    return replace(case, d_ff=UNSOLVED_D_FF) if variant.match else case


def _where(case: Case) -> str:
    return f"where d_model = {case.d_model}, batch = {case.batch}, tokens = {case.tokens}, {case.dtype}, {case.pass_}"
