"""Case: one fully resolved point of a sweep."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

DTYPES: dict[str, tuple[str, int]] = {
    "float64": ("f64", 8),
    "float32": ("f32", 4),
    "bfloat16": ("bf16", 2),
    "float16": ("f16", 2),
}
"""dtype name: its short form in ids, bytes per number."""

DEFAULT_TOKENS = 196
"""Tokens of one 224 x 224 image in 16 x 16 patches."""

PASSES = ("forward", "forward_backward", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured: one layer at one size on one input; None where an axis does not apply to the layer.

    The letters of the field: `d_model` D, `d_ff` F, `experts` E, `top_k` K, slots in all S = E · `slots`,
    `batch` B sequences of `tokens` m each, T = B · m.
    """

    variant: str
    """Name of the suite's variant that this case belongs to."""
    layer: str
    """Kind: dense, dense_moe, token_choice, expert_choice, soft; or a plug-in's name, or `module:function`."""
    d_model: int
    d_ff: int
    """Hidden width of the dense FFN, or of one expert."""
    batch: int
    """Sequences."""
    tokens: int
    """Tokens per sequence."""
    dtype: str
    pass_: str
    """forward, forward_backward or train; written `pass` in every file."""
    backend: str
    """Which implementation of the mathematics; `best` leaves the pick to the layer, and the record says it."""
    activation: str
    """gelu, relu or silu."""
    gated: bool
    """True: act(x W_gate) * (x W_up) without biases; False: act(x W_1 + b_1) W_2 + b_2."""
    size: str | None = None
    """Catalogue preset that d_model, d_ff and heads came from."""
    heads: int | None = None
    experts: int | None = None
    top_k: int | None = None
    slots: int | None = None
    """Slots per expert."""
    capacity_factor: float | None = None
    """None in token choice: dropless."""
    group: str | None = None
    """sequence or batch: the tokens that compete for an expert's capacity."""
    routing: str | None = None
    """How the load is distributed; `learned` is the layer's own router."""
    assignment: str | None = None
    """Content of the stored assignment that `routing = "replay:FILE"` names, as 16 hex digits; not written where None.
    A file that is changed makes another case."""
    shared_experts: int | None = None
    gate: str | None = None
    """Token choice: what weighs an expert's output; see `harness/layers/gates.py`."""
    noise: str | None = None
    """What is added to the router's logits in training: none, shazeer or vmoe."""
    drop: str | None = None
    """Who goes without where capacity is short: the last by position, or the last by priority; None: dropless."""
    balance: str | None = None
    """The load-balance loss that `train` adds to the objective, or `none`; loss-free `bias` is one of them."""
    mixing: str | None = None
    """Soft MoE: its dispatch and combine weights, or one of the paper's ablations of them."""
    scope: str = "layer"
    """layer; block: with attention and residuals; model: a stack of blocks. The five below are None at `layer`."""
    causal: bool | None = None
    """Attention looks back only; with it a model is a decoder, without it a vision encoder."""
    depth: int | None = None
    """Blocks of a model."""
    moe_layers: str | None = None
    """Which blocks of a model have experts: all, last_half, or every:N; the others have a dense FFN."""
    vocabulary: int | None = None
    """Tokens that a decoder knows, or classes of an encoder; 0: blocks alone, without embedding and head."""
    patch: int | None = None
    """Side of an encoder's image patches, in pixels."""
    compile: bool = False
    expert_parallel: int = 1
    """Ranks that the experts, and the sequences of the batch, are spread over; not written where 1."""

    @property
    def sequence_tokens(self) -> int:
        """T: tokens in the whole batch."""
        return self.batch * self.tokens

    @property
    def total_slots(self) -> int:
        """S: slots of one sequence, over all experts."""
        return (self.experts or 0) * (self.slots or 0)

    @property
    def itemsize(self) -> int:
        """Bytes of one number of the case's dtype."""
        return DTYPES[self.dtype][1]

    @property
    def trains(self) -> bool:
        """Whether the pass needs gradients."""
        return self.pass_ != "forward"

    def as_dict(self) -> dict[str, Any]:
        """Return the case as files hold it, `pass_` as `pass`.

        All fields but `variant`, an `assignment` of None, and the ranks of a layer that is on one device.
        """
        data = {_WRITTEN[name]: getattr(self, name) for name in _WRITTEN}
        if self.assignment is None:
            del data["assignment"]
        if self.expert_parallel == 1:
            del data["expert_parallel"]
        return data

    @classmethod
    def from_dict(cls, variant: str, data: dict[str, Any]) -> Case:
        """Return the case that `as_dict` wrote; raise TypeError on an unknown or missing field."""
        return cls(variant=variant, **{_READ.get(name, name): value for name, value in data.items()})

    @property
    def key(self) -> str:
        """Content key: 16 hex digits over everything in the case, its variant's name too.

        The name counts, so that the same work under two names (an A/A pair) is two cases.
        """
        return hashlib.sha256(_encode([self.variant, self.as_dict()]).encode()).hexdigest()[:16]

    @property
    def id(self) -> str:
        """Readable name: `soft-S-e32-s1-b8-bf16-forward`.

        Everything that a suite can sweep is in it, or left out because it does not apply or is the default;
        so two cases have the same id only if they have the same key.
        """
        return "-".join(_id_parts(self))


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode  # made once: plans have 100,000 keys
_WRITTEN = {f.name: ("pass" if f.name == "pass_" else f.name) for f in fields(Case) if f.name != "variant"}
_READ = {"pass": "pass_"}
_ACTIVATIONS = {
    ("gelu", False): None,
    ("relu", False): "relu",
    ("silu", False): "silu",
    ("gelu", True): "geglu",
    ("relu", True): "reglu",
    ("silu", True): "swiglu",
}


