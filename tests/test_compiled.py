"""torch.compile: what is compiled, what is not, and that no compilation is timed.

Most tests let torch trace only (its backend `eager`), which takes milliseconds; the last ones run inductor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.plan import plan, visits
from harness.declare.suite import parse_suite
from harness.declare.visits import COMPILE_SECONDS, seconds_allowed
from harness.devices import open_device
from harness.layers import build
from harness.layers.interface import Layer, Unsupported, observing
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.compiled import Compiled, CompiledAgain, nothing_compiles
from harness.probes.rows import Taps
from harness.probes.subject import Subject
from tests.cases import dense, soft, token_choice

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles

DEVICE = open_device("cpu")
SETTINGS = Settings(seconds_per_visit=0.002, min_samples=2)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code is generated: graphs are traced, guarded and run by torch's own operators."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))


def _subject(case: Case, forward: Callable[[Layer, Tensor], Tensor] | None = None) -> Subject:
    """A compiled subject, whose layer computes `forward` where that is given."""
    layer = build(replace(case, compile=True))
    if forward is not None:
        layer.forward = functools.partial(forward, layer)  # type: ignore[method-assign]
    return make_subject(replace(case, compile=True), layer)


def _run(probe: str, subject: Subject) -> Outcome:
    return PROBES[probe].measure(subject, DEVICE, SETTINGS)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
def test_every_probe_measures_a_compiled_case(pass_: str) -> None:
    subject = _subject(soft(pass_=pass_, slots=2))
    for name in ("check", "flops", "memory", "determinism", "routing", "phases", "latency"):
        outcome = _run(name, subject)
        assert outcome.incorrect is None, name
        assert outcome.values or name == "check"
    assert subject.layer.remarks == []


@pytest.mark.usefixtures("traced")
def test_what_is_seen_only_eagerly_is_said() -> None:
    subject = _subject(soft())
    assert "eager layer" in _run("flops", subject).notes[0]
    assert "eager layer" in _run("phases", subject).notes[0]
    assert "eager layer" in _run("memory", subject).notes[0]
    assert _run("flops", make_subject(soft(), build(soft()))).notes == []


@pytest.mark.usefixtures("traced")
def test_the_compiled_function_runs_and_observers_see_the_eager_layer() -> None:
    def twice(layer: Layer, x: Tensor) -> Tensor:
        layer.tap("x", x)
        return 2 * x if torch.compiler.is_compiling() else 3 * x

    subject = _subject(dense(), twice)
    assert torch.equal(subject.run(), 2 * subject.x)
    with observing(subject.layer, taps := Taps()):
        assert torch.equal(subject.run(), 3 * subject.x)
    assert torch.equal(taps.seen["x"], subject.x)
    assert torch.equal(subject.eager.run(), 3 * subject.x)


@pytest.mark.usefixtures("traced")
def test_the_check_judges_what_the_compiled_function_returns() -> None:
    def wrong_when_compiled(layer: Layer, x: Tensor) -> Tensor:
        y: Tensor = type(layer).forward(layer, x)
        return 1.1 * y if torch.compiler.is_compiling() else y

    assert "differs from the float64 reference" in str(_run("check", _subject(dense(), wrong_when_compiled)).incorrect)


@pytest.mark.usefixtures("traced")
def test_a_compilation_in_the_timed_region_is_words_and_no_number() -> None:
    """Planted: an attribute that changes with every call, and that the graph depends on."""
    calls = [0.0]

    def never_the_same(layer: Layer, x: Tensor) -> Tensor:
        calls[0] += 1
        return x * calls[0] if calls[0] < 1e9 else x

    outcome = _run("latency", _subject(dense(), never_the_same))
    assert outcome.values == {}
    assert "compiled again in the timed region" in str(outcome.incorrect)


@pytest.mark.usefixtures("traced")
def test_nothing_compiles_names_the_guard_and_lets_other_errors_pass() -> None:
    compiled = Compiled(build(dense()))
    compiled(torch.ones(2, 16, 32))
    with nothing_compiles():
        compiled(torch.ones(2, 16, 32))
    with pytest.raises(CompiledAgain, match="size mismatch at index 0"), nothing_compiles():
        compiled(torch.ones(3, 16, 32))
    with pytest.raises(RuntimeError, match="of their own"), nothing_compiles():
        raise RuntimeError("of their own")


@pytest.mark.usefixtures("traced")
def test_every_subject_has_a_function_of_its_own() -> None:
    """Nine shapes of one layer: torch gives up on the ninth where they share a function."""
    layer = build(dense())
    for batch in range(1, 12):
        compiled = Compiled(layer)
        compiled(torch.ones(batch, 16, 32))
        with nothing_compiles():
            compiled(torch.ones(batch, 16, 32))


@pytest.mark.usefixtures("traced")
def test_a_layer_that_is_no_single_graph_says_so() -> None:
    def asks_the_host(layer: Layer, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 1e9 else x + 1

    subject = _subject(dense(), asks_the_host)
    assert torch.equal(subject.run(), subject.x + 1)
    assert torch.equal(subject.run(), subject.x + 1)
    assert len(subject.layer.remarks) == 1
    assert "in several graphs" in subject.layer.remarks[0]


def test_what_cannot_be_compiled_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: Any) -> Any:
        raise RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx")

    def cannot(*_: Any) -> Any:
        raise RuntimeError("the graph is too beautiful")

    real = torch.compile
    for backend, words in ((no_compiler, "needs a C\\+\\+ compiler"), (cannot, "the graph is too beautiful")):
        monkeypatch.setattr(torch, "compile", functools.partial(real, backend=backend))
        with pytest.raises(Unsupported, match=words):
            _subject(dense()).run()


SUITE = """
title = "Compiled or not"
[base]
size = "Ti"
tokens = 16
[sweep]
compile = [false, true]
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["flops", "compile"]
timeout = 5.0
"""


def test_only_compiled_cases_are_visited_for_it_and_have_more_time() -> None:
    planned = plan(parse_suite(SUITE))
    eager, compiled = (case.case for case in planned.cases)
    by_probe = [(visit.key, visit.probe) for visit in visits(planned)]
    assert by_probe == [
        *((eager.key, probe) for probe in ("check", "flops")),
        *((compiled.key, probe) for probe in ("check", "flops", "compile")),
    ]
    assert seconds_allowed(eager, 5.0) == 5.0
    assert seconds_allowed(compiled, 5.0) == 5.0 + COMPILE_SECONDS


def test_an_eager_case_has_nothing_to_compile() -> None:
    outcome = _run("compile", make_subject(token_choice(), build(token_choice())))
    assert outcome.values == {}
    assert "runs eagerly" in outcome.notes[0]


# inductor


def test_inductor_compiles_and_agrees() -> None:
    """Dense and forward: one graph, the cheapest there is; a soft one with its backward takes three times as long."""
    subject = _subject(dense())
    assert _run("check", subject).incorrect is None
    milliseconds = _run("compile", subject).values["compile_ms"]
    assert isinstance(milliseconds, float)
    assert milliseconds > 100
