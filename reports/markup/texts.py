"""How a page words a number, and which class gives a verdict its symbol and colour."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from harness.judge.stats import Interval
from harness.metrics import show, show_percent
from reports.sections.scaling_lines import Line
from reports.visible import visible
from reports.words import Sentence, slope

VERDICT_CLASS = {
    "faster": "fast",
    "slower": "slow",
    "same": "noise",
    "undecided": "und",
    "cannot tell": "und",
    "better": "fast",
    "worse": "slow",
    "failed": "fail",
    "missing": "miss",
    "changed": "nc",
    "not comparable": "nc",
    "less memory": "fast",
    "more memory": "nc plain",
    "batch-invariant": "fast",
    "not batch-invariant": "nc",
}
"""Verdict word: the class that gives it symbol and colour."""
_HYPHENATED = re.compile(r"((?<![\w-])[\w.]{1,12}-[\w.]{1,12}(?![\w-]))")
_UNIT = re.compile(r"(?<=\d) (?=(?:%|(?:[KMGT]i)?B|[kMGTP]?(?:B|FLOP)(?:/s)?|[mµ]?s|eps|J|W)(?:$|[^\w]))")
"""The space between a number and its unit."""


def slope_words(interval: Interval) -> Sentence:
    """Return a slope with its interval."""
    return slope(interval)


def gap(share: float | None) -> str:
    """Return how far a measured peak lies from its prediction: `+1.2 %`, `0 %` below a tenth of a per cent."""
    if share is None:
        return "–"
    text = show_percent(round(abs(share), 3))
    return text if text == "0 %" else f"{'+' if share > 0 else '−'}{text}"


def unbroken(text: str) -> Markup:
    """Return `text` escaped, with what is one kept in one piece: a line ends after `top-2` or `302 MiB`, not within."""
    pieces = _HYPHENATED.split(_UNIT.sub("\N{NO-BREAK SPACE}", visible(text)))
    return Markup("").join(
        Markup('<span class="nb">{}</span>').format(piece) if index % 2 else piece for index, piece in enumerate(pieces)
    )


def in_double_quotes(text: str) -> Markup:
    """Return `text` escaped for an attribute in double quotes, where an apostrophe is itself."""
    return escape(visible(text)).replace("&#39;", Markup("'"))


def between_tags(text: str) -> Markup:
    """Return `text` escaped for what stands between tags, where every quote is itself: four bytes less for each."""
    return in_double_quotes(text).replace("&#34;", Markup('"'))


def time_at(line: Line, x: float) -> str:
    """Return the time of a line at `x`, without its unit; a level line has the same everywhere."""
    level = line.slope is None and len({point.id for point in line.points}) == 1
    found = line.points[0] if level else next((point for point in line.points if point.x == x), None)
    if found is None:
        return "–"
    return show("latency_ms", found.ms, found.low, found.high).removesuffix(" ms")
