"""Load-balance losses, normalised so that they compare between numbers of experts and of experts a token.

With T tokens, E experts and K a token; p_te the router's probabilities, f_e the share of all K T assignments that
expert e is given, before any drop; h the logits. The value at perfect balance, and the coefficient of the paper:

    switch        E sum_e f_e mean_t p_te               1      0.01     Fedus et al. 2021, equations 4 to 6
    importance    CV^2 of sum_t p_te over the experts   0      0.005    Shazeer et al. 2017, equation 6; V-MoE's weight
    load          CV^2 of mean_t q_te over the experts  0      0.005    Riquelme et al. 2021, appendix A
    z             mean_t (log sum_e exp h_te)^2         -      0.001    Zoph et al. 2022 (ST-MoE), equation 5
    bias          no loss: b_e += u sign(mean load - load_e)   u 0.001  Wang et al. 2024 (2408.15664), algorithm 1

`switch` is Hugging Face's `load_balancing_loss_func` divided by K, and MegaBlocks' as it is. q_te is the probability
that token t would still choose expert e if its noise on that expert alone were drawn anew: 1 - Phi((the K-th largest
noisy logit - h_te) / width), with V-MoE's threshold for either noise. z has no value of its own at balance: it grows
with the size of the logits, (log E)^2 where all are 0. V-MoE weighs the mean of importance and load with 0.01.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.layers import routing
from harness.layers.gates import Scored, wide

COEFFICIENTS: dict[str | None, float] = {"switch": 0.01, "importance": 0.005, "load": 0.005, "z": 0.001}
"""What each loss is multiplied by where it is added to the objective."""

BIAS_RATE = 0.001
"""u: what the loss-free bias moves by in one step."""


def switch(scored: Scored, choice: Tensor) -> Tensor:
    """Return E sum_e f_e P_e; the gradient goes through P alone."""
    probabilities = scored.probabilities
    experts = probabilities.shape[-1]
    share = routing.load(choice, experts).to(probabilities.dtype) / choice.numel()
    return experts * (share * probabilities.mean(0)).sum()


def importance(scored: Scored, choice: Tensor) -> Tensor:
    """Return the squared coefficient of variation of the experts' summed probabilities."""
    return _squared_variation(scored.probabilities.sum(0))


def load(scored: Scored, choice: Tensor) -> Tensor:
    """Return V-MoE's load loss, which is differentiable, unlike the load itself; it needs noise."""
    assert scored.width is not None
    threshold = scored.logits.topk(choice.shape[-1], dim=-1).values[:, -1:]
    chosen_again = torch.special.ndtr((scored.clean - threshold) / scored.width)  # 1 - Phi(v) = Phi(-v)
    return _squared_variation(chosen_again.mean(0))


def router_z(scored: Scored, choice: Tensor) -> Tensor:
    """Return the mean square of the log-sum-exp of the logits."""
    return wide(scored.logits).logsumexp(-1).square().mean()


LOSSES: dict[str | None, Callable[[Scored, Tensor], Tensor]] = {
    "switch": switch,
    "importance": importance,
    "load": load,
    "z": router_z,
}
"""Each loss without its coefficient, for what the router made of its tokens and the experts chosen [T, K]."""


def bias_step(load: Tensor) -> Tensor:
    """Return the signs [E] in which the loss-free bias moves: up where an expert has less than the mean `load` [E]."""
    counts = load.to(torch.float32)
    return torch.sign(counts.mean() - counts)


def _squared_variation(values: Tensor) -> Tensor:
    return values.var(correction=0) / values.mean().square()
