"""Determinism on real layers: what each axis shows, what guards it, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import scipy.stats
import torch
from torch import Tensor

from harness.case import Case
from harness.devices import open_device
from harness.layers import build
from harness.layers.interface import Layer
from harness.metrics import METRICS as ALL_METRICS
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.determinism import AXES, DETAILS, METRICS, bound, settings
from harness.probes.determinism.axes import derangement, probed
from harness.probes.determinism.scene import Scene
from harness.probes.subject import Subject
from tests.cases import block, decoder, dense, encoder, expert_choice, families, soft, token_choice

DEVICE = open_device("cpu")
LAYERS = [*families(batch=8), token_choice(batch=8, backend="fixed_tile"), dense(batch=8, backend="fixed_tile")]


def measured(case: Case) -> Outcome:
    return measure(make_subject(case, build(case)))


def measure(subject: Subject) -> Outcome:
    return PROBES["determinism"].measure(subject, DEVICE, Settings())


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
def test_the_control_holds_and_every_axis_that_applies_is_there(case: Case) -> None:
    outcome = measured(case)
    values = outcome.values
    assert values["det_run"] == 1.0
    assert values["det_run_cause"] == "none"
    applies = set(AXES) - (set() if case.capacity_factor else {"drops"})
    assert {axis for axis in AXES if f"det_{axis}" in values} == applies
    assert set(values) <= set(METRICS) <= set(ALL_METRICS)
    for axis in applies:
        share, cause = values[f"det_{axis}"], values[f"det_{axis}_cause"]
        assert isinstance(share, float)
        assert 0 <= share <= 1
        assert (share == 1) is (cause == "none") is (f"det_{axis}_bound" in values)
        assert (share < 1) is (f"det_{axis}_proof" in values) is (f"det_{axis}_rows" in outcome.series)
        assert values.get(f"det_{axis}_detail", DETAILS[0]) in DETAILS


def test_what_depends_on_its_company_by_design_and_what_does_not() -> None:
    """Dense, dropless and Soft MoE change by rounding; under capacity rows are dropped; experts that choose couple."""
    beside = ("batch_size", "position", "composition")
    for case in (dense(batch=8), token_choice(batch=8), soft(batch=8), token_choice(batch=8, backend="fixed_tile")):
        values = measured(case).values
        assert {values[f"det_{axis}_cause"] for axis in (*beside, "padding")} <= {"none", "rounding"}
    dropping = measured(token_choice(batch=8, top_k=1, capacity_factor=1.0)).values
    assert [dropping[f"det_composition_{end}"] for end in ("cause", "detail", "proof")] == ["drop", "drop", "float64"]
    assert 0 < dropping["det_composition_changed"] <= 1 - dropping["det_composition"]  # type: ignore[operator]
    chosen = measured(expert_choice(batch=8)).values
    assert [chosen[f"det_composition_{end}"] for end in ("cause", "detail", "proof")] == [
        "coupling", "coupling", "float64",
    ]  # fmt: skip
    for alone in (token_choice(batch=8, top_k=1, capacity_factor=1.0, group="sequence"),
                  expert_choice(batch=8, group="sequence")):  # fmt: skip
        values = measured(alone).values
        assert {values[f"det_{axis}_cause"] for axis in beside} <= {"none", "rounding"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_fixed_tile_is_batch_invariant_where_the_fused_product_is_not(dtype: str) -> None:
    """The negative control, at a width where the plain layer differs in float32 (facts: 0 of 100 rows equal).

    The number of threads is another matter: it changes how one product is split.
    """
    wide = dense(d_model=512, d_ff=1024, tokens=1, batch=64, dtype=dtype, backend="fixed_tile")
    values = measured(wide).values
    beside = ("run", "batch_size", "position", "composition", "padding")
    assert {axis: values[f"det_{axis}"] for axis in beside} == dict.fromkeys(beside, 1.0)
    if dtype == "float32":
        plain = measured(replace(wide, backend="fused")).values
        assert plain["det_batch_size"] == 0
        assert [plain[f"det_batch_size_{end}"] for end in ("cause", "detail", "proof")] == [
            "rounding", "gemm_tiling", "taps",
        ]  # fmt: skip
        assert plain["det_batch_size_changed"] == 0


@pytest.mark.parametrize(
    ("case", "share", "cause"),
    [
        (dense(batch=8), 1.0, "none"),
        (token_choice(batch=8), 1.0, "none"),
        (block(dense(batch=8), causal=True), 1.0, "none"),
        (soft(batch=8), 0.0, "coupling"),
        (expert_choice(batch=8, tokens=32, group="sequence"), None, "coupling"),
        (block(dense(batch=8)), 0.0, "coupling"),
        (token_choice(batch=8, tokens=64, top_k=2, capacity_factor=0.5, group="sequence"), None, "drop"),
    ],
    ids=lambda value: value.id if isinstance(value, Case) else "",
)
def test_a_later_token_changes_an_earlier_one_where_the_layer_couples_them(
    case: Case, share: float | None, cause: str
) -> None:
    """facts/moe.md 4.4: dense and token choice 0; Soft MoE and expert choice more. With K = 2, later first choices are
    served before earlier second ones."""
    values = measured(case).values
    assert values["det_causal_cause"] == cause
    if share is not None and cause != "none":
        assert values["det_causal"] == share
    if cause != "none":
        assert values["det_causal"] < 1  # type: ignore[operator]


def test_top_1_by_position_is_causal_under_capacity() -> None:
    values = measured(token_choice(batch=8, top_k=1, capacity_factor=0.5, group="sequence", tokens=64)).values
    assert values["det_causal_cause"] in ("none", "rounding")


def test_padding_is_masked_where_the_layer_takes_a_mask_and_routes_where_it_does_not() -> None:
    masked = measured(soft(batch=8)).values
    assert masked["det_padding_cause"] in ("none", "rounding")
    layer = build(case := soft(batch=8))
    sound = layer.forward
    layer.forward = lambda x: sound(x)  # type: ignore[method-assign]  # takes no mask any more
    values = measure(make_subject(case, layer)).values
    assert [values[f"det_padding_{end}"] for end in ("cause", "detail", "proof")] == ["coupling", "padding", "float64"]
    assert values["det_padding"] == 0
    routed = measured(token_choice(batch=8, top_k=1, capacity_factor=1.0)).values
    assert [routed[f"det_padding_{end}"] for end in ("cause", "detail")] == ["drop", "drop"]
    assert measured(expert_choice(batch=8)).values["det_padding_detail"] == "padding"


def test_drops_tell_who_goes_without() -> None:
    tight = measured(token_choice(batch=8, top_k=1, capacity_factor=0.5)).values
    assert tight["det_drops_cause"] == "drop"
    roomy = measured(token_choice(batch=8, top_k=1, capacity_factor=2.0, tokens=128)).values
    assert roomy["det_drops_changed"] < tight["det_drops_changed"]  # type: ignore[operator]
    assert "det_drops" not in measured(token_choice(batch=8)).values
    assert measured(expert_choice(batch=8)).values["det_drops_cause"] == "coupling"


def test_the_capacity_is_put_back() -> None:
    layer = build(case := token_choice(batch=8, capacity_factor=1.0))
    measure(make_subject(case, layer))
    assert layer.case == case


# environment


def test_the_environment_is_put_back_whatever_happens() -> None:
    before = torch.get_num_threads()
    measured(dense())
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="in the middle"):
        _fail_in(settings.threads(before + 1))
    assert torch.get_num_threads() == before


def _fail_in(setting: AbstractContextManager[None]) -> None:
    with setting:
        raise RuntimeError("in the middle")


def _mode() -> tuple[object, ...]:
    matmul = torch.backends.cuda.matmul
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        matmul.allow_bf16_reduced_precision_reduction,
        matmul.allow_fp16_reduced_precision_reduction,
    )


def test_the_mode_of_the_kernels_is_put_back_whatever_happens() -> None:
    before = _mode()
    with settings.strict_kernels():
        assert _mode() == (True, True, "highest", False, False)
    assert _mode() == before
    with pytest.raises(RuntimeError, match="in the middle"):
        _fail_in(settings.strict_kernels())
    assert _mode() == before


def test_a_layer_that_follows_the_threads_is_found() -> None:
    """Planted: the sum's order is that of the number of threads."""
    layer = build(case := dense(batch=8))
    sound = layer.forward

    def forward(x: Tensor) -> Tensor:
        y: Tensor = sound(x)
        return y * (1 + 2**-23 * (torch.get_num_threads() == other))

    other = settings.other_threads()
    if other is None:
        pytest.skip("one core: there is no other number of threads")
    layer.forward = forward  # type: ignore[method-assign]
    values = measure(make_subject(case, layer)).values
    assert values["det_environment"] < 0.5  # type: ignore[operator]
    assert [values[f"det_environment_{end}"] for end in ("cause", "detail")] == ["rounding", "combine_order"]
    assert {values[f"det_{axis}"] for axis in ("run", "position")} == {1.0}


