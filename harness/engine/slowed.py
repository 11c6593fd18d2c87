"""A layer that is slower by a known share: a plug-in for `harness.engine.selfcheck`, and for anybody's own doubts.

    layer = "harness.engine.slowed:by_5"

After its work it keeps the processor busy for a share of the processor time that this very call took; so a call that
the machine disturbs is slower by the same share, and the true ratio of two such layers is known without measuring
either. Waiting by the wall clock would not do: with eleven processes on two cores, 10 % became 50 %, since a wait that
loses its core ends long after its time.
"""

from __future__ import annotations

import time

from torch import Tensor, nn

from harness.case import Case


class Slowed(nn.Module):
    """A dense FFN, [B, m, D] to [B, m, D], that takes 1 + `share` times as long, on a CPU."""

    def __init__(self, case: Case, share: float) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.Linear(case.d_model, case.d_ff), nn.GELU(), nn.Linear(case.d_ff, case.d_model))
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return the FFN of `x`, later than it could be."""
        start = time.thread_time()
        y: Tensor = self.ffn(x)
        done = time.thread_time()
        end = done + self.share * (done - start)
        while time.thread_time() < end:
            pass
        return y


def by_0(case: Case) -> nn.Module:
    """Return the FFN as it is, on the same way."""
    return Slowed(case, 0.0)


def by_2(case: Case) -> nn.Module:
    """Return it 2 % slower."""
    return Slowed(case, 0.02)


def by_5(case: Case) -> nn.Module:
    """Return it 5 % slower."""
    return Slowed(case, 0.05)


def by_10(case: Case) -> nn.Module:
    """Return it 10 % slower."""
    return Slowed(case, 0.10)
