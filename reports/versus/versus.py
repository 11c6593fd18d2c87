"""Versus: everything that is said of a candidate run against a baseline, as data, before any printing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.judge.compare import WORSE, Change, Word, changes, drift, exact, paired_changes, timed, together
from harness.judge.multiple import ALPHA, benjamini_hochberg
from harness.judge.verdict import MARGIN
from harness.metrics import METRICS
from reports.results import Result, Run
from reports.versus.floor import Noise, noise_of
from reports.versus.headline import Headline, Judge, headlines
from reports.versus.layers import slower_layers
from reports.versus.machines import Difference, commits, differences
from reports.versus.pairs import Pair, pairs

SCHEMA = 1
TIMED = ("latency_ms", "latency_hot_ms", "latency_graph_ms", "host_ms", "energy_j_per_mtoken")
"""Metrics with noise, which come in rounds. What follows from them (tokens and FLOPs per second, shares of ceilings) is
not compared again: it would count one change several times."""
EXACT = tuple(name for name, metric in METRICS.items() if metric.exact and not name.endswith(("_proof", "_detail")))
"""Metrics without noise: any change of theirs is one."""

EXACT_HEADLINES = {"memory": "memory_", "determinism": "det_"}
"""What a suite's headline may name beside ratios, and how the names of its metrics begin."""
BY_FLOOR = tuple(name for name in TIMED if METRICS[name].unit == "ms")
"""Metrics that a run's A/A cells, which are timed, tell the noise of; energy is measured in windows of its own."""

Margin = Callable[[str, Result], float]
"""The share of a metric of a case up to which a change is none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one case on both sides, or a case that cannot be compared."""

    id: str
    metric: str | None
    """None where the case as a whole has no numbers on a side."""
    verdict: Word
    why: str | None = None
    """What a word alone does not tell, in one sentence."""
    base: float | str | None = None
    candidate: float | str | None = None
    change: Change | None = None
    """Candidate over baseline; None where there is no noise to judge, or too few rounds."""

    @property
    def weight(self) -> tuple[bool, float]:
        """What sorts the list: what is worse first, then by the effect over its noise, not by per cent."""
        return self.verdict not in WORSE, -(self.change.factor if self.change else float("inf"))


@dataclass(frozen=True, slots=True)
class Versus:
    """A candidate against a baseline."""

    schema: int
    base: str
    candidate: str
    """Names of the two run folders."""
    commits: str
    differences: tuple[Difference, ...]
    rows: tuple[Row, ...]
    """Every metric of every case, what is worse first."""
    comparisons: int
    """How many times were compared; the list is corrected for so many (Benjamini and Hochberg)."""
    drift: float | None
    """Median of all ratios of latency."""
    noise: Noise
    """What the runs' own A/A cells could not have told apart."""
    headlines: tuple[Headline, ...]
    """Means over cases, judged together."""
    layers: tuple[Headline, ...] = ()
    """Variants of which all cases together look slower beside the others: suspects, of which no verdict is given."""
    exact_headlines: tuple[str, ...] = ()
    """Of `memory` and `determinism` what the suite's headline names."""
    paired: bool = False
    """Whether both were measured side by side, so that times are judged round by round."""

    @property
    def forbidden(self) -> tuple[Difference, ...]:
        """The differences that forbid a ratio of times."""
        return tuple(one for one in self.differences if one.forbids)

    @property
    def comparable(self) -> bool:
        """Whether anything at all could be compared."""
        return any(row.verdict not in ("not comparable", "missing") for row in self.rows)

    def count(self, *words: Word) -> int:
        """Return how many rows have one of these verdicts."""
        return sum(row.verdict in words for row in self.rows)

    @property
    def tally(self) -> dict[str, int]:
        """How many rows have each verdict."""
        return dict(Counter(row.verdict for row in self.rows))


def usual(metric: str, result: Result) -> float:
    """Return the margin of every metric and case where nobody asks for another."""
    return MARGIN