def test_one_core_has_no_other_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "affinity", lambda: [0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert settings.other_threads() is None
    assert "det_environment" not in measured(dense()).values


# guards


@pytest.mark.parametrize("batch", [2, 3, 4, 7, 8, 64])
def test_every_sequence_moves(batch: int) -> None:
    order = derangement(batch)
    assert sorted(order) == list(range(batch))
    assert all(at != i for i, at in enumerate(order))
    assert {0, batch - 1} <= set(probed(batch))


def test_an_order_that_moves_nothing_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.probes.determinism.axes.derangement", lambda batch: list(range(batch)))
    outcome = measured(dense(batch=8))
    assert "det_position" not in outcome.values
    assert outcome.notes == ["position: a sequence met its equal, so not every one has moved; this axis has no number"]


def _with_companions(case: Case, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Measure with companions that are the batch itself."""
    sound = Scene.of

    def same(subject: Subject, seed: int) -> Scene:
        scene = sound(subject, seed)
        scene.others = scene.x
        return scene

    monkeypatch.setattr(Scene, "of", same)
    return measured(case)


def test_companions_that_are_the_same_are_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = _with_companions(dense(batch=8), monkeypatch)
    assert "det_composition" not in outcome.values
    assert outcome.notes == ["composition: the companions are what they were; this axis has no number"]


def test_companions_that_load_the_same_experts_are_no_number() -> None:
    layer = build(case := token_choice(batch=8, top_k=1))
    sound = layer.forward

    def forward(x: Tensor) -> Tensor:
        layer.replay = torch.arange(x.shape[:2].numel()).remainder(4)[:, None]
        y: Tensor = sound(x)
        return y

    layer.forward = forward  # type: ignore[method-assign]
    outcome = measure(make_subject(case, layer))
    assert "det_composition" not in outcome.values
    assert "load no other experts" in outcome.notes[0]


def test_a_layer_that_is_not_deterministic_fails_the_control_and_nothing_else_has_a_cause() -> None:
    subject = make_subject(case := dense(), build(case))
    subject.layer.forward = lambda x: torch.nn.functional.dropout(x)  # type: ignore[method-assign]
    outcome = measure(subject)
    assert outcome.values["det_run"] < 0.1  # type: ignore[operator]
    for axis in AXES:
        if axis != "run" and f"det_{axis}" in outcome.values and outcome.values[f"det_{axis}"] != 1:
            assert f"det_{axis}_cause" not in outcome.values
            assert f"det_{axis}_rows" not in outcome.series
    assert "the same input does not give the same output twice" in outcome.notes[-1]


# bounds, flips, margins


@pytest.mark.parametrize("rows", [1, 8, 59, 1024, 10**6])
def test_the_bound_is_clopper_and_pearsons_and_near_the_rule_of_three(rows: int) -> None:
    expected = scipy.stats.binomtest(0, rows, alternative="less").proportion_ci(0.95, method="exact").high
    assert bound(rows) == pytest.approx(expected, rel=1e-9)
    if rows > 50:
        assert bound(rows) == pytest.approx(3 / rows, rel=0.05)


def test_margins_predict_the_flips_that_did_not_happen() -> None:
    outcome = measured(token_choice(batch=8, tokens=64, d_model=64))
    margins = outcome.series["det_margin"]
    assert margins == sorted(margins)
    assert margins[0] >= 0
    assert outcome.values["flip_rate"] == 0
    assert outcome.values["order_flip_rate"] == 0
    assert 0 <= outcome.values["flip_rate_predicted"] < 0.01  # type: ignore[operator]


def test_where_nobody_chooses_nothing_flips() -> None:
    for case in (dense(), soft(), expert_choice(), token_choice(top_k=4)):
        assert "flip_rate" not in measured(case).values


def test_errors_of_rows_that_a_decision_changed_stand_apart() -> None:
    series = measured(token_choice(batch=8, top_k=1, capacity_factor=0.5)).series
    median, _, largest = series["det_composition_decided_eps"]
    assert largest >= median > 2**16
    assert series["det_composition_rows"][DETAILS.index("drop")] > 0
    assert all(math.isfinite(value) for values in series.values() for value in values)


# scopes


def test_companions_change_a_model_as_they_change_its_layers() -> None:
    dropping = token_choice(batch=8, top_k=1, capacity_factor=1.0)
    for case, cause in {decoder(dropping): "drop", block(expert_choice(batch=8), causal=True): "coupling"}.items():
        values = measured(case).values
        assert values["det_run"] == 1.0
        assert values["det_composition_cause"] == cause
    sound = measured(encoder(soft(batch=8))).values
    assert {sound[f"det_{axis}_cause"] for axis in ("batch_size", "position", "composition", "padding")} <= {
        "none", "rounding",
    }  # fmt: skip
    assert "det_causal" not in sound


def test_the_rows_of_an_encoder_are_its_images() -> None:
    assert measured(encoder(dense(batch=8))).n["det_position"] == 8
    assert measured(decoder(dense(batch=8))).n["det_position"] == 8 * 16


def test_companions_of_ids_are_another_text() -> None:
    """Other tokens load other experts: companions are of an eighth of the vocabulary; padding is id 0."""
    layer: Layer = build(decoder(dense(batch=8)))
    seen: list[Tensor] = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    measure(make_subject(layer.case, layer))
    assert {int(x[1:3].max()) for x in seen if x.shape == (8, 16)} == {2, 23}  # companions: ids 0 to 2 of 24
    assert [int(x[8:].max()) for x in seen if len(x) > 8] == [0]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = torch.get_num_threads(), _mode()
    yield
    assert (torch.get_num_threads(), _mode()) == before
