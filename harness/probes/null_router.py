"""The null model: what a balanced random router does with the same tokens, experts and capacity.

Each token goes to K of E experts, all sets of K as likely. An expert's load in a group of n tokens is then binomial,
(n, K/E), so that with λ = K T / E on average:

    distinct experts     E (1 - (1 - K/E)^T)                                     exact
    drop rate            E / (K n) sum over x > C of (x - C) P(x)                exact
                         1 / sqrt(2 π λ) where C = λ is large and K/E small      Stirling; the field's rule of thumb
    variation of load    sqrt((1 - K/E) / λ), in root mean square                the mean is drawn
    largest over mean                                                            drawn

What has no closed form is drawn, some dozens of times, seeded; the draws also say how far chance alone goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.case import Case
from harness.declare.letters import letters
from harness.declare.loads import distinct_experts
from harness.probes.assignment import weighted

DRAWS, FEWEST_DRAWS = 64, 8
MOST_KEYS = 1 << 21
"""Random numbers of all draws together, where they are more than the fewest: a tenth of a second."""
SEED = 7

Loads = NDArray[np.int64]
"""[G, E] the assignments that each group gives to each expert."""


@dataclass(frozen=True, slots=True)
class Null:
    """What is expected of a balanced random router, and what each draw of one gave."""

    values: dict[str, float]
    """By metric, `load_cv_null` and so on."""
    draws: dict[str, list[float]]
    """By the same names, less those that are exact without being drawn."""
    load: list[float]
    """[E] the load over its mean, busiest first, averaged over the draws."""


def null_of(case: Case) -> Null | None:
    """Return the null model of `case`; None where tokens do not choose, and the load is even by design."""
    if case.layer != "token_choice":
        return None
    n = letters(case)
    return _null(n.T, n.K, n.E, n.G, n.C)


def drop_rate(tokens: int, top_k: int, experts: int, room: int) -> float:
    """Return the share of the assignments of a group of `tokens` that find no room, on average: exact."""
    from scipy import stats  # here, since a worker that only times need not wait for it

    beyond = np.arange(room + 1, tokens + 1)
    lost = (beyond - room) * stats.binom.pmf(beyond, tokens, top_k / experts)
    return float(experts * lost.sum() / (top_k * tokens))


@lru_cache(maxsize=64)
def _null(tokens: int, top_k: int, experts: int, groups: int, room: int) -> Null:
    drawn = draw_loads(tokens, top_k, experts, groups)
    draws = {"load_cv_null": [_cv(loads.sum(0)) for loads in drawn]}
    draws["load_max_over_mean_null"] = [float(loads.sum(0).max() / loads.sum(0).mean()) for loads in drawn]
    values = {"distinct_experts_null": distinct_experts(tokens, top_k, experts), "drop_rate_null": 0.0}
    if room:
        values["drop_rate_null"] = drop_rate(tokens // groups, top_k, experts, room)
        draws["drop_rate_null"] = [float((loads - room).clip(min=0).sum() / (top_k * tokens)) for loads in drawn]
    values |= {name: float(np.mean(draws[name])) for name in ("load_cv_null", "load_max_over_mean_null")}
    ranked = [np.sort(loads.sum(0))[::-1] / loads.sum(0).mean() for loads in drawn]
    return Null(values, draws, np.mean(ranked, axis=0).tolist())


def draw_loads(tokens: int, top_k: int, experts: int, groups: int, draws: int | None = None) -> list[Loads]:
    """Return the loads of so many random routers; None: as many as take no time to speak of."""
    count = draws or max(FEWEST_DRAWS, min(DRAWS, MOST_KEYS // (tokens * experts)))
    generator = np.random.default_rng(SEED)
    group = np.repeat(np.arange(groups), tokens // groups)[:, None] * experts
    log_weights = np.zeros(experts)
    return [
        np.bincount((weighted(tokens, top_k, log_weights, generator) + group).ravel(), minlength=groups * experts)
        .reshape(groups, experts)
        .astype(np.int64)
        for _ in range(count)
    ]


def _cv(load: Loads) -> float:
    return float(load.std() / load.mean())