def _id_parts(case: Case) -> list[str]:
    numbers = (("e", case.experts), ("k", case.top_k), ("s", case.slots), ("c", case.capacity_factor))
    parts = [
        case.variant,
        case.size or f"d{case.d_model}",
        None if case.size and case.d_ff == 4 * case.d_model else f"f{case.d_ff}",
        *_scope_parts(case),
        *(letter + str(value).removesuffix(".0") for letter, value in numbers if value is not None),
        "seq" if case.group == "sequence" else None,
        f"sh{case.shared_experts}" if case.shared_experts else None,
        _routing_part(case),
        None if case.gate == usual_gate(case.top_k) else case.gate,
        None if case.noise == "none" else case.noise,
        "bpr" if case.drop == "priority" else None,
        None if case.balance == "none" else f"balance_{case.balance}" if case.balance else None,
        None if case.mixing == "soft" else case.mixing,
        _ACTIVATIONS[case.activation, case.gated],
        f"b{case.batch}",
        None if case.tokens == DEFAULT_TOKENS else f"m{case.tokens}",
        DTYPES[case.dtype][0],
        "compiled" if case.compile else None,
        f"ep{case.expert_parallel}" if case.expert_parallel > 1 else None,
        None if case.backend == "best" else case.backend,
        case.pass_,
    ]
    return [part for part in parts if part is not None]


def _routing_part(case: Case) -> str | None:
    """Return the load's name; a stored assignment's with its content, and without what separates folders."""
    if case.assignment is not None and case.routing:
        return f"{case.routing.replace('/', '_')}@{case.assignment[:8]}"
    return None if case.routing == "learned" else case.routing


def _scope_parts(case: Case) -> list[str | None]:
    if case.scope == "layer":
        return []
    return [
        f"{case.scope}-h{case.heads}",
        "causal" if case.causal else None,
        f"l{case.depth}" if case.depth else None,
        case.moe_layers and case.moe_layers.replace(":", ""),
        f"v{case.vocabulary}" if case.vocabulary else None,
        f"p{case.patch}" if case.patch else None,
    ]


def usual_gate(top_k: int | None) -> str | None:
    """Return the gate that token choice has unless a suite says another: Switch's for one expert, else Mixtral's."""
    return None if top_k is None else "softmax" if top_k == 1 else "renormalised"
