"""A layer of one's own on the bench: what the fixture `subject` is called with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from harness.case import DTYPES, PASSES, Case
from harness.declare.faults import Fault, listed, nearest, shown
from harness.declare.findings import Findings
from harness.declare.format import Measure, ProbeName, Text
from harness.declare.planned import PlannedCase
from harness.declare.structure import read_measure
from harness.layers.plugins import BlackBox
from harness.testing.bench import leave_untimed
from harness.testing.measured import Measured
from harness.testing.outcome import settle, show
from harness.testing.session import Harness

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from harness.testing.outcome import Taken

PROBES: tuple[ProbeName, ...] = ("flops", "latency", "memory", "determinism")
SECONDS = "seconds_per_visit"
"""What a suite calls `seconds`."""
ROUNDS = 6
"""The fewest that an interval can be resampled from."""


class Measurer:
    """The fixture's value: call it with a layer."""

    def __init__(self, harness: Harness, item: pytest.Item, benchmark: BenchmarkFixture) -> None:
        self._harness, self._item = harness, item
        self._benchmark: BenchmarkFixture | None = benchmark

    def __call__(
        self,
        layer: nn.Module | Callable[[Tensor], Tensor],
        *,
        batch: int,
        tokens: int,
        d_model: int,
        pass_: str = "forward",  # noqa: S107
        dtype: str | torch.dtype | None = None,
        probes: Sequence[ProbeName] = PROBES,
        rounds: int = ROUNDS,
        seconds: float = 0.05,
        seed: int = 0,
        **axes: Any,
    ) -> Measured:
        """Measure `layer`, [B, m, D] to [B, m, D], and return its numbers; the test fails where its output is none.

        The test is skipped where the layer raises `harness.layers.interface.Unsupported`. The first call in a test is
        its benchmark; the times of further ones stand in what they return alone.

        Args:
            layer: A module, or a function of one tensor. It is moved to `--harness-device`; its weights, mode and
                `requires_grad` are afterwards what they were.
            batch: B, sequences.
            tokens: m, tokens of each.
            d_model: D.
            pass_: forward, forward_backward or train (with AdamW's step at a rate of 0).
            dtype: Of the input; left out: that of the layer's weights.
            probes: What is measured, by the names that a suite's `[measure]` has.
            rounds: Of latency.
            seconds: Time that one round spends in timed calls.
            seed: Of the input, which is standard normal.
            axes: What else a case can say, as labels: `experts=8, top_k=2, d_ff=1024`.

        Raises:
            TypeError: `layer` cannot be called, or a case has no such axis.
            ValueError: The dtype, the pass or a probe is none that is measured, or a number is out of its range.
        """
        __tracebackhide__ = True
        try:
            module = layer if isinstance(layer, nn.Module) else _Function(layer)
            case = _case(layer, module, {"batch": batch, "tokens": tokens, "d_model": d_model} | axes, pass_, dtype)
            wanted = _measure(probes, rounds, seconds, seed)
        except (TypeError, ValueError) as error:
            leave_untimed(self._benchmark, error)
            raise
        with _lent(module):
            record = settle(self._harness, self._item, lambda: self._taken(case, module, wanted))
        show(self._item, record, self._benchmark)
        self._benchmark = None
        return Measured(record)

    def _taken(self, case: Case, module: nn.Module, wanted: Measure) -> Taken:
        bench, benchmark = self._harness.bench, self._benchmark
        where = torch.device(bench.device.torch_name)
        module.to(where)
        if benchmark is not None:
            benchmark.params = {**(benchmark.params or {}), **case.as_dict()}
        worker = bench.worker(make=lambda case, _: BlackBox(case, case.layer, module, where))
        return bench.measure(PlannedCase(case, None, None, None, None, None), wanted, worker, benchmark)


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        __tracebackhide__ = True
        super().__init__()
        if not callable(function):
            raise TypeError(f"{shown(function)} is no layer: expected a torch.nn.Module or a function of one tensor")
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


def _measure(probes: Sequence[ProbeName], rounds: int, seconds: float, seed: int) -> Measure:
    """Return what is to be measured; raise ValueError in the words that a suite's faults have."""
    __tracebackhide__ = True
    names = list(probes) if isinstance(probes, (list, tuple, set, frozenset)) else probes
    findings = Findings(Text())
    asked = {"probes": names, "rounds": rounds, SECONDS: seconds, "seed": seed}
    if (measure := read_measure(asked, findings)) is None:
        raise ValueError("; ".join(map(_said, findings.faults)))
    return measure


def _said(fault: Fault) -> str:
    similar = f"; did you mean {fault.nearest}?" if fault.nearest else ""
    return f"{fault.key.replace(SECONDS, 'seconds')}: {fault.message}: expected {fault.expected}{similar}"


def _case(layer: object, module: nn.Module, axes: dict[str, Any], pass_: str, dtype: str | torch.dtype | None) -> Case:
    __tracebackhide__ = True
    known = {field.name for field in fields(Case)} - {"variant", "layer", "dtype", "pass_"}
    for name in axes:
        if name not in known:
            similar = nearest(name, known)
            raise TypeError(f"a case has no axis {name!r}" + (f"; did you mean {similar}?" if similar else ""))
    if pass_ not in PASSES:
        raise ValueError(f"pass_={pass_!r}: expected {listed(PASSES)}")
    named = layer if hasattr(layer, "__qualname__") else type(layer)
    usual = {"d_ff": 4 * axes["d_model"], "backend": "best", "activation": "gelu", "gated": False}
    return Case(
        variant=getattr(named, "__name__", "subject"),
        layer=f"{named.__module__}:{named.__qualname__}",
        dtype=_dtype(module, dtype),
        pass_=pass_,
        **usual | axes,
    )


def _dtype(module: nn.Module, asked: str | torch.dtype | None) -> str:
    """Return the name of the input's dtype: what was `asked` for, else that of the first weights that have one."""
    __tracebackhide__ = True
    if asked is not None:
        name = str(asked).removeprefix("torch.")
        if name not in DTYPES:
            raise ValueError(f"dtype={name}: expected {listed(DTYPES)}")
        return name
    names = (str(weight.dtype).removeprefix("torch.") for weight in module.parameters())
    return next((name for name in names if name in DTYPES), "float32")


@contextmanager
def _lent(module: nn.Module) -> Iterator[None]:
    """Give a module back as it was: its modes, and which weights want gradients."""
    modes = [(each, each.training) for each in module.modules()]
    wanting = [(weight, weight.requires_grad, weight.grad) for weight in module.parameters()]
    try:
        yield
    finally:
        for each, mode in modes:
            each.training = mode
        for weight, wants, gradient in wanting:
            weight.requires_grad_(wants)
            weight.grad = gradient
