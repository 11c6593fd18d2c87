"""The fold: a case's visits become its record. Pure; the same journal always gives the same records.

The first visit that is not ok decides the status, and the case then has no numbers. A metric that comes in rounds
(latency) is the median of each round's samples, then the median over rounds, with an interval over rounds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypedDict

from harness.case import Case
from harness.declare.adapters import ADAPTERS
from harness.declare.format import Measure
from harness.declare.frontier import Frontier
from harness.declare.planned import PlannedCase
from harness.declare.rounds import A_A
from harness.devices.ceilings import Ceilings
from harness.engine.journal import Line
from harness.engine.precision import why_ended
from harness.engine.rooflines import rooflines
from harness.engine.settling import with_settling
from harness.judge.series import flags
from harness.judge.stats import median_interval
from harness.metrics import METRICS, show_bytes
from harness.record import CUT_SHORT, ENDS, MARKS, End, FailedRecord, FailedStatus, Mark, OkRecord, Value, reason_of

AnyRecord = OkRecord | FailedRecord


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the fold must know beside the visits."""

    rounds: int
    """Rounds of latency that were planned; with a precision, at the least."""
    precision: float | None = None
    """The precision that further rounds are for; None: there are none."""
    max_rounds: int | None = None
    """As the suite says it."""
    visits: int | None = None
    """Visits that a case was to have; None: not to be counted."""
    memory_bytes: int | None = None
    """What the device has, for the sentence on a case that does not fit."""
    may_hold: int | None = None
    """What a worker may hold of the host's memory, where the device has no other; None: all."""
    ceilings: Ceilings | None = None
    cache_bytes: int | None = None
    """What the device's last cache holds; None: not known."""
    stopped: End = "interrupted"
    """Why a case was not reached, where one was not."""
    device_class: str | None = None
    """What the run's devices have in common."""
    prune: bool = True
    """Whether cases beyond one that ran out of memory were left out."""

    @classmethod
    def of(cls, document: dict[str, Any], **known: Any) -> Circumstances:
        """Return what run.json says, and what is `known` beside it."""
        ceilings, device, measure = document.get("ceilings"), document["device"], document["suite"]["measure"]
        return cls(
            **{name: measure.get(name) for name in ("rounds", "precision", "max_rounds")},
            memory_bytes=device.get("memory_bytes"),
            may_hold=document.get("memory_limit") if device.get("kind") == "cpu" else None,
            ceilings=None if ceilings is None else Ceilings(**ceilings),
            cache_bytes=device.get("l2_bytes") or device.get("cache_bytes"),
            device_class=device.get("class"),
            prune=document.get("prune", True),
            **({"stopped": end} if (end := document.get("end")) in CUT_SHORT else {}) | known,
        )


def fold(
    planned: PlannedCase, lines: Sequence[Line], where: Circumstances, frontier: Frontier | None = None
) -> AnyRecord:
    """Return the record of one case from its visits, in the order in which they were made.

    `frontier` holds the cases that ran out of memory; None: nothing is left out for one of them.
    """
    lines = [line for line in lines if line.probe != A_A]  # they are the run's, not the case's
    if failed := _not_tried(planned, lines, where, frontier):
        return failed
    bad = next((line for line in lines if line.status != "ok"), None)
    if bad is not None and bad.status != "ok":
        reason = bad.reason or f"{bad.probe} ended as {bad.status}"
        return _failed(planned.case, where, bad.status, bad.end, reason, lines)
    rounds = max([where.rounds, *(line.round + 1 for line in lines if line.round is not None)])
    metrics = _closed_forms(planned) | _measured(lines, rounds)
    notes = with_settling(_notes(lines), lines)
    if "latency_ms" in metrics:
        metrics |= _rates(planned, metrics, where.ceilings)
        if "hfu" in metrics and float(metrics["hfu"].value) > 1:
            notes.append("hfu is above 1: this device's measured ceilings are too low; measure them again (doctor)")
    roofs = rooflines(planned, metrics, where.ceilings, where.cache_bytes)
    metrics, notes = metrics | roofs.metrics, notes + roofs.notes
    if where.visits is not None and len(lines) < where.visits:
        why = CUT_SHORT.get(where.stopped, "the run is still going")
        notes.append(f"{why}: {len(lines)} of this case's {where.visits} visits were made")
    in_order = {name: metrics[name] for name in METRICS if name in metrics}
    marked = _marked(lines)
    notes += [f"{count} of {rounds} rounds were taken {MARKS[mark]}" for mark, count in marked.items()]
    notes += _devices(lines)
    notes += flags(_samples_in_time(lines))
    series = {name: numbers for line in lines if line.round is None for name, numbers in line.series.items()}
    series |= roofs.series
    who = _identity(planned.case, where)
    return OkRecord(
        **who,
        backend=_backend(lines),
        notes=notes,
        marks=marked,
        metrics=in_order,
        rounds_ended=why_ended(lines, _measure(where), where.stopped) if "latency_ms" in metrics else None,
        series=series,
    )


