"""`harness plan --cluster`: a suite's cases on devices that are not here, as a table or a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli.console import document, fail, out
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.declare.cluster import Cluster
    from harness.declare.plan import Plan
    from harness.declare.priced import Priced

TITLES = ("compute", "memory", "launches", "exchange", "predicted")
WIDTHS = (9, 9, 9, 9, 9, 8, 5)
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def cluster_or_exit(name: str) -> Cluster:
    """Return the cluster of that name or path."""
    from harness.declare.cluster_file import load_cluster
    from harness.declare.faults import SuiteError

    try:
        return load_cluster(name)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))


def print_on_cluster(planned: Plan, name: str, ranks: Sequence[int], *, rows: int | None, as_json: bool) -> None:
    """Print what each case takes on the cluster of that name or path; at most so many rows, None: all."""
    from harness.declare.faults import SuiteError
    from harness.declare.plan import plan_document
    from harness.declare.priced import check_priceable, price_on, priced_document

    cluster = cluster_or_exit(name)
    try:
        check_priceable(cluster, [one.case for one in planned.cases], ranks)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))
    priced = {one.case.id: price_on(cluster, one.case, ranks) for one in planned.cases}
    if not as_json:
        _table(cluster, priced, rows)
        return
    made = plan_document(planned) | {"cluster": {"title": cluster.title, "ranks": list(ranks or cluster.ranks)}}
    for entry in made["cases"]:
        entry["cluster"] = priced_document(priced[entry["id"]])
    document(made)


def _table(cluster: Cluster, priced: dict[str, list[Priced]], rows: int | None) -> None:
    out(f"{cluster.title}: times of one pass as a roofline predicts them, of the busiest rank")
    head = " ".join(f"{title:>{width}}" for title, width in zip((*TITLES, "bound", "ranks"), WIDTHS, strict=True))
    several = len(cluster.devices) > 1
    out(f"{head}  case{' on device' if several else f' on {cluster.devices[0].name}'}")
    lines = [(one, id_) for id_, found in priced.items() for one in found]
    for one, id_ in lines[:rows]:
        out(_row(one, f"{id_} on {one.device}" if several else id_))
    if rows is not None and len(lines) > rows:
        out(f"... and {len(lines) - rows:,} more: --all or --json prints them")
    for key in dict.fromkeys((one.device, one.ranks) for one, _ in lines):
        out(_sum(*key, [one for one, _ in lines if (one.device, one.ranks) == key]))


def _row(one: Priced, name: str) -> str:
    found, remarks = one.prediction, []
    if one.fits is False:
        remarks.append("does not fit")
    if one.idle:
        remarks.append("1 rank has no sequence" if one.idle == 1 else f"{one.idle} ranks have no sequence")
    if found is None:
        remarks.append(one.unsupported or "")
        cells = ["–"] * (len(TITLES) + 1)
    else:
        times = (found.compute_s, found.memory_s, found.launch_s, found.exchange.seconds, found.seconds)
        cells = [*(show_seconds(time) for time in times), found.bound]
    text = " ".join(f"{cell:>{width}}" for cell, width in zip((*cells, one.ranks), WIDTHS, strict=True))
    return f"{text}  {name}" + (f"  ({'; '.join(remarks)})" if remarks else "")


def _sum(device: str, ranks: int, priced: Sequence[Priced]) -> str:
    """Return what all cases together take on one device, and what bounds them."""
    found = [one.prediction for one in priced if one.prediction is not None]
    if not found:
        return f"{device} × {ranks}: none of the cases that ask for it can run there"
    bounds = ", ".join(f"{bound} bounds {number}" for bound, number in Counter(p.bound for p in found).most_common())
    too_large = sum(one.fits is False for one in priced)
    time = show_seconds(sum(one.seconds for one in found))
    cases = "one pass of one case" if len(found) == 1 else f"one pass of each of {len(found):,} cases"
    return f"{device} × {ranks}: {time} for {cases}; {bounds}; {too_large} too large"


def show_seconds(seconds: float) -> str:
    """Return a time with three significant digits: `12.3 µs`."""
    if not seconds:
        return "0"
    scale, unit = next((pair for pair in UNITS if seconds >= pair[0]), UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"
