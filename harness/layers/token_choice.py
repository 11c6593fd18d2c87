"""Token choice: every token goes to the K experts that it scores highest.

Shazeer et al. 2017 (arXiv 1701.06538); Switch for K = 1 (Fedus et al. 2021, arXiv 2101.03961); gates renormalised
for K >= 2 as in Mixtral (Jiang et al. 2024, arXiv 2401.04088); capacity and one-hot dispatch of GShard (Lepikhin et
al. 2020, arXiv 2006.16668); dropless as in MegaBlocks (Gale et al. 2022, arXiv 2211.15841); shared experts of
DeepSeekMoE (Dai et al. 2024, arXiv 2401.06066).

    p = softmax(x W_r)            g_e = p_e, or p_e / sum of the K kept        y = sum_e g_e FFN_e(x) [+ FFN_shared(x)]

With a capacity, an expert takes the first C of its queue in each group; a dropped assignment adds exactly 0.

Backends: `reference` loops over the experts; `onehot` moves tokens by products with 0-1 matrices (GShard);
`grouped` sorts them: dropless, one grouped product over rows in the order of experts, with capacity, one batched
product over a buffer of C rows an expert. `onehot` and `grouped` never wait for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.letters import room
from harness.layers import routing
from harness.layers.experts import Ffn, normal_
from harness.layers.interface import Layer, torch_dtype


class TokenChoice(Layer):
    """Top-k routing. Taps: logits and scores [T, E], choice [T, K], kept [T, K], load [E], expert_output [T, K, D].

    `load` is what the tokens ask for, before capacity; `expert_output` is ungated, and 0 where it was dropped.
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.top_k is not None
        self.experts, self.top_k = case.experts, case.top_k
        self.router = nn.Parameter(torch.empty(case.d_model, case.experts, dtype=torch_dtype(case), device=device))
        self.ffn = Ffn(case, case.d_ff, case.experts, device)
        self.shared = Ffn(case, case.d_ff * case.shared_experts, device=device) if case.shared_experts else None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; the logits of a unit-variance input have unit variance."""
        normal_(self.router, self.case.d_model**-0.5, generator)
        self.ffn.initialise(generator)
        if self.shared is not None:
            self.shared.initialise(generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        groups = len(tokens) // x.shape[-2] if self.case.group == "sequence" else 1
        with self.phase("router"):
            logits = tokens @ self.router  # [T, E]
            scores = routing.softmax(logits, -1)  # [T, E]
            choice = routing.top_k(scores, self.top_k) if self.replay is None else self.replay  # [T, K]
            gates = routing.gate(scores, choice).to(x.dtype)  # [T, K]
            self._show(logits, scores, choice)
        y = self._mix(tokens, gates, choice, groups)
        if self.shared is not None:
            with self.phase("experts"):
                y = y + (self.shared.plain(tokens) if self.backend == "reference" else self.shared.fused(tokens))
        return y.view_as(x)

    def _mix(self, tokens: Tensor, gates: Tensor, choice: Tensor, groups: int) -> Tensor:
        """Return what the routed experts add up to [T, D]."""
        factor = self.case.capacity_factor
        C = None if factor is None else room(len(tokens) // groups, self.top_k, self.experts, factor)
        if self.backend == "reference":
            return self._looped(tokens, gates, choice, groups, C)
        if C is None:
            return self._grouped(tokens, gates, choice)
        if self.backend == "onehot":
            return self._onehot(tokens, gates, choice, groups, C)
        return self._slotted(tokens, gates, choice, groups, C)

    def _looped(self, tokens: Tensor, gates: Tensor, choice: Tensor, groups: int, C: int | None) -> Tensor:
        """Reference: one buffer an expert, of C rows for each group, or as long as its queue where dropless."""
        with self.phase("dispatch"):
            place = routing.positions(choice, self.experts, groups if C else 1)  # [T, K]
            kept = place < (C or choice.numel())
            if C:  # the groups' rows stand one after another
                place = place + C * (torch.arange(len(tokens), device=place.device)[:, None] * groups // len(tokens))
            taken, buffers = [], []
            for expert in range(self.experts):
                token, k = torch.nonzero((choice == expert) & kept, as_tuple=True)
                row = place[token, k]
                buffer = tokens.new_zeros(C * groups if C else len(row), tokens.shape[1])
                buffers.append(buffer.index_put((row,), tokens[token]))
                taken.append((token, k, row))
        with self.phase("experts"):
            rows = self.ffn.looped(buffers)
        with self.phase("combine"):
            outputs = tokens.new_zeros(*choice.shape, tokens.shape[1])  # [T, K, D]
            for (token, k, row), out in zip(taken, rows, strict=True):
                outputs[token, k] = out[row]
            if self.observer is not None:
                self._show_outputs(outputs, kept)
            return (gates[..., None] * outputs).sum(1)

    def _grouped(self, tokens: Tensor, gates: Tensor, choice: Tensor) -> Tensor:
        """Dropless: sort by expert, two grouped products, gather back."""
        with self.phase("dispatch"):
            to = routing.sort(choice, self.experts)
            rows = routing.dispatch(tokens, to.token)  # [K T, D]
        with self.phase("experts"):
            rows = self.ffn.grouped(rows, to.expert, to.ends)
        with self.phase("combine"):
            if self.observer is not None:
                self._show_outputs(rows.detach()[to.row], torch.ones_like(choice, dtype=torch.bool))
            return routing.combine(rows, to.row, gates)

    def _slotted(self, tokens: Tensor, gates: Tensor, choice: Tensor, groups: int, C: int) -> Tensor:
        """Capacity: gather into C rows for each expert and group, batched products, gather back."""
        with self.phase("dispatch"):
            to = routing.slot(choice, self.experts, groups, C)
            rows = routing.dispatch(tokens, to.token).view(self.experts, groups * C, -1)  # [E, G C, D]
        with self.phase("experts"):
            rows = self.ffn.batched(rows).flatten(0, 1)  # [E G C, D]
        with self.phase("combine"):
            if self.observer is not None:
                self._show_outputs(rows.detach()[to.row], to.kept)
            return routing.combine(rows, to.row, gates * to.kept)

    def _onehot(self, tokens: Tensor, gates: Tensor, choice: Tensor, groups: int, C: int) -> Tensor:
        """Capacity as in GShard: 0-1 matrices [n, E C] move tokens to slots and back; n^2 in the size of a group."""
        E, D = self.experts, tokens.shape[1]
        with self.phase("dispatch"):
            place = routing.positions(choice, E, groups)  # [T, K]
            kept = place < C
            slot = (choice * C + place.clamp(max=C - 1)).view(groups, -1, self.top_k)  # [G, n, K]
            weights = (gates * kept).view_as(slot)
            into = gates.new_zeros(*slot.shape[:2], E * C)  # [G, n, E C]
            ones = kept.view_as(slot).to(gates.dtype)
            rows = torch.bmm(into.scatter(2, slot, ones).transpose(1, 2), tokens.view(groups, -1, D))  # [G, E C, D]
            rows = rows.view(groups, E, C, D).transpose(0, 1).reshape(E, groups * C, D)
        with self.phase("experts"):
            rows = self.ffn.batched(rows)
        with self.phase("combine"):
            rows = rows.view(E, groups, C, D).transpose(0, 1).reshape(groups, E * C, D)
            if self.observer is not None:
                group = torch.arange(groups, device=slot.device)[:, None, None]
                self._show_outputs(rows.detach()[group, slot].view(*choice.shape, D), kept)
            return torch.bmm(into.scatter(2, slot, weights), rows).flatten(0, 1)

    def _show(self, logits: Tensor, scores: Tensor, choice: Tensor) -> None:
        if self.observer is not None:
            self.tap("logits", logits)
            self.tap("scores", scores)
            self.tap("scores", logits)
            self.tap("choice", choice)
            self.tap("load", torch.nn.functional.one_hot(choice, self.experts).sum((0, 1)))

    def _show_outputs(self, outputs: Tensor, kept: Tensor) -> None:
        self.tap("kept", kept)
        self.tap("expert_output", outputs * kept[..., None])
