"""The answer: the page's one sentence, written from the numbers."""

from __future__ import annotations

from harness.metrics import show, show_scaled
from reports.compare import Comparison, rivals
from reports.context import Context
from reports.sections.coverage import KINDS, Coverage
from reports.sections.determinism import Determinism, batch_words, in_part, invariant, kept_with
from reports.sections.ratios import Ratios
from reports.sections.ratios_blocks import against_dense, leading, moe, spoken_of
from reports.sections.ratios_words import WORD
from reports.sections.scaling import Scaling
from reports.settings import Setting
from reports.words import Sentence, Span, capital, count, join, ratio, sentence, slope


def build(context: Context, coverage: Coverage, ratios: Ratios, scaling: Scaling, determinism: Determinism) -> Sentence:
    """Return which layer is fastest, by how much, and whether its rows are batch-invariant."""
    setting = context.headline
    if setting is None or not context.timed:
        return _without_times(context, coverage, determinism)
    if ratios.blocks:
        return sentence(f"At {ratios.blocks[0].where}: ", _compared(context, ratios, determinism), ".")
    return sentence(_alone(context, setting, scaling), ".")


def _compared(context: Context, ratios: Ratios, determinism: Determinism) -> Sentence:
    block = ratios.blocks[0]
    equal = against_dense(block)
    parts: list[Sentence] = [_fastest(context, equal, determinism)] if equal else []
    parts += [_takes(row) for row in moe(block)[:1]] or ([] if equal else [_takes(spoken_of(block))])
    out = list(parts[0])
    for part in parts[1:]:
        out += [Span("; "), *part]
    return tuple(out)


def _fastest(context: Context, equal: list[Comparison], determinism: Determinism) -> Sentence:
    """Name the fastest of the layers that share the dense FFN's FLOPs, the dense FFN among them, if it can be told."""
    best = leading(equal)
    layer, dense = best.candidate.phrase, best.reference.variant
    estimate = ratio(best.value, best.interval)
    if best.verdict == "faster":
        others = rivals(context, best, equal)
        named = "" if others else " is fastest,"
        first = sentence(f"{layer}{named or ' takes'} ", estimate, f" the time of {dense}", _beside(others))
    elif best.verdict == "slower":
        first = sentence(f"{dense} is fastest, and {layer}, the next, takes ", estimate, " its time")
    elif best.verdict == "same":
        first = sentence(f"{layer} and {dense} take the same time within 2 %, ", estimate)
    else:
        first = sentence(f"no layer is surely fastest: {layer} cannot be told apart from {dense}, at ", estimate,
                         " its time")  # fmt: skip
    words = _invariance(determinism, best)
    return sentence("at equal FLOPs ", first, f"; {words}" if words else "")


def _invariance(determinism: Determinism, best: Comparison) -> str:
    """Return whether the fastest is batch-invariant; where nobody is the fastest, what each of the two is."""
    if best.verdict in ("faster", "slower"):
        return batch_words(determinism, (best.candidate if best.verdict == "faster" else best.reference).id)
    both = (batch_words(determinism, subject.id) for subject in (best.candidate, best.reference))
    return join(words for words in both if words)


def _beside(others: list[Comparison]) -> str:
    """Return that the leader cannot be told apart from `others`; empty where there are none."""
    if not others:
        return ""
    names = others[0].candidate.phrase if len(others) == 1 else f"{len(others)} others"
    return f", and cannot be told apart from {names}"


def _takes(row: Comparison) -> Sentence:
    """Return how much of the reference's time the candidate takes, or that its rounds cannot tell."""
    estimate = ratio(row.value, row.interval)
    if row.verdict == "undecided":
        return sentence(
            f"{row.candidate.phrase} {WORD[row.verdict]} {row.reference.phrase} at {row.budget}: ", estimate
        )
    return sentence(f"{row.candidate.phrase} takes ", estimate, f" the time of {row.reference.phrase} at {row.budget}")


def _alone(context: Context, setting: Setting, scaling: Scaling) -> Sentence:
    """With nothing to compare: how the one variant grows, or its time alone."""
    for panel in scaling.panels:
        for line in panel.lines:
            if line.slope is not None:
                verb = "goes" if line.slope.holds(0) else "grows" if line.slope.value > 0 else "falls"
                return sentence(f"{capital(line.variant)} has nothing to stand against; its time {verb} with"
                                f" {panel.x_title} to the power ", slope(line.slope))  # fmt: skip
    result = context.at(setting)[0]
    interval = result.interval("latency_ms")
    low, high = (interval.low, interval.high) if interval else (None, None)
    time = Span(show("latency_ms", result.ms, low, high), "strong")
    return sentence(f"{capital(context.subject(result).phrase)} takes ", time, f" ({context.words(setting)})")


def _without_times(context: Context, coverage: Coverage, determinism: Determinism) -> Sentence:
    if not coverage.planned:
        return sentence("No case was planned, so there is no answer.")
    if not coverage.ok:
        why = join(f"{number} {KINDS[status]}" for status, number in coverage.counts.items())
        return sentence(Span("No case has numbers", "strong"), f", so there is no answer: of "
                        f"{count(coverage.planned, 'case')} {why}.")  # fmt: skip
    yes, no = invariant(determinism)
    if yes or no:
        keep = "keeps" if len(yes) == 1 else "keep"
        of_all = f"{len(yes)} of {count(len(yes) + len(no), 'variant')}"
        others = len({row.variant for row in in_part(determinism)})
        some = f", {others} more only in some of their configurations" if others else ""
        some += "".join(
            f"; with {part} all {len({row.variant for row in rows})} do"
            for part, rows in kept_with(determinism).items()
        )
        return sentence(
            f"No times were measured; {of_all} {keep} every bit of a row when the batch size changes{some}."
        )
    return sentence(f"No times were measured; {count(coverage.ok, 'case')} ran without a fault{_counted(context)}.")


def _counted(context: Context) -> str:
    """Return whose FLOPs are the fewest and the most, at the first setting; empty where they are all alike."""
    setting = context.headline
    known = [(one.flops, one) for one in context.measured(setting) if one.flops] if setting else []
    if setting is None or not known:
        return ""
    (few, least), (many, most) = (pick(known, key=lambda pair: pair[0]) for pick in (min, max))
    if few == many:
        return ""
    return (
        f": at {context.words(setting)}, {context.subject(least).phrase} does the least, {show_scaled(few, 'FLOP')},"
        f" and {context.subject(most).phrase} the most, {show_scaled(many, 'FLOP')}"
    )
