"""Adapters of the same mathematics: transformers' blocks as they are, packages for a GPU by stand-ins."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case, usual_gate
from harness.declare import adapters, costs
from harness.declare.adapters import ADAPTERS, Adapter, Package, missing
from harness.devices import open_device
from harness.layers import build, reference_of
from harness.layers.adapters import adapter
from harness.layers.interface import Layer, observing, replaying, torch_dtype
from harness.probes import PROBES, Settings, make_subject
from harness.probes.check import allowed, errors
from harness.probes.memory import saved_bytes
from harness.probes.rows import Taps
from tests import foreign
from tests.cases import dense, token_choice

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)
BLOCKS = ("transformers-eager", "transformers-batched", "transformers-grouped")
GATES = ((2, "renormalised"), (2, "softmax"), (1, "softmax"), (3, "renormalised"))
"""Mixtral's block, Qwen3-MoE's, Qwen3-MoE's as Switch has it, Mixtral's with an odd K."""
STAND_INS: dict[str, dict[str, dict[str, Any]]] = {
    "megablocks": foreign.MEGABLOCKS,
    "sonicmoe": foreign.SONICMOE,
    "scattermoe": foreign.SCATTERMOE,
    "tutel": foreign.TUTEL,
}


def swiglu(**changes: Any) -> Case:
    """Return a dropless SwiGLU case of 8 experts."""
    given = {"experts": 8, "activation": "silu", "gated": True, "pass_": "forward_backward", **changes}
    return token_choice(**({"gate": usual_gate(given.get("top_k", 2))} | given))


def gradients(layer: Layer, x: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """Return the output and its gradients, by our names: y, x, and the weights."""
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    assert isinstance(y, Tensor)
    torch.autograd.backward(y, upstream)
    assert x.grad is not None
    found = {"y": y.detach(), "x": x.grad}
    own = _with_gradients(layer)
    return found | own


def _with_gradients(layer: Layer) -> dict[str, Tensor]:
    """Return the weights' gradients by our names: those of an adapter go the way of its weights."""
    weights = {name: weight.detach().clone() for name, weight in layer.named_parameters()}
    with torch.no_grad():
        for _, weight in layer.named_parameters():
            weight.copy_(torch.zeros_like(weight) if weight.grad is None else weight.grad)
        found = {name: weight.clone() for name, weight in layer.reference_weights().items()}
        for name, weight in layer.named_parameters():
            weight.copy_(weights[name])
    return found


def check_equal(layer: Layer) -> None:
    """Assert that `layer` is its float64 reference in output and gradients, to the rounding of its dtype."""
    case, eps = layer.case, torch.finfo(torch_dtype(layer.case)).eps
    generator = torch.Generator().manual_seed(1)
    shape = (case.batch, case.tokens, case.d_model)
    x, upstream = (torch.randn(shape, generator=generator).to(torch_dtype(case)) for _ in range(2))
    with observing(layer, taps := Taps()):
        layer(x)
    reference = reference_of(layer)
    for weight in reference.parameters():
        weight.requires_grad_()
    with replaying(reference, taps.seen["choice"]):
        wanted = gradients(reference, x.double(), upstream.double())
    one = case.top_k == 1 and case.gate != "softmax"
    for name, value in gradients(layer, x, upstream).items():
        if one and name == "router":
            continue  # a single renormalised gate is 1: what the router's gradient holds is rounding alone
        in_row, in_all = errors(value, wanted[name], eps)
        row_limit, all_limit = allowed(case)
        # A row of a gradient whose own sum all but cancels has no scale of its own; in all is what tells.
        assert in_all <= 2 * all_limit, (name, in_row, in_all)
        assert name != "y" or in_row <= row_limit, (name, in_row, in_all)


@needs_transformers
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("top_k", "gate"), GATES)
@pytest.mark.parametrize("backend", BLOCKS)
def test_transformers_equals_our_reference(backend: str, top_k: int, gate: str, dtype: str) -> None:
    check_equal(build(swiglu(backend=backend, top_k=top_k, gate=gate, dtype=dtype)))


