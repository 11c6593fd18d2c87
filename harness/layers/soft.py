"""Soft MoE: experts process slots, each a weighted average of all tokens of a sequence.

Puigcerver et al. 2023 (arXiv 2308.00951), equations 1 to 3 and section 2.3.

    logits = scale * l2norm(X) l2norm(Phi)                    [m, S]; l2norm(v) = v / (||v|| + 1e-6)
    D = softmax of logits over tokens     X~ = D^T X          [S, D]
    Y~[s] = FFN_e(X~[s]), e = s // P                          [S, D]
    C = softmax of logits over slots      Y = C Y~            [m, D]

Only the router sees normalised tokens. A sequence is a group: nothing crosses from one to another.

The paper's ablations (its section on them, and table 2) keep the experts and their slots, and change `mixing` alone:

    uniform         D = 1 / m and C = 1 / S: y_t = mean over s of FFN_e(mean of X), the same for all tokens
    soft_dispatch   the learned D, C = 1 / S            soft_combine   D = 1 / m, the learned C
    identity        token i is row i // E of expert i mod E, and of nobody else: y_i = FFN_{i mod E}(x_i)

What is uniform is run as a mean, and identity as a turn of the axes: no product with a matrix that is known. Every
slot goes through its expert all the same, also where all are equal or (identity, more slots than tokens) empty, so that
what an ablation takes away is the mixing. Identity and uniform have no router, and no Phi and scale; the paper's code
has none of the ablations.

Backends: `reference` loops over the experts; `batched` is one batched product over them with B P rows each, and a
router that keeps nothing but norms for its backward pass. `batched` never waits for the device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.case import Case
from harness.declare.letters import COMBINES, DISPATCHES
from harness.layers.cosine import cosine_logits, l2norm
from harness.layers.experts import Ffn, normal_
from harness.layers.interface import Layer, torch_dtype


class Soft(Layer):
    """Soft MoE. Taps: logits [B, m, S] if it has a router, load [E] (slots of the batch), expert_output [B, S, D].

    It makes no choice.
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.slots is not None
        assert case.mixing is not None
        self.experts, self.slots, self.mixing = case.experts, case.slots, case.mixing
        self.phi: nn.Parameter | None = None
        self.scale: nn.Parameter | None = None
        if self.mixing in DISPATCHES | COMBINES:
            dtype = torch_dtype(case)
            self.phi = nn.Parameter(torch.empty(case.d_model, case.total_slots, dtype=dtype, device=device))
            self.scale = nn.Parameter(torch.empty((), dtype=dtype, device=device))
        self.ffn = Ffn(case, case.d_ff, case.experts, device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; the scale is 1."""
        if self.phi is not None and self.scale is not None:
            normal_(self.phi, self.case.d_model**-0.5, generator)
            nn.init.ones_(self.scale)
        self.ffn.initialise(generator)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D].

        `mask` [B, m] bool is False where a token is padding: it enters no slot, whatever it holds, and its output is 0.
        (The paper's code has no mask. The port soft-moe-pytorch masks the logits, and gives padding the mean of all
        slots.)
        """
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)  # a weight of 0 would not stop a NaN
        with self.phase("router"):
            into, out = self._weights(x, mask)
        with self.phase("dispatch"):
            slots = self._dispatch(x, into, mask)  # [B, S, D]
        with self.phase("experts"):
            rows = self._looped(slots) if self.backend == "reference" else self._batched(slots)
            self.tap("expert_output", rows)
        with self.phase("combine"):
            y = self._combine(rows, out, x.shape[1])
            return y if mask is None else y.masked_fill(~mask[..., None], 0)

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the dispatch and the combine weights [B, m, S], each None where it is not learned.

        In half precision the softmax is taken in float32 and rounded once, inside the operator.
        """
        if self.watched:
            self.tap("load", torch.full((self.experts,), len(x) * self.slots, device=x.device))
        if self.phi is None or self.scale is None:
            return None, None
        if self.backend == "reference":
            logits = l2norm(x, -1) @ (self.scale * l2norm(self.phi, 0))  # [B, m, S]
        else:
            logits = cosine_logits(x, self.phi, self.scale)
        self.tap("logits", logits)
        into = _over_tokens(logits, mask) if self.mixing in DISPATCHES else None
        return into, logits.softmax(2) if self.mixing in COMBINES else None

    def _dispatch(self, x: Tensor, into: Tensor | None, mask: Tensor | None) -> Tensor:
        """Return the slots [B, S, D]."""
        S = self.experts * self.slots
        if into is not None:
            return into.transpose(1, 2) @ x
        if self.mixing == "identity":
            return self._in_turn(x)
        if mask is None:
            return x.mean(1, keepdim=True).expand(-1, S, -1)
        count = mask.sum(1).clamp(min=1)[:, None, None]  # a sequence may be all padding
        return (x.sum(1, keepdim=True) / count).expand(-1, S, -1)

    def _combine(self, rows: Tensor, out: Tensor | None, tokens: int) -> Tensor:
        """Return what the tokens of each sequence get [B, m, D] from the experts' outputs `rows` [B, S, D]."""
        if out is not None:
            return out @ rows
        if self.mixing == "identity":
            if self.backend == "reference":
                return rows[:, self._slot_of(tokens, rows)]
            by_expert = rows.view(len(rows), self.experts, self.slots, -1)  # [B, E, P, D]
            return by_expert.transpose(1, 2).flatten(1, 2)[:, :tokens]
        return rows.mean(1, keepdim=True).expand(-1, tokens, -1).contiguous()

    def _in_turn(self, x: Tensor) -> Tensor:
        """Return the slots [B, S, D] where tokens go to the experts in turn; those beyond the tokens hold 0."""
        B, m, D = x.shape
        S = self.experts * self.slots
        if self.backend == "reference":
            return x.new_zeros(B, S, D).index_copy(1, self._slot_of(m, x), x)
        padded = x if m == S else F.pad(x, (0, 0, 0, S - m))
        return padded.view(B, self.slots, self.experts, D).transpose(1, 2)  # [B, E, P, D]

    def _slot_of(self, tokens: int, like: Tensor) -> Tensor:
        """Return the slot of each token [m]."""
        token = torch.arange(tokens, device=like.device)
        return token % self.experts * self.slots + token // self.experts

    def _looped(self, slots: Tensor) -> Tensor:
        """Reference: expert by expert, each on its P slots of every sequence."""
        by_expert = torch.split(slots, self.slots, dim=1)  # E of [B, P, D]
        return torch.cat(self.ffn.looped(by_expert), dim=1)

    def _batched(self, slots: Tensor) -> Tensor:
        """Return [B, S, D] for [B, S, D] or [B, E, P, D].

        With one slot an expert, or one sequence, both turns are views.
        """
        B, D, E, P = len(slots), slots.shape[-1], self.experts, self.slots
        rows = slots.reshape(B, E, P, D).transpose(0, 1).reshape(E, B * P, D)
        return self.ffn.batched(rows).view(E, B, P, D).transpose(0, 1).reshape(B, E * P, D)


def _over_tokens(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return the softmax of `logits` [B, m, S] over the tokens; 0 for padding, also where all of a sequence is."""
    if mask is None:
        return logits.softmax(1)
    padding = ~mask[..., None]
    return logits.masked_fill(padding, float("-inf")).softmax(1).masked_fill(padding, 0)
