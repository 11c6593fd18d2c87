"""What a cluster's devices, which are not here, would take for some of a run's cases; a part of `prediction`."""

from __future__ import annotations

from dataclasses import dataclass

from harness.declare.cluster import Cluster
from harness.declare.exchange import own_ranks
from harness.declare.priced import Priced, price_on
from reports.context import Context
from reports.settings import setting_of
from reports.subjects import Subject

COLUMNS = 6
"""Devices and numbers of ranks that the table has room for."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One case on the devices of a cluster."""

    subject: Subject
    where: str
    measured: float | None
    """ms on this device."""
    priced: tuple[Priced, ...]
    """In the order of `places_of`."""

    def ms(self, place: int) -> float | None:
        """Return what is predicted at one of the places; None where it cannot run there."""
        found = self.priced[place].prediction
        return None if found is None else found.seconds * 1e3


def places_of(cluster: Cluster) -> tuple[str, ...]:
    """Return the names of the cluster's devices, with their ranks where there are several, as far as there is room."""
    several = cluster.ranks != [1]
    return tuple(
        f"{device.name} × {ranks}" if several else device.name for device in cluster.devices for ranks in cluster.ranks
    )[:COLUMNS]


def elsewhere(context: Context, cluster: Cluster) -> tuple[Elsewhere, ...]:
    """Return some cases of the first screen's setting on the devices of `cluster`, if on one device here."""
    setting = context.headline
    found = context.at(setting) if setting is not None else []
    rows = [
        Elsewhere(
            context.subject(result),
            context.words(setting_of(result.case)),
            result.ms,
            tuple(price_on(cluster, result.case))[:COLUMNS],
        )
        for result in context.some([result for result in found if own_ranks(result.case) == 1])
    ]
    return tuple(row for row in rows if any(one.prediction for one in row.priced))
