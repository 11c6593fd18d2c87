"""What a series of timings says of itself: that it leans on what came before, drifts, or has two speeds.

None of it changes a number; it tells what the number does not. Each flag needs a size that matters and a chance below
ALARM; the tests hold the share of false alarms on independent series to what stands here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import signal, stats

from harness.judge.stats import SEED, Floats

ALARM = 0.01
"""Chance of a false alarm on an independent series. Measured on 3,000 of twelve rounds of twenty, normal, with long
tails or skewed: autocorrelation 0, drift 0.9 %, two speeds 0.03 %."""
LEAN = 0.3
"""Lag-1 autocorrelation that is worth a word: the samples then tell no more than half as many would."""
SIZE = 0.02
"""Drift, and distance of two speeds, that are worth a word: the margin within which times are called the same."""
MIN_DRIFT = 6
"""Rounds from which a drift can be told: the order of five is by chance what it is one time in sixty."""
MIN_SAMPLES = 30
"""Samples from which autocorrelation and two speeds can be told."""
CENTRE = (0.05, 0.95)
"""Quantiles between which speeds are looked for: hiccups beyond are no speed."""
RARE = 0.1
"""Share of the samples that a speed must have."""
SHALLOW = 0.75
"""Height of the valley between two speeds over the lower one's: what is less deep is the roughness of a flat top."""
RESAMPLES = 100
"""None of so many smoothed resamples may have two modes: a chance below ALARM."""
GRID = 128
FAST = 0.25
"""Quantile of a round's samples that stands for its fast speed: the median may lie on either side of the gap."""


def flags(rounds: Sequence[Sequence[float]]) -> list[str]:
    """Return what is to be said of the samples of all rounds, in the order of time; positive, in any unit."""
    logs = [np.log(np.array(samples, dtype=np.float64)) for samples in rounds if samples and min(samples) > 0]
    if not logs:
        return []
    said = []
    if drift := drift_over([float(np.median(each)) for each in logs]):
        word = "slower" if drift > 0 else "faster"
        said.append(f"drifted over the run: the last rounds were {100 * abs(drift):.0f} % {word} than the first")
    if lean := autocorrelation([each - np.median(each) for each in logs]):
        said.append(f"samples lean on the ones before them (autocorrelation {lean:.1f}); the interval goes over rounds")
    if found := two_speeds(logs):
        apart, share = 100 * found[0], round(10 * found[1]) * 10  # a dozen cases are to say the same
        said.append(f"runs at two speeds, {apart:.0f} % apart, the slower one in about {share:.0f} % of the samples")
    return said


def autocorrelation(rounds: Sequence[Floats]) -> float | None:
    """Return the lag-1 rank autocorrelation of samples within rounds; None where it is small or may be chance.

    Spearman's, over all pairs of neighbours within a round (after Wald and Wolfowitz 1943): one hiccup is one rank.
    """
    before = np.concatenate([each[:-1] for each in rounds])
    after = np.concatenate([each[1:] for each in rounds])
    if len(before) < MIN_SAMPLES or np.ptp(before) == 0 or np.ptp(after) == 0:
        return None
    found = stats.spearmanr(before, after, alternative="greater")
    return float(found.statistic) if found.statistic >= LEAN and found.pvalue < ALARM else None


def drift_over(rounds: Sequence[float]) -> float | None:
    """Return by how much, as a share, the logarithms of times rise over the run; None where little or maybe by chance.

    The test is Mann's and Kendall's, the size Theil's and Sen's slope from the first round to the last.
    """
    if len(rounds) < MIN_DRIFT or np.ptp(rounds) == 0:
        return None
    at = np.arange(len(rounds))
    size = math.expm1(float(stats.theilslopes(rounds, at).slope) * (len(rounds) - 1))
    return size if abs(size) >= SIZE and float(stats.kendalltau(at, rounds).pvalue) < ALARM else None


def two_speeds(rounds: Sequence[Floats]) -> tuple[float, float] | None:
    """Return how far apart two speeds lie, and the slower one's share; None where there is one, or maybe by chance.

    Rounds are laid on each other, so that what differs between processes is no speed.

    Silverman's test (1981): how likely is it that a sample of the smoothest density with a single mode has two of them
    at the same bandwidth. Most samples have one mode at his usual bandwidth, and are not tested.
    """
    logs = np.concatenate([each - np.quantile(each, FAST) for each in rounds])
    low, high = np.quantile(logs, CENTRE)
    centre = logs[(logs >= low) & (logs <= high)]
    if len(centre) < MIN_SAMPLES or high - low < SIZE or np.std(centre) == 0:
        return None
    usual = float(stats.gaussian_kde(centre, "silverman").factor)
    valley = _valley(centre, usual, SHALLOW)
    if valley is None:
        return None
    slow, fast = centre[centre > valley], centre[centre <= valley]
    share, apart = len(slow) / len(centre), math.expm1(float(np.median(slow) - np.median(fast)))
    if apart < SIZE or not RARE <= share <= 1 - RARE or not _certainly_two(centre):
        return None
    return apart, share


def _valley(sample: Floats, factor: float, depth: float = 1.0) -> float | None:
    """Return the lowest point between the two highest modes of the sample's density, or None where there is one mode.

    `factor` is the kernel's bandwidth over the sample's standard deviation, `depth` how high the valley may be as a
    share of the lower mode.
    """
    kernel = stats.gaussian_kde(sample, factor)
    reach = 3 * factor * float(np.std(sample, ddof=1))
    grid = np.linspace(sample.min() - reach, sample.max() + reach, GRID)
    density = kernel(grid)
    modes = signal.find_peaks(density)[0]
    if len(modes) < 2:
        return None
    left, right = sorted(sorted(modes, key=lambda at: -density[at])[:2])
    bottom = left + int(np.argmin(density[left:right]))
    return float(grid[bottom]) if density[bottom] <= depth * min(density[left], density[right]) else None


def _certainly_two(sample: Floats) -> bool:
    """Return whether no smoothed resample has two modes at the narrowest bandwidth that leaves the sample one."""
    narrow, wide = 1e-2, 4.0
    for _ in range(12):
        middle = math.sqrt(narrow * wide)
        narrow, wide = (narrow, middle) if _valley(sample, middle) is None else (middle, wide)
    spread, rng = float(np.std(sample, ddof=1)), np.random.default_rng(SEED)
    for _ in range(RESAMPLES):
        drawn = rng.choice(sample, len(sample)) + wide * spread * rng.standard_normal(len(sample))
        drawn /= math.sqrt(1 + wide**2)  # it is to be no wider than the sample
        if _valley(drawn, wide * spread / float(np.std(drawn, ddof=1))) is not None:
            return False
    return True
