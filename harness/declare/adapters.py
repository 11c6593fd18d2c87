"""Adapters: what other people's layers need and can do, said without importing them.

An adapter of the same mathematics as one of our kinds is a `backend` of that kind; its code is in
`harness/layers/adapters`. What keeps it from a case stands here, in words, so that `plan` knows it already.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache

from harness.case import Case


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is not ours."""

    module: str
    """What is imported."""
    install: str
    """What pip is to install."""


def _extra(module: str, extra: str) -> Package:
    return Package(module, f'"moe-harness[{extra}]"')


LAYER_PACKAGES = {
    "soft-moe-pytorch": _extra("soft_moe_pytorch", "soft-moe-pytorch"),
    "st-moe-pytorch": _extra("st_moe_pytorch", "st-moe-pytorch"),
}
"""The packages behind our own plug-ins, by the name of the layer."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Another implementation of token choice, dropless, with gated experts."""

    package: Package
    like: str = "grouped"
    """Our backend that multiplies the same rows: its FLOPs are this one's."""
    gates: tuple[str, ...] = ("softmax", "renormalised", "topk_softmax")
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")
    """Never float64: their routers are float32 at most."""
    activations: tuple[str, ...] = ("gelu", "relu", "silu")
    cuda: bool = False
    """Runs on CUDA alone."""
    counted: bool = True
    """Whether torch's counter sees its products; kernels of its own are invisible to it."""
    aligned: int = 1
    """Bytes that a row of its operands must be a multiple of."""
    normalises_one: bool = True
    """Whether the gate of a single choice is renormalised too, which makes it 1."""


_TRANSFORMERS = _extra("transformers", "transformers")
_HALF = ("bfloat16", "float16")
ADAPTERS: dict[str, Adapter] = {
    "transformers-eager": Adapter(_TRANSFORMERS),
    "transformers-batched": Adapter(_TRANSFORMERS),
    "transformers-grouped": Adapter(_TRANSFORMERS, aligned=16),
    "megablocks": Adapter(
        _extra("megablocks", "megablocks"), dtypes=("bfloat16",), cuda=True, counted=False, aligned=16
    ),
    "sonicmoe": Adapter(
        _extra("sonicmoe", "sonic-moe"),
        gates=("renormalised", "topk_softmax"),
        dtypes=_HALF,
        activations=("silu",),
        cuda=True,
        counted=False,
        aligned=16,
    ),
    "scattermoe": Adapter(
        Package("scattermoe", "git+https://github.com/shawntan/scattermoe"), cuda=True, counted=False
    ),
    "tutel": Adapter(
        Package("tutel", "git+https://github.com/microsoft/tutel"), cuda=True, counted=False, normalises_one=False
    ),
}
"""Every adapter that is a backend of token choice, by name."""


def unsupported(case: Case, backend: str, device: str) -> str | None:
    """Return why the adapter `backend` cannot run `case` on `device` (cpu, cuda), in words, or None."""
    adapter = ADAPTERS[backend]
    if case.layer != "token_choice":
        return f"{backend} is token choice, and this layer is {case.layer}"
    if case.scope != "layer":
        return f'{backend} is measured alone, and not in a {case.scope}: use scope = "layer"'
    if adapter.cuda and device != "cuda":
        return f"{backend} runs on CUDA alone, and this device is {device}"
    return missing(adapter.package) or _mathematics(case, backend, adapter) or _shapes(case, backend, adapter)


def _mathematics(case: Case, backend: str, adapter: Adapter) -> str | None:
    """Return which part of the case's mathematics `backend` does not have."""
    if not case.gated:
        return f'{backend} has gated experts without biases: use activation = "swiglu"'
    if case.activation not in adapter.activations:
        return f"{backend} has no gated {case.activation}; it has {', '.join(adapter.activations)}"
    if case.capacity_factor is not None:
        return f"{backend} is dropless: leave capacity_factor out"
    if case.shared_experts:
        return f"{backend} has no shared experts"
    if case.gate not in adapter.gates:
        return f'{backend} has no gate = "{case.gate}"; it has {", ".join(adapter.gates)}'
    if case.top_k == 1 and case.gate != "softmax" and not adapter.normalises_one:
        return f'{backend} does not renormalise a single gate: use gate = "softmax"'
    for axis, usual in (("noise", "none"), ("balance", "none"), ("routing", "learned")):
        if (said := getattr(case, axis)) not in (None, usual):
            return f'{backend} has a router of its own, without {axis} = "{said}"'
    return None


def _shapes(case: Case, backend: str, adapter: Adapter) -> str | None:
    if case.dtype not in adapter.dtypes:
        return f"{backend} does not take {case.dtype}; it takes {', '.join(adapter.dtypes)}"
    multiple = max(1, adapter.aligned // case.itemsize)
    for name, width in (("d_model", case.d_model), ("d_ff", case.d_ff)):
        if width % multiple:
            return f"{backend} needs {name} to be a multiple of {multiple} in {case.dtype}, and {width} is not"
    return None


def gathered_bytes(case: Case, backend: str) -> int:
    """Return what `backend` holds beyond our grouped one: a copy of its expert's weights for every assignment."""
    if backend != "transformers-batched":
        return 0
    copies = 2 if case.trains else 1  # and their gradients
    return copies * case.sequence_tokens * (case.top_k or 1) * 3 * case.d_model * case.d_ff * case.itemsize


def missing(package: Package) -> str | None:
    """Return that `package` is not installed and how to install it, or None where it is; nothing is imported."""
    if _found(package.module):
        return None
    return f"{package.module} is not installed: pip install {package.install}"


@cache
def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
