"""The FLOP probe: counter against closed form, what is routed of it, and an audit that no silent zero gets past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import flop_registry, register_flop_formula

from harness.case import Case
from harness.declare.costs import BACKENDS, cost, unsupported
from harness.declare.costs_routed import flops_routed
from harness.devices import open_device
from harness.layers import build
from harness.layers.interface import Layer
from harness.probes import Outcome, Settings, flops, make_subject
from harness.probes.flop_audit import contracts, looks_like_contraction, uncounted
from harness.probes.flop_formulas import FORMULAS, count_flops
from harness.probes.subject import Subject
from tests.cases import block, dense, encoder, expert_choice, families, soft, stack, token_choice
from tests.five_layers import LAYERS, SOFT, SPARSE, D, T
from tests.flop_tools import rows


def counted(subject: Subject) -> Outcome:
    return flops.measure(subject, open_device("cpu"), Settings())


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case))


def running(subject: Subject, forward: Callable[[Tensor], Tensor]) -> Subject:
    """The subject with another forward pass."""
    subject.layer.forward = forward  # type: ignore[method-assign, assignment]
    return subject


def test_the_count_is_the_closed_form() -> None:
    case = token_choice(pass_="forward_backward")
    values = counted(subject_of(case)).values
    assert values["flops_counted"] == values["flops_routed"] == cost(case).flops_executed == cost(case).flops_model
    assert values["padding_efficiency"] == 1.0


def test_one_matmul_too_many_is_incorrect() -> None:
    subject = subject_of(dense())
    sound = subject.layer.forward

    def wasteful(x: Tensor) -> Tensor:
        x @ torch.zeros(32, 1)
        return sound(x)

    assert "the closed form says" in str(counted(running(subject, wasteful)).incorrect)


# routed and executed


@pytest.mark.parametrize("pass_", ["forward", "forward_backward"])
@pytest.mark.parametrize("backend", ["reference", "onehot", "grouped"])
def test_dropped_rows_are_not_routed_and_empty_slots_are_run(backend: str, pass_: str) -> None:
    """All 32 tokens go to expert 0, which has room for 8: 24 rows of 4 D F are dropped, and 24 slots stay empty."""
    case = token_choice(top_k=1, capacity_factor=1.0, backend=backend, pass_=pass_)
    subject = subject_of(case)
    subject.layer.replay = torch.zeros(32, 1, dtype=torch.long)
    passes, row = 3 if pass_ != "forward" else 1, 4 * 32 * 64
    assert flops_routed(case, dropped=24) == passes * (2 * 32 * 32 * 4 + 8 * row)
    outcome = counted(subject)
    assert outcome.incorrect is None
    assert outcome.values["flops_routed"] == flops_routed(case, dropped=24)
    assert outcome.values["padding_efficiency"] == flops_routed(case, dropped=24) / cost(case).flops_executed


def test_empty_slots_alone_cost_padding_and_no_routed_flops() -> None:
    """Capacity 2: nothing is dropped, and half of the rows that run are empty."""
    case = token_choice(top_k=1, capacity_factor=2.0)
    subject = subject_of(case)
    subject.layer.replay = torch.arange(32).remainder(4)[:, None]
    values = counted(subject).values
    router, experts = 2 * 32 * 32 * 4, 32 * 4 * 32 * 64
    assert values["flops_routed"] == cost(case).flops_model == router + experts
    assert values["padding_efficiency"] == pytest.approx((router + experts) / (router + 2 * experts))


@pytest.mark.parametrize("case", [dense(), soft(), expert_choice(), token_choice()], ids=lambda case: str(case.variant))
def test_what_drops_nothing_routes_all(case: Case) -> None:
    assert counted(subject_of(case)).values["flops_routed"] == cost(case).flops_model


@pytest.mark.parametrize("wrap", [block, stack, encoder])
def test_drops_of_all_layers_of_a_model_add_up(wrap: Callable[[Case], Case]) -> None:
    case = replace(wrap(token_choice(top_k=1, capacity_factor=1.0)), pass_="forward_backward")
    subject = subject_of(case)
    parts = [part for part in subject.layer.parts if part.case.layer == "token_choice"]
    for part in parts:
        part.replay = torch.zeros(32, 1, dtype=torch.long)
    values = counted(subject).values
    assert values["flops_routed"] == cost(case).flops_model - 3 * len(parts) * 24 * 4 * 32 * 64


def test_one_hot_products_are_executed_and_not_routed() -> None:
    case = token_choice(backend="onehot", capacity_factor=1.0)
    values = counted(subject_of(case)).values
    assert values["padding_efficiency"] < 0.9  # type: ignore[operator]
    assert values["flops_counted"] == cost(case).flops_executed > cost(case).flops_model


# the audit, each time with the fault that it is for


@pytest.fixture
def custom_product() -> Iterator[Callable[[Tensor, Tensor], Tensor]]:
    """A product under a name that says nothing, as somebody's own kernel has it."""
    with torch.library._scoped_library("somebodys", "FRAGMENT") as library:
        library.define("layer(Tensor x, Tensor w) -> Tensor")
        library.impl("layer", lambda x, w: x @ w, "CPU")
        yield lambda x, w: torch.ops.somebodys.layer(x, w)


