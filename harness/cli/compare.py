"""`harness compare`: a candidate run against a baseline, case by case and metric by metric, and the gate on it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.amounts import bytes_of
from harness.cli.console import document, fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption, JsonOption, SelectOption, SetOption, all_of
from harness.cli.paired import Runs, Sides, measured_pair
from harness.cli.planning import suite_or_exit
from harness.cli.reading import run_or_exit
from harness.cli.run import MemoryOption, ThreadsOption
from harness.cli.verdicts import check_folders, check_outputs, check_policy, exit_of, unseen
from harness.cli.wanted import Wanted, amount

if TYPE_CHECKING:
    from harness.declare.policy import Policy
    from reports.versus.gate import Gate

COMPARED = "compared.md"
"""The comparison as Markdown, in the folder of a paired run."""
MEASURING = "--base-python, --candidate-python, --resume, --set, --select, --device, --threads and --memory"
Again = Callable[[Runs, Sequence[str]], Runs | None]
"""Measures the cases of these ids again, for two runs; None where that cannot be."""
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="File to write the comparison to as Markdown; with --paired the folder for both runs, new or empty, and "
        "the Markdown in it (left out: runs/SUITE-paired-WHEN).",
    ),
]
PairedOption = Annotated[
    str | None,
    typer.Option(
        "--paired",
        metavar="SUITE",
        help="Measure SUITE now on both sides, in turns. A side is a checkout's folder, or a git revision of the "
        "repository you stand in, which is checked out into the cache.",
    ),
]
BasePythonOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Interpreter of BASE; left out: this one. With --paired.")
]
CandidatePythonOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Interpreter of CANDIDATE; left out: this one. With --paired.")
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Go on with the paired run in DIR, asked for in the same words."),
]


def compare(
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="The run folder that is the measure; with --paired a side: see there.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The run folder, or side, that is judged.")],
    output: OutputOption = None,
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
    paired: PairedOption = None,
    base_python: BasePythonOption = None,
    candidate_python: CandidatePythonOption = None,
    resume: ResumeOption = None,
    set_: SetOption = None,
    select: SelectOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    memory: MemoryOption = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 whatever was found (1, 3 and 4 else); a later step decides.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Say what became of each case and metric of BASE in CANDIDATE; exit 4 where nothing can be compared.

    With --gate, times that alert are measured again, beside the baseline's code where it can be had, and only what
    alerts twice counts; memory, FLOPs, parameters and determinism have no noise and count at once.

    With --paired SUITE, BASE and CANDIDATE are two checkouts of this harness, folders or git revisions, and are
    measured now, in turns: the strongest comparison that one machine can give.
    """
    if not gate and (policy is not None or junit is not None):
        fail(Exit.USAGE, "--policy and --junit are for --gate; add it")
    rules = _policy(policy)
    measuring = (base_python, candidate_python, resume, set_, select, memory)
    if paired is None:
        if any(value is not None for value in measuring) or threads or device != "auto":
            fail(Exit.USAGE, f"{MEASURING} are for --paired SUITE; add it")
        runs = Path(base), Path(candidate)
        check_folders(*runs)
        check_outputs(output, junit, *runs)
        found = _judged(runs, rules, policy, _suspects_of_runs if gate and again else None)
    else:
        wanted = Wanted(
            suite_or_exit(paired),
            paired,
            set_ or [],
            all_of(select),
            device,
            threads,
            amount("--memory", memory, bytes_of),
        )
        check_outputs(None, junit)
        pair = measured_pair(wanted, Sides(base, candidate, base_python, candidate_python), output, resume)
        runs = pair.runs
        found = _judged(runs, rules, policy, (lambda _, cases: pair.again(cases)) if gate and again else None)
        output = pair.folder / COMPARED
    code = exit_of(found, rules, gate=gate)
    if found.versus.comparable:
        _write(found, output, junit)
    _print(found, unseen(found, rules), gate=gate, json_=json_)
    if found.versus.comparable and not gate and not json_:
        page = shlex.join(("harness", "report", str(runs[1]), "--baseline", str(runs[0])))
        note(f"harness: the same as a page: {page}")
    raise typer.Exit(0 if exit_zero else int(code))


def _judged(runs: Runs, rules: Policy | None, policy: Path | None, again: Again | None) -> Gate:
    """Return the gate on the two runs; its suspects are measured by `again`, if at all."""
    from harness.declare.policy import USUAL
    from reports.versus.gate import AGAIN_ALPHA, confirmed, judge

    both = run_or_exit(runs[0]), run_or_exit(runs[1])
    check_policy(rules, policy, *both)
    first = judge(*both, rules or USUAL)
    if again is None or not first.suspects:
        return first
    if (second := again(runs, first.suspects)) is None:
        return first
    return confirmed(first, judge(run_or_exit(second[0]), run_or_exit(second[1]), rules or USUAL, AGAIN_ALPHA))


def _suspects_of_runs(runs: Runs, cases: Sequence[str]) -> Runs | None:
    from harness.cli.again import measure_again

    return measure_again(*runs, cases)


def _write(found: Gate, output: Path | None, junit: Path | None) -> None:
    if output is not None:
        from reports.versus.text import markdown

        output.write_text(markdown(found.versus), "utf-8")
    if junit is not None:
        from reports.versus.junit import render_junit

        junit.write_text(render_junit(found), "utf-8")


def _print(found: Gate, unseen: str | None, *, gate: bool, json_: bool) -> None:
    from reports.versus import gate as gates
    from reports.versus import text

    if json_:
        document(text.document(found.versus) | ({"gate": gates.document(found)} if gate else {}))
    else:
        out("\n".join((*text.lines(found.versus), *(gates.lines(found, unseen) if gate else ()))))


def _policy(path: Path | None) -> Policy | None:
    from harness.declare.faults import SuiteError
    from harness.declare.policy import load_policy
    from harness.declare.shipped import shipped_policies

    try:
        return None if path is None else load_policy(shipped_policies().get(str(path), path))
    except SuiteError as error:
        fail(Exit.USAGE, str(error))
