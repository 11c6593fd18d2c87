"""How `harness run` ends: the report, what is told of it, and the exit code."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from harness.cli.console import document, note, out
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.engine.fold import AnyRecord
    from harness.engine.runner import RunResult
    from reports import Rendered

FAILURES = ("oom", "timeout", "crashed", "incorrect")
"""Statuses that make `run` end with 3: something went wrong that the plan did not foresee. So does a run in which no
case has numbers, for whatever reason."""

ENDED: dict[str, Exit] = {"interrupted": Exit.INTERRUPTED, "no_device": Exit.NO_DEVICE}
"""Exit codes of runs that somebody or something cut short. A budget that was used up is no fault: it was asked for."""


def cut_short(code: Exit, error: Exception, folder: Path) -> NoReturn:
    """End the command in the midst of a run: say why, and how to go on where anything was begun."""
    from harness.engine.folder import RUN

    note(f"harness: {error}")
    if (folder / RUN).exists():
        note(f"harness: {_how_to_go_on(folder)}")
    raise typer.Exit(int(code))


def _how_to_go_on(folder: Path) -> str:
    return f"go on with: harness run --resume {shlex.quote(str(folder))}"


def render_or_tell(result: RunResult, *, gate: bool, json_: bool) -> Rendered | None:
    """Write the report and say what came of the run; None where the report could not be written.

    With `gate`, every claim that is refuted is named.
    """
    from harness.record import CUT_SHORT
    from reports import ReportError, render

    if result.end in CUT_SHORT:
        note(f"harness: {CUT_SHORT[result.end]}; {_how_to_go_on(result.folder)}")
    elif reason := _why_no_numbers(result.records):
        note(f"harness: no case has numbers; the most frequent reason: {reason}")
    try:
        rendered = render(result.folder, html=result.folder / "report.html")
    except ReportError as error:
        note(f"harness: {error} The run is whole: harness report {shlex.quote(str(result.folder))}")
        return None
    note(rendered.verdict)
    _tell_claims(rendered, gate=gate)
    if json_:
        counts: dict[str, int] = {}
        for record in result.records:
            counts[record.status] = counts.get(record.status, 0) + 1
        paths = {"folder": str(result.folder), "report": str(rendered.html)}
        claims = {one.id: one.verdict for one in rendered.claims}
        document({"schema": 1, "status": result.status, **paths, "cases": counts, "claims": claims})
    else:
        out(str(rendered.html))
    return rendered


def _tell_claims(rendered: Rendered, *, gate: bool) -> None:
    from reports.claims import shown, tally

    if rendered.claims:
        note(f"harness: {tally(rendered.claims)}")
    for one in rendered.refuted if gate else ():
        note(f"harness: REFUTED {one.id}: {shown(one)} ({one.text})")


def _why_no_numbers(records: Sequence[AnyRecord]) -> str | None:
    """Return the most frequent reason of cases without numbers, where all are such; else None."""
    reasons = Counter(f"{record.status}: {record.reason}" for record in records if record.status != "ok")
    if reasons.total() < len(records) or not records:
        return None
    ((reason, count),) = reasons.most_common(1)
    return f"{reason} ({count} of {len(records)} cases)"


def exit_code(result: RunResult, rendered: Rendered | None, *, gate: bool) -> Exit:
    """Return the exit code of a run and its report; with `gate`, that of a refuted claim is the last in rank."""
    if result.end in ENDED:
        return ENDED[result.end]
    failed = any(record.status in FAILURES for record in result.records)
    if failed or rendered is None or _why_no_numbers(result.records):
        return Exit.FAILED_CASES
    return Exit.REGRESSION if gate and rendered.refuted else Exit.FINE
