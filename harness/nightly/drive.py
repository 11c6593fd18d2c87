"""Drives one night: run, report, and compare behind the gate; commands, of which only files and codes are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.folder import Run, read_document, read_run
from harness.engine.journal import RunFolderError
from harness.nightly.baselines import Baseline
from harness.nightly.night import (
    COMPARISON,
    GATE,
    INTERRUPTED,
    JUNIT,
    NO_COMPARISON,
    REPORT,
    RUN,
    Ended,
    Night,
    Side,
    first_of,
    read_gate,
    write_night,
)
from harness.nightly.steps import Tell, run_step
from harness.nightly.why import known_failures, why

GOES_ON = (0, 3, INTERRUPTED)
"""Codes of `harness run` after which there may be numbers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a night is to do."""

    suite: str
    folder: Path
    """Where all of it goes; there, and empty."""
    baseline: Baseline
    policy: Path
    device: str = "auto"
    budget: str | None = None


def spend(asked: Asked, tell: Tell) -> Night:
    """Run, report, compare; return the night and keep it as nightly.json. The gate is the last of the commands."""
    steps = [run_step("run", _run_words(asked), asked.folder, tell)]
    run = asked.folder / RUN
    measured = steps[0].code in GOES_ON and (run / "run.json").exists()
    if measured:
        steps.append(run_step("report", _report_words(asked), asked.folder, tell))
    if measured and asked.baseline.folder is not None and INTERRUPTED not in (step.code for step in steps):
        steps.append(run_step("compare", _compare_words(asked), asked.folder, tell, asked.folder / GATE))
    night = _night(asked, steps)
    write_night(asked.folder, night)
    return night


def _run_words(asked: Asked) -> list[str]:
    budget = ["--budget", asked.budget] if asked.budget else []
    return ["run", asked.suite, "-o", str(asked.folder / RUN), "--device", asked.device, *budget]


def _report_words(asked: Asked) -> list[str]:
    """Return what renders tonight's run, against its baseline where the two have anything to compare."""
    run = asked.folder / RUN
    base, tonight = _read(asked.baseline.folder), _read(run)
    held = base is not None and tonight is not None and _same_suite(base, tonight)
    return ["report", str(run), "-o", str(asked.folder / REPORT),
            *(["--baseline", str(asked.baseline.folder)] if held else [])]  # fmt: skip


def _compare_words(asked: Asked) -> list[str]:
    folder = asked.folder
    files = ["--junit", str(folder / JUNIT), "-o", str(folder / COMPARISON), "--policy", str(asked.policy), "--json"]
    return ["compare", str(asked.baseline.folder), str(folder / RUN), "--gate", *files]


def _night(asked: Asked, steps: Sequence[Ended]) -> Night:
    base, candidate = _read(asked.baseline.folder), _read(asked.folder / RUN)
    gate = read_gate(asked.folder)
    if gate is None:
        (asked.folder / GATE).unlink(missing_ok=True)  # empty: the comparison said why on stderr
    sides = _side(base), _side(candidate)
    code = _code(steps, candidate, gate, *sides)
    return Night(
        suite=asked.suite,
        baseline=asked.baseline.name if asked.baseline.folder else None,
        base=sides[0],
        candidate=sides[1],
        steps=tuple(steps),
        code=code,
        why=why(code, asked.baseline.name, *sides, steps, gate),
        vanished=_without_partner(base, candidate),
        appeared=_without_partner(candidate, base),
    )


def _code(steps: Sequence[Ended], candidate: Run | None, gate: dict[str, Any] | None, *sides: Side | None) -> int:
    """Return the night's exit code.

    A run that ends with 3 is forgiven where the gate has judged each of its cases without numbers: it knows which of
    them had none in the baseline either, and what the policy makes of the others.
    """
    codes = {step.name: step.code for step in steps}
    failed = {record.id for record in candidate.records if record.status != "ok"} if candidate else set()
    if codes["run"] == 3 and gate is not None and failed <= known_failures(gate):
        codes["run"] = 0
    base, tonight = sides
    if base is not None and tonight is not None and base.device != tonight.device:
        codes["device"] = NO_COMPARISON
    return first_of(*codes.values())


def _read(folder: Path | None) -> Run | None:
    try:
        return None if folder is None else read_run(folder)
    except RunFolderError:
        return None


def _side(run: Run | None) -> Side | None:
    if run is None:
        return None
    document = read_document(run.folder)
    harness = document["harness"]
    commit = (harness.get("commit") or harness.get("source") or harness["version"])[:12]
    return Side(
        device=document["device"]["name"],
        commit=commit + (" with changes" if harness.get("dirty") else ""),
        started=document["started"],
        command=document["command"],
    )


def _same_suite(base: Run, tonight: Run) -> bool:
    """Return whether a page of both can be: one suite, and at least one case of it on both sides."""
    one = read_document(base.folder)["suite"]["name"] == read_document(tonight.folder)["suite"]["name"]
    return one and len(_without_partner(tonight, base)) < len(tonight.records)


def _without_partner(run: Run | None, other: Run | None) -> tuple[str, ...]:
    """Return the ids of cases of `run` that `other` has under neither their key nor their id."""
    if run is None or other is None:
        return ()
    there = {name for record in other.records for name in (record.key, record.id)}
    return tuple(record.id for record in run.records if not there & {record.key, record.id})
