"""Where the parts of the bars and strips that a page draws itself begin and end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from reports.compare import Comparison
from reports.glyph import Glyph, Scale, glyph
from reports.sections.bars import Bar
from reports.sections.coverage import Coverage
from reports.sections.phases import Row as PhaseRow

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


def strip(coverage: Coverage) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the status of every case, variants set apart by a gap."""
    groups = [group for group in coverage.groups if group.marks]
    units = sum(len(group.marks) for group in groups) + 2 * GAP * max(0, len(groups) - 1)
    if not units:
        return
    unit = min(100 / units, 1.6)
    x = 0.0
    for group in groups:
        for mark in group.marks:
            yield x, unit * 0.58, mark.status
            x += unit
        x += 2 * GAP * unit


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
    x = 0.0
    for phase, cls in classes.items():
        width = 100 * max(0.0, row.shares.get(phase, 0.0)) * row.length / top
        if width > 0:
            yield x, width, cls
        x += width


def stack(bar: Bar, top: float) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the class of each part of a memory bar."""
    x = 0.0
    for role, part in bar.roles.items():
        width = 100 * part / top
        if width > 0:
            yield x, width, ROLE_CLASS[role]
        x += width


def steps(values: Sequence[float], top: float) -> str:
    """Return the outline of one bar a value, each 1 wide and 100 high at `top`, as an SVG path; equal ones as one."""
    out = ["M0 100"]
    for height, run in itertools.groupby(level(value, top) for value in values):
        out.append(f"V{height}h{len(list(run))}")
    return "".join([*out, "V100Z"])


def level(value: float, top: float) -> str:
    """Return where `value` stands on a scale that is 100 high and ends at `top`; what is above is cut."""
    return f"{round(100 - 100 * min(1.0, value / top), 1):g}"


def place_of(row: Comparison, scale: Scale) -> Glyph:
    """Return where a ratio and its interval stand on `scale`."""
    return glyph(scale, row.value, row.interval)