def compare(base: Run, candidate: Run, margin: Margin = usual, alpha: float = ALPHA) -> Versus:
    """Return what became of every case of `base` and `candidate`.

    `margin` gives the change of a timed metric that is none for a decision; `alpha` is the share of false ones among
    those called faster or slower. The sides of one paired run are judged round by round.
    """
    found, both, noise = differences(base, candidate), tuple(pairs(base, candidate)), noise_of(base, candidate)
    forbids = next((one.words for one in found if one.forbids), None)
    paired = are_paired(base, candidate)
    judge = paired_changes if paired else changes
    if paired:  # A/A cells stand apart in a round, the two sides side by side: their own pairs say what they can tell
        noise = replace(noise, smallest_change=None)
    rows = [row for pair in both for row in _rows(pair, forbids)]
    alike = [] if forbids else [pair for pair in both if pair.alike]
    rows = _judged(rows, {pair.id: pair for pair in both if pair.alike}, margin, noise.floor, alpha, judge)
    times = [row.change.ratio.value for row in rows if row.metric == "latency_ms" and row.change]
    return Versus(
        schema=SCHEMA,
        base=base.name,
        candidate=candidate.name,
        commits=commits(base, candidate),
        differences=found,
        rows=tuple(sorted(rows, key=lambda row: row.weight)),
        comparisons=sum(row.change is not None for row in rows),
        drift=drift(times),
        noise=noise,
        headlines=headlines(candidate, alike, noise.floor, judge),
        layers=() if noise.distrusted else slower_layers(alike, judge),
        exact_headlines=tuple(name for name in candidate.file.suite.headline if name in EXACT_HEADLINES),
        paired=paired,
    )


def are_paired(base: Run, candidate: Run) -> bool:
    """Return whether the two are the sides of one paired run."""
    a, b = base.file.paired, candidate.file.paired
    return a is not None and b is not None and a.id == b.id and a.side != b.side


def _rows(pair: Pair, forbids: str | None) -> Iterable[Row]:
    before, after = pair.base, pair.candidate
    if before is None or after is None:
        where = "the candidate has no such case" if after is None else "it is new: the baseline has no such case"
        yield Row(pair.id, None, "missing" if after is None else "not comparable", where)
    elif pair.difference:
        yield Row(pair.id, None, "not comparable", f"the case is another one: {pair.difference}")
    elif not after.ok or not before.ok:
        yield _without_numbers(before, after)
    else:
        yield from _of_metrics(before, after, forbids)


def _without_numbers(before: Result, after: Result) -> Row:
    if before.untried and after.untried:
        return Row(after.id, None, "not comparable", "neither run has measured it")
    if not after.ok and before.ok:
        word: Word = "missing" if after.untried else "failed"
        return Row(after.id, None, word, f"{after.status}: {after.reason}")
    if after.ok:
        return Row(after.id, None, "better", f"it has numbers; the baseline had none ({before.status})")
    if before.status == after.status:
        return Row(after.id, None, "same", f"{after.status} on both sides: {after.reason}")
    return Row(after.id, None, "changed", f"{before.status}, then {after.status}: {after.reason}")


def _of_metrics(before: Result, after: Result, forbids: str | None) -> Iterable[Row]:
    for name in (*TIMED, *EXACT):
        old, new = before.metrics.get(name), after.metrics.get(name)
        if old is None and new is None:
            continue
        if old is None or new is None:
            side = "candidate" if new is None else "baseline"
            word: Word = "missing" if new is None else "not comparable"
            yield Row(after.id, name, word, f"the {side} has not measured it")
        elif name not in TIMED:
            yield Row(after.id, name, exact(old.value, new.value, METRICS[name].better), None, old.value, new.value)
        elif forbids:
            yield Row(after.id, name, "not comparable", forbids, old.value, new.value)
        else:
            yield Row(after.id, name, "cannot tell", None, old.value, new.value)


def _judged(
    rows: Sequence[Row], both: Mapping[str, Pair], margin: Margin, floor: float, alpha: float, judge: Judge
) -> list[Row]:
    """Return the rows, those of times with their change and its word: all of them are counted together."""
    found = _changes(rows, both, judge)
    adjusted = dict(zip(found, benjamini_hochberg([one.p for one in found.values()]), strict=True))

    def judged(row: Row, one: Change, p: float) -> Row:
        case = both[row.id].candidate
        assert case is not None
        assert row.metric is not None
        least = floor if row.metric in BY_FLOOR else 0.0
        word = timed(one, significant=p <= alpha, margin=margin(row.metric, case), floor=least)
        return replace(row, verdict=word, change=one)

    return [judged(row, found[at], adjusted[at]) if at in found else row for at, row in enumerate(rows)]


def _changes(rows: Sequence[Row], both: Mapping[str, Pair], judge: Judge) -> dict[int, Change]:
    """Return the change of each time that can be judged, by its row's place; those of one metric share their noise."""
    asked: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row.metric in TIMED and row.verdict == "cannot tell":
            asked[row.metric].append(at)
    found: dict[int, Change] = {}
    for metric, places in asked.items():
        each = judge([both[rows[at].id].rounds(metric) for at in places])
        known = {at: one for at, one in zip(places, each, strict=True) if one is not None}
        found |= zip(known, together(list(known.values())), strict=True)
    return found
