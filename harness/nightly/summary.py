"""A night on a page: Markdown for a job's summary, of at most 60 KB, however many cases there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.nightly.night import GATE, RUN, SUMMARY, WORDS, Night, Side, read_gate
from harness.nightly.tables import Block, cell, changes, code, fit, line

LIMIT = 60_000
"""Bytes. GitHub takes 64 KB of a comment, and 1 MiB of a step's summary, which other steps share."""
REPORT_LIMIT = 16_000
"""Bytes of the run's own summary, which stands last."""
MANY = 10
"""Cases that the command for measuring again names."""
RUN_SUMMARY = f"{RUN}/summary.md"


def write_summary(folder: Path, night: Night) -> Path:
    """Write summary.md of the night in `folder`, and return its path."""
    try:
        own = (folder / RUN_SUMMARY).read_text("utf-8")
    except OSError:
        own = ""
    path = folder / SUMMARY
    files = sorted(f"{file.name}/" if file.is_dir() else file.name for file in folder.iterdir())
    path.write_text(render(night, read_gate(folder), own, files), "utf-8")
    return path


def render(night: Night, gate: dict[str, Any] | None, own: str = "", files: Sequence[str] = ()) -> str:
    """Return the page: verdict, sides, what is worse, and then all else by its weight.

    `own` is the run's own summary, and `files` are those in the night's folder; what is cut is said.
    """
    head = "\n\n".join((f"# {_title(night)}", f"**{cell(night.why)}**", *_head(night, gate)))
    tail = "\n\n".join(filter(None, (_steps(night), _files(files), _cut(own, REPORT_LIMIT))))
    room = LIMIT - len(head.encode()) - len(tail.encode()) - len("\n\n\n")
    return f"{head}\n\n{fit(list(blocks(night, gate)), room, GATE)}\n{tail}\n"


def _title(night: Night) -> str:
    alone = night.code == 0 and night.base is None
    on = f" on {night.candidate.device}" if night.candidate is not None else ""
    return cell(f"{'· nothing to compare with' if alone else WORDS[night.code]}: {Path(night.suite).stem}{on}")


def _head(night: Night, gate: dict[str, Any] | None) -> Iterator[str]:
    yield sides(night)
    if gate is not None:
        if gate["differences"]:
            yield "\n".join(f"- differs: {cell(_difference(one))}" for one in gate["differences"][:MANY])
        yield _counts(gate)
    if night.candidate is not None:
        yield f"Measure {'those' if gate and gate['gate']['failures'] else 'it'} again:\n\n{code(again(night, gate))}"


def sides(night: Night) -> str:
    """Return a table of the two runs: device, commit and start of each."""
    sides = ((f"baseline {night.baseline}", night.base), ("tonight", night.candidate))
    rows = [line(name, side.device, side.commit, _when(side)) for name, side in sides if side is not None]
    return "\n".join(("| | device | harness | started |", "| --- | --- | --- | --- |", *rows)) if rows else ""


def _when(side: Side) -> str:
    return side.started[:16].replace("T", " ")


def _difference(one: dict[str, Any]) -> str:
    told = f"{one['name']}: {one['base']}, then {one['candidate']}"
    return f"{told} ({one['forbids']})" if one["forbids"] else told


def _counts(gate: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} {word}" for word, number in gate["tally"].items())
    drift = f" The median of all ratios of time is {gate['drift']:.3f}." if gate["drift"] is not None else ""
    return f"{len(gate['rows'])} numbers compared: {counts}. {gate['comparisons']} of them are times.{drift}"


def again(night: Night, gate: dict[str, Any] | None) -> str:
    """Return the command that measures the first of what failed again, or all where nothing did."""
    assert night.candidate is not None
    failures = gate["gate"]["failures"] if gate is not None else []
    cases = list(dict.fromkeys(row["id"] for row in failures if row.get("id")))[:MANY]
    return night.candidate.command + (f" --select {_quoted(f'id in {cases}')}" if cases else "")


def _quoted(expression: str) -> str:
    """Return an expression as a shell takes it, in double quotes where it can stand in them: it holds single ones."""
    return shlex.quote(expression) if set(expression) & set('"$`\\!') else f'"{expression}"'


def blocks(night: Night, gate: dict[str, Any] | None) -> Iterator[Block]:
    """Yield what may be many, the weightiest first."""
    if gate is not None:
        yield changes("Worse", gate["gate"]["failures"], gate)
        yield changes("Claims that turned", map(_turned, gate["gate"].get("claims", ())), gate)
        yield changes("Told, and let pass", gate["gate"]["warnings"], gate)
    yield Block("Only the baseline has", tuple(f"- {cell(case)}" for case in night.vanished))
    yield Block("Only tonight's run has", tuple(f"- {cell(case)}" for case in night.appeared))
    if gate is not None:
        yield changes("Cleared: it alerted, was measured again, and did not alert", gate["gate"]["cleared"], gate)
        yield changes("Better", (row for row in gate["rows"] if row["verdict"] in ("faster", "better")), gate)


def _turned(claim: dict[str, Any]) -> dict[str, Any]:
    was = f"it was {claim['before']}" if claim["before"] else "it is new"
    return {"claim": claim["id"], "verdict": claim["after"], "why": was}


def _steps(night: Night) -> str:
    rows = [line(f"harness {one.name}", str(one.code), f"{one.seconds:.0f} s", one.words) for one in night.steps]
    return "\n".join(("| command | exit code | took | last words |", "| --- | --- | --- | --- |", *rows))


def _files(names: Sequence[str]) -> str:
    return f"In the night's folder: {', '.join(f'`{name}`' for name in names)}." if names else ""


def _cut(text: str, limit: int) -> str:
    """Return the run's own summary one level down, by whole lines in at most `limit` bytes."""
    kept: list[str] = []
    left = limit
    lines = [f"#{text_line}" if text_line.startswith("#") else text_line for text_line in text.strip().splitlines()]
    for number, text_line in enumerate(lines):
        left -= len(text_line.encode()) + 1
        if left < 0:
            return "\n".join((*kept, f"\n{len(lines) - number} more lines stand in `{RUN_SUMMARY}`."))
        kept.append(text_line)
    return "\n".join(kept)
