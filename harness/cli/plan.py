"""`harness plan`: what a suite would do, and what it would cost."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.cluster import print_on_cluster
from harness.cli.console import document, fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import (
    ClusterOption,
    DeviceOption,
    JsonOption,
    PluginsOption,
    SelectOption,
    SetOption,
    SuiteArgument,
    all_of,
)
from harness.cli.planning import detect_or_exit, plan_or_exit, suite_or_exit, tell_plugins

if TYPE_CHECKING:
    from harness.declare.plan import Plan, PlannedCase

ROWS = 200
"""A longer table is no longer read: the rest is counted, and `--all` or `--json` prints it."""


WIDTHS = (8, 8, 12, 12, 10, 9)
"""Characters of the columns of numbers."""


def plan(
    suite: SuiteArgument,
    set_: SetOption = None,
    select: SelectOption = None,
    device: DeviceOption = "auto",
    all_: Annotated[bool, typer.Option("--all", help=f"Print every row, also past {ROWS}.")] = False,
    plugins: PluginsOption = True,
    cluster: ClusterOption = None,
    ranks: Annotated[
        list[int] | None,
        typer.Option("--ranks", metavar="N", min=1, help="With --cluster: over so many devices; several: each."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show every case with its parameters, FLOPs, bytes, expected time, and what will not fit. Measures nothing.

    With --cluster the times are those that a roofline predicts for devices which are not here.
    """
    gc.disable()  # nothing that a plan makes is ever freed: with 100,000 cases the searches for it cost a second
    if ranks and cluster is None:
        fail(Exit.USAGE, "--ranks says over how many devices of a cluster; give --cluster FILE too")
    planned = plan_or_exit(suite_or_exit(suite), set_ or [], all_of(select), detect_or_exit(device))
    tell_plugins(planned, allowed=plugins)
    if cluster is not None:
        print_on_cluster(planned, cluster, ranks or (), rows=None if all_ else ROWS, as_json=json_)
        return
    if json_:
        from harness.declare.plan import plan_document

        document(plan_document(planned))
        return
    _table(planned, len(planned.cases) if all_ else ROWS)
    if all(case.seconds is None for case in planned.cases):
        note("No expected times: this device's ceilings are not measured yet. `harness doctor` measures them.")


def _table(planned: Plan, rows: int) -> None:

    titles = ("params", "active", "model", "executed", "bytes", "expected")
    out(" ".join(f"{title:>{width}}" for title, width in zip(titles, WIDTHS, strict=True)) + "  case")
    for case in planned.cases[:rows]:
        out(_row(case))
    if len(planned.cases) > rows:
        out(f"... and {len(planned.cases) - rows:,} more: --all or --json prints them")
    known = [case.seconds for case in planned.cases if case.seconds is not None]
    unsupported = sum(case.unsupported is not None for case in planned.cases)
    too_large = sum(case.fits is False for case in planned.cases)
    time = f", {sum(known):.3g} s for one pass of each at the ceilings" if known else ""
    out(f"{len(planned.cases):,} cases, {unsupported} unsupported, {too_large} too large for the memory{time}")


def _row(planned: PlannedCase) -> str:
    from harness.metrics import show, show_bytes

    expected = "–" if planned.seconds is None else f"{planned.seconds * 1e3:.3g} ms"
    remark = planned.unsupported or ("does not fit" if planned.fits is False else "")
    names = ("params", "params_active", "flops_model", "flops_executed")
    cost = planned.cost  # None for a plug-in
    numbers = [*(show(name, None if cost is None else getattr(cost, name)) for name in names)]
    numbers += ["–" if cost is None else show_bytes(cost.bytes), expected]
    cells = " ".join(f"{number:>{width}}" for number, width in zip(numbers, WIDTHS, strict=True))
    return f"{cells}  {planned.case.id}" + (f"  ({remark})" if remark else "")