def test_a_custom_operator_without_a_formula_fails_the_count(custom_product: Callable[..., Tensor]) -> None:
    """Planted: the layer's own product once more, square and by another's kernel, of which the counter sees 0."""
    subject = subject_of(dense())
    sound = subject.layer.forward
    outcome = counted(running(subject, lambda x: sound(x) + 0 * custom_product(x[0, :, :16], torch.ones(16, 32))))
    assert outcome.incorrect == "FLOPs cannot be counted: no formula for somebodys.layer"
    assert outcome.values == {}


def test_a_black_box_with_a_custom_operator_has_no_count_and_a_note(
    custom_product: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("tests/plugins")
    subject = subject_of(dense(layer="black_boxes:good"))
    outcome = counted(running(subject, lambda x: custom_product(x.flatten(0, 1), torch.ones(32, 32)).view_as(x)))
    assert outcome.values == {}
    assert outcome.notes == ["flops_counted is not measured: torch's counter has no formula for somebodys.layer"]


def test_a_custom_operator_that_registers_its_formula_is_counted(
    custom_product: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.utils.flop_counter.flop_registry", dict(flop_registry))
    monkeypatch.setattr("harness.probes.flop_audit.flop_registry", torch.utils.flop_counter.flop_registry)
    register_flop_formula(torch.ops.somebodys.layer)(lambda x, w, **_: 2 * x[0] * x[1] * w[1])
    run = lambda: custom_product(torch.ones(5, 7), torch.ones(7, 3))  # noqa: E731
    assert uncounted(run) == []
    assert count_flops(run) == 2 * 5 * 7 * 3


@pytest.mark.parametrize(
    ("operator", "case"),
    [
        ("_grouped_mm", token_choice(backend="grouped", pass_="forward_backward")),
        ("_scaled_dot_product_flash_attention_for_cpu", block(dense())),
    ],
)
def test_a_formula_that_is_taken_away_is_missed(operator: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(subject_of(case)).incorrect is None
    monkeypatch.delitem(FORMULAS, getattr(torch.ops.aten, operator))
    assert counted(subject_of(case)).incorrect == f"FLOPs cannot be counted: no formula for aten.{operator}"


def products() -> dict[str, tuple[Callable[[], object], int]]:
    """Operators of which torch's counter sees 0, by name, and what they cost."""
    m, v, q = torch.ones(16, 24), torch.ones(24), torch.ones(2, 3, 5, 8)
    whole = torch.ones(32, 16, dtype=torch.int8), torch.ones(16, 32, dtype=torch.int8)
    return {
        "mv": (lambda: torch.mv(m, v), 2 * 16 * 24),
        "addmv": (lambda: torch.addmv(torch.ones(16), m, v), 2 * 16 * 24),
        "dot": (lambda: torch.dot(v, v), 2 * 24),
        "vdot": (lambda: torch.vdot(v, v), 2 * 24),
        "_int_mm": (lambda: torch._int_mm(*whole), 2 * 32 * 16 * 32),
        "_scaled_dot_product_flash_attention_for_cpu": (
            lambda: F.scaled_dot_product_attention(q, q, q), 4 * 2 * 3 * 5 * 5 * 8,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", products())
def test_products_that_torch_counts_as_nothing_are_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run, true = products()[name]
    assert count_flops(run) == true
    assert uncounted(run) == []
    monkeypatch.delitem(FORMULAS, getattr(torch.ops.aten, name))
    assert count_flops(run) == 0
    assert uncounted(run) == [f"aten.{name}"]


def test_a_product_under_an_innocent_name_is_known_by_its_operands() -> None:
    a, b = torch.randn(5, 7), torch.randn(6, 7)
    assert uncounted(lambda: torch._euclidean_dist(a, b)) == ["aten._euclidean_dist"]
    assert uncounted(lambda: torch.ops.aten._cdist_forward(a, b, 2.0, 2)) == ["aten._cdist_forward"]


def test_norms_of_inner_dimensions_are_free() -> None:
    x = torch.randn(2, 6, 5, requires_grad=True)
    for norm in (torch.nn.BatchNorm1d(6), torch.nn.GroupNorm(3, 6), torch.nn.LayerNorm(5), torch.nn.RMSNorm(5)):
        assert uncounted(lambda norm=norm: norm(x).sum().backward()) == []  # type: ignore[misc]


def test_a_weighted_sum_of_rows_is_free_as_a_product_and_a_sum_are() -> None:
    rows, weights = torch.randn(7, 4, requires_grad=True), torch.rand(3, 2, requires_grad=True)
    which = torch.randint(7, (3, 2))

    def run() -> None:
        total = F.embedding_bag(which, rows, per_sample_weights=weights, mode="sum").sum()
        torch.autograd.backward(total)

    assert uncounted(run) == []


def test_rows_that_are_only_moved_are_free() -> None:
    y, rows = torch.zeros(8, 4), torch.ones(5, 4)
    where = torch.arange(5)
    assert uncounted(lambda: y.index_add(0, where, rows)) == []
    assert uncounted(lambda: y.index_put((where,), rows).scatter_add(0, where[:, None].expand(5, 4), rows)) == []
    assert uncounted(lambda: torch.ones(4, 4) @ torch.ones(4, 4)) == []


@pytest.mark.parametrize(
    ("shapes", "is_one"),
    [
        ([(5, 7), (7, 3)], True), ([(2, 5, 7), (2, 7, 3)], True), ([(7,), (5, 7)], False), ([(5, 1), (5, 7)], False),
        ([(5, 7), (3, 2)], False), ([(5, 7), (5, 7), (7,)], False), ([(4,), (5, 7), (7, 4)], True), ([], False),
    ],
)  # fmt: skip
def test_operands_that_share_a_width_and_do_not_fit_contract(shapes: list[tuple[int, ...]], is_one: bool) -> None:
    assert contracts(shapes) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("mm", True), ("_grouped_mm", True), ("addmm", True), ("mv", True), ("dot", True), ("convolution", True),
        ("_scaled_dot_product_attention", True), ("linear", True), ("add", False), ("cummax", False),
        ("sum", False), ("index_add", False), ("topk", False), ("remove", False), ("mkldnn_linear", True),
    ],
)  # fmt: skip
def test_contractions_are_known_by_their_words(name: str, is_one: bool) -> None:
    assert looks_like_contraction(name) is is_one


@pytest.mark.parametrize("case", families(pass_="train"), ids=lambda case: str(case.variant))
def test_no_layer_of_ours_is_suspect(case: Case) -> None:
    for backend in BACKENDS[case.layer]:
        own = replace(case, backend=backend)
        if unsupported(own) is None:
            layer: Layer = build(own)
            assert uncounted(make_subject(own, layer).run) == []


# five layers, of which other tools get most wrong


@pytest.mark.parametrize("name", LAYERS)
def test_our_counter_is_exact_on_five_ways_to_write_a_layer(name: str) -> None:
    kind, true = LAYERS[name]
    layer, x = kind(), torch.randn(T, D)
    assert true in (17_039_360, 4_194_304)  # 2TDE + 4KTDH, and 6TDN + 4NDH, worked out by hand
    assert uncounted(lambda: layer(x)) == []
    assert count_flops(lambda: layer(x)) / true == 1.0


def test_the_five_layers_compute_what_they_say() -> None:
    """The two by stacked weights agree, and the two Soft MoEs."""
    assert (SPARSE, SOFT) == (17_039_360, 4_194_304)
    x = torch.randn(T, D)
    for one, other in (("bmm on 3-D parameters", "grouped_mm"), ("Soft MoE, einsum", "Soft MoE, @")):
        a, b = LAYERS[one][0](), LAYERS[other][0]()
        b.load_state_dict(a.state_dict())
        torch.testing.assert_close(a(x), b(x))


def test_the_table_of_tools_says_what_torch_alone_gets_wrong() -> None:
    """What is not installed is a dash; torch's own row and ours need nothing."""
    head, *table = rows()
    shares = {row[0].rpartition(" ")[0]: row[1:] for row in table}
    assert len(head) == 6
    assert shares["FlopCounterMode"] == ("1.000", "1.000", "0.015", "1.000", "1.000")
    assert shares["this harness"] == ("1.000",) * 5
