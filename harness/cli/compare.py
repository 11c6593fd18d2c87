"""`harness compare`: a candidate run against a baseline, case by case and metric by metric, and the gate on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import document, fail, out
from harness.cli.exits import Exit
from harness.cli.options import JsonOption
from harness.cli.verdicts import check_folders, check_outputs, check_policy, exit_of

if TYPE_CHECKING:
    from harness.declare.policy import Policy
    from reports.results import Run
    from reports.versus.gate import Gate


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="The run folder that is the measure.")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", help="The run folder that is judged.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the comparison there as Markdown too.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit 1 where something is worse than the policy lets pass.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="TOML with the gate's rules; with --gate.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again/--no-again", help="Measure suspects again before the gate fails; with --gate.")
    ] = True,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the gate there as JUnit XML; with --gate.")
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 whatever was found (1, 3 and 4 else); a later step decides.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Say what became of each case and metric of BASE in CANDIDATE; exit 4 where nothing can be compared.

    With --gate, times that alert are measured again, and only what alerts twice counts; memory, FLOPs, parameters and
    determinism have no noise and count at once.
    """
    if not gate and (policy is not None or junit is not None):
        fail(Exit.USAGE, "--policy and --junit are for --gate; add it")
    from reports.versus import gate as gates
    from reports.versus import text

    check_folders(base, candidate)
    check_outputs(output, junit, base, candidate)
    rules = _policy(policy)
    runs = _read(base), _read(candidate)
    check_policy(rules, policy, *runs)
    found = _judged(*runs, rules, candidate if gate and again else None)
    code = exit_of(found, rules, gate=gate)
    if found.versus.comparable:
        _write(found, output, junit)
    if json_:
        document(text.document(found.versus) | ({"gate": gates.document(found)} if gate else {}))
    else:
        out("\n".join((*text.lines(found.versus), *(gates.lines(found) if gate else ()))))
    raise typer.Exit(0 if exit_zero else int(code))


def _write(found: Gate, output: Path | None, junit: Path | None) -> None:
    if output is not None:
        from reports.versus.text import markdown

        output.write_text(markdown(found.versus), "utf-8")
    if junit is not None:
        from reports.versus.junit import render_junit

        junit.write_text(render_junit(found), "utf-8")


def _judged(base: Run, candidate: Run, rules: Policy | None, again: Path | None) -> Gate:
    """Return the gate on the two runs; its suspects are measured again where `again` is the candidate's folder."""
    from harness.cli.again import measure_again
    from harness.declare.policy import USUAL
    from reports.versus.gate import confirmed, judge

    first = judge(base, candidate, rules or USUAL)
    if again is None or not first.suspects:
        return first
    folder = measure_again(again, first.suspects)
    return first if folder is None else confirmed(first, judge(base, _read(folder), rules or USUAL))


def _policy(path: Path | None) -> Policy | None:
    from harness.declare.faults import SuiteError
    from harness.declare.policy import load_policy

    try:
        return None if path is None else load_policy(path)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))


def _read(folder: Path) -> Run:
    from harness.engine.folder import settle
    from harness.engine.journal import RunFolderError
    from reports import ReportError
    from reports.read import read_run

    try:
        settle(folder)
        return read_run(folder)
    except (ReportError, RunFolderError) as error:
        fail(Exit.USAGE, str(error))
