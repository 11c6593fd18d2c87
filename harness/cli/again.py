"""Measures a comparison's suspects again before a gate fails: what alerts once may be chance, what alerts twice is not.

Wherever the baseline's code can be had, both sides are measured again, side by side: a machine that is slower tonight
than when the baseline was made is slower for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.console import note
from harness.cli.paired import PairedRun, Runs, end_if_cut_short, measure_suspects, told
from harness.cli.planning import detect_or_exit, plan_or_exit
from harness.cli.suspects import of_cases
from harness.cli.wanted import Wanted, begun

if TYPE_CHECKING:
    from harness.declare.planned import Plan
    from harness.devices.names import Detected
    from harness.engine.sides import Side

SAME = "give the same command again"
"""What to do after Ctrl-C in a second look at two runs: those are whole, and stay as they are."""
SOFTWARE = ("python", "torch", "triton", "variables")
"""What of an environment decides which kernels run, and how."""


def measure_again(base: Path, candidate: Path, cases: Sequence[str]) -> Runs | None:
    """Measure these cases once more, into folders beside the candidate's, and return the two runs to be compared.

    Both sides are measured where the baseline's code can be had; else the candidate alone, to be compared with the
    baseline as it is. None where this checkout, or this machine, cannot stand for the one that measured: the reason is
    told.
    """
    from harness.engine.folder import read_document

    wanted = begun(candidate, given=False)
    detected = detect_or_exit(wanted.device)
    document = read_document(candidate)
    if why := _another(document, detected.name):
        note(f"harness: suspects are not measured again: {why}")
        return None
    plan = of_cases(plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected, wanted.memory), cases)
    folder = _folder(candidate)
    found = _sides(read_document(base), document, plan, detected)
    if isinstance(found, str):
        note(f"harness: suspects are measured again without their baseline: {found}")
        return base, _alone(plan, replace(wanted, select=plan.select), detected, folder)
    return measure_suspects(PairedRun(found, wanted, folder), cases, detected, folder, SAME)


def _alone(plan: Plan, wanted: Wanted, detected: Detected, folder: Path) -> Path:
    """Measure the candidate's suspects alone, and return where."""
    from harness.devices.ceilings import load
    from harness.engine.progress import Console
    from harness.engine.runner import WorkerOptions
    from harness.engine.runner import run as run_plan

    note(f"harness: {len(plan.cases)} suspects are measured again, into {folder}")
    with told():
        result = run_plan(
            plan,
            folder,
            device_kind=detected.kind,
            progress=Console(),
            ceilings=load(detected.name),
            command=wanted.command(detected.kind),
            worker=WorkerOptions(threads=wanted.threads, memory_bytes=wanted.memory),
            prune=wanted.prune,
        )
    end_if_cut_short(result.end, "the second look", f"{SAME}: it begins anew")
    return folder


def _sides(base: dict[str, Any], candidate: dict[str, Any], plan: Plan, detected: Detected) -> tuple[Side, Side] | str:
    """Return both sides as they were measured, or why the baseline's cannot be had."""
    from harness.engine.environment import PACKAGE
    from harness.engine.sides import Side
    from harness.engine.sources import Sources

    then, now = base["environment"], candidate["environment"]
    if changed := [name for name in SOFTWARE if then.get(name) != now.get(name)]:
        return f"{' and '.join(changed)} differ between the two runs"
    here = PACKAGE.parent
    root = _checkout(base["harness"], here)
    if root is None:
        return "its code is neither this checkout's nor that of a commit that git knows here"
    sources, was = Sources.of(plan, detected.kind, root), Sources.from_document(base)
    if was is None or any(was.layers.get(name) != digest for name, digest in sources.layers.items()):
        return "its layers' source is not what it was"
    return Side("base", "the baseline", root), Side("candidate", "this checkout", here)


def _checkout(harness: dict[str, Any], here: Path) -> Path | None:
    """Return a folder with the code of a run's harness: this checkout, or a worktree of its commit."""
    from harness.engine.checkouts import repository, worktree
    from harness.engine.environment import source_digest
    from harness.engine.sides import SideError

    if harness.get("source") == source_digest():
        return here
    commit, known = harness.get("commit"), repository(here)
    if commit is None or known is None or harness.get("dirty"):
        return None
    try:
        root = worktree(known, commit, lambda text: note(f"harness: baseline: {text}"))
    except SideError:
        return None
    return root if source_digest(root / "harness") == harness.get("source") else None


def _another(document: dict[str, Any], device: str) -> str | None:
    """Return in what this checkout or machine is another than the run's; None where it is the same."""
    from harness.engine.environment import source_digest

    measured, harness = document["device"], document["harness"]
    if measured.get("name") != device:
        return f"this is {device}, the run was made on {measured.get('name')}"
    if harness.get("source") != source_digest():
        return "this checkout's code is not the run's; check out the candidate's commit"
    return None


def _folder(candidate: Path) -> Path:
    """Return a new folder beside the run's: `<run>-again`, `<run>-again-2`, ..."""
    number = 1
    while True:
        folder = candidate.with_name(f"{candidate.resolve().name}-again" + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder
