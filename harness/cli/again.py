"""Measures a run's suspects again before a gate fails: what alerts once may be chance, what alerts twice is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.cli.console import note
from harness.cli.wanted import begun


def measure_again(candidate: Path, cases: Sequence[str]) -> Path | None:
    """Measure these cases of the run in `candidate` once more, into a folder beside it, and return that.

    None where this checkout, or this machine, cannot stand for the one that measured: the reason is told.
    """
    from harness.cli.planning import detect_or_exit, plan_or_exit
    from harness.devices.ceilings import load
    from harness.engine.folder import read_document
    from harness.engine.progress import Console
    from harness.engine.runner import WorkerOptions
    from harness.engine.runner import run as run_plan

    wanted = begun(candidate, given=False)
    detected = detect_or_exit(wanted.device)
    if why := _another(read_document(candidate), detected.name):
        note(f"harness: suspects are not measured again: {why}")
        return None
    some = f"id in [{', '.join(map(repr, cases))}]"
    wanted = replace(wanted, select=f"({wanted.select}) and {some}" if wanted.select else some)
    plan = plan_or_exit(wanted.suite, wanted.overrides, wanted.select, detected, wanted.memory)
    folder = _folder(candidate)
    note(f"harness: {len(plan.cases)} suspects are measured again, into {folder}")
    run_plan(
        plan,
        folder,
        device_kind=detected.kind,
        progress=Console(),
        ceilings=load(detected.name),
        command=wanted.command(detected.kind),
        worker=WorkerOptions(threads=wanted.threads, memory_bytes=wanted.memory),
        prune=wanted.prune,
    )
    return folder


def _another(document: dict[str, object], device: str) -> str | None:
    """Return in what this checkout or machine is another than the run's; None where it is the same."""
    from harness.engine.environment import source_digest

    measured, harness = document["device"], document["harness"]
    assert isinstance(measured, dict)
    assert isinstance(harness, dict)
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