@needs_transformers
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_transformers_other_gated_activations(activation: str) -> None:
    check_equal(build(swiglu(backend="transformers-eager", activation=activation)))


@needs_transformers
@pytest.mark.parametrize("backend", BLOCKS)
def test_an_adapter_draws_the_weights_of_our_layer(backend: str) -> None:
    ours, theirs = build(swiglu()), build(swiglu(backend=backend))
    for name, weight in theirs.reference_weights().items():
        assert torch.equal(weight, ours.state_dict()[name]), name
    assert sum(w.numel() for w in theirs.parameters()) == sum(w.numel() for w in ours.parameters())


@needs_transformers
def test_which_block_stands_for_which_gate() -> None:
    mixtral = build(swiglu(backend="transformers-grouped"))
    qwen = build(swiglu(backend="transformers-grouped", top_k=1))
    assert "MixtralSparseMoeBlock of transformers" in mixtral.remarks[0]
    assert "Qwen3MoeSparseMoeBlock of transformers" in qwen.remarks[0]


@needs_transformers
@pytest.mark.parametrize("backend", BLOCKS)
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_every_probe_measures_an_adapter(backend: str, pass_: str) -> None:
    case = swiglu(backend=backend, pass_=pass_)
    subject, device = make_subject(case, build(case)), open_device("cpu")
    seen: dict[str, Any] = {}
    for name in ("check", "flops", "memory", "determinism", "routing", "phases"):
        outcome = PROBES[name].measure(subject, device, Settings())
        assert outcome.incorrect is None, (name, outcome.incorrect)
        seen |= outcome.values
    assert "phases: this layer marks router and experts alone; the others stand inside, or in other" in outcome.notes
    assert seen["flops_counted"] == costs.cost(case).flops_executed
    assert seen["phase_router_share"] > 0
    assert seen["phase_experts_share"] > 0
    assert seen["distinct_experts"] == 8
    assert seen["det_run_cause"] == "none"


@needs_transformers
def test_hooks_are_gone_when_nobody_looks() -> None:
    layer = build(swiglu(backend="transformers-eager"))
    with observing(layer, Taps()):
        layer(torch.randn(2, 16, 32))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in layer.modules())


@needs_transformers
def test_batched_holds_a_copy_of_an_expert_for_each_assignment() -> None:
    case = swiglu(backend="transformers-batched")
    copies = adapters.gathered_bytes(case, case.backend)
    kept = saved_bytes(make_subject(case, build(case)))
    assert copies / 2 == 32 * 2 * 3 * 32 * 64 * 4
    assert copies / 2 < kept < copies, "the copies are kept for the backward pass, and are most of what is"
    assert costs.cost(case).memory_needed - costs.cost(replace(case, backend="grouped")).memory_needed == copies


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("name", STAND_INS)
def test_layouts_of_packages_for_a_gpu(name: str, top_k: int) -> None:
    dtype = "bfloat16" if name == "megablocks" else "float32"
    gates = [gate for gate in ("softmax", "renormalised") if gate in ADAPTERS[name].gates]
    for gate in gates if top_k > 1 or name != "tutel" else ["softmax"]:
        case = swiglu(backend=name, top_k=top_k, gate=gate, dtype=dtype, experts=4, tokens=4)
        with foreign.installed(**STAND_INS[name]):
            layer = adapter(name)(case, name)
            layer.adopt(case, name)
            assert layer.training
            assert not layer.block.training, "a step of its own would leave losses or noise"
            layer.initialise(torch.Generator().manual_seed(0))
            assert all(torch.isfinite(weight).all() for weight in layer.parameters())
            ours = build(replace(case, backend="best"), seed=0)
            for key, weight in layer.reference_weights().items():
                assert torch.equal(weight, ours.state_dict()[key]), key
            check_equal(layer)


