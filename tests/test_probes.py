"""The probes on real layers, each with a planted fault that it must find."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.devices import open_device
from harness.layers import build
from harness.layers.interface import Layer
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.rows import equal_rows, scaled_error
from harness.probes.subject import Subject
from tests.cases import dense, expert_choice, families, soft, token_choice

DEVICE = open_device("cpu")
SETTINGS = Settings(seconds_per_visit=0.002, min_samples=2)


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case))


def run(probe: str, subject: Subject) -> Outcome:
    return PROBES[probe].measure(subject, DEVICE, SETTINGS)


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_probe_measures_every_family(pass_: str, dtype: str) -> None:
    for case in families(pass_=pass_, dtype=dtype):
        subject = subject_of(case)
        for name, probe in PROBES.items():
            outcome = probe.measure(subject, DEVICE, SETTINGS)
            assert outcome.incorrect is None, f"{case.id} {name}: {outcome.incorrect}"
            assert set(outcome.values) <= set(probe.METRICS)


def test_training_leaves_the_shared_weights_bit_for_bit() -> None:
    layer = build(token_choice(pass_="train"))
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    make_subject(token_choice(pass_="train"), layer).run()
    assert all(torch.equal(weight, before[name]) for name, weight in layer.state_dict().items())


def test_all_layers_get_the_same_input() -> None:
    assert torch.equal(subject_of(dense()).x, subject_of(soft()).x)


# check


@pytest.mark.parametrize("case", families(dtype="bfloat16") + families(), ids=lambda case: case.id)
def test_a_wrong_weight_is_incorrect(case: Case) -> None:
    class OneScaledRow(torch.nn.Module):
        """The sound layer, but one token in 16 comes out 30 % too large."""

        def __init__(self, sound: Layer) -> None:
            super().__init__()
            self.sound = sound

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.sound(x)
            return torch.cat([y[:, :1] * 1.3, y[:, 1:]], dim=1)

    subject = subject_of(case)
    assert run("check", subject).incorrect is None
    _patch(subject.layer, OneScaledRow(_twin(subject.layer)))
    assert "differs from the float64 reference" in str(run("check", subject).incorrect)


def test_nan_and_wrong_shape_are_incorrect() -> None:
    subject = subject_of(dense())
    with torch.no_grad():
        next(subject.layer.parameters()).fill_(float("nan"))
    assert run("check", subject).incorrect == "the output holds NaN or infinity"
    subject = subject_of(dense())
    _patch(subject.layer, torch.nn.Linear(32, 16))
    assert "expected [2, 16, 32]" in str(run("check", subject).incorrect)


def test_a_router_that_picks_the_worst_expert_is_incorrect() -> None:
    subject = subject_of(token_choice(top_k=1))
    logits = torch.randn(32, 4)
    subject.layer.replay = logits.argmin(dim=-1, keepdim=True)  # a choice that has nothing to do with the scores
    assert "not the best" in str(run("check", subject).incorrect)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("noise", ["shazeer", "vmoe"])
def test_a_noisy_router_is_checked_with_its_noise(noise: str, dtype: str) -> None:
    """In training the reference draws the same noise; a layer that draws another one is found by its choices."""
    subject = subject_of(token_choice(noise=noise, dtype=dtype, pass_="train", tokens=64))
    assert run("check", subject).incorrect is None
    sound = subject.layer.forward

    def with_other_noise(x: Tensor) -> Tensor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.layers.noise.SEED", 1)
            return sound(x)

    subject.layer.forward = with_other_noise  # type: ignore[method-assign]
    assert run("check", subject).incorrect is not None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("backend", ["reference", "onehot", "grouped"])
@pytest.mark.parametrize("group", ["sequence", "batch"])
def test_service_by_priority_is_checked_in_its_own_order(group: str, backend: str, dtype: str) -> None:
    case = token_choice(
        drop="priority", capacity_factor=0.5, group=group, backend=backend, dtype=dtype, batch=4, tokens=64
    )
    assert run("check", subject_of(case)).incorrect is None


def test_tokens_served_out_of_turn_are_incorrect() -> None:
    subject = subject_of(token_choice(drop="priority", capacity_factor=0.5))
    subject.layer.replay_order = torch.arange(32)
    assert "not served by priority" in str(run("check", subject).incorrect)


@pytest.mark.parametrize("noise", ["shazeer", "vmoe"])
def test_noise_is_no_cause_of_its_own_in_determinism(noise: str) -> None:
    subject = subject_of(token_choice(noise=noise, pass_="train", batch=8))
    values = run("determinism", subject).values
    assert {cause for name, cause in values.items() if name.endswith("_cause")} <= {"none", "rounding"}
    assert subject.layer.training


# memory


def test_dense_memory_is_exact() -> None:
    case = dense(pass_="forward_backward", batch=4)
    values = run("memory", subject_of(case)).values
    T, D, F = 64, 32, 64
    assert values["memory_weights_bytes"] == 4 * (2 * D * F + F + D)
    assert values["memory_saved_bytes"] == 4 * T * 2 * F  # before and after the activation; x is not counted


def test_a_hidden_copy_shows_in_the_peak() -> None:
    subject = subject_of(dense())
    sound = run("memory", subject).values["memory_peak_bytes"]
    twin = _twin(subject.layer)

    class Copies(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            extra = torch.empty(2**18)
            y: Tensor = twin(x)
            return y + 0 * extra[0].clamp(0, 0)

    _patch(subject.layer, Copies())
    planted = run("memory", subject).values["memory_peak_bytes"]
    assert isinstance(sound, int)
    assert isinstance(planted, int)
    assert planted - sound >= 2**20


# routing, phases, latency


def test_balanced_and_collapsed_routing() -> None:
    subject = subject_of(token_choice(top_k=1))
    subject.layer.replay = torch.arange(32).remainder(4)[:, None]
    values = run("routing", subject).values
    assert values["load_cv"] == 0
    assert values["distinct_experts"] == 4
    subject.layer.replay = torch.zeros(32, 1, dtype=torch.long)
    values = run("routing", subject).values
    assert values["load_max_over_mean"] == 4
    assert values["load_cv"] == pytest.approx(math.sqrt(3))
    assert values["distinct_experts"] == 1


def test_everything_over_capacity_is_dropped() -> None:
    subject = subject_of(token_choice(top_k=1, capacity_factor=1.0))
    subject.layer.replay = torch.zeros(32, 1, dtype=torch.long)
    assert run("routing", subject).values["drop_rate"] == pytest.approx(24 / 32)


def test_the_balance_losses_are_metrics_of_the_timed_input() -> None:
    values = run("routing", subject_of(token_choice())).values
    assert 0.9 < values["balance_switch"] < 2  # type: ignore[operator]
    assert 0 < values["balance_importance"] < 0.5  # type: ignore[operator]
    assert values["router_z"] > 0  # type: ignore[operator]
    assert "balance_load" not in values  # there is no noise to be chosen under
    noisy = run("routing", subject_of(token_choice(noise="vmoe", pass_="train"))).values
    assert noisy["balance_load"] > 0  # type: ignore[operator]


def test_entropy_lies_between_certainty_and_uniform() -> None:
    entropy = run("routing", subject_of(token_choice())).values["router_entropy"]
    assert 0 < entropy < math.log(4)  # type: ignore[operator]


def test_dense_has_no_load_to_measure_and_says_so() -> None:
    outcome = run("routing", subject_of(dense()))
    assert outcome.values == {}
    assert "no router" in outcome.notes[0]


@pytest.mark.parametrize("case", [soft(), expert_choice()], ids=lambda case: case.id)
def test_soft_and_expert_choice_are_balanced_by_design(case: Case) -> None:
    values = run("routing", subject_of(case)).values
    assert values["load_cv"] == 0
    assert values["distinct_experts"] == 4


def test_latency_keeps_its_raw_samples() -> None:
    samples = run("latency", subject_of(dense())).values["latency_ms"]
    assert isinstance(samples, list)
    assert len(samples) >= 2
    assert all(0 < sample < 1000 for sample in samples)


# rows


def test_nan_equals_nothing_and_a_zero_row_must_be_zero() -> None:
    nan, zero, one = torch.full((1, 2), float("nan")), torch.zeros(1, 2), torch.ones(1, 2)
    assert not equal_rows(nan, nan).any()
    assert equal_rows(zero, zero).all()
    assert scaled_error(one, zero, 1e-7).item() == math.inf
    assert scaled_error(zero, zero, 1e-7).item() == 0
    assert scaled_error(one * (1 + 1e-6), one, 1e-7).item() == pytest.approx(10, rel=0.1)


def _twin(layer: Layer) -> Layer:
    """A second layer with the same weights."""
    twin = build(layer.case)
    twin.load_state_dict(layer.state_dict())
    return twin


def _patch(layer: Layer, instead: torch.nn.Module) -> None:
    """Let `layer` compute what `instead` computes, and show what it shows."""

    def forward(x: Tensor) -> Tensor:
        sound = getattr(instead, "sound", None)
        if isinstance(sound, Layer):
            sound.observer, sound.replay = layer.observer, layer.replay
        y: Tensor = instead(x)
        return y

    layer.forward = forward  # type: ignore[method-assign]
