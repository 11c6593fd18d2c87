"""Roofline: what each phase could take at the least, by the device's measured ceilings, against what it takes."""

from __future__ import annotations

from dataclasses import dataclass

from reports.context import Context
from reports.sections.base import Section
from reports.sections.roofline_points import Floor, Point, Roof, Row, floors_of, points_of, roof_of, row_of
from reports.sections.roofline_words import caption, finding
from reports.words import sentence


@dataclass(frozen=True, kw_only=True)
class Roofline(Section):
    """The section's data."""

    id: str = "roofline"
    name: str = "Roofline"
    question: str = "How near does each phase come to what the device can do?"

    where: str = ""
    roof: Roof | None = None
    rows: tuple[Row, ...] = ()
    left_out: int = 0
    floors: tuple[Floor, ...] = ()

    @property
    def points(self) -> list[Point]:
        """All points, case by case."""
        return [point for row in self.rows for point in row.points.values()]


def build(context: Context) -> Roofline:
    """Return the points of the first setting that has any; errors are counted over all settings."""
    wrong = [point for result in context.timed for point in points_of(context, result).values()
             if point.standing == "above"]  # fmt: skip
    for setting in context.settings:
        found = [result for result in context.at(setting) if points_of(context, result)]
        rows = [row_of(context, result) for result in context.some(found)]
        roof = roof_of(context, setting)
        if rows and roof:
            floors = floors_of(context)
            return Roofline(
                attention=f"! {len(wrong)}" if wrong else None,
                finding=finding(rows, wrong),
                caption=caption(context, rows, roof, setting, wrong, floors),
                floors=floors,
                where=context.words(setting),
                roof=roof,
                rows=tuple(rows),
                left_out=len(found) - len(rows),
            )
    return Roofline(finding=sentence("No roofline to show."), missing=_why(context))


def _why(context: Context) -> str:
    if not any(result.number("phase_experts_share") is not None for result in context.results):
        return context.why_without("phases", "phases to hold against a roof")
    if not context.timed:
        return "A phase’s speed is known by its share of a time, and no case has latency."
    return "The ceilings of this device were not measured in these cases’ format: harness doctor does."
