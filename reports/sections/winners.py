"""Winner map: which layer and backend is fastest at each number of experts and tokens; a tie where noise hides it."""

from __future__ import annotations

from dataclasses import dataclass

from reports.context import Context
from reports.sections.base import Section
from reports.sections.contests import contests, counted, held
from reports.sections.winners_maps import MAPS, Map, grid_of, map_of, rest_of
from reports.sections.winners_words import caption, finding
from reports.words import sentence


@dataclass(frozen=True, kw_only=True)
class Winners(Section):
    """The section's data."""

    id: str = "winners"
    name: str = "Winner map"
    question: str = "Which layer is fastest at which size?"

    maps: tuple[Map, ...] = ()
    left_out: int = 0
    equal: bool = True
    """Whether only layers of equal FLOPs meet; where no two have them, all of one number of experts do."""
    comparisons: int = 0


def build(context: Context) -> Winners:
    """Return who is fastest among the layers with experts, at each number of experts and tokens."""
    found = contests(context, equal=True)
    equal = bool(found)
    found = found or contests(context, equal=False)
    if not found:
        return Winners(finding=sentence("No winners to show."), missing=_why_nothing(context))
    rests = list(dict.fromkeys(rest_of(contest.setting) for contest in found))
    grids = [grid_of([one for one in found if rest_of(one.setting) == rest]) for rest in rests[:MAPS]]
    judged = counted([held(context, contest) for grid in grids for contest in grid.shown])
    maps = tuple(map_of(context, grid, {(one.setting, one.row): one for one in judged}) for grid in grids)
    comparisons = sum(len(contest.rivals) for contest in judged)
    return Winners(
        finding=finding(maps[0]),
        caption=caption(maps[0], comparisons, equal=equal),
        maps=maps,
        left_out=max(0, len(rests) - MAPS),
        equal=equal,
        comparisons=comparisons,
    )


def _why_nothing(context: Context) -> str:
    if not context.timed:
        return context.why_without("latency", "latency")
    return "No two layers with experts were timed at one setting with the same number of experts."
