"""How the times were taken, in a few facts: warm-up, rounds, processes and clock; a part of `noise`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.context import Context
from reports.journal import Timed
from reports.sections.provenance import Fact
from reports.words import count, join

SETTINGS = {"governor": "governor {}", "no_turbo": "turbo {}", "boost": "boost {}"}
"""What Linux tells of a CPU's clock, and how it is said."""
OFF_AND_ON = {"no_turbo": ("on", "off"), "boost": ("off", "on")}
"""What 0 and 1 mean there."""


def build(context: Context) -> tuple[Fact, ...]:
    """Return the facts that the run tells; none of a run without times."""
    if not context.timed:
        return ()
    every = (visit for result in context.timed for visit in context.run.timed.get(result.key, ()))
    visits = [visit for visit in every if not visit.second]  # of an A/A cell those that its estimate is made of
    facts = (("Warm-up", _warm_up(visits)), ("Rounds", _rounds(context, visits)), ("Clock", _clock(context, visits)))
    return tuple(Fact(name, (text,)) for name, text in facts if text)


def _warm_up(visits: Sequence[Timed]) -> str:
    left_out = sum(visit.warm_up for visit in visits)
    if not left_out:
        return ""
    whole = left_out + sum(len(visit.samples) for visit in visits)
    return f"{left_out:,} of {whole:,} blocks left out: those that size a visit and, of 13 or more, what MSER says"


def _rounds(context: Context, visits: Sequence[Timed]) -> str:
    made = [sum(time is not None for time in result.rounds()) for result in context.timed]
    rounds = f"{min(made)}" if len({*made}) == 1 else f"{min(made)} to {max(made)}"
    processes = len({visit.worker for visit in visits if visit.worker is not None})
    taken_by = f", in {count(processes, 'process', 'processes')}" if processes else ""
    return f"{rounds} a case{taken_by}"


def _clock(context: Context, visits: Sequence[Timed]) -> str:
    """Return what is known of the clock: how it is set, where it was seen, and that nothing is."""
    file = context.run.file
    seen = [visit.clock_mhz for visit in visits if visit.clock_mhz is not None]
    most = file.device.get("sm_clock_max_mhz")
    told = list(_settings(file.environment))
    if seen:
        low, high = (f"{end:.0f}" for end in (min(seen), max(seen)))
        top = f" of {most:.0f} at the most" if isinstance(most, int | float) else ""
        told.append(f"{low if low == high else f'{low} to {high}'} MHz{top} in all visits (whether locked is not told)")
    return join(told) or "neither governor nor frequency is told by this machine"


def _settings(environment: Mapping[str, Any]) -> Iterator[str]:
    for name, words in SETTINGS.items():
        if (value := environment.get(name)) is not None:
            meant = OFF_AND_ON.get(name, ())
            yield words.format(meant[int(value)] if str(value) in ("0", "1") and meant else value)
