"""`harness nightly`: run, report, compare with a baseline of record, and the gate, in one folder and one exit code."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.amounts import seconds_of
from harness.cli.console import fail, note, out
from harness.cli.exits import Exit
from harness.cli.options import DeviceOption
from harness.cli.planning import detect_or_exit
from harness.cli.wanted import amount, given

if TYPE_CHECKING:
    from harness.nightly.baselines import Baseline
    from harness.nightly.night import Night

ROOT = Path("runs")
FOUND = (Exit.REGRESSION, Exit.FAILED_CASES, Exit.NOT_COMPARABLE)
"""What --exit-zero passes over: the night took place, and its verdict can wait."""

SuiteOption = Annotated[str, typer.Option("--suite", metavar="SUITE", help="What to measure: a name, or a path.")]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="NAME|DIR",
        help="What to compare with: a name in the folder baselines (or $HARNESS_BASELINES), or a run's folder; left "
        "out: the suite's name.",
    ),
]
PolicyOption = Annotated[
    str, typer.Option("--policy", metavar="NAME|FILE", help="The gate's rules: a shipped policy, or a file.")
]
BudgetOption = Annotated[
    str | None, typer.Option("--budget", metavar="TIME", help="End measuring after so much time (30m, 2h).")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="The night's folder, new or empty; left out: runs/nightly-WHEN"),
]
KeepOption = Annotated[
    str | None,
    typer.Option(
        "--keep-as", metavar="NAME", help="Keep the run as a baseline of that name, if the night ends with 0."
    ),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="With --keep-as: in place of the one that has the name.")
]
OfOption = Annotated[
    Path | None,
    typer.Option(
        "--of",
        metavar="DIR",
        help="Measure nothing: say the verdict of that night again, with its exit code; or with --keep-as accept its "
        "run as a baseline, whatever its verdict.",
    ),
]
ExitZeroOption = Annotated[
    bool,
    typer.Option(
        "--exit-zero",
        help="Exit 0 whatever was found (1, 3 and 4 else): for CI, which keeps the files before --of DIR decides.",
    ),
]


def nightly(
    context: typer.Context,
    suite: SuiteOption = "quick",
    baseline: BaselineOption = None,
    policy: PolicyOption = "nightly",
    device: DeviceOption = "auto",
    budget: BudgetOption = None,
    output: OutputOption = None,
    keep_as: KeepOption = None,
    replace: ReplaceOption = False,
    of: OfOption = None,
    exit_zero: ExitZeroOption = False,
) -> None:
    """Measure a suite, compare it with a baseline of record, write all files, and end with the gate's exit code.

    Without a baseline there is a report, and 0. The summary is also appended to $GITHUB_STEP_SUMMARY where that is set.
    """
    if replace and keep_as is None:
        fail(Exit.USAGE, "--replace is for --keep-as NAME")
    if of is not None:
        if given(context, but=("of", "keep_as", "replace", "exit_zero")):
            fail(Exit.USAGE, "--of is about a night that is over: only --keep-as, --replace and --exit-zero go with it")
        night = _over(of)
        if keep_as is not None:
            _keep(of, keep_as, replace=replace)
            return
    else:
        _check_name(keep_as, replace=replace)
        _check_asked(suite, device, budget)
        found, rules = _baseline(baseline or Path(suite).stem, Path(suite).stem), _policy(policy)
        of = _folder(output)
        night = _spend(suite, of, found, rules, device, budget)
        if keep_as is not None:
            _keep_or_say(of, night, keep_as, replace=replace)
    note(f"harness: {night.why}")
    out(str(of / "summary.md"))
    raise typer.Exit(0 if exit_zero and night.code in FOUND else night.code)


def _spend(suite: str, folder: Path, baseline: Baseline, policy: Path, device: str, budget: str | None) -> Night:
    from harness.nightly import github
    from harness.nightly.drive import Asked, spend
    from harness.nightly.night import LOG
    from harness.nightly.summary import write_summary

    if baseline.folder is None:
        _say_what_there_is(baseline.name)
    night = spend(Asked(suite, folder, baseline, policy, device, budget), note)
    github.tell(write_summary(folder, night).read_text("utf-8"), (folder / LOG).read_text("utf-8"), note)
    if baseline.folder is None and night.code == Exit.FINE:
        note(f"harness: keep this run as one by: harness nightly --of {folder} --keep-as {baseline.name}")
    return night


def _say_what_there_is(name: str) -> None:
    from harness.nightly.baselines import kept, root

    there = ", ".join(kept()) or "none"
    note(f"harness: no baseline {name} was kept yet in {root()} (there: {there}); tonight has a report and no gate")


def _over(folder: Path) -> Night:
    from harness.nightly.night import NightError, read_night

    try:
        return read_night(folder)
    except NightError as error:
        fail(Exit.USAGE, str(error))


def _keep(folder: Path, name: str, *, replace: bool) -> None:
    from harness.nightly.baselines import BaselineError, keep
    from harness.nightly.night import RUN

    try:
        note(f"harness: kept as the baseline {name}: {keep(folder / RUN, name, replace=replace)}")
    except BaselineError as error:
        fail(Exit.USAGE, str(error))


def _keep_or_say(folder: Path, night: Night, name: str, *, replace: bool) -> None:
    """Keep the run where the night ended well: what is worse becomes the measure only when somebody says so."""
    if night.code == Exit.FINE:
        _keep(folder, name, replace=replace)
        return
    if night.code == Exit.INTERRUPTED:
        note(f"harness: not kept as {name}: the night was cut short, and half a run is no measure")
        return
    note(
        f"harness: not kept as {name}, since the night ends with {night.code}; to accept it all the same: "
        f"harness nightly --of {folder} --keep-as {name}{' --replace' if replace else ''}"
    )


def _check_name(name: str | None, *, replace: bool) -> None:
    from harness.nightly.baselines import BaselineError, check_name

    try:
        if name is not None:
            check_name(name, replace=replace)
    except BaselineError as error:
        fail(Exit.USAGE, str(error))


def _check_asked(suite: str, device: str, budget: str | None) -> None:
    """End where `harness run` would refuse the suite, the device or the budget: before there is a folder.

    In a job of GitHub Actions a suite's faults stand in its summary, and beside their lines.
    """
    from harness.declare.suite import SuiteError, load_suite
    from harness.engine.planning import plan_on
    from harness.nightly import github
    from harness.nightly.night import WORDS
    from harness.nightly.tables import cell, code

    amount("--budget", budget, seconds_of)
    detected = detect_or_exit(device)
    try:
        plan_on(detected, load_suite(suite))
    except SuiteError as error:
        github.tell(f"# {WORDS[Exit.USAGE]}: {cell(Path(suite).stem)}\n\n{code(str(error))}\n", str(error), note)
        fail(Exit.USAGE, str(error))


def _baseline(named: str, suite: str) -> Baseline:
    from harness.nightly.baselines import BaselineError, find

    try:
        return find(named, suite)
    except BaselineError as error:
        fail(Exit.USAGE, str(error))


def _policy(named: str) -> Path:
    """Return the policy's file, read once before anything is measured."""
    from harness.declare.faults import SuiteError
    from harness.declare.policy import load_policy
    from harness.declare.shipped import shipped_policies

    path = shipped_policies().get(named, Path(named))
    try:
        load_policy(path)
    except SuiteError as error:
        fail(Exit.USAGE, str(error))
    return path


def _folder(output: Path | None) -> Path:
    from harness.engine.folder import new_folder
    from harness.engine.journal import RunFolderError

    try:
        if output is None:
            return new_folder(ROOT, "nightly", datetime.datetime.now())
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            fail(Exit.USAGE, f"{output} is not empty: name a new folder with -o")
    except RunFolderError as error:
        fail(Exit.USAGE, str(error))
    except OSError as error:
        fail(Exit.USAGE, f"{output} cannot be a night's folder: {error.strerror}; name another with -o")
    return output
