"""What a self-check's measurements say of the harness: figures, each with its target and whether it was met.

A comparison is two lists of rounds. Of equals they must not differ, and of a planted slow-down they must, as often as
the smallest detectable change promises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.judge.multiple import ALPHA, benjamini_hochberg, p_value, survives, wilcoxon
from harness.judge.noise import Cell, noise_floor, promised_power
from harness.judge.simulate import MACHINES, coverage
from harness.judge.stats import CONFIDENCE, log_ratios, paired_ratio, trimmed_mean
from harness.judge.verdict import verdict

Rounds = Sequence[float]
Pair = tuple[Rounds, Rounds]
Told = Callable[[int, int], None]
"""Is told how many of how many steps are done."""

POWER_80 = float(stats.norm.ppf(1 - ALPHA / 2) + stats.norm.ppf(0.8))
"""2.8: the effect, in standard errors, that a two-sided 5 % test finds four times out of five."""
MOST_FALSE, MOST_FALSE_BOUND = 0.05, 0.10
COVERED = (0.90, 0.98)
SMALLEST = 0.02
"""Targets."""
DIFFERENT = ("faster", "slower")


@dataclass(frozen=True, slots=True)
class Floor:
    """What one process says of the noise, having timed a layer against itself."""

    pairs: int
    ratio: float
    smallest_change: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    found: str
    target: str
    met: bool | None
    """None: it is told for comparison, and has no target."""

    @property
    def word(self) -> str:
        """`met`, `missed`, or nothing."""
        return "" if self.met is None else "met" if self.met else "missed"


def false_positives(pairs: Sequence[Pair]) -> list[Figure]:
    """Return how often equals were called different: by the verdict, by the interval alone, and by Wilcoxon's test."""
    ratios = [paired_ratio(*pair) for pair in pairs]
    called = sum(verdict(ratio) in DIFFERENT for ratio in ratios)
    missed = sum(ratio is not None and not ratio.holds(1.0) for ratio in ratios)
    ranked = sum((p := wilcoxon(*pair)) is not None and p <= ALPHA for pair in pairs)
    return [
        _false("equals called faster or slower", called, len(pairs)),
        _false("equals whose interval misses 1", missed, len(pairs)),
        Figure("the same by Wilcoxon's signed ranks", _share(ranked, len(pairs)), "a cross-check", None),
    ]


def estimate_spread(pairs: Sequence[Pair], together: int = 1) -> float:
    """Return the standard deviation of the log-ratio that `together` comparisons of equals, pooled, estimate."""
    logs = [log_ratios(*pair) for pair in pairs]
    pooled = [np.concatenate(logs[at : at + together]) for at in range(0, len(logs) - together + 1, together)]
    return float(np.std([float(trimmed_mean(each)) for each in pooled], ddof=1))


def smallest_change(spread: float) -> float:
    """Return the smallest change, as a share, that an estimate with this standard deviation finds with 80 % power."""
    return math.expm1(POWER_80 * spread)


def stated_change(pairs: Sequence[Pair]) -> float:
    """Return the smallest change that a run states whose A/A cells are these comparisons of equals."""
    floor = noise_floor([Cell(*pair) for pair in pairs], len(pairs[0][0]))
    assert floor is not None
    assert floor.smallest_change is not None
    return floor.smallest_change


def found_slow_downs(planted: Mapping[float, Sequence[Pair]], stated: float) -> Iterator[Figure]:
    """Yield, for each planted slow-down, how often it was found and held, and what the stated change promised."""
    for effect, pairs in planted.items():
        ratios = [ratio for pair in pairs if (ratio := paired_ratio(*pair)) is not None]
        found = sum(ratio.low > 1 for ratio in ratios)
        promise = promised_power(effect, stated, len(pairs[0][0]))
        most = stats.binomtest(found, len(ratios), alternative="less").proportion_ci(CONFIDENCE).high
        estimates = f"{np.median([ratio.value for ratio in ratios]):.3f}×"
        name = f"planted slow-down of {effect:.0%}".replace("%", " %")
        yield Figure(f"{name} found", _share(found, len(ratios)), f"at least {_percent(promise)}", most >= promise)
        held = sum(ratio.holds(1 + effect) for ratio in ratios)
        yield Figure(f"its interval holds it; median {estimates}", _share(held, len(ratios)), "a cross-check", None)


