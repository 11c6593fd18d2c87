"""Energy: what a million tokens take, by the device's own counter."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import show, show_number, show_percent, show_ratio
from reports.context import Context
from reports.glyph import Tick, linear_ticks
from reports.results import Result
from reports.sections.base import Section
from reports.subjects import Subject
from reports.words import Sentence, Span, sentence

NOT_MEASURED = "energy is not measured: "
"""How the probe's note begins that says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case's energy."""

    subject: Subject
    gross: float
    """J for a million tokens."""
    net: float
    """The same less the idle device's."""
    watts: float
    idle: float
    spread: float | None
    """Largest less smallest window over their median."""
    celsius: tuple[float, float] | None
    """Temperature before and after."""


@dataclass(frozen=True, kw_only=True)
class Energy(Section):
    """The section's data."""

    id: str = "energy"
    name: str = "Energy"
    question: str = "What does a token cost in energy?"

    where: str = ""
    rows: tuple[Row, ...] = ()
    left_out: int = 0
    top: float = 1.0
    ticks: tuple[Tick, ...] = ()


def build(context: Context) -> Energy:
    """Return the energy of the first screen's setting, or why there is none."""
    for setting in context.settings:
        found = [result for result in context.measured(setting) if _row(context, result)]
        rows = [row for result in context.some(found) if (row := _row(context, result))]
        if rows:
            top, marks = linear_ticks(max(row.gross for row in rows))
            return Energy(
                finding=_finding(rows),
                caption=_caption(rows, context),
                where=context.words(setting),
                rows=tuple(rows),
                left_out=len(found) - len(rows),
                top=top,
                ticks=tuple(Tick(100 * mark / top, f"{mark:g}") for mark in marks),
            )
    return Energy(finding=sentence("No energy to show."), missing=_why(context))


def _why(context: Context) -> str:
    """Return why no case has energy: what the probe said, where it was asked."""
    for result in context.results:
        for note in result.notes:
            if note.startswith(NOT_MEASURED):
                return f"Not measured: {note.removeprefix(NOT_MEASURED).rstrip('.')}."
    return context.why_without("energy", "energy")


def _row(context: Context, result: Result) -> Row | None:
    names = ("energy_j_per_mtoken", "energy_net_j_per_mtoken", "power_w", "power_idle_w")
    found = [value for name in names if (value := result.number(name)) is not None]
    if len(found) < len(names):
        return None
    gross, net, watts, idle = found
    windows, celsius = (result.series.get(f"energy_{name}", []) for name in ("windows_j_per_mtoken", "temperature_c"))
    return Row(
        subject=context.subject(result),
        gross=gross,
        net=net,
        watts=watts,
        idle=idle,
        spread=(max(windows) - min(windows)) / gross if len(windows) > 1 and gross else None,
        celsius=(celsius[0], celsius[-1]) if len(celsius) > 1 else None,
    )


def _finding(rows: list[Row]) -> Sentence:
    least, most = min(rows, key=lambda row: row.gross), max(rows, key=lambda row: row.gross)
    told = show("energy_j_per_mtoken", least.gross).removesuffix("/Mtoken")
    if least.gross == most.gross:
        return sentence(f"A million tokens take {told} in {least.subject.phrase}.")
    times = show_ratio(most.gross / least.gross)
    return sentence(f"A million tokens take {told} in {least.subject.phrase}, and {times} as much in "
                    f"{most.subject.phrase}.")  # fmt: skip


def _caption(rows: list[Row], context: Context) -> Sentence:
    idle = sorted(row.idle / row.watts for row in rows if row.watts)
    ends = [show_percent(round(share, 2)) for share in (idle[0], idle[-1])] if idle else ["–", "–"]
    seconds = context.run.file.suite.measure.get("energy_seconds")
    windows = f"windows of {show_number(float(seconds))} s at least" if isinstance(seconds, int | float) else "windows"
    worst = max((row.spread for row in rows if row.spread is not None), default=None)
    return sentence(
        Span(f"At rest the device takes {ends[0] if ends[0] == ends[1] else ' to '.join(ends)} of its power at work. ",
             "strong"),
        "Net is less what it takes at rest. Energy is that of the device’s own counter",
        f" (not the whole machine’s), the median of {windows} of the pass back to back, at this batch",
        "" if worst is None else f"; windows of one case differ by {show_percent(round(worst, 3))} at most",
        ". No number is an estimate.",
    )  # fmt: skip
