"""Settings: what two cases must share before their times may be compared, in which order, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

from harness.case import DEFAULT_TOKENS, Case
from reports.words import count

PASS_WORDS = {"forward": "forward", "forward_backward": "forward and backward", "train": "training step"}


@dataclass(frozen=True, slots=True)
class Setting:
    """What two cases must share before their times may be compared: the input, its width, and what is done."""

    d_model: int
    batch: int
    tokens: int
    dtype: str
    pass_: str
    size: str | None
    scope: str
    causal: bool | None
    depth: int | None
    vocabulary: int | None
    patch: int | None
    compile: bool
    activation: str
    gated: bool


_setting = attrgetter(*(field.name for field in fields(Setting)))


def setting_of(case: Case) -> Setting:
    """Return the setting of `case`."""
    return Setting(*_setting(case))


_ALWAYS = ("size", "batch", "pass_")
"""Fields of a setting that are named even where they never vary."""
_GATED = {"silu": "swiglu", "gelu": "geglu", "relu": "reglu"}
_SETTING_WORDS: dict[str, Callable[[Setting], str]] = {
    "size": lambda s: f"size {s.size}" if s.size else f"d_model {s.d_model}",
    "batch": lambda s: f"batch {s.batch}",
    "tokens": lambda s: count(s.tokens, "token"),
    "dtype": lambda s: s.dtype,
    "pass_": lambda s: PASS_WORDS.get(s.pass_, s.pass_),
    "scope": lambda s: {"layer": "layer alone", "block": "one block"}.get(s.scope, f"whole {s.scope}"),
    "causal": lambda s: "causal" if s.causal else "",
    "depth": lambda s: count(s.depth, "block") if s.depth else "",
    "vocabulary": lambda s: f"vocabulary {s.vocabulary}" if s.vocabulary else "",
    "patch": lambda s: f"patches of {s.patch}" if s.patch else "",
    "compile": lambda s: "compiled" if s.compile else "",
    "activation": lambda s: _GATED.get(s.activation, f"gated {s.activation}") if s.gated else s.activation,
}


def setting_words(setting: Setting, varying: Iterable[str], *, without: Iterable[str] = ()) -> str:
    """Return `size S, batch 8, forward`: the fields that vary, and size, batch and pass, less those of `without`."""
    varying = {*varying} | ({"activation"} if "gated" in varying else set())
    shown = [name for name in _SETTING_WORDS if (name in _ALWAYS or name in varying) and name not in without]
    parts = [_SETTING_WORDS[name](setting) for name in shown]
    return ", ".join(part for part in parts if part)


def importance(s: Setting) -> tuple[object, ...]:
    """Return what settings are sorted by: the one to speak of first has the least."""
    order = {"forward": 0, "forward_backward": 1, "train": 2}.get(s.pass_, 3)
    return (
        order,
        -s.batch,
        -s.d_model,
        -s.tokens,
        abs(s.tokens - DEFAULT_TOKENS),
        s.dtype,
        ("model", "block").index(s.scope) if s.scope != "layer" else 2,
        not s.causal,
        s.depth or 0,
        s.vocabulary or 0,
        s.patch or 0,
        s.compile,
    )
