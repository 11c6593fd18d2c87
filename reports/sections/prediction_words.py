"""What the predictions say: how far off they are, where the most, and how far to trust those of other devices."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from harness.declare.cluster import Cluster
from harness.metrics import show, show_ratio
from reports.sections.prediction_pairs import WAITS, Pair, factor
from reports.words import Sentence, Span, capital, count, sentence


def finding(pairs: Sequence[Pair]) -> Sentence:
    """Return how far off the predictions are, or that the ceilings are too low to predict by."""
    if not pairs:
        return sentence("No prediction for this device; those for others stand below.")
    wrong = sum(pair.too_fast for pair in pairs)
    if wrong:
        return sentence(f"The ceilings are too low to predict by: {wrong} of {count(len(pairs), 'case')} beat them.")
    errors = [pair.error for pair in pairs]
    middle, worst = show_ratio(median(errors)), show_ratio(max(errors))
    cases = count(len(pairs), "case")
    if len(pairs) == 1:
        return sentence(f"The prediction of the one case is off by {worst}.")
    return sentence(f"Predictions are off by {middle} in the median of {cases}, by {worst} in the worst.")


def caption(pairs: Sequence[Pair], left_out: int, cluster: Cluster | None) -> Sentence:
    """Return the worst one, what the plain roofline would be off by, and how predictions are made."""
    others = f"{capital(count(left_out, 'timed case'))} of other programs, over ranks or without a ceiling left out. "
    return sentence(
        _low_ceilings(pairs),
        _worst(pairs),
        _before(pairs),
        others if left_out else "",
        "" if cluster is None else _stated(pairs, cluster),
        "Predicted is the longer of products and bytes of each phase at the ceilings measured on this device,"
        " activations, and the host’s time for each operation; nothing is fitted to the run.",
    )


def _low_ceilings(pairs: Sequence[Pair]) -> str:
    """Return what the errors are worth where cases were faster than the measured ceilings; nothing where none was."""
    if not any(pair.too_fast for pair in pairs):
        return ""
    middle = show_ratio(median(pair.error for pair in pairs))
    return (
        "What did more FLOP/s than the ceiling shows that the ceiling was measured too low: predictions are too long,"
        f" and off by {middle} in the median for that reason too. Measure the ceilings again (harness doctor). "
    )


def _worst(pairs: Sequence[Pair]) -> Sentence:
    if not pairs:
        return ()
    worst = max(pairs, key=lambda pair: pair.error)
    share = median(pair.ratio for pair in pairs)
    words = (
        f"Measured is {show_ratio(share)} of predicted in the median; worst is {worst.subject.phrase} ({worst.where}),"
        f" {show('latency_ms', worst.measured)} where {show('latency_ms', worst.predicted)} were predicted, waiting for"
        f" {WAITS[worst.bound]}."
    )
    return sentence(Span(words, "strong"), " ")


def _before(pairs: Sequence[Pair]) -> str:
    """Return what the whole pass's roofline alone would be off by."""
    if not pairs:
        return ""
    plain = [factor(pair.measured / pair.plain) for pair in pairs]
    middle, worst = show_ratio(median(plain)), show_ratio(max(plain))
    return f"The roofline of the whole pass alone is off by {middle}, at worst {worst}. "


def _stated(pairs: Sequence[Pair], cluster: Cluster) -> str:
    """Return how far to trust what is predicted elsewhere."""
    error = f"On this device the model is off by {show_ratio(median(pair.error for pair in pairs))}. " if pairs else ""
    told = f"{cluster.text} " if cluster.text else ""
    return f"On {cluster.title} nothing was measured: its times are predictions from its file’s numbers. {error}{told}"