def sweeps_with_a_win(cases: Sequence[Rounds], cells: int, sweeps: int, told: Told, seed: int = 0) -> list[Figure]:
    """Return how many sweeps of so many cells, all of equals, report a win: comparisons counted together, and not.

    Sweeps are drawn from what was measured: cases of equal work, paired anew at random in each.
    """
    rng, together, alone = np.random.default_rng(seed), 0, 0
    for index in range(sweeps):
        drawn = rng.permutation(len(cases))[: 2 * cells]
        pairs = [(cases[a], cases[b]) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
        ps = [p_value(*pair) for pair in pairs]
        kept = [pair for pair, keeps in zip(pairs, survives(ps, benjamini_hochberg), strict=True) if keeps]
        together += any(verdict(paired_ratio(*pair)) in DIFFERENT for pair in kept)
        alone += any(p is not None and p <= ALPHA for p in ps)
        told(index + 1, sweeps)
    bound = stats.binomtest(together, sweeps, alternative="less").proportion_ci(CONFIDENCE).high
    name = f"sweeps of {cells} equal cells that report a win"
    found = f"{_share(together, sweeps)}; at most {_percent(bound)}"
    return [
        Figure(name, found, f"at most {_percent(MOST_FALSE)}", together <= MOST_FALSE * sweeps),
        Figure("the same if each cell were judged alone", _share(alone, sweeps), "what is avoided", None),
    ]


def smallest_changes(floors: Sequence[Floor]) -> Iterator[Figure]:
    """Yield the smallest change that processes with interleaved pairs detect: by their spread, and by their word."""
    change = smallest_change(float(np.std([math.log(floor.ratio) for floor in floors], ddof=1)))
    stated = float(np.median([floor.smallest_change for floor in floors]))
    name = f"smallest detectable change with {floors[0].pairs} interleaved pairs"
    yield Figure(name, _percent(change), f"at most {_percent(SMALLEST)}", change <= SMALLEST)
    yield Figure(
        f"what each of {len(floors)} processes states of itself, median", _percent(stated), "a cross-check", None
    )


def pooled_change(pairs: Sequence[Pair], of_pairs: int) -> Figure:
    """Return the smallest detectable change with so many pairs of a run's visits, pooled over comparisons of equals."""
    together = max(1, of_pairs // len(pairs[0][0]))
    change = smallest_change(estimate_spread(pairs, together))
    name = f"with {together * len(pairs[0][0])} pairs of visits, minutes apart"
    return Figure(name, _percent(change), "a cross-check", None)


def simulated_coverage(rounds: Sequence[int], runs: int, told: Told) -> Iterator[Figure]:
    """Yield how often intervals hold the truth on each simulated machine: of ratios, and of times."""
    steps = [(name, machine, n) for name, machine in MACHINES.items() for n in rounds]
    for step, (name, machine, n) in enumerate(steps):
        of_ratio, of_time = coverage(machine, n, runs)
        low, high = COVERED
        target = f"{_percent(low)} to {_percent(high)}"
        yield Figure(
            f"coverage, {name} series, {n} rounds",
            f"ratio {_percent(of_ratio)}, time {_percent(of_time)}",
            target,
            all(low <= round(share, 3) <= high for share in (of_ratio, of_time)),
        )
        told(step + 1, len(steps))


def _false(what: str, count: int, of: int) -> Figure:
    bound = float(stats.binomtest(count, of, alternative="less").proportion_ci(CONFIDENCE).high)
    met = count <= MOST_FALSE * of and bound <= MOST_FALSE_BOUND
    target = f"at most {_percent(MOST_FALSE)}, bound {_percent(MOST_FALSE_BOUND)}"
    return Figure(what, f"{_share(count, of)}; at most {_percent(bound)}", target, met)


def _share(count: int, of: int) -> str:
    return f"{count} of {of} ({_percent(count / of)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