@pytest.mark.parametrize("name", STAND_INS)
def test_kernels_that_no_counter_sees_are_not_counted(name: str) -> None:
    case = swiglu(backend=name, dtype="bfloat16", pass_="forward", top_k=2)
    with foreign.installed(**STAND_INS[name]):
        layer = adapter(name)(case, name)
        layer.initialise(torch.Generator().manual_seed(0))
        outcome = PROBES["flops"].measure(make_subject(case, layer), open_device("cpu"), Settings())
    assert outcome.values == {}
    assert outcome.notes == ["flops_counted is not measured: torch's counter does not see this backend's kernels"]


def test_sonicmoe_is_told_whether_it_trains() -> None:
    with foreign.installed(**foreign.SONICMOE):
        for pass_ in ("forward", "train"):
            layer = adapter("sonicmoe")(swiglu(backend="sonicmoe", pass_=pass_), "sonicmoe")
            layer.initialise(torch.Generator().manual_seed(0))
            layer(torch.randn(1, 2, 32))
    assert foreign.SonicMoE.calls[-2:] == [True, False]


PRESENT = Adapter(Package("torch", "torch"), gates=("softmax",), aligned=16, dtypes=("float32",), activations=("silu",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gated": False}, 'it has gated experts without biases: use activation = "swiglu"'),
        ({"activation": "relu"}, "it has no gated relu; it has silu"),
        ({"capacity_factor": 1.0}, "it is dropless: leave capacity_factor out"),
        ({"shared_experts": 1}, "it has no shared experts"),
        ({"gate": "sigmoid"}, 'it has no gate = "sigmoid"; it has softmax'),
        ({"noise": "vmoe"}, 'it has a router of its own, without noise = "vmoe"'),
        ({"balance": "switch"}, 'it has a router of its own, without balance = "switch"'),
        ({"routing": "hot"}, 'it has a router of its own, without routing = "hot"'),
        ({"dtype": "float64"}, "it does not take float64; it takes float32"),
        ({"d_ff": 66}, "it needs d_ff to be a multiple of 4 in float32, and 66 is not"),
        ({}, None),
    ],
)
def test_what_an_adapter_cannot_do_is_said_in_words(
    changes: dict[str, Any], words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADAPTERS, "it", PRESENT)
    case = replace(swiglu(gate="softmax", backend="it"), **changes)
    assert adapters.unsupported(case, "it", "cpu") == words


def test_device_package_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADAPTERS, "it", replace(PRESENT, cuda=True))
    assert adapters.unsupported(swiglu(), "it", "cpu") == "it runs on CUDA alone, and this device is cpu"
    assert adapters.unsupported(swiglu(gate="softmax"), "it", "cuda") is None
    assert adapters.unsupported(dense(), "it", "cpu") == "it is token choice, and this layer is dense"
    monkeypatch.setitem(ADAPTERS, "it", replace(PRESENT, normalises_one=False, gates=("softmax", "renormalised")))
    said = adapters.unsupported(swiglu(top_k=1, gate="renormalised"), "it", "cpu")
    assert said == 'it does not renormalise a single gate: use gate = "softmax"'


def test_a_package_that_is_missing_names_what_to_install() -> None:
    assert missing(Package("no_such_package", '"moe-harness[it]"')) == (
        'no_such_package is not installed: pip install "moe-harness[it]"'
    )
    assert missing(Package("json", "json")) is None
    on_gpu = costs.unsupported(swiglu(backend="tutel"), "cuda")
    assert on_gpu == "tutel is not installed: pip install git+https://github.com/microsoft/tutel"


def test_every_adapter_has_a_class_a_name_in_the_format_and_an_extra() -> None:
    import tomllib
    from typing import get_args

    from harness.declare.point import BackendName
    from harness.declare.shipped import suite_folder
    from harness.layers.adapters import _CLASSES

    assert set(ADAPTERS) == set(_CLASSES) <= set(get_args(BackendName))
    project = tomllib.loads((suite_folder().parent / "pyproject.toml").read_text())["project"]
    packages = [adapter.package for adapter in ADAPTERS.values()] + list(adapters.LAYER_PACKAGES.values())
    named = {each.install.partition("[")[2].rstrip(']"') for each in packages if "[" in each.install}
    assert named <= set(project["optional-dependencies"])
