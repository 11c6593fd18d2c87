"""A positive control for each cause: planted, found, named, and confirmed by the right counterfactual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.case import Case
from harness.devices import open_device
from harness.layers import build, mixing, moves
from harness.layers.experts import Ffn
from harness.layers.interface import Layer
from harness.layers.plugins import BlackBox
from harness.layers.token_choice import TokenChoice
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.determinism import DETAILS
from harness.probes.determinism.scene import Scene
from harness.probes.subject import Subject
from tests.cases import dense, soft, stack, token_choice

DEVICE = open_device("cpu")
QUIET: dict[str, Any] = {"backend": "fixed_tile", "batch": 8}
"""A layer that by itself differs along no axis, so that what is found is what was planted."""


def measure(subject: Subject) -> Outcome:
    return PROBES["determinism"].measure(subject, DEVICE, Settings())


def told(outcome: Outcome, axis: str) -> list[object]:
    return [outcome.values.get(f"det_{axis}_{end}") for end in ("cause", "detail", "proof")]


def rows_of(outcome: Outcome, axis: str, detail: str) -> float:
    return outcome.series[f"det_{axis}_rows"][DETAILS.index(detail)]


# routing flips: near ties by bisection


def near_ties(layer: TokenChoice, generator: torch.Generator, count: int) -> Tensor:
    """Return `count` tokens [count, D] between two experts, as near as float32 can tell, by bisection."""
    router = layer.router.detach()
    ties: list[Tensor] = []
    while len(ties) < count:
        a, b = torch.randn(2, router.shape[0], generator=generator)
        first, second = int((a @ router).argmax()), int((b @ router).argmax())
        if first == second:
            continue
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            token = (1 - middle) * a + middle * b
            low, high = (middle, high) if int((token @ router).argmax()) == first else (low, middle)
        ties.append((1 - low) * a + low * b)
    return torch.stack(ties)


@pytest.fixture(scope="module")
def tied() -> Outcome:
    """Top-1 of 32 experts with every token on a border between two (facts: 44 % of such tokens flip in float32)."""
    case = token_choice(d_model=512, d_ff=64, experts=32, top_k=1, batch=128, tokens=1, gate="softmax")
    layer = build(case)
    assert isinstance(layer, TokenChoice)
    subject = make_subject(case, layer)
    ties = near_ties(layer, torch.Generator().manual_seed(0), case.batch)[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.probes.determinism.axes.PROBED", case.batch)  # each alone: the sample is the batch
        patch.setattr("harness.probes.determinism.scene.draw_input", _drawing(ties))
        return measure(subject)


def _drawing(ties: Tensor) -> Callable[..., Tensor]:
    def draw(case: Case, layer: Layer, seed: int, *, batch: int) -> Tensor:
        if seed == 0:
            return ties.clone()
        return torch.randn(batch, 1, case.d_model, generator=torch.Generator().manual_seed(seed))

    return draw


def test_near_ties_flip_with_the_batch_size_and_replay_takes_the_effect_away(tied: Outcome) -> None:
    flipped = tied.values["flip_rate"]
    assert isinstance(flipped, float)
    assert 0.2 < flipped < 0.7
    assert told(tied, "batch_size") == ["routing_flip", "routing_flip", "replay"]
    assert rows_of(tied, "batch_size", "routing_flip") == round(flipped * 128)
    assert tied.values["det_run"] == 1.0


def test_near_ties_have_no_margin_and_every_flip_is_predicted(tied: Outcome) -> None:
    assert tied.values["flip_rate_predicted"] > 0.9  # type: ignore[operator]
    assert tied.values["flip_rate_predicted"] >= tied.values["flip_rate"]  # type: ignore[operator]
    assert tied.series["det_margin"][-1] < 1e-4


def test_a_flip_changes_a_row_by_orders_of_magnitude_more_than_rounding(tied: Outcome) -> None:
    decided, rounded = tied.series["det_batch_size_decided_eps"], tied.series["det_batch_size_rounded_eps"]
    assert decided[0] > 1e4 * rounded[-1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_choice_that_turns_with_the_batch_and_obeys_no_replay_is_only_seen(dtype: str) -> None:
    """Planted: every token scores two experts alike, and the batch's size decides, whatever is replayed."""
    subject = _subject(token_choice(top_k=1, batch=8, dtype=dtype))
    layer, sound = subject.layer, build(subject.case)
    with torch.no_grad():
        assert isinstance(layer.router, Tensor)
        layer.router[:, 1] = layer.router[:, 0]
    sound.load_state_dict(layer.state_dict())

    def forward(x: Tensor) -> Tensor:
        sound.observer = layer.observer
        choice = (x.flatten(0, 1) @ layer.router).argmax(-1, keepdim=True)  # type: ignore[operator]
        sound.replay = torch.where(choice <= 1, int(len(x) == 1), choice)
        y: Tensor = sound(x)
        return y

    layer.forward = forward  # type: ignore[method-assign]
    outcome = measure(subject)
    assert outcome.values["det_run"] == 1.0
    assert told(outcome, "batch_size") == ["routing_flip", "routing_flip", "taps"]
    assert 0.2 < outcome.values["det_batch_size"] < 0.8  # type: ignore[operator]