def _measure(where: Circumstances) -> Measure:
    return Measure(rounds=where.rounds, precision=where.precision, max_rounds=where.max_rounds)


def fold_all(cases: Iterable[PlannedCase], lines: Iterable[Line], where: Circumstances) -> list[AnyRecord]:
    """Return the record of every case, in the order of `cases`."""
    cases, by_key, frontier = list(cases), defaultdict[str, list[Line]](list), Frontier()
    full: set[str] = set()
    for line in lines:
        by_key[line.key].append(line)
        full |= {line.key} if line.status == "oom" and line.probe != A_A else set()
    for planned in cases:
        if where.prune and planned.case.key in full:
            frontier.add(planned.case)
    return [fold(planned, by_key[planned.case.key], where, frontier) for planned in cases]


class _Identity(TypedDict):
    schema: int
    key: str
    id: str
    variant: str
    case: dict[str, object]
    device_class: str | None


def _identity(case: Case, where: Circumstances) -> _Identity:
    who: _Identity = {"schema": 1, "key": case.key, "id": case.id, "variant": case.variant, "case": case.as_dict(),
                      "device_class": where.device_class}  # fmt: skip
    return who


def _failed(
    case: Case,
    where: Circumstances,
    status: FailedStatus,
    end: End | None,
    reason: str,
    lines: Sequence[Line] = (),
) -> FailedRecord:
    who, notes = _identity(case, where), _notes(lines)
    return FailedRecord(**who, backend=_backend(lines), notes=notes, status=status, end=end, reason=reason)


def _untried(case: Case, where: Circumstances, end: End, **facts: object) -> FailedRecord:
    status = ENDS[end].status
    assert status != "ok"
    return _failed(case, where, status, end, reason_of(end, **facts))


def _not_tried(
    planned: PlannedCase, lines: Sequence[Line], where: Circumstances, frontier: Frontier | None
) -> FailedRecord | None:
    """Return the record of a case that no worker was asked for, or None."""
    if planned.unsupported is not None:
        return _untried(planned.case, where, "unsupported", what=planned.unsupported)
    if planned.fits is False:
        assert planned.cost is not None  # only what has a price is known not to fit
        needs = show_bytes(planned.cost.memory_needed)
        return _untried(planned.case, where, "too_large", needs=needs, has=_room(planned.cost.memory_needed, where))
    if lines:
        return None
    if frontier is not None and (full := frontier.before(planned.case)):
        return _untried(planned.case, where, "pruned", smaller=full.id)
    return _untried(planned.case, where, where.stopped)


def _room(needed: int, where: Circumstances) -> str:
    """Return in words what there is of memory for a case that needs more."""
    if where.may_hold is not None and needed > where.may_hold:
        return f"a worker may hold {show_bytes(where.may_hold)} (--memory)"
    return f"the device has {'less' if where.memory_bytes is None else show_bytes(where.memory_bytes)}"


def _closed_forms(planned: PlannedCase) -> dict[str, Value]:
    """Return what is known before anything runs: of a plug-in nothing, of an adapter all but the memory."""
    if planned.cost is None:
        return {}
    names = ("params", "params_active", "flops_model", "flops_executed")
    forms = {name: Value(value=getattr(planned.cost, name)) for name in names}
    if planned.case.backend in ADAPTERS:
        return forms
    return forms | {"memory_predicted_bytes": Value(value=planned.cost.memory_predicted)}


