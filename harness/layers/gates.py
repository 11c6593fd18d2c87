"""Gates: what ranks the experts of a token, what weighs those that were chosen, and how probable each was.

With the logits h [T, E] of the router, and K the chosen:

    softmax         rank p = softmax(h)    weigh p                       Switch (Fedus et al. 2021), OLMoE (2409.02060)
    renormalised    rank p = softmax(h)    weigh p / sum of p over K     Mixtral (Jiang et al. 2024, 2401.04088)
    topk_softmax    rank h                 weigh softmax of h over K     Shazeer et al. 2017 (1701.06538), gpt-oss
    sigmoid         rank s = sigmoid(h)    weigh s / (sum of s over K)   DeepSeek-V3 (2412.19437), equations 13 to 16

`renormalised` and `topk_softmax` are the same function, written in two ways; with one expert a token both are 1, and
its router learns nothing. DeepSeek-V3 besides multiplies by 2.5, the routed scaling factor: that is no axis here.
A selection bias (loss-free balance) is added to what ranks, and never to what weighs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SMALLEST_SUM = 1e-20
"""Added to the sum of sigmoid scores before it divides, as DeepSeek-V3's code has it."""


class Gate(NamedTuple):
    """One way to turn logits into gates; everything is in float32 at least (Switch's selective precision)."""

    rank: Callable[[Tensor], Tensor]
    """Logits [T, E] to scores [T, E]: the K largest are chosen."""
    weigh: Callable[[Tensor], Tensor]
    """The scores of the chosen [T, K] to their gates [T, K]."""
    probabilities: Callable[[Tensor], Tensor]
    """Scores [T, E] to shares of 1 [T, E]: what a load-balance loss and a priority are taken of."""


def wide_type(values: Tensor) -> torch.dtype:
    """Return float32, or the type of `values` where that is wider."""
    return torch.promote_types(values.dtype, torch.float32)


def wide(values: Tensor) -> Tensor:
    """Return `values` in float32, or as they are where they are wider."""
    return values.to(wide_type(values))


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(-1, dtype=wide_type(scores))


def _as_they_are(scores: Tensor) -> Tensor:
    return scores


def _over_their_sum(scores: Tensor) -> Tensor:
    return scores / scores.sum(-1, keepdim=True)


def _over_their_sum_at_least(scores: Tensor) -> Tensor:
    return scores / (scores.sum(-1, keepdim=True) + SMALLEST_SUM)


def _sigmoid(logits: Tensor) -> Tensor:
    return wide(logits).sigmoid()


GATES: dict[str, Gate] = {
    "softmax": Gate(_softmax, _as_they_are, _as_they_are),
    "renormalised": Gate(_softmax, _over_their_sum, _as_they_are),
    "topk_softmax": Gate(wide, _softmax, _softmax),
    "sigmoid": Gate(_sigmoid, _over_their_sum_at_least, _over_their_sum),
}
"""Every gate by the name that suites use."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a router made of its tokens, before anything is chosen."""

    gate: Gate
    clean: Tensor
    """[T, E] logits before any noise."""
    logits: Tensor
    """[T, E] logits that count."""
    width: Tensor | None
    """Standard deviation of the noise, one for all or [T, E]; None: there is none."""
    scores: Tensor
    """[T, E] the gate's scores of `logits`."""

    @property
    def probabilities(self) -> Tensor:
        """[T, E] the scores as shares of 1."""
        return self.gate.probabilities(self.scores)
