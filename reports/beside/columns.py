"""Columns: the runs that stand side by side, and names for them that say what tells them apart."""

from __future__ import annotations

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
    """Return a short name for each run: its device, commit or host, of these what tells all apart, else its folder."""
    for parts in _TELLING:
        found = [", ".join(of(run) for of in parts) for run in runs]
        if len(set(found)) == len(runs):
            return found
    return _numbered([run.name for run in runs])


def _numbered(found: Sequence[str]) -> list[str]:
    """Return the names, those that are still the same with their number behind."""
    return [name if found.count(name) == 1 else f"{name} ({found[: at + 1].count(name)})"
            for at, name in enumerate(found)]  # fmt: skip


def _device(run: Run) -> str:
    name = str(run.file.device.get("name") or run.file.device.get("kind") or "unknown device")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _host(run: Run) -> str:
    return str(run.file.environment.get("hostname") or "unknown host")


_TELLING: tuple[tuple[Callable[[Run], str], ...], ...] = (
    (_device,), (commit_of,), (_host,), (commit_of, _device), (commit_of, _host), (commit_of, _device, _host),
)  # fmt: skip
"""What may name the runs, the shortest first."""


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
