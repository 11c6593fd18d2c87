"""Loads: how many experts a batch touches, and what the busiest gets, by what `routing` says; no draw, no torch.

With T tokens, K of E experts each: a random router touches E (1 - (1 - K/E)^T) experts. `zipf` draws without
replacement, and includes an expert of weight w with a probability of about 1 - exp(-θ w), θ such that they sum to K
(Rosén 1972 for successive sampling). `learned` and `replay` are priced as a random router: what they are shows when
they are measured.
"""

from __future__ import annotations

import math
from functools import lru_cache

from harness.case import Case
from harness.declare.assignments import load_of
from harness.declare.letters import Letters

HALVINGS = 60
"""Of the interval that θ lies in: to the last digit of a float."""


def distinct_experts(tokens: int, top_k: int, experts: int) -> float:
    """Return how many of the experts a random router gives some token, on average: E (1 - (1 - K/E)^T)."""
    return experts * (1 - (1 - top_k / experts) ** tokens)


def rule_of_thumb(tokens: int, top_k: int, experts: int) -> float:
    """Return what share a random router drops at capacity factor 1, as the field estimates it: 1 / sqrt(2 π K T / E).

    Of a Poisson load of mean λ, by Stirling; it is near where λ is large and K a small part of E.
    """
    return 1 / math.sqrt(2 * math.pi * top_k * tokens / experts)


def touched(case: Case, n: Letters) -> int:
    """Return how many experts get at least one of the tokens of `case`, on average."""
    load = load_of(case.routing)
    if load.kind == "balanced":
        return min(n.E, n.K * n.T)
    if load.kind == "hot" and n.K < n.E:
        hot = round(load.number * n.T)
        missed = (1 - (n.K - 1) / (n.E - 1)) ** hot * (1 - n.K / (n.E - 1)) ** (n.T - hot)
        return round((hot > 0) + (n.E - 1) * (1 - missed))
    if load.kind == "zipf":
        return round(sum(1 - (1 - share) ** n.T for share in inclusion(n.E, n.K, load.number)))
    return round(distinct_experts(n.T, n.K, n.E))


def busiest(case: Case, n: Letters) -> int:
    """Return the assignments of the expert that gets most of them, on average."""
    load = load_of(case.routing)
    if load.kind == "balanced":
        return -(-n.K * n.T // n.E)
    if load.kind == "hot":
        return max(round(load.number * n.T), _largest_of_random(n))
    if load.kind == "zipf":
        return max(round(inclusion(n.E, n.K, load.number)[0] * n.T), _largest_of_random(n))
    return _largest_of_random(n)


@lru_cache(maxsize=256)
def inclusion(experts: int, top_k: int, exponent: float) -> tuple[float, ...]:
    """Return how probable it is that a token goes to each expert [E], the one of rank 1 first; they sum to K."""
    weights = [rank**-exponent for rank in range(1, experts + 1)]
    if top_k >= experts:
        return (1.0,) * experts
    low, high = 0.0, 1.0
    while _sum(weights, high) < top_k:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _sum(weights, middle) < top_k else (low, middle)
    return tuple(-math.expm1(-high * weight) for weight in weights)


def _sum(weights: list[float], theta: float) -> float:
    return sum(-math.expm1(-theta * weight) for weight in weights)


def _largest_of_random(n: Letters) -> int:
    """Return the largest load of a random router: nearly that of E Poisson loads of mean R / E."""
    mean = n.R / n.E
    return round(mean + math.sqrt(mean * math.log(n.E)))
