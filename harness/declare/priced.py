"""Priced: a plan's cases on devices that are not here, each on every device and number of ranks of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.case import Case
from harness.declare import plugins
from harness.declare.cluster import Cluster, DeviceInfo, misfit
from harness.declare.costs import unsupported
from harness.declare.exchange import on_one_rank, own_ranks, share_of
from harness.declare.faults import Fault, Place, SuiteError, listed
from harness.declare.predict import Prediction, predict
from harness.declare.scopes import layers_of

RANKS = Place("--ranks", None, "")
NO_FORM = "a plug-in has no closed form"


@dataclass(frozen=True, slots=True)
class Priced:
    """One case on one device of a cluster, or on several of it."""

    device: str
    ranks: int
    prediction: Prediction | None
    """None where it cannot run there."""
    fits: bool | None
    """Whether a rank's memory holds its share."""
    unsupported: str | None = None
    """Why it cannot run there, in words."""
    idle: int = 0
    """Ranks without a sequence of their own: the batch has too few."""


def check_priceable(cluster: Cluster, cases: Sequence[Case], ranks: Sequence[int] | None = None) -> None:
    """Return if the cluster can price the cases, on so many ranks where that is said on the command line.

    Raises:
        SuiteError: A dtype has no peak, or experts are fewer than ranks; with every such fault.
    """
    faults = [*_peaks(cluster, cases), *_too_many(cluster, cases, ranks)]
    faults += [Fault.at(RANKS, *fault) for number in ranks or () if (fault := misfit(number, cluster.links))]
    if faults:
        raise SuiteError(faults)


def price_on(cluster: Cluster, case: Case, ranks: Sequence[int] | None = None) -> list[Priced]:
    """Return what `case` takes on each device of `cluster`, on each number of ranks; on its own, where it has some."""
    own = own_ranks(case)
    numbers = [own] if own > 1 else ranks or cluster.ranks
    return [_priced(on_one_rank(case), device, number, cluster) for device in cluster.devices for number in numbers]


def priced_document(priced: Sequence[Priced]) -> list[dict[str, Any]]:
    """Return what `harness plan --json` says of one case on a cluster; times in seconds, of the busiest rank."""
    return [
        {"device": one.device, "ranks": one.ranks, "unsupported": one.unsupported, "fits": one.fits, "idle": one.idle}
        | ({} if one.prediction is None else asdict(one.prediction))
        for one in priced
    ]


def _priced(case: Case, device: DeviceInfo, ranks: int, cluster: Cluster) -> Priced:
    if plugins.is_plugin(case.layer):
        return Priced(device.name, ranks, None, None, NO_FORM)
    if why := unsupported(case, device.kind):
        return Priced(device.name, ranks, None, None, why)
    if unjoined := misfit(ranks, cluster.links):
        return Priced(device.name, ranks, None, None, unjoined[0])
    over = cluster.links.joined if cluster.links else None
    found = predict(case, device.roofs, ranks=ranks, over=over, device=device.kind)
    idle = ranks - -(-case.batch // share_of(case, ranks).batch)
    return Priced(device.name, ranks, found, found.memory_bytes <= device.memory_bytes, idle=idle)


def _peaks(cluster: Cluster, cases: Sequence[Case]) -> Iterator[Fault]:
    """Yield a fault for each dtype of the cases that a device has no peak for."""
    for index, device in enumerate(cluster.devices):
        for dtype in sorted({case.dtype for case in cases} - device.flops_per_s.keys()):
            place = cluster._text.place(("device", index, "flops_per_s"))
            message = f"{device.name} has no peak for {dtype}, which the suite asks for"
            yield Fault.at(place, message, f"{dtype} = its FLOP/s, or --set dtype={listed(device.flops_per_s)}")


def _too_many(cluster: Cluster, cases: Sequence[Case], ranks: Sequence[int] | None) -> Iterator[Fault]:
    """Yield a fault for each number of ranks that is more than a layer has experts to share out."""
    owners: dict[int, dict[str, None]] = {}
    for case in cases:
        spread = own_ranks(case) > 1  # its plan has said whether it can be
        for layer in () if spread or plugins.is_plugin(case.layer) else layers_of(case):
            if layer.experts:
                owners.setdefault(layer.experts, {})[case.variant] = None
    for index, number in enumerate(ranks or cluster.ranks):
        few = [experts for experts in owners if experts < number]
        if few:
            place = RANKS if ranks else cluster._text.place(("ranks", index))
            whose = listed(dict.fromkeys(name for experts in few for name in owners[experts]), "and")
            experts = "one expert" if min(few) == 1 else f"{min(few)} experts"
            message = f"{number} ranks are more than the {experts} of {whose}"
            most = "1 rank" if min(few) == 1 else f"at most {min(few)} ranks"
            ways = most if ranks else f"{most} in the file; harness plan also takes --ranks {min(few)}"
            yield Fault.at(place, message, f'{ways}, or --select "experts >= {number}"')