def test_an_order_that_flips_is_no_flip_of_the_set() -> None:
    """Planted: alone, the best two experts change places."""
    subject = _subject(token_choice(**QUIET))
    layer = subject.layer
    assert isinstance(layer, TokenChoice)
    sound = layer._route

    def route(tokens: Tensor, groups: int) -> mixing.Routed:
        routed = sound(tokens, groups)
        if len(tokens) > 16:
            return routed
        turned = routed._replace(choice=routed.choice.flip(1), gates=routed.gates.flip(1))
        layer.tap("choice", turned.choice)
        layer.tap("gates", turned.gates)
        return turned

    layer._route = route  # type: ignore[method-assign]
    outcome = measure(subject)
    assert outcome.values["order_flip_rate"] == 1.0
    assert outcome.values["flip_rate"] == 0.0
    assert told(outcome, "batch_size") == ["rounding", "combine_order", "taps"]


# drops, padding


def test_capacity_1_drops_rows_by_design() -> None:
    outcome = measure(_subject(token_choice(**QUIET, top_k=1, capacity_factor=1.0)))
    assert told(outcome, "composition") == ["drop", "drop", "float64"]
    assert rows_of(outcome, "composition", "drop") == outcome.values["det_composition_changed"] * 32
    assert told(outcome, "position") == ["drop", "drop", "float64"]
    assert told(outcome, "drops") == ["drop", "drop", "float64"]


