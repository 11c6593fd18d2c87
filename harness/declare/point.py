"""The axes as a suite writes them: one value each (`Point`), or several (`Product`)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticKnownError

LARGEST = 1_000_000_000
"""No axis goes beyond a billion: what is larger is a slip of the keyboard."""
SMALLEST = 0.001
"""No range and no capacity_factor goes below a thousandth: with less, an expert has room for its one row anyway."""

SizeName = Literal["Ti", "S", "B", "L", "H"]
DtypeName = Literal["float64", "float32", "bfloat16", "float16"]
PassName = Literal["forward", "forward_backward", "train"]
BackendName = Literal[
    "best", "reference", "fused", "loop", "onehot", "batched", "grouped", "fixed_tile",
    "transformers-eager", "transformers-batched", "transformers-grouped",
    "megablocks", "sonicmoe", "scattermoe", "tutel",
]  # fmt: skip
ActivationName = Literal["gelu", "relu", "silu", "swiglu", "geglu", "reglu"]
GateName = Literal["softmax", "renormalised", "topk_softmax", "sigmoid"]
NoiseName = Literal["none", "shazeer", "vmoe"]
DropName = Literal["position", "priority"]
BalanceName = Literal["none", "switch", "importance", "load", "z", "bias"]
MixingName = Literal["soft", "identity", "uniform", "soft_dispatch", "soft_combine"]
MoeLayers = Annotated[str, Field(pattern=r"^(all|last_half|every:[1-9][0-9]{0,3})$")]
_Share = r"(0?\.0{0,5}[1-9][0-9]{0,5}|1(\.0{1,6})?)"
RoutingName = Annotated[
    str,
    Field(pattern=rf"^(learned|balanced|iid|hot(:{_Share})?|zipf:[0-9]{{1,2}}(\.[0-9]{{1,6}})?|replay:.+)$"),
]


class Strict(BaseModel):
    """Knows its keys, and no others."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, frozen=True, strict=True, allow_inf_nan=False
    )


def _bounded(number: float) -> float:
    """Return a number above 0 that is infinite or within reason; raise Pydantic's error on others."""
    if number < SMALLEST:
        raise PydanticKnownError("greater_than_equal", {"ge": SMALLEST})
    if LARGEST < number < math.inf:
        raise PydanticKnownError("less_than_equal", {"le": LARGEST})
    return number


_Reach = Annotated[float | int, Field(gt=0, le=LARGEST), AfterValidator(_bounded)]


class Range(Strict):
    """The values from `from` to at most `to`, each `times` the last, or a `step` from it."""

    from_: _Reach = Field(alias="from")
    """The first value."""
    to: _Reach
    """No value is above this one."""
    times: float | int | None = Field(default=None, gt=1, le=LARGEST)
    """What one value is multiplied by to give the next."""
    step: _Reach | None = None
    """What is added to one value to give the next."""

    @model_validator(mode="after")
    def _one_rule(self) -> Range:
        if (self.times is None) == (self.step is None):
            raise ValueError("a range takes either times or step")
        return self


def _shape(value: object) -> str:
    """Return which of the forms of an axis `value` has, so that its faults speak of that form alone."""
    if isinstance(value, str):
        return "expression"
    if isinstance(value, dict | Range):
        return "range"
    return "values" if isinstance(value, list) else "value"


def _shape_of_many(value: object) -> str:
    shape = _shape(value)
    return "values" if shape == "value" else shape


_Expression = Annotated[str, Tag("expression")]
_Range = Annotated[Range, Tag("range")]
_one = Discriminator(lambda value: "expression" if isinstance(value, str) else "value")
_many = Discriminator(_shape_of_many)
_Int = Annotated[int, Field(ge=1, le=LARGEST)]
_Int0 = Annotated[int, Field(ge=0, le=LARGEST)]
_Factor = Annotated[float, Field(gt=0, allow_inf_nan=True), AfterValidator(_bounded)]
_Some = Field(min_length=1)

Whole = Annotated[Annotated[_Int, Tag("value")] | _Expression, _one]
"""A number of 1 or more, or an expression over other axes."""
Count = Annotated[Annotated[_Int0, Tag("value")] | _Expression, _one]
"""A number of 0 or more, or an expression over other axes."""
Factor = Annotated[Annotated[_Factor, Tag("value")] | _Expression, _one]
"""A number above 0, "dropless" (as is inf), or an expression over other axes."""
Wholes = Annotated[Annotated[list[Whole], _Some, Tag("values")] | _Range | _Expression, _many]
Counts = Annotated[Annotated[list[Count], _Some, Tag("values")] | _Range | _Expression, _many]
Factors = Annotated[Annotated[list[Factor], _Some, Tag("values")] | _Range | _Expression, _many]


