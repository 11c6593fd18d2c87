"""What the roofline says: how near to their roofs the experts come, what bounds them, and which points cannot be."""

from __future__ import annotations

from harness.metrics import show, show_number, show_percent, show_ratio, show_scaled
from reports.context import Context
from reports.sections.roofline_points import Floor, Point, Roof, Row
from reports.settings import Setting
from reports.words import Sentence, Span, capital, count, join, sentence


def finding(rows: list[Row], wrong: list[Point]) -> Sentence:
    """Return how near its roof the experts' phase comes, or how many points cannot be."""
    if wrong:
        lie = "point lies above its roof: a measurement error" if len(wrong) == 1 else \
            "points lie above their roofs: measurement errors"  # fmt: skip
        return sentence(f"{len(wrong)} {lie}, not speed.")
    experts = [row.points["experts"] for row in rows if "experts" in row.points]
    if not experts:
        return sentence("No phase has FLOPs of experts to hold against a roof.")
    best, worst = max(experts, key=lambda p: p.fraction), min(experts, key=lambda p: p.fraction)
    told = f"The experts of {best.subject.phrase} reach {_of_roof(best)} of what the device can do"
    told += "" if best is worst else f", those of {worst.subject.phrase} {_of_roof(worst)}"
    return sentence(told, _beyond(best), ".")


def caption(
    context: Context, rows: list[Row], roof: Roof, setting: Setting, wrong: list[Point], floors: tuple[Floor, ...]
) -> Sentence:
    """Return what bounds the experts, which points cannot be, and how the chart is read."""
    where = context.words(setting)
    cached = sum(point.standing == "in cache" for row in rows for point in row.points.values())
    return sentence(
        Span(_bounds([row.points["experts"] for row in rows if "experts" in row.points], where), "strong"),
        _worst(wrong),
        _nearest(floors),
        f"Roofs are ceilings measured on this device: {show_scaled(roof.flops_per_s, 'FLOP/s')} of products in"
        f" {setting.dtype} and {show_scaled(roof.bytes_per_s, 'B/s')} of copying; they meet at"
        f" {show_number(roof.ridge)} FLOP/B, the upright line. A phase’s bytes are the least that it"
        " must move, what it takes and what it gives, each once; one without products is held against the bandwidth."
        " Its time is its share of the unprofiled forward time, and may be wrong by two points of a share.",
        f" {capital(count(cached, 'phase'))} above the bandwidth’s roof moved what a cache can hold." if cached else "",
    )  # fmt: skip


def _bounds(experts: list[Point], where: str) -> str:
    """Return what bounds the experts: memory, products, or each some."""
    bound = sum(point.bound == "memory" for point in experts)
    if not experts:
        return ""
    if bound in (0, len(experts)):
        return (
            f"Memory, not products, bounds the experts at {where}. "
            if bound
            else f"Products, not memory, bound the experts at {where}. "
        )
    cases = count(len(experts), "case")
    return f"At {where}, memory bounds the experts of {bound} of {cases}, products those of the others. "


def _worst(wrong: list[Point]) -> str:
    """Return which points cannot be, the three farthest by name."""
    farthest = sorted(wrong, key=lambda point: -point.fraction)[:3]
    named = join(f"{point.phase} of {point.subject.id} at {show_ratio(point.fraction)}" for point in farthest)
    return f"Above its roof, whatever the cache holds: {named}. " if wrong else ""


def _nearest(floors: tuple[Floor, ...]) -> str:
    """Return how far from the floor of its experts' weights the nearest case is."""
    if not floors:
        return ""
    best = min(floors, key=lambda floor: floor.times)
    return (
        f"Reading the weights of the experts that its tokens reach would take {best.subject.phrase} "
        f"{show('experts_floor_ms', best.floor_ms)}; it takes {show_ratio(best.times)} as long, the nearest to its"
        " floor of all whose experts wait for memory. "
    )


def _of_roof(point: Point) -> str:
    """Return `71 %`; above the roof with its interval, `129 % [22 %, 147 %]`."""
    share, ends = show_percent(round(point.fraction, 2)), point.interval
    if point.fraction <= 1 or ends is None:
        return share
    return f"{share} [{show_percent(round(ends.low, 2))}, {show_percent(round(ends.high, 2))}]"


def _beyond(best: Point) -> str:
    """Return what may put the nearest above its roof; nothing where it lies below."""
    if best.fraction <= 1:
        return ""
    return "; above 100 % a cache may have helped" if best.standing == "in cache" else "; above 100 % is within noise"
