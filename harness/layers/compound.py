"""What blocks and models have in common: they are made of layers, and what they adopt, these adopt too."""

from __future__ import annotations

from harness.case import Case
from harness.declare.scopes import layers_of, leaks
from harness.layers.interface import Layer

LEAK = "not causal: attention looks back only, but what the experts do with a token depends on later tokens too"
"""What is said of a causal block or model whose layer `leaks`."""


class Compound(Layer):
    """A layer made of others, its parts; it remarks what they remark."""

    def adopt(self, case: Case, backend: str) -> None:
        """Serve `case`, its layers by `backend`, and its dense FFNs by their own."""
        super().adopt(case, backend)
        for part, own in zip(self.parts, layers_of(case), strict=True):
            part.adopt(own, backend if own.layer == case.layer else part.backend)
        remarks = [remark for part in self.parts for remark in part.remarks]
        self.remarks = list(dict.fromkeys([*remarks, LEAK] if case.causal and leaks(case) else remarks))
