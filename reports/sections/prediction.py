"""Prediction: the time that closed forms and measured ceilings foresee, beside what was measured.

Where a cluster was given, also what they foresee on its devices, which are not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.case import Case
from harness.declare import plugins
from harness.declare.adapters import ADAPTERS
from harness.declare.cluster import Cluster
from harness.declare.costs import cost, unsupported
from harness.declare.exchange import own_ranks
from harness.declare.predict import Bound, predict
from harness.declare.roofs import Roofs
from harness.metrics import show, show_ratio
from reports.context import Context
from reports.families import Identity
from reports.results import Result
from reports.sections.base import Section
from reports.sections.elsewhere import Elsewhere, elsewhere, places_of
from reports.settings import setting_of
from reports.subjects import Subject
from reports.words import Sentence, Span, capital, count, sentence

WAITS: dict[Bound, str] = {
    "compute": "products",
    "memory": "memory",
    "launch": "the host’s operations",
    "exchange": "the exchange",
}
"""What a case waits for, by what bounds it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case: its time as predicted, and as measured."""

    subject: Subject
    where: str
    predicted: float
    """ms."""
    measured: float
    """ms."""
    plain: float
    """ms that the roofline of the whole pass alone allows: no launches, no products of few rows."""
    bound: Bound
    too_fast: bool = False
    """Whether it did more FLOP/s, whole interval, than the ceiling that it is predicted by."""

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted

    @property
    def error(self) -> float:
        """The factor that the prediction is off by, either way."""
        return factor(self.ratio)


@dataclass(frozen=True, slots=True)
class Group:
    """The cases of one variant, of many variants those of a family, or those that one thing bounds."""

    name: str
    subject: Subject | None
    """The variant's first case; None for those of a bound."""
    pairs: tuple[Pair, ...]

    @property
    def ratio(self) -> float:
        """The median of measured over predicted."""
        return median(pair.ratio for pair in self.pairs)

    @property
    def error(self) -> float:
        """The median factor that predictions are off by."""
        return median(pair.error for pair in self.pairs)

    @property
    def worst(self) -> Pair:
        """The case whose prediction is farthest off."""
        return max(self.pairs, key=lambda pair: pair.error)


@dataclass(frozen=True, kw_only=True)
class Predictions(Section):
    """The section's data."""

    id: str = "prediction"
    name: str = "Prediction"
    question: str = "How near do closed forms and measured ceilings come to the time?"

    pairs: tuple[Pair, ...] = ()
    variants: tuple[Group, ...] = ()
    bounds: tuple[Group, ...] = ()
    left_out: int = 0
    """Timed cases without a prediction: compiled ones, adapters', plug-ins', dtypes without a ceiling."""
    cluster: str | None = None
    """Title of the cluster that was given."""
    places: tuple[str, ...] = ()
    """Its devices, with their ranks."""
    elsewhere: tuple[Elsewhere, ...] = ()


def factor(ratio: float) -> float:
    """Return how far a ratio is from 1, either way, as a factor."""
    return math.exp(abs(math.log(ratio)))


def build(context: Context, cluster: Cluster | None = None) -> Predictions:
    """Return every timed case's prediction on this device, and those of chosen ones on the devices of `cluster`."""
    pairs = _pairs(context)
    others = elsewhere(context, cluster) if cluster is not None else ()
    if not pairs and not others:
        return Predictions(finding=sentence("No prediction to show."), missing=_why(context))
    left_out = len(context.timed) - len(pairs)
    wrong = sum(pair.too_fast for pair in pairs)
    return Predictions(
        attention=f"! {wrong}" if wrong else None,
        finding=_finding(pairs),
        caption=_caption(pairs, left_out, cluster),
        pairs=tuple(pairs),
        variants=tuple(_variants(context, pairs)),
        bounds=tuple(_bounds(pairs)),
        left_out=left_out,
        cluster=None if cluster is None else cluster.title,
        places=places_of(cluster) if cluster is not None else (),
        elsewhere=others,
    )


def _why(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "times to hold against a prediction")
    return "The ceilings of this device were not measured in these cases’ format: harness doctor does."


def _pairs(context: Context) -> list[Pair]:
    roofs, kind = context.run.file.roofs, str(context.run.file.device.get("kind", "cpu"))
    if roofs is None:
        return []
    return [
        _pair(context, result, roofs, kind)
        for result in context.timed
        if (result.ms or 0) > 0 and _foreseen(result.case, kind) and roofs.flops_per_s.get(result.case.dtype)
    ]


def _foreseen(case: Case, kind: str) -> bool:
    """Return whether its operations are those that the closed forms count, on the one device that has ceilings."""
    other = case.compile or plugins.is_plugin(case.layer) or case.backend in ADAPTERS
    return not other and own_ranks(case) == 1 and unsupported(case, kind) is None


def _pair(context: Context, result: Result, roofs: Roofs, kind: str) -> Pair:
    found, price = predict(result.case, roofs, device=kind), cost(result.case, kind)
    return Pair(
        subject=context.subject(result),
        where=context.words(setting_of(result.case)),
        predicted=found.seconds * 1e3,
        measured=result.ms or 0.0,
        plain=1e3 * roofs.plain_seconds(price.flops_executed, price.bytes, result.case.dtype),
        bound=found.bound,
        too_fast=_too_fast(result),
    )


def _too_fast(result: Result) -> bool:
    """Return whether its FLOP/s are beyond the measured ceiling; the interval tells, where there is one."""
    interval = result.interval("hfu")
    return ((result.number("hfu") or 0.0) if interval is None else interval.low) > 1


def _variants(context: Context, pairs: Sequence[Pair]) -> list[Group]:
    groups: dict[Identity, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(context.told_as(pair.subject.variant), []).append(pair)
    return [
        Group(one.name, replace(members[0].subject, step=one.step), tuple(members)) for one, members in groups.items()
    ]


def _bounds(pairs: Sequence[Pair]) -> list[Group]:
    found = {bound: tuple(pair for pair in pairs if pair.bound == bound) for bound in WAITS}
    return [Group(f"waiting for {WAITS[bound]}", None, members) for bound, members in found.items() if members]


def _finding(pairs: Sequence[Pair]) -> Sentence:
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


def _caption(pairs: Sequence[Pair], left_out: int, cluster: Cluster | None) -> Sentence:
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