def _measured(lines: Sequence[Line], rounds: int) -> dict[str, Value]:
    """Return what the probes gave: single values as they are, samples of rounds folded."""
    metrics: dict[str, Value] = {}
    samples: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for line in lines:
        for name, value in line.values.items():
            if isinstance(value, list):
                samples[name][line.round or 0] = value
            elif line.round is not None and not isinstance(value, str):
                samples[name][line.round] = [value]
            else:
                metrics[name] = Value(value=value, n=line.n.get(name))
    return metrics | {
        name: _over_rounds(of_round, rounds) for name, of_round in samples.items() if any(of_round.values())
    }


def _over_rounds(samples: dict[int, list[float]], rounds: int) -> Value:
    """Return the median over rounds of the rounds' medians, with the interval where there are two rounds or more."""
    estimates = [median(samples[index]) if samples.get(index) else None for index in range(rounds)]
    present = [estimate for estimate in estimates if estimate is not None]
    interval = median_interval(estimates)
    return Value(
        value=median(present),
        low=interval.low if interval is not None else None,
        high=interval.high if interval is not None else None,
        n=sum(map(len, samples.values())),
        rounds=estimates,
    )


def _rates(planned: PlannedCase, metrics: dict[str, Value], ceilings: Ceilings | None) -> dict[str, Value]:
    """Return what follows from the time: tokens and FLOPs per second, and their shares of the ceilings.

    The FLOPs that run are those of the closed form, which the counter agrees with; a plug-in's are the counter's.
    """
    case, cost, latency = planned.case, planned.cost, metrics["latency_ms"]
    rates = {"tokens_per_s": _per_second(latency, case.sequence_tokens)}
    run = metrics.get("flops_executed") or metrics.get("flops_counted")
    if run is None:
        return rates
    rates["tflops"] = _per_second(latency, float(run.value) / 1e12)
    peak = ceilings.flops_per_s.get(case.dtype) if ceilings is not None else None
    if ceilings is not None and peak:
        rates["hfu"] = _per_second(latency, float(run.value) / peak)
        if cost is not None:
            roofline = ceilings.seconds(cost.flops_executed, cost.bytes, case.dtype) or 0.0
            rates["mfu"] = _per_second(latency, cost.flops_model / peak)
            rates["roofline_fraction"] = _per_second(latency, roofline)
    return rates


def _per_second(latency: Value, amount: float) -> Value:
    """Return amount over time, the interval's ends swapped since more time is less rate; `latency` is in ms."""

    def rate(milliseconds: float | None) -> float | None:
        return None if not milliseconds else amount / (milliseconds * 1e-3)

    return Value(
        value=rate(float(latency.value)) or 0.0,
        low=rate(latency.high),
        high=rate(latency.low),
        n=latency.n,
        rounds=[rate(estimate) for estimate in latency.rounds or []],
    )


def _backend(lines: Sequence[Line]) -> str | None:
    return next((line.backend for line in lines if line.backend), None)


def _marked(lines: Sequence[Line]) -> dict[Mark, int]:
    """Return how many rounds bear each mark, in the order of MARKS."""
    counts = Counter(mark for line in lines if line.round is not None for mark in line.marks)
    return {mark: counts[mark] for mark in MARKS if counts[mark]}


def _devices(lines: Sequence[Line]) -> list[str]:
    """Return a note on a case whose times are not all of one device."""
    names = list(dict.fromkeys(line.device for line in lines if line.round is not None and line.device))
    return [f"was timed on {len(names)} devices of one class, one after the other: {', '.join(names)}"] * (
        len(names) > 1
    )


def _samples_in_time(lines: Sequence[Line]) -> list[list[float]]:
    """Return the latency samples of each round, in the order in which the rounds were made."""
    found = [line.values.get("latency_ms") for line in lines if line.round is not None]
    return [samples for samples in found if isinstance(samples, list)]


def _notes(lines: Sequence[Line]) -> list[str]:
    """Return all visits' notes, each once, in order."""
    return list(dict.fromkeys(note for line in lines for note in line.notes))
