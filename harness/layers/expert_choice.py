"""Expert choice: every expert takes the C tokens that score it highest (Zhou et al. 2022, arXiv 2202.09368).

    S = softmax(X W_r) over experts                                                     [n, E]
    G, I = TopK(S^T, C), the C largest of each expert and their tokens                  [E, C]
    y_t = sum of G[e, c] FFN_e(x_t) over all (e, c) with I[e, c] = t

The load is balanced by construction; a token is taken by 0 to E experts, and which ones depends on the tokens of its
group, later ones too.

Backends: `reference` loops over groups and experts; `batched` is one gather, one batched product over the experts
and one sum by token, and never waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.letters import room
from harness.layers import moves, routing
from harness.layers.experts import Ffn, normal_
from harness.layers.interface import Layer, torch_dtype


class ExpertChoice(Layer):
    """Expert-choice routing.

    Taps: logits [T, E], scores [G, E, n], choice [G, E, C] (tokens of the group), gates [G, E, C], load [E],
    expert_output [G, E, C, D]. No assignment is ever dropped, so there is no `kept`.
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.capacity_factor is not None
        self.experts = case.experts
        self.router = nn.Parameter(torch.empty(case.d_model, case.experts, dtype=torch_dtype(case), device=device))
        self.ffn = Ffn(case, case.d_ff, case.experts, device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; the logits of a unit-variance input have unit variance."""
        normal_(self.router, self.case.d_model**-0.5, generator)
        self.ffn.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        groups = len(tokens) // x.shape[-2] if self.case.group == "sequence" else 1
        with self.phase("router"):
            logits = tokens @ self.router  # [T, E]
            gates, choice = self._choose(logits, groups)  # [G, E, C]
            if self.watched:
                self.tap("load", torch.full((self.experts,), choice[:, 0].numel(), device=x.device))
        mix = self._looped if self.backend == "reference" else self._batched
        return mix(tokens, gates, choice).view_as(x)

    def _choose(self, logits: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Return gates and tokens [G, E, C] that the experts take for `logits` [T, E]."""
        scores = routing.softmax(logits, -1).view(groups, -1, self.experts).transpose(1, 2)  # [G, E, n]
        C = room(scores.shape[-1], 1, self.experts, self.case.capacity_factor or 1.0)
        choice = routing.top_k(scores, C) if self.replay is None else self.replay
        self.tap("logits", logits)
        self.tap("scores", scores)
        self.tap("choice", choice)
        gates = scores.gather(-1, choice).to(logits.dtype)
        self.tap("gates", gates)
        return gates, choice

    def _looped(self, tokens: Tensor, gates: Tensor, choice: Tensor) -> Tensor:
        """Reference: expert by expert and group by group."""
        groups, _, C = choice.shape
        by_group = tokens.view(groups, -1, tokens.shape[1])  # [G, n, D]
        with self.phase("dispatch"):
            rows = [torch.cat([by_group[g, choice[g, e]] for g in range(groups)]) for e in range(self.experts)]
        with self.phase("experts"):
            outputs = torch.stack(self.ffn.looped(rows))  # [E, G C, D]
        with self.phase("combine"):
            outputs = outputs.view(self.experts, groups, C, -1).transpose(0, 1)  # [G, E, C, D]
            self.tap("expert_output", outputs)
            y = []
            for g in range(groups):
                weighted = gates[g, :, :, None] * outputs[g]  # [E, C, D]
                y.append(torch.zeros_like(by_group[g]).index_add(0, choice[g].flatten(), weighted.flatten(0, 1)))
            return torch.cat(y)

    def _batched(self, tokens: Tensor, gates: Tensor, choice: Tensor) -> Tensor:
        """One gather, batched products, one sum by token."""
        groups, E, C = choice.shape
        with self.phase("dispatch"):
            first = torch.arange(groups, device=choice.device)[:, None, None] * (len(tokens) // groups)
            token = (choice + first).transpose(0, 1).flatten()  # [E G C]
            back = moves.ragged(token, len(tokens))
            rows = moves.dispatch(tokens, token, back).view(E, groups * C, -1)  # [E, G C, D]
        with self.phase("experts"):
            rows = self.ffn.batched(rows)
        with self.phase("combine"):
            self.tap("expert_output", rows.view(E, groups, C, -1).transpose(0, 1))
            weights = gates.transpose(0, 1).flatten().gather(0, back.row)  # [E G C], token by token
            return moves.combine(rows.flatten(0, 1), token, back, weights)
