"""Comparability: in what the circumstances of several runs differ, and what of that forbids a ratio of their times."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics import show_percent, show_ratio
from reports.compare import EQUAL
from reports.results import Run
from reports.sections.base import Section
from reports.sections.provenance import fact_title, flatten, with_short_build
from reports.versus.machines import FORBIDDING, commit_of, facts
from reports.words import count, join, sentence

LONGEST = 140
"""Characters of a value that the table shows; run.json has the rest."""
NOT_TOLD = "not told"
KERNELS = ("environment.torch", "environment.packages.torch", "environment.triton", "device.cuda", "device.driver")
CONSEQUENCES = {
    "harness.commit": "what is compared",
    "environment.hostname": "noted: another host of the same kind",
    "environment.load_1min": "noted: how busy the machine was at the start",
    "suite.text": "noted: cases are matched by content, not by the suite’s text",
    **dict.fromkeys(KERNELS, "noted: its kernels may be others"),
}
"""What follows from a fact that differs; of all others, that it is noted and forbids nothing."""
NOTED = "noted, forbids nothing"
GROUPS = {
    "Device": ("device.name", "device.kind", "device.threads", "device.cores", "device.memory_bytes"),
    "Power limit, clocks": ("device.power_limit_w", "device.clocks", "device.sm_clock_mhz"),
    "Software": (*KERNELS, "environment.python", "environment.os"),
    "Number format": ("cases.dtype",),
    "Suite": ("suite.name", "suite.text", "suite.overrides", "suite.select", "suite.seed"),
    "Measured": ("measure.probes", "measure.rounds", "measure.a_a"),
    "Harness": ("harness.version", "harness.commit"),
}
"""Facts that a reader looks for, told together where they are the same."""
BARE = ("device.name", "device.kind", "suite.name", "suite.overrides", "environment.os", "cases.dtype")
"""Facts whose value says what it is."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of every run."""

    name: str
    values: tuple[str, ...]
    """One a run."""
    consequence: str
    forbids: bool = False
    """Whether times of runs that differ in it may not be compared."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word of equality means on this page."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Comparability(Section):
    """The section's data."""

    id: str = "comparability"
    name: str = "Comparability"
    question: str = "May these numbers be compared?"

    runs: tuple[str, ...]
    """What the columns are called."""
    differing: tuple[Fact, ...]
    """What forbids a ratio first."""
    same: tuple[tuple[str, str], ...]
    """What all runs share, the facts that a reader looks for, told together."""
    others: tuple[tuple[str, str], ...]
    """All other facts that they share."""
    meanings: tuple[Meaning, ...]


def build(runs: Sequence[Run], names: Sequence[str]) -> Comparability:
    """Return the facts of `runs`, of which the first is the reference, under columns of these names."""
    told = [dict(_facts(run)) for run in runs]
    keys = list(dict.fromkeys(key for facts in told for key in facts))
    values = {key: tuple(facts.get(key, NOT_TOLD) for facts in told) for key in keys}
    differing = [key for key in keys if len(set(values[key])) > 1]
    cases = _cases(runs)
    found = [_fact(key, values[key]) for key in sorted(differing, key=_rank)] + ([cases] if cases else [])
    shared = {key: values[key][0] for key in keys if key not in differing}
    forbidding = [key for key in differing if key in FORBIDDING]
    return Comparability(
        finding=sentence(_finding(forbidding, len(found), cases, code="harness.commit" in differing)),
        caption=sentence(*_caption(forbidding, found)),
        attention="≠" if forbidding else None,
        runs=tuple(names),
        differing=tuple(found),
        same=tuple((name, text) for name, some in GROUPS.items() if (text := _together(shared, some))),
        others=tuple((fact_title(key.partition(".")[2]), shared[key]) for key in shared if key not in _GROUPED),
        meanings=tuple(_meanings(runs)),
    )


