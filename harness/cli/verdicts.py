"""What `harness compare` looks at before it judges, and the exit code of what it found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.console import fail, note
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.declare.policy import Policy
    from reports.results import Run
    from reports.versus.gate import Gate


def check_folders(base: Path, candidate: Path) -> None:
    """End where both are one folder: a run compared with itself is the same, and looks like an answer."""
    if base.exists() and candidate.exists() and base.samefile(candidate):
        fail(Exit.USAGE, f"BASE and CANDIDATE are the same run folder, {base}: give two runs")


def check_outputs(output: Path | None, junit: Path | None, *runs: Path) -> None:
    """End where a file that is asked for cannot be written, or would replace a part of a run."""
    wanted = {"-o": output, "--junit": junit}
    paths = {option: path for option, path in wanted.items() if path is not None}
    if output is not None and junit is not None and output.resolve() == junit.resolve():
        fail(Exit.USAGE, f"-o and --junit are the same file, {output}: give two")
    for option, path in paths.items():
        if why := _unwritable(path) or _of_a_run(path, runs):
            fail(Exit.USAGE, f"{option} {path}: {why}")


def _unwritable(path: Path) -> str | None:
    if path.is_dir():
        return "it is a folder; give a file's name in it"
    if path.parent.is_file():
        return f"{path.parent} is no folder, but a file; name another place"
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist; make it first"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return "it cannot be written: no permission"
    return None


def _of_a_run(path: Path, runs: tuple[Path, ...]) -> str | None:
    """Return why a path is none for a comparison: a file that makes up one of the runs lies there."""
    from harness.engine.folder import JOURNAL, RECORDS, RUN

    own = {(run / name).resolve() for run in runs for name in (JOURNAL, RECORDS, RUN)}
    return "it is a part of the run that is compared; choose another name" if path.resolve() in own else None


def check_policy(policy: Policy | None, path: Path | None, base: Run, candidate: Run) -> None:
    """End where no rule of the policy is about anything that these runs measured; tell of single ones that are not."""
    from harness.declare.faults import SuiteError
    from reports.versus.reach import idle_rules

    if policy is None:
        return
    try:
        idle = idle_rules(policy, base, candidate)
    except SuiteError as error:  # of an expression that only a case shows to have no value
        fail(Exit.USAGE, str(error))
    if len(idle) == len(policy.rules):
        fail(Exit.USAGE, f"{path}: none of its rules is about a metric of a case of these runs; see --json for theirs")
    for rule in () if _is_shipped(path) else idle:  # it is for every suite: that some of its rules rest is no news
        where = f" where {rule.where}" if rule.where else ""
        note(f"harness: {path}: the rule for {', '.join(rule.metrics)}{where} decides on nothing in these runs")


def _is_shipped(policy: Path | None) -> bool:
    from harness.declare.shipped import shipped_policies

    shipped = shipped_policies()
    return policy is not None and (str(policy) in shipped or policy.resolve() in map(Path.resolve, shipped.values()))


def unseen(found: Gate, policy: Policy | None) -> str | None:
    """Return why the gate saw none of the times that its policy counts; None where it saw some, or counts none."""
    from harness.declare.policy import USUAL
    from reports.versus.reach import blind

    return blind(found.versus, policy or USUAL)


def exit_of(found: Gate, policy: Policy | None, *, gate: bool) -> Exit:
    """Return how the command ends: of what holds the first of 3, 4, 1, and why is told where no row tells it."""
    if not found.versus.comparable:
        note("harness: nothing can be compared: the two runs have no case in common that has numbers on both sides")
        return Exit.NOT_COMPARABLE
    if not gate:
        return Exit.FINE
    if any(row.verdict == "failed" for row in found.failures):
        return Exit.FAILED_CASES
    if why := unseen(found, policy):
        note(f"harness: the gate saw no times: {why}; what has no noise is judged all the same")
        return Exit.NOT_COMPARABLE
    return Exit.FINE if found.passes else Exit.REGRESSION
