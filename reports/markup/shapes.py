"""Where the parts of the bars and strips that a page draws itself begin and end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from harness.judge.stats import Interval
from reports.compare import Comparison
from reports.glyph import Glyph, Scale, glyph
from reports.sections.bars import Bar
from reports.sections.coverage import Coverage
from reports.sections.phases import Row as PhaseRow
from reports.sections.ratios import Mean

ROLE_CLASS = {
    "weights": "fill",
    "inputs": "ph-o",
    "optimizer": "ph-c",
    "saved": "fill dim",
    "gradients": "ph-d",
    "in flight": "ph-r",
    "workspace": "ws",
    "rest of the peak": "ph-r",
}
"""Role of bytes: the class that fills its part of a bar."""
GAP = 0.6
"""Free marks' widths between two variants on the strip of cases."""
FAR = 900.0
"""Per cent of a picture beyond which nothing is drawn: a browser refuses an infinite length."""
MARK = 0.58
"""Share of its place on that strip that a case's mark takes."""


def strip(coverage: Coverage) -> tuple[str, list[tuple[str, str]]]:
    """Return the dashes of the strip of cases, a mark each, and an SVG path for each class, 100 wide and 26 high.

    Variants are set apart by a gap. Classes: none for ok, `st-bad` failed, `st-not` not tried or missing.
    """
    groups = [group for group in coverage.groups if group.marks]
    units = sum(len(group.marks) for group in groups) + 2 * GAP * max(0, len(groups) - 1)
    unit = min(100 / units, 1.6) if units else 1.6
    paths: dict[str, list[str]] = {}
    x = 0.0
    for group in groups:
        for kind, run in itertools.groupby(_kind(mark.status) for mark in group.marks):
            width = len(list(run)) * unit
            paths.setdefault(kind, []).append(f"M{x:.4g} 13h{width - unit * (1 - MARK):.4g}")
            x += width
        x += 2 * GAP * unit
    dashes = f"{unit * MARK:.4g} {unit * (1 - MARK):.4g}"
    return dashes, [(kind, "".join(path)) for kind, path in paths.items()]


def _kind(status: str) -> str:
    if status in ("unsupported", "skipped", "missing"):
        return "st-not"
    return "" if status == "ok" else "st-bad"


def split(row: PhaseRow, top: float) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the class of each phase of a bar; what is not positive is left out."""
    classes = {
        "router": "ph-r",
        "dispatch": "ph-d",
        "experts": "fill",
        "combine": "ph-c",
        "exchange": "ph-x",
        "other": "ph-o",
    }
    shares = ((max(0.0, row.shares.get(phase, 0.0)), cls) for phase, cls in classes.items())
    yield from _laid((100 * share * (row.length / top), cls) for share, cls in shares)


def stack(bar: Bar, top: float) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the class of each part of a memory bar."""
    yield from _laid((100 * (part / top), ROLE_CLASS[role]) for role, part in bar.roles.items())


def _laid(parts: Iterable[tuple[float, str]]) -> Iterator[tuple[float, float, str]]:
    """Yield where each part begins, its width and its class, one after the other, as far as the cell reaches."""
    x = 0.0
    for width, cls in parts:
        drawn = min(width, 100 - x)
        if drawn > 0:
            yield x, drawn, cls
            x += drawn


def steps(values: Sequence[float], top: float) -> str:
    """Return the outline of one bar a value, each 1 wide and 100 high at `top`, as an SVG path; equal ones as one."""
    out = ["M0 100"]
    for height, run in itertools.groupby(level(value, top) for value in values):
        out.append(f"V{height}h{len(list(run))}")
    return "".join([*out, "V100Z"])


def pct(value: float) -> str:
    """Return a place as `12.5%`; what lies far beyond the ends, or nowhere, as near beyond them as nobody sees."""
    return f"{round(max(-FAR, min(FAR, value)), 1):g}%"


def level(value: float, top: float) -> str:
    """Return where `value` stands on a scale that is 100 high and ends at `top`; what is above is cut."""
    return f"{round(100 - 100 * min(1.0, value / top))}"


def place_of(row: Comparison, scale: Scale) -> Glyph:
    """Return where a ratio and its interval stand on `scale`."""
    return glyph(scale, row.value, row.interval)


def range_of(mean: Mean, scale: Scale) -> Glyph:
    """Return where a mean and the range that it hides stand on `scale`."""
    return glyph(scale, mean.value, Interval(mean.value, mean.low, mean.high))