_GROUPED = {key for some in GROUPS.values() for key in some}


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield every fact of a run with its value as it is shown."""
    file = run.file
    device = flatten({"device": with_short_build(file.device)})
    for name, value in ({**facts(run), **device}).items():
        yield name, _short(value)
    suite = {"name": file.suite.name, "text": _digest(file.suite.source), "overrides": file.suite.overrides,
             "select": file.suite.select, "seed": file.seed}  # fmt: skip
    harness = {"version": file.harness.version, "commit": commit_of(run)}
    formats = sorted({result.case.dtype for result in run.results})
    groups = {"suite": suite, "measure": file.suite.measure, "harness": harness, "cases": {"dtype": formats}}
    for name, value in flatten(groups).items():
        yield name, _short(value)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"


def _digest(text: str) -> str:
    return f"digest {hashlib.sha256(text.encode()).hexdigest()[:8]}" if text else ""


def _rank(key: str) -> tuple[bool, bool, bool]:
    """What forbids a ratio first, then what is compared, then what has a consequence of its own."""
    return key not in FORBIDDING, key != "harness.commit", key not in CONSEQUENCES


def _fact(key: str, values: tuple[str, ...]) -> Fact:
    name = "Commit" if key == "harness.commit" else fact_title(key.removeprefix("environment."))
    if key in FORBIDDING:
        return Fact(name, values, f"{FORBIDDING[key]}: no ratio of times", forbids=True)
    return Fact(name, values, CONSEQUENCES.get(key, NOTED))


def _cases(runs: Sequence[Run]) -> Fact | None:
    """Return in how many cases the runs differ; None where all have the same."""
    plans = [{result.key for result in run.results} for run in runs]
    shared = set.intersection(*plans)
    if all(plan == shared for plan in plans):
        return None
    apart = len(set.union(*plans) - shared)
    values = tuple(count(len(plan), "case") for plan in plans)
    return Fact("Cases", values, f"{len(shared)} are the same in all; {count(apart, 'other')}: not comparable")


def _together(shared: Mapping[str, str], some: Sequence[str]) -> str:
    """Return facts as one line: `torch 2.13.0, Triton 3.6.0`."""
    known = [(key, shared[key]) for key in some if key in shared]
    return ", ".join(value if key in BARE else f"{_word(key)} {value}" for key, value in known)


def _word(key: str) -> str:
    if key == "measure.a_a":
        return "A/A cells"
    return key.rpartition(".")[2].removesuffix("_bytes").replace("_", " ")


def _finding(forbidding: Sequence[str], differing: int, cases: Fact | None, *, code: bool) -> str:
    if forbidding:
        return f"Their times may not: {join(dict.fromkeys(FORBIDDING[key] for key in forbidding))}."
    if differing == 1 and code:
        return "Yes: nothing differs but the code."
    but = f", but for cases that not all have: {cases.consequence.partition(';')[0]}" if cases else ""
    if not differing:
        return "Yes: device, software and suite are the same."
    return (
        f"Yes{but}; {count(differing, 'fact')} {'differs' if differing == 1 else 'differ'}, and none forbids a ratio."
    )


def _caption(forbidding: Sequence[str], found: Sequence[Fact]) -> Iterator[str]:
    listed = "; ".join(f"{_lower(fact.name)} {', then '.join(fact.values)}" for fact in found[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    yield _finding_words(forbidding, listed + more)
    yield " A fact with ≠ differs. What makes a ratio the machine’s and not the code’s forbids it, and then no ratio"
    yield " of times, nor a mean of them, is shown; what has no noise is compared all the same."


def _lower(name: str) -> str:
    """Return a fact's name within a sentence; an acronym stays one."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def _finding_words(forbidding: Sequence[str], listed: str) -> str:
    if not listed:
        return "Nothing of what the runs tell of themselves differs."
    head = "Times are not comparable" if forbidding else "Times are comparable"
    return f"{head}; what differs is {listed}."


def _meanings(runs: Sequence[Run]) -> Iterator[Meaning]:
    yield Meaning("The same case", "every axis is the same, whatever it is called: the same content key.")
    yield Meaning("Equal FLOPs", f"model FLOPs of one pass within {show_percent(EQUAL)}{_realised(runs[0], 'flops')}.")
    yield Meaning("Equal parameters", f"all of them, within {show_percent(EQUAL)}{_realised(runs[0], 'params')}.")
    yield Meaning("Equal tokens", f"the same input tensor from the same seed: {_tokens(runs[0])}.")


def _realised(run: Run, budget: str) -> str:
    """Return by how much the suite's matched variants miss their budget: `; realised 1.00× to 1.05× in dense-1`."""
    found = [(result.case.variant, result.match.ratio) for result in run.results
             if result.match is not None and result.match.on == budget and result.match.ratio]  # fmt: skip
    if not found:
        return ""
    low, high = (edge(ratio for _, ratio in found) for edge in (min, max))
    span = show_ratio(low) if show_ratio(low) == show_ratio(high) else f"{show_ratio(low)} to {show_ratio(high)}"
    return f"; realised {span} by {join(dict.fromkeys(name for name, _ in found))}"


def _tokens(run: Run) -> str:
    lengths = Counter(result.case.tokens for result in run.results)
    return f"{join(map(str, sorted(lengths)), 'or')} tokens a sequence" if lengths else "no case was planned"
