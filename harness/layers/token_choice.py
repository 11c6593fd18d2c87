"""Token choice: every token goes to the K experts that it scores highest.

Shazeer et al. 2017 (arXiv 1701.06538); Switch for K = 1 (Fedus et al. 2021, arXiv 2101.03961); capacity and one-hot
dispatch of GShard (Lepikhin et al. 2020, arXiv 2006.16668); priority of V-MoE (Riquelme et al. 2021, arXiv 2106.05974);
dropless as in MegaBlocks (Gale et al. 2022, arXiv 2211.15841); shared experts of DeepSeekMoE (Dai et al. 2024, arXiv
2401.06066). What weighs the experts: `gates.py`; noise in training: `noise.py`; balance: `losses.py`.

    h = x W_r [+ noise]      g_e by the gate, from h      y = sum over the K chosen of g_e FFN_e(x) [+ FFN_shared(x)]

With a capacity, an expert takes the first C of its queue in each group; a dropped assignment adds exactly 0. The
backends, and which of them wait for the device, are those of `mixing.py`; the router itself never waits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.case import Case
from harness.declare.letters import room
from harness.layers import losses, noise, routing
from harness.layers.experts import Ffn, normal_
from harness.layers.gates import GATES, Scored, wide, wide_type
from harness.layers.interface import Layer, torch_dtype
from harness.layers.kernels import LOOP_REMARK, grouped_remark
from harness.layers.mixing import MIXES, Routed
from harness.layers.tiles import WAITS_REMARK, tiled


class TokenChoice(Layer):
    """Top-k routing.

    Taps: logits and scores [T, E], choice, gates and kept [T, K], load [E], expert_output [T, K, D], shared_output
    [T, D] if experts are shared. `load` is what the tokens ask for, before capacity; `expert_output` is ungated, and 0
    where it was dropped. `logits` have the noise in them, and `scores` the selection bias. Each balance loss is a tap
    too, without its coefficient; `balance_load` only where there is noise.
    """

    def __init__(self, case: Case, backend: str, device: str = "cpu") -> None:
        super().__init__(case, backend)
        assert case.experts is not None
        assert case.top_k is not None
        assert case.gate is not None
        self.experts, self.top_k, self.gate = case.experts, case.top_k, GATES[case.gate]
        shape, dtype = (case.d_model, case.experts), torch_dtype(case)
        self.router = nn.Parameter(torch.empty(shape, dtype=dtype, device=device))
        learned = case.noise == "shazeer"
        self.noise_weight = nn.Parameter(torch.empty(shape, dtype=dtype, device=device)) if learned else None
        biased = case.gate == "sigmoid" or case.balance == "bias"
        bias = torch.zeros(case.experts, dtype=wide_type(self.router), device=device)
        self.bias: Tensor | None
        """What is added to the scores that select, and to nothing else; 0 until somebody sets it."""
        self.register_buffer("bias", bias if biased else None)
        self.ffn = Ffn(case, case.d_ff, case.experts, device)
        self.shared = Ffn(case, case.d_ff * case.shared_experts, device=device) if case.shared_experts else None
        self._direction: Tensor | None = None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew; the logits of a unit-variance input have unit variance."""
        normal_(self.router, self.case.d_model**-0.5, generator)
        self.ffn.initialise(generator)
        if self.shared is not None:
            self.shared.initialise(generator)
        if self.noise_weight is not None:
            normal_(self.noise_weight, self.case.d_model**-0.5, generator)
        if self.bias is not None:
            self.bias.zero_()

    def adopt(self, case: Case, backend: str) -> None:
        """Serve `case` by `backend`, and remark where that waits for the device."""
        super().adopt(case, backend)
        remark = LOOP_REMARK if backend == "loop" else None
        if backend == "grouped" and case.capacity_factor is None:
            remark = grouped_remark(torch_dtype(case), self.router.device)
        if backend == "fixed_tile" and case.capacity_factor is None:
            remark = WAITS_REMARK
        self.remarks = [remark] if remark else []

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, m, D] for `x` [B, m, D]."""
        tokens = x.flatten(0, -2)  # [T, D]
        groups = len(tokens) // x.shape[-2] if self.case.group == "sequence" else 1
        with self.phase("router"):
            routed = self._route(tokens, groups)
        y = MIXES[self.backend](self, self.ffn, tokens, routed)
        if self.shared is not None:
            with self.phase("experts"):
                shared = self._ffn(self.shared, tokens)
                self.tap("shared_output", shared)
                y = y + shared
        return y.view_as(x)

    def _ffn(self, ffn: Ffn, tokens: Tensor) -> Tensor:
        """Return `ffn` of all `tokens` [T, D]."""
        if self.backend == "fixed_tile":
            return tiled(ffn.plain, tokens)
        return ffn.plain(tokens) if self.backend == "reference" else ffn.fused(tokens)

    def after_step(self, rate: float = losses.BIAS_RATE) -> None:
        """Move the selection bias against the load of the last pass, where `balance` is the loss-free bias."""
        if self._direction is not None and self.bias is not None:
            self.bias.add_(self._direction, alpha=rate)

    def _route(self, tokens: Tensor, groups: int) -> Routed:
        """Return who goes where, with which weight."""
        scored = self._score(tokens)
        ranked = scored.scores if self.bias is None else scored.scores.detach() + self.bias
        choice = self._choose(ranked)  # [T, K]
        gates = self.gate.weigh(scored.scores.gather(-1, choice)).to(tokens.dtype)  # [T, K]
        if self.training:
            self._balance(scored, choice)
        if self.watched:
            self._show(scored, ranked, choice, gates)
        factor = self.case.capacity_factor
        if factor is None:
            return Routed(choice, gates, groups, None, None)
        C = room(len(tokens) // groups, self.top_k, self.experts, factor)
        return Routed(choice, gates, groups, C, self._order(scored, groups))

    def _choose(self, ranked: Tensor) -> Tensor:
        """Return the experts [T, K] of each token: the best by `ranked` [T, E], or those that somebody says."""
        if self.replay is not None:
            return self.replay
        own = routing.top_k(ranked.detach(), self.top_k)  # whom, not how much: no gradient goes through it
        return own if self.assigned is None else self.assigned.over(own)

    def _score(self, tokens: Tensor) -> Scored:
        """Return what the router makes of `tokens` [T, D]: with noise where the layer trains."""
        clean = logits = self._logits(tokens)
        width: Tensor | None = None
        if self.training and self.case.noise in noise.WIDTHS:
            width = noise.WIDTHS[self.case.noise](tokens, clean, self.noise_weight)
            logits = wide(clean) + noise.standard_normal(clean) * width
        return Scored(self.gate, clean, logits, width, self.gate.rank(logits))

    def _logits(self, tokens: Tensor) -> Tensor:
        """Return the router's product [T, E]."""
        if self.backend == "fixed_tile":
            return tiled(lambda tile: tile @ self.router, tokens)
        return tokens @ self.router

    def _order(self, scored: Scored, groups: int) -> Tensor | None:
        """Return the tokens in order of service: by how probable the best expert of each is; None: by position."""
        if self.case.drop != "priority":
            return None
        priority = self.gate.probabilities(scored.scores.detach()).amax(-1)  # [T]
        order = routing.service(priority, groups) if self.replay_order is None else self.replay_order
        self.tap("priority", priority)
        self.tap("order", order)
        return order

    def _balance(self, scored: Scored, choice: Tensor) -> None:
        """Leave what the pass adds to the objective, or which way the selection bias should move."""
        balance = self.case.balance
        if balance == "bias":
            self._direction = losses.bias_step(routing.load(choice, self.experts))
        elif balance in losses.LOSSES:
            self.auxiliary = losses.COEFFICIENTS[balance] * losses.LOSSES[balance](scored, choice)

    def _show(self, scored: Scored, ranked: Tensor, choice: Tensor, gates: Tensor) -> None:
        self.tap("logits", scored.logits)
        self.tap("scores", ranked)
        self.tap("choice", choice)
        self.tap("gates", gates)
        self.tap("load", routing.load(choice, self.experts))
        for name, loss in losses.LOSSES.items():
            if name != "load" or scored.width is not None:
                self.tap(f"balance_{name}", loss(scored, choice))
