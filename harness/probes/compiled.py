"""Compiled: a layer under torch.compile, and the guards around it.

Every subject has a compiled function of its own, with a code object of its own: torch keeps what it compiled with the
code object, looks through all of it at each call, and after eight versions gives up and runs eagerly without a word;
so one function for many cases would be timed by its place in the queue, or not compiled at all.

Shapes are static (`dynamic=False`), and the layer must be one graph; where it cannot be, it runs in several, and
`Layer.remarks` says so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType

import torch
from torch import Tensor

from harness.layers.interface import Layer, Unsupported

_NUMBER = itertools.count()
_QUOTED = re.compile(r"got \w+\((['\"])(.*?)\1\)")
REASON_LENGTH = 200
"""Characters of torch's reason that a remark holds."""


class CompiledAgain(Exception):
    """torch.compile compiled where nothing may be compiled; the message says what made it."""


class Compiled:
    """`layer` under torch.compile: [.., m, D] to the same; nothing is compiled before the first call.

    Raises:
        Unsupported: At the first call, where torch can compile the layer neither whole nor in parts.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._function = _compile(layer, whole=True)
        self._called = False

    def __call__(self, x: Tensor) -> Tensor:
        """Return the layer's output for `x`."""
        if self._called:
            return self._function(x)
        y = self._first(x)
        self._called = True
        return y

    def anew(self) -> Compiled:
        """Return the same layer with nothing compiled yet."""
        return Compiled(self._layer)

    def _first(self, x: Tensor) -> Tensor:
        # seconds of import that eager cases do not pay
        from torch._dynamo.exc import TorchDynamoException
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

        refusals = (TorchDynamoException, GuardOnDataDependentSymNode)
        try:
            return self._function(x)
        except refusals as error:
            reason = _reason(error)
        self._function = _compile(self._layer, whole=False)
        try:
            y = self._function(x)
        except refusals as error:
            raise Unsupported(_why_not(error)) from error
        remark = f"torch.compile takes this layer in several graphs, with eager code between them: {reason}"
        if remark not in self._layer.remarks:
            self._layer.remarks.append(remark)
        return y


def _compile(layer: Layer, *, whole: bool) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        y = layer(x)
        assert isinstance(y, Tensor)
        return y

    name = f"compiled_{next(_NUMBER)}"  # code objects that are equal would be one to torch
    code = call.__code__.replace(co_name=name)
    own = FunctionType(code, call.__globals__, name, closure=call.__closure__)
    function: Callable[[Tensor], Tensor] = torch.compile(own, dynamic=False, fullgraph=whole)
    return function


def _why_not(error: Exception) -> str:
    if "C++ compiler" in str(error):
        return "compile = true needs a C++ compiler, and torch finds none: install g++, or name one in CXX"
    return f"torch.compile cannot compile this layer: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return the error inside torch's message, where it quotes one, else its first lines as one."""
    if quoted := _QUOTED.search(str(error)):
        text = quoted[2]
    else:
        text = " ".join(itertools.takewhile(bool, (line.strip() for line in str(error).splitlines())))
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


@contextmanager
def nothing_compiles() -> Iterator[None]:
    """Raise CompiledAgain where torch.compile compiles anything in the block."""
    try:
        with torch.compiler.set_stance("fail_on_recompile"):
            yield
    except RuntimeError as error:
        if "fail_on_recompile" not in str(error):
            raise
        guards = [line.strip(" -") for line in str(error).splitlines() if line.strip().startswith("- ")]
        raise CompiledAgain("; ".join(guards)[:REASON_LENGTH] or "nothing was compiled before") from error


@contextmanager
def cold_caches() -> Iterator[None]:
    """Let torch.compile find nothing that was compiled before, in memory or on disk, for the length of the block.

    The toolchain itself is warm: one small function was compiled, which imports the compiler, probes the machine's
    vector instructions and precompiles inductor's headers.
    """
    import torch._inductor.utils as inductor

    fresh = getattr(inductor, "fresh_cache", None) or inductor.fresh_inductor_cache
    with fresh():
        _compile_something()
        yield


def _compile_something() -> None:
    @torch.compile(dynamic=False)
    def double(x: Tensor) -> Tensor:
        return x + x

    double(torch.ones(64))
    if torch.cuda.is_available():
        double(torch.ones(64, device="cuda"))
