"""Prediction: the time that closed forms and measured ceilings foresee, beside what was measured.

Where a cluster was given, also what they foresee on its devices, which are not here.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.declare.cluster import Cluster
from reports.context import Context
from reports.sections.base import Section
from reports.sections.elsewhere import Elsewhere, elsewhere, places_of
from reports.sections.prediction_pairs import Group, Pair, by_bound, by_variant, pairs_of
from reports.sections.prediction_words import caption, finding
from reports.words import sentence


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


def build(context: Context, cluster: Cluster | None = None) -> Predictions:
    """Return every timed case's prediction on this device, and those of chosen ones on the devices of `cluster`."""
    pairs = pairs_of(context)
    others = elsewhere(context, cluster) if cluster is not None else ()
    if not pairs and not others:
        return Predictions(finding=sentence("No prediction to show."), missing=_why(context))
    left_out = len(context.timed) - len(pairs)
    wrong = sum(pair.too_fast for pair in pairs)
    return Predictions(
        attention=f"! {wrong}" if wrong else None,
        finding=finding(pairs),
        caption=caption(pairs, left_out, cluster),
        pairs=tuple(pairs),
        variants=tuple(by_variant(context, pairs)),
        bounds=tuple(by_bound(pairs)),
        left_out=left_out,
        cluster=None if cluster is None else cluster.title,
        places=places_of(cluster) if cluster is not None else (),
        elsewhere=others,
    )


def _why(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "times to hold against a prediction")
    return "The ceilings of this device were not measured in these cases’ format: harness doctor does."
