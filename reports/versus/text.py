"""Prints a Versus: for a terminal, as Markdown for a job's summary, and as one JSON document."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from harness.judge.compare import WORSE, Change, Word
from harness.metrics import show, show_interval, show_ratio, show_spread
from reports.markdown import text as escaped
from reports.versus.headline import ALL, Headline
from reports.versus.versus import EXACT_HEADLINES, Row, Versus
from reports.versus.words import by, drift_sentence, noise_sentence
from reports.words import capital, count, join

SYMBOLS: dict[Word, str] = {
    "faster": "✓",
    "better": "✓",
    "slower": "✗",
    "worse": "✗",
    "changed": "~",
    "same": "=",
    "cannot tell": "·",
    "failed": "!",
    "missing": "?",
    "not comparable": "≠",
}
"""Beside every verdict stands a sign, so that neither colour nor place has to tell it."""
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


def lines(versus: Versus) -> Iterator[str]:
    """Yield the comparison as plain lines: differences first, then the whole, the headlines, and what changed."""
    yield f"{versus.candidate} against {versus.base} ({versus.commits}){BESIDE if versus.paired else ''}"
    yield from (f"  differs: {one.words}" for one in versus.differences)
    yield from sentences(versus)
    if found := headlines(versus):
        yield _title(versus)
        yield from (f"  {one}" for one in found)
    for name, rows in _groups(versus):
        yield f"{capital(name)}: {len(rows)}"
        yield from (f"  {line(row)}" for row in rows[:ROWS])
        if len(rows) > ROWS:
            yield f"  and {len(rows) - ROWS} more; --json has them all"
    quiet = [f"{versus.count(word)} {what}" for word, what in QUIET.items() if versus.count(word)]
    if quiet:
        yield f"Not listed: {join(quiet)}."


def sentences(versus: Versus) -> Iterator[str]:
    """Yield what is said of the comparison as a whole."""
    yield summary(versus)
    yield from filter(None, (noise_sentence(versus), drift_sentence(versus)))


def _groups(versus: Versus) -> Iterator[tuple[str, list[Row]]]:
    for name, words in GROUPS:
        if rows := [row for row in versus.rows if row.verdict in words]:
            yield name, rows


def summary(versus: Versus) -> str:
    """Return the counts in one sentence."""
    tally = sorted(versus.tally.items(), key=lambda item: -item[1])
    counts = f"{count(len(versus.rows), 'row')}: {join(f'{number} {word}' for word, number in tally)}."
    if versus.forbidden:
        return f"Times are not comparable: {versus.forbidden[0].words}. What has no noise is: {counts}"
    return f"{counts} {_counted(versus)}"


def _counted(versus: Versus) -> str:
    if not versus.comparisons:
        return "No times were compared."
    return (
        f"Compared with their noise: {count(versus.comparisons, 'estimate')}; of those called faster or slower one in "
        "twenty may be wrong (Benjamini and Hochberg)."
    )


def _title(versus: Versus) -> str:
    if not versus.headlines:
        return "Headlines"
    number = count(len(versus.headlines), "comparison")
    return f"Headlines: {number} of times, and that any word is wrong has a chance of 5 % (Holm)"


def headlines(versus: Versus) -> list[str]:
    """Return the headlines: `✗ soft / dense-1 (8 cases): slower, 1.08× [1.05, 1.11]`, and `= memory: 40 same`."""
    return [*map(_timed, versus.headlines), *(_exact(versus, name) for name in versus.exact_headlines)]


def _timed(one: Headline) -> str:
    name = f"{one.name} ({one.cases})" if one.name == ALL else f"{one.name} ({count(one.cases, 'case')})"
    return f"{SYMBOLS[one.verdict]} {name}: {one.verdict}, {_ratio(one.change)}"


def line_of_layer(one: Headline) -> str:
    """Return `soft as a whole (4 cases) beside the other layers: 1.10× [1.04, 1.18]`."""
    return f"{one.name} as a whole ({count(one.cases, 'case')}) beside the other layers: {_ratio(one.change)}"


def _exact(versus: Versus, name: str) -> str:
    found = Counter(row.verdict for row in versus.rows if (row.metric or "").startswith(EXACT_HEADLINES[name]))
    sign = SYMBOLS[next((word for _, words in GROUPS for word in words if found[word]), "same")]
    return f"{sign} {name}: {join(f'{number} {word}' for word, number in found.most_common()) or 'not measured'}"


def line(row: Row) -> str:
    """Return one row: `✗ top-2-e8: latency_ms slower, 1.08× [1.05, 1.11], 2.7 times its noise of ±3 %`."""
    mark = SYMBOLS[row.verdict]
    if row.metric is None:
        return f"{mark} {row.id}: {row.verdict}: {row.why}"
    told = f"{mark} {row.id}: {row.metric} {row.verdict}"
    if row.change is not None:
        told += f", {_ratio(row.change)}"
        told += f", {row.change.factor:.1f} times its noise of ±{show_spread(row.change.noise)}"
    if row.base is not None or row.candidate is not None:
        told += f" ({show(row.metric, row.base)}, then {show(row.metric, row.candidate)}{by(row)})"
    return told + (f": {row.why}" if row.why else "")


def _ratio(change: Change) -> str:
    ends = (change.ratio.value, change.ratio.low, change.ratio.high)
    return f"{show_ratio(*ends)} {show_interval(*ends)}"


def markdown(versus: Versus) -> str:
    """Return the comparison as Markdown: the sentences, and a list of what changed."""
    parts = [f"# {escaped(versus.candidate)} against {escaped(versus.base)}"]
    parts += [escaped(versus.commits + (BESIDE if versus.paired else ""))]
    parts += ["\n".join(f"- {escaped(one.words)}" for one in versus.differences)] if versus.differences else []
    parts += map(escaped, sentences(versus))
    if found := headlines(versus):
        parts.append(_listed(_title(versus), found))
    for name, rows in _groups(versus):
        parts.append(_listed(f"{capital(name)}: {len(rows)}", map(line, rows[:ROWS])))
        parts += [f"and {len(rows) - ROWS} more"] if len(rows) > ROWS else []
    return "\n\n".join(parts) + "\n"


def _listed(title: str, items: Iterable[str]) -> str:
    return "\n".join([f"**{title}**\n", *(f"- {escaped(item)}" for item in items)])


def document(versus: Versus) -> dict[str, Any]:
    """Return the whole comparison as one JSON document, with what is worked out of its rows."""
    data = dataclasses.asdict(versus)
    for row, told in zip(versus.rows, data["rows"], strict=True):
        if row.change is not None:
            told["change"] |= {"noise": row.change.noise, "factor": row.change.factor}
    return data | {"tally": versus.tally, "comparable": versus.comparable}