def test_a_drop_that_float64_does_not_repeat_is_told_by_its_taps() -> None:
    """Planted: the layer that is measured drops, its reference has room for all."""
    subject = _subject(token_choice(**QUIET, top_k=1, capacity_factor=1.0))
    reference = replace(subject.case, capacity_factor=4.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.probes.determinism.scene.reference_of", lambda layer: _wide(layer, reference))
        outcome = measure(subject)
    assert told(outcome, "composition") == ["drop", "drop", "taps"]


def _wide(layer: Layer, case: Case) -> Layer:
    twin = build(replace(case, dtype="float64", backend="reference"))
    twin.load_state_dict({name: weight.double() for name, weight in layer.state_dict().items()})
    return twin


def test_pads_that_route_push_tokens_out() -> None:
    """The pads are one token again and again, so they go to one expert, in front of later sequences."""
    outcome = measure(_subject(token_choice(**QUIET, top_k=1, capacity_factor=1.0)))
    assert told(outcome, "padding") == ["drop", "drop", "float64"]
    alone = measure(_subject(token_choice(**QUIET, top_k=1)))
    assert alone.values["det_padding"] == 1.0


def test_a_mask_that_is_ignored_is_padding() -> None:
    subject = _subject(soft(batch=8))
    sound = subject.layer.forward

    def forward(x: Tensor, mask: Tensor | None = None) -> Tensor:
        return sound(x)

    subject.layer.forward = forward  # type: ignore[method-assign]
    outcome = measure(subject)
    assert outcome.values["det_padding"] == 0.0
    assert outcome.values["det_padding_changed"] == 1.0
    assert told(outcome, "padding") == ["coupling", "padding", "taps"]  # its reference heeds the mask


# rounding: router, product, sum


def test_router_rounding() -> None:
    """Planted: alone, the router's product is one rounding away."""
    subject = _subject(token_choice(**QUIET))
    layer = subject.layer
    assert isinstance(layer, TokenChoice)
    sound = layer._logits
    layer._logits = lambda tokens: sound(tokens) * (1 + 2**-22 * (len(tokens) == 16))  # type: ignore[method-assign]
    outcome = measure(subject)
    assert told(outcome, "batch_size") == ["rounding", "router_rounding", "taps"]
    assert rows_of(outcome, "batch_size", "gemm_tiling") == rows_of(outcome, "batch_size", "combine_order") == 0
    assert outcome.values["det_position"] == 1.0


@pytest.mark.parametrize("case", [dense(**QUIET), token_choice(**QUIET, shared_experts=1)], ids=lambda case: case.id)
def test_gemm_tiling(case: Case) -> None:
    """Planted: tiles of half the width where there are few rows, their products added up."""
    subject = _subject(case)
    ffn = subject.layer.shared if case.shared_experts else subject.layer.ffn
    assert isinstance(ffn, Ffn)
    assert ffn.b1 is not None
    assert ffn.b2 is not None
    b1, b2 = ffn.b1, ffn.b2
    sound, half = ffn.plain, case.d_model // 2
    few = False

    def plain(rows: Tensor) -> Tensor:
        if not few:
            return sound(rows)
        first = rows[:, :half] @ ffn.w1[:half] + rows[:, half:] @ ffn.w1[half:]
        return torch.nn.functional.gelu(first + b1) @ ffn.w2 + b2

    def notice(_: object, inputs: tuple[Tensor, ...]) -> None:
        nonlocal few
        few = len(inputs[0]) == 1

    ffn.plain = plain  # type: ignore[method-assign]
    subject.layer.register_forward_pre_hook(notice)
    outcome = measure(subject)
    assert told(outcome, "batch_size") == ["rounding", "gemm_tiling", "taps"]
    assert outcome.values["det_batch_size_changed"] == 0
    assert outcome.values["det_position"] == outcome.values["det_composition"] == 1.0


def test_combine_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: few tokens have their four experts' outputs added up the other way round."""
    sound = moves.combine

    def combine(rows: Tensor, token: Tensor, back: moves.Back, gates: Tensor) -> Tensor:
        if len(gates) > 16:
            return sound(rows, token, back, gates)
        return sound(rows, token, moves.Back(back.row.flip(1)), gates.flip(1))

    monkeypatch.setattr(moves, "combine", combine)
    outcome = measure(_subject(token_choice(**QUIET, experts=8, top_k=4)))
    assert told(outcome, "batch_size") == ["rounding", "combine_order", "taps"]
    assert outcome.values["det_batch_size"] < 0.5  # type: ignore[operator]
    assert outcome.values["det_position"] == 1.0


def test_what_differs_first_tells_of_a_stack() -> None:
    """Planted in the second of three blocks; attention before it, and all that follows, is rounding too."""
    outcome = measure(_subject(stack(token_choice(batch=8), moe_layers="all")))
    assert outcome.values["det_batch_size_cause"] in ("none", "rounding")
    assert outcome.values.get("det_batch_size_detail", "gemm_tiling") == "gemm_tiling"


# coupling, and black boxes


class Shares(nn.Module):
    """Somebody's layer: its rows share something that it works out of all of them."""

    def __init__(self, case: Case, share: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(case.d_model, case.d_model, generator=generator) * case.d_model**-0.5)
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.share(x) @ self.weight
        return y


def fake_quantised(x: Tensor) -> Tensor:
    """Int8 with one scale for the whole tensor."""
    scale = x.abs().max() / 127
    return (x / scale).round() * scale


def _box(share: Callable[[Tensor], Tensor]) -> Outcome:
    case = dense(batch=8)
    return measure(make_subject(case, BlackBox(case, "mine", Shares(case, share), torch.device("cpu"))))


def test_one_scale_for_the_whole_tensor_is_coupling_and_stays_in_float64() -> None:
    outcome = _box(fake_quantised)
    for axis in ("batch_size", "composition"):
        assert told(outcome, axis) == ["coupling", "coupling", "float64"]
    assert outcome.values["det_position"] == 1.0


def test_a_black_box_that_rounds_is_told_from_one_that_couples_by_float64() -> None:
    def tiled(x: Tensor) -> Tensor:
        """Three roundings that nobody needs, in the dtype at hand, where there is one sequence."""
        return (x * 3 + 1 - 1) / 3 if len(x) == 1 else x

    outcome = _box(tiled)
    assert told(outcome, "batch_size") == ["rounding", None, "float64"]
    assert rows_of(outcome, "batch_size", "coupling") == 0


def test_the_smallest_coupling_of_a_black_box_is_no_rounding() -> None:
    """A few eps of float32 alone would pass for rounding; float64 shows that they are meant."""
    outcome = _box(lambda x: x * (1 + 1e-6 * x.square().mean()))
    assert outcome.values["det_composition_max_rel"] < 64  # type: ignore[operator]
    assert outcome.values["det_composition_changed"] == 0
    assert told(outcome, "composition") == ["coupling", "coupling", "float64"]


def test_atomics_are_told_by_the_control() -> None:
    """Planted: the sum's order is another one in each pass."""
    subject = _subject(token_choice(**QUIET, experts=8, top_k=4))
    sound, turn = moves.combine, iter(range(10**6))

    def combine(rows: Tensor, token: Tensor, back: moves.Back, gates: Tensor) -> Tensor:
        shift = next(turn)
        return sound(rows, token, moves.Back(back.row.roll(shift, 1)), gates.roll(shift, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "combine", combine)
        outcome = measure(subject)
    assert told(outcome, "run") == ["rounding", "combine_order", "taps"]
    assert told(outcome, "batch_size") == [None, None, None]
    assert "det_batch_size" in outcome.values


def _subject(case: Case) -> Subject:
    return make_subject(case, build(case))


def test_the_scene_is_what_the_subject_is() -> None:
    scene = Scene.of(_subject(dense(batch=1)), 0)
    assert len(scene.x) == 8
    assert scene.pad.shape == (1, 1, 32)
    assert not torch.equal(scene.others.mean((0, 1)), scene.x.mean((0, 1)))
