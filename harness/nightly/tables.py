"""Markdown of a night's changes, of the standard library alone: the same rows for the summary and for the issue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.metrics import METRICS, show, show_interval, show_ratio

LONGEST = 240
"""Characters of a cell: a reason may be a page long."""
SYMBOL = {
    "faster": "✓", "better": "✓", "slower": "✗", "worse": "✗", "changed": "≠", "not comparable": "≠", "failed": "!",
    "missing": "?", "refuted": "✗",
}  # fmt: skip
HEAD = ("| case | metric | verdict | ratio | baseline | tonight |", "| --- | --- | --- | --- | --- | --- |")
_SPECIAL = re.compile(r"([\\`*_{}\[\]#+|~<>&@])")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading and rows under it, of which some may be left out."""

    title: str
    rows: tuple[str, ...]
    head: tuple[str, ...] = ()

    def lines(self, shown: int, where: str) -> list[str]:
        """Return the block with its first `shown` rows; `where` is the file that has all of them."""
        left = len(self.rows) - shown
        more = [f"\n{left} more {'is' if left == 1 else 'are'} left out here; {where} has all.\n"] if left else [""]
        return [f"## {self.title}: {len(self.rows)}", "", *self.head, *self.rows[:shown], *more]


def fit(blocks: Sequence[Block], limit: int, where: str) -> str:
    """Return the blocks in at most `limit` bytes: what comes first keeps its rows, and the rest says how many it lost.

    Raises:
        ValueError: Not even the headings fit.
    """
    whole = [block for block in blocks if block.rows]
    left = limit - sum(_bytes(block.lines(0, where)) for block in whole)
    if left < 0:
        raise ValueError(f"{len(whole)} headings do not fit into {limit} bytes")
    told: list[str] = []
    for block in whole:
        shown = 0
        while shown < len(block.rows) and (cost := _bytes([block.rows[shown]])) <= left:
            left -= cost
            shown += 1
        left = left if shown == len(block.rows) else 0  # what weighs less gives way altogether
        told += block.lines(shown, where)
    return "\n".join(told)


def changes(title: str, named: Iterable[dict[str, Any]], gate: dict[str, Any]) -> Block:
    """Return a table of what the gate names by case and metric, with the comparison's numbers of each."""
    rows = {(row["id"], row["metric"]): row for row in gate["rows"]}
    return Block(title, tuple(change(rows.get(_name(one), one)) for one in named), HEAD)


def change(row: dict[str, Any]) -> str:
    """Return a line of the table; what is no metric of a case, such as a claim, has its words under `verdict`."""
    metric, word = row.get("metric"), str(row["verdict"])
    ratio = (row.get("change") or {}).get("ratio")
    told = f"{SYMBOL.get(word, '')} {word}" + (f": {row['why']}" if row.get("why") else "")
    return line(
        str(row.get("id") or row.get("claim") or ""),
        metric or "",
        told.strip(),
        _ratio(**ratio) if ratio else "",
        *(_shown(metric, row.get(side)) for side in ("base", "candidate")),
    )


def line(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(map(cell, cells))} |"


def cell(words: str) -> str:
    """Return `words` as Markdown shows them, on one line and not too long; nothing in them marks up."""
    text = " ".join(words.split())
    return _SPECIAL.sub(r"\\\1", text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def code(words: str) -> str:
    """Return a block of code; nothing in `words` ends it."""
    return "\n".join(("```sh", words.replace("```", ""), "```"))


def _name(entry: dict[str, Any]) -> tuple[Any, Any]:
    return entry.get("id"), entry.get("metric")


def _ratio(value: float, low: float, high: float) -> str:
    return f"{show_ratio(value, low, high)} {show_interval(value, low, high)}"


def _shown(metric: str | None, value: float | str | None) -> str:
    if value is None:
        return ""
    return show(metric, value) if metric in METRICS else str(value)


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
