"""Which cases of a setting are held against which: each against what is nearest to its budget."""

from __future__ import annotations

from reports.compare import nearest
from reports.context import Context
from reports.results import Result
from reports.settings import Setting


def pairs(context: Context, setting: Setting) -> list[tuple[str, Result, Result]]:
    """Return (title, candidate, reference) of every fair pair at `setting`, each with the nearest budget."""
    family = {result.id: context.identity[result.case.variant].family for result in context.at(setting)}
    at = context.at(setting)
    dense = [result for result in at if family[result.id] == "dense"]
    sparse = [result for result in at if family[result.id] == "sparse"]
    soft = [result for result in at if family[result.id] == "soft"]
    out: list[tuple[str, Result, Result]] = []
    for budget in ("flops", "params"):
        of_budget = [result for result in dense if _budget_of(result) == budget]
        out += [
            ("Against the dense FFN", result, reference)
            for result in at
            if family[result.id] != "dense" and (reference := nearest(result, of_budget, budget))
        ]
    for result in soft:
        alike = [other for other in sparse if other.case.experts == result.case.experts] or sparse
        if reference := nearest(result, alike):
            out.append(("Soft MoE against sparse MoE", result, reference))
    known = {(a.id, b.id) for _, a, b in out}
    out += [(_against(b), a, b) for _, a, b in asked(context, at) if (a.id, b.id) not in known]
    return out or _against_first(context, at)


def asked(context: Context, at: list[Result]) -> list[tuple[str, Result, Result]]:
    """Return (`candidate / reference`, candidate, reference) of the pairs of variants that the suite's headline names.

    Each candidate of `at` is held against the reference with the nearest budget.
    """
    out = []
    for text in context.run.file.suite.headline:
        candidate, _, reference = (part.strip() for part in text.partition("/"))
        others = [result for result in at if result.case.variant == reference]
        out += [
            (f"{candidate} / {reference}", result, other)
            for result in at
            if result.case.variant == candidate and (other := nearest(result, others))
        ]
    return out


def _against(reference: Result) -> str:
    return f"Against {reference.case.variant}"


def _budget_of(result: Result) -> str:
    return "params" if result.match and result.match.on == "params" else "flops"


def _against_first(context: Context, at: list[Result]) -> list[tuple[str, Result, Result]]:
    """Where there is no family to stand against: every other variant against the suite's first one."""
    order = [name for name in context.identity if any(result.case.variant == name for result in at)]
    if len(order) < 2:
        return []
    first = [result for result in at if result.case.variant == order[0]]
    rest = [result for result in at if result.case.variant != order[0]]
    return [(f"Against {order[0]}", result, ref) for result in rest if (ref := nearest(result, first))]
