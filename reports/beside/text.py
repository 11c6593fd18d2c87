"""Prints a Beside as Markdown, for a job's summary or a comment: the answer, how each run stands, what differs."""

from __future__ import annotations

from reports.beside.beside import Beside
from reports.beside.sections import Standing
from reports.beside.table import Cell
from reports.markdown import sentence_text, text
from reports.versus.text import SYMBOLS
from reports.words import join, plain, ratio

ROWS = 40
"""Cases that are listed; GitHub cuts a comment at 64 KB."""


def render_summary(found: Beside) -> str:
    """Return the Markdown twin of the page's findings."""
    parts = [f"# {text(found.title)}", sentence_text(found.answer)]
    parts += [f"> {text(banner)}" for banner in found.banners]
    parts.append(_standing(found))
    parts += [f"**{section.name}.** {sentence_text(section.finding)}" for section in found.sections[1:]]
    parts += [_cases(found)] if found.table.differing else []
    parts.append(text(plain(found.standings.caption)))
    return "\n\n".join(parts) + "\n"


def tally_words(row: Standing) -> str:
    """Return `3 faster and 5 cannot tell`; why there is none where its times may not be compared."""
    if row.column.forbids:
        return f"not comparable: {row.column.forbids}"
    return join(f"{number} {word}" for word, number in sorted(row.tally.items(), key=lambda item: -item[1])) or "–"


def _standing(found: Beside) -> str:
    head = ["| run | commit | device | all cases | cases | fastest |", "| --- | --- | --- | --- | --- | --- |"]
    lines = []
    for row in found.standings.rows:
        whole = "" if row.whole is None else sentence_text(ratio(row.whole.change.ratio.value, row.whole.change.ratio))
        cells = (row.column.name, row.column.commit, row.column.device)
        told = tally_words(row) if row is not found.standings.rows[0] else "the reference"
        lines.append(f"| {' | '.join(map(text, cells))} | {whole} | {text(told)} | {row.fastest} of {row.raced} |")
    return "\n".join([*head, *lines])


def _cases(found: Beside) -> str:
    table = found.table
    head = [f"| case | {' | '.join(map(text, table.columns))} |", "| --- " * (len(table.columns) + 1) + "|"]
    shown = table.rows[: min(ROWS, table.differing)]
    lines = [f"| {text(row.subject.id)} | {' | '.join(map(_cell, row.cells))} |" for row in shown]
    left = table.differing - len(shown)
    more = [f"\n{left} more cases that differ stand in the report."] if left else []
    return "\n".join([*head, *lines, *more])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    told = [f"{'★ ' if cell.fastest else ''}{text(cell.time)}"]
    if cell.ratio is not None and cell.verdict is not None:
        told.append(f"{SYMBOLS[cell.verdict]} {sentence_text(ratio(cell.ratio.value, cell.ratio))}")
    told += [text(f"{number.name}: {number.text}") for number in cell.numbers[:2]]
    return ", ".join([*told, *([text(cell.why)] if cell.why else [])])
