"""Prints a Versus: for a terminal, as Markdown for a job's summary, and as one JSON document."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from harness.judge.compare import WORSE, Word
from harness.metrics import show, show_interval, show_percent, show_ratio, show_spread
from reports.summary import text as escaped
from reports.versus.versus import Row, Versus
from reports.words import capital, count, join

GROUPS: tuple[tuple[str, tuple[Word, ...]], ...] = (
    ("worse", WORSE),
    ("better", ("faster", "better")),
    ("changed", ("changed",)),
    ("not comparable", ("not comparable",)),
)
"""What is listed row by row; what is the same, and what cannot be told, is only counted."""
QUIET: dict[Word, str] = {"same": "the same", "cannot tell": "that the noise hides"}
BESIDE = ", measured side by side and judged round by round"
ROWS = 40
"""Rows of one group that are printed; --json has them all."""
TO_TELL = 0.005
"""Drift that is told: half a per cent."""


def lines(versus: Versus) -> Iterator[str]:
    """Yield the comparison as plain lines: differences first, then the drift, then what changed."""
    yield f"{versus.candidate} against {versus.base} ({versus.commits}){BESIDE if versus.paired else ''}"
    yield from (f"  differs: {one.words}" for one in versus.differences)
    yield summary(versus)
    if told := drift_sentence(versus):
        yield told
    for name, words in GROUPS:
        rows = [row for row in versus.rows if row.verdict in words]
        if rows:
            yield f"{capital(name)}: {len(rows)}"
            yield from (f"  {line(row)}" for row in rows[:ROWS])
            if len(rows) > ROWS:
                yield f"  and {len(rows) - ROWS} more; --json has them all"
    quiet = [f"{versus.count(word)} {what}" for word, what in QUIET.items() if versus.count(word)]
    if quiet:
        yield f"Not listed: {join(quiet)}."


def summary(versus: Versus) -> str:
    """Return the counts in one sentence."""
    if versus.forbidden:
        return f"Times are not comparable: {versus.forbidden[0].words}."
    parts = [f"{number} {word}" for word, number in sorted(versus.tally.items(), key=lambda item: -item[1])]
    return f"{count(len(versus.rows), 'number')} compared: {join(parts)}. {_counted(versus)}"


def _counted(versus: Versus) -> str:
    if not versus.comparisons:
        return "No times were compared."
    return (
        f"Of {count(versus.comparisons, 'time')} compared, one in twenty of those called faster or slower may be wrong "
        "(Benjamini and Hochberg)."
    )


def drift_sentence(versus: Versus) -> str | None:
    """Return what happened to all times alike, or None where that is next to nothing."""
    if versus.drift is None or abs(versus.drift - 1) < TO_TELL:
        return None
    share = show_percent(abs(versus.drift - 1))
    word = "slower" if versus.drift > 1 else "faster"
    return (
        f"The median of all ratios is {show_ratio(versus.drift)}: this run is {share} {word} throughout; "
        "ratios are shown uncorrected."
    )


def line(row: Row) -> str:
    """Return one row: `top-2-e8: latency_ms slower, 1.08× [1.05, 1.11], 2.7 times its noise (1.2 ms, then 1.3 ms)`."""
    if row.metric is None:
        return f"{row.id}: {row.verdict}: {row.why}"
    told = f"{row.id}: {row.metric} {row.verdict}"
    if row.change is not None:
        ends = (row.change.ratio.value, row.change.ratio.low, row.change.ratio.high)
        told += f", {show_ratio(*ends)} {show_interval(*ends)}"
        told += f", {row.change.factor:.1f} times its noise of ±{show_spread(row.change.noise)}"
    if row.base is not None or row.candidate is not None:
        told += f" ({show(row.metric, row.base)}, then {show(row.metric, row.candidate)})"
    return told + (f": {row.why}" if row.why else "")


def markdown(versus: Versus) -> str:
    """Return the comparison as Markdown: the sentences, and a table of what changed."""
    parts = [f"# {escaped(versus.candidate)} against {escaped(versus.base)}"]
    parts += [escaped(versus.commits + (BESIDE if versus.paired else ""))]
    parts += ["\n".join(f"- {escaped(one.words)}" for one in versus.differences)] if versus.differences else []
    parts += [escaped(summary(versus)), *([escaped(told)] if (told := drift_sentence(versus)) else [])]
    for name, words in GROUPS:
        if rows := [row for row in versus.rows if row.verdict in words]:
            listed = [f"- {escaped(line(row))}" for row in rows[:ROWS]]
            parts.append("\n".join([f"**{capital(name)}: {len(rows)}**\n", *listed]))
            parts += [f"and {len(rows) - ROWS} more"] if len(rows) > ROWS else []
    return "\n\n".join(parts) + "\n"


def document(versus: Versus) -> dict[str, Any]:
    """Return the whole comparison as one JSON document, with what is worked out of its rows."""
    data = dataclasses.asdict(versus)
    for row, told in zip(versus.rows, data["rows"], strict=True):
        if row.change is not None:
            told["change"] |= {"noise": row.change.noise, "factor": row.change.factor}
    return data | {"tally": versus.tally, "comparable": versus.comparable}
