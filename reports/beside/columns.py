"""Columns: the runs that stand side by side, and names for them that say what tells them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.results import Run
from reports.versus.machines import commit_of, differences

LONGEST = 28
"""Characters of a device's name that a column's name keeps."""


@dataclass(frozen=True, slots=True)
class Column:
    """One run."""

    name: str
    run: str
    """Name of its folder."""
    commit: str
    device: str
    started: str
    ok: int
    planned: int
    forbids: str | None
    """Why its times may not be compared with the first run's; None where they may, as the first run's own."""
    told: tuple[str, ...]
    """What a reader should know of it before anything else."""


def columns(runs: Sequence[Run]) -> tuple[Column, ...]:
    """Return a column for each run."""
    return tuple(_column(name, run, runs[0]) for name, run in zip(names(runs), runs, strict=True))


def names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its commit, its device, its host, as far as these differ, or else its folder's."""
    parts = [[of(run) for run in runs] for of in _TELLING]
    telling = [some for some in parts if len(set(some)) > 1]
    found = [", ".join(words) for words in zip(*telling, strict=True)] if telling else [run.name for run in runs]
    twice = {name for name, number in Counter(found).items() if number > 1}
    found = [f"{name}, {run.name}" if name in twice and name != run.name else name
             for name, run in zip(found, runs, strict=True)]  # fmt: skip
    return _numbered(found)


def _numbered(found: Sequence[str]) -> list[str]:
    """Return the names, those that are still the same with their number behind."""
    return [name if found.count(name) == 1 else f"{name} ({found[: at + 1].count(name)})"
            for at, name in enumerate(found)]  # fmt: skip


def _device(run: Run) -> str:
    name = str(run.file.device.get("name") or run.file.device.get("kind") or "unknown device")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _host(run: Run) -> str:
    return str(run.file.environment.get("hostname") or "unknown host")


_TELLING: tuple[Callable[[Run], str], ...] = (commit_of, _device, _host)


def _column(name: str, run: Run, first: Run) -> Column:
    forbidding = [one for one in differences(first, run) if one.forbids]
    return Column(
        name=name,
        run=run.name,
        commit=commit_of(run),
        device=str(run.file.device.get("name") or run.file.device.get("kind") or "unknown device"),
        started=run.file.started,
        ok=sum(result.ok for result in run.results),
        planned=len(run.results),
        forbids=forbidding[0].forbids if forbidding else None,
        told=tuple(_told(run)),
    )


def _told(run: Run) -> list[str]:
    out = [run.damage] if run.damage else []
    if run.file.status != "complete":
        out.append("it was not finished: some of its cases may be missing or lack rounds")
    if run.distrusted:
        out.append("its A/A cells, layers against themselves, differ: of its times nothing is believed")
    return out