class Point(Strict):
    """One value for each axis that is given.

    Axes that hold numbers also take an expression over other such axes: `d_ff = "4 * d_model"`.
    """

    size: SizeName | None = None
    """Catalogue preset that sets d_model, d_ff and heads; a d_ff or heads given beside it wins."""
    d_model: Whole | None = None
    """Width of the tokens, D."""
    d_ff: Whole | None = None
    """Hidden width of the dense FFN, or of one expert, F."""
    heads: Whole | None = None
    """Attention heads; counts in scope block and model, and must divide d_model."""
    experts: Whole | None = None
    """Experts, E."""
    top_k: Whole | None = None
    """Experts that each token goes to, K; token choice."""
    slots: Whole | None = None
    """Slots per expert; Soft MoE."""
    capacity_factor: Factor | None = None
    """Rows an expert has room for, over its even share; "dropless" (or inf, or left out) in token choice: no limit."""
    group: Literal["sequence", "batch"] | None = None
    """The tokens that compete for an expert's capacity."""
    batch: Whole | None = None
    """Sequences, B."""
    tokens: Whole | None = None
    """Tokens per sequence, m."""
    dtype: DtypeName | None = None
    """Number format of weights and activations."""
    pass_: PassName | None = Field(default=None, alias="pass")
    """What is run: forward, forward_backward, or train (with AdamW's step)."""
    backend: BackendName | None = None
    """Which implementation of the same mathematics; best leaves the pick to the layer."""
    routing: RoutingName | None = None
    """Who decides the experts of each token: the router (learned, from random weights), or an assignment that is drawn
    once: balanced (even), iid (a random router), zipf:1.2 (by a power of the rank), hot or hot:0.5 (the share of tokens
    that go to one expert), or replay:FILE (a stored one, in the suite's folder or the working folder). The router runs
    all the same."""
    compile: bool | None = None
    """Whether torch.compile is applied."""
    scope: Literal["layer", "block", "model"] | None = None
    """The layer alone, with attention and residuals, or a stack of blocks."""
    activation: ActivationName | None = None
    """gelu, relu or silu; swiglu, geglu and reglu are these, gated."""
    gated: bool | None = None
    """True: act(x W_gate) * (x W_up); False: act(x W_1 + b_1) W_2 + b_2."""
    shared_experts: Count | None = None
    """Experts that every token goes to besides its top k; token choice."""
    gate: GateName | None = None
    """What weighs an expert's output: softmax (over all experts, then top-k), renormalised (over their sum among the
    chosen), topk_softmax (top-k, then softmax over the chosen), sigmoid (chosen by score and bias)."""
    noise: NoiseName | None = None
    """What is added to the router's logits in training: none, shazeer (learned), vmoe (1 / experts)."""
    drop: DropName | None = None
    """Who goes without where capacity is short: the last by position, or by priority (batch prioritised routing)."""
    balance: BalanceName | None = None
    """The load-balance loss in `pass = "train"`: none, switch, importance, load, z, or bias (loss-free)."""
    mixing: MixingName | None = None
    """Soft MoE's weights: soft, or an ablation: identity, uniform, soft_dispatch, soft_combine."""
    causal: bool | None = None
    """Attention looks back only; scope block and model."""
    depth: Whole | None = None
    """Blocks of a model."""
    moe_layers: MoeLayers | None = None
    """Blocks of a model that have experts: all, last_half, or every:N; the others have a dense FFN."""
    vocabulary: Count | None = None
    """Tokens that a decoder knows, or classes of an encoder; 0: no embedding and no head; scope model."""
    patch: Whole | None = None
    """Side of an encoder's image patches in pixels; scope model."""
    expert_parallel: Whole | None = None
    """Ranks (processes, on CUDA devices) that experts and sequences are spread over; scope layer."""


class Product(Strict):
    """Several values for each axis that is given.

    A list, a range (`{ from = 8, to = 128, times = 2 }`, `{ from = 64, to = 256, step = 64 }`), or an expression.
    """

    size: Annotated[list[SizeName], _Some] | None = None
    d_model: Wholes | None = None
    d_ff: Wholes | None = None
    heads: Wholes | None = None
    experts: Wholes | None = None
    top_k: Wholes | None = None
    slots: Wholes | None = None
    capacity_factor: Factors | None = None
    group: Annotated[list[Literal["sequence", "batch"]], _Some] | None = None
    batch: Wholes | None = None
    tokens: Wholes | None = None
    dtype: Annotated[list[DtypeName], _Some] | None = None
    pass_: Annotated[list[PassName], _Some] | None = Field(default=None, alias="pass")
    backend: Annotated[list[BackendName], _Some] | None = None
    routing: Annotated[list[RoutingName], _Some] | None = None
    compile: Annotated[list[bool], _Some] | None = None
    scope: Annotated[list[Literal["layer", "block", "model"]], _Some] | None = None
    activation: Annotated[list[ActivationName], _Some] | None = None
    gated: Annotated[list[bool], _Some] | None = None
    shared_experts: Counts | None = None
    gate: Annotated[list[GateName], _Some] | None = None
    noise: Annotated[list[NoiseName], _Some] | None = None
    drop: Annotated[list[DropName], _Some] | None = None
    balance: Annotated[list[BalanceName], _Some] | None = None
    mixing: Annotated[list[MixingName], _Some] | None = None
    causal: Annotated[list[bool], _Some] | None = None
    depth: Wholes | None = None
    moe_layers: Annotated[list[MoeLayers], _Some] | None = None
    vocabulary: Counts | None = None
    patch: Wholes | None = None
    expert_parallel: Wholes | None = None
