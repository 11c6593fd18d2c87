from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.case import Case
from harness.declare.costs import cost
from harness.engine.shelf import Shelf
from harness.layers import build
from harness.layers.interface import Layer
from harness.probes import make_subject
from tests import cases


class Counting:
    """A shelf that says what was built for it."""

    def __init__(self, budget: int = 1 << 30) -> None:
        self.built: list[str] = []
        self.shelf = Shelf(self.build, lambda case, layer, seed: make_subject(case, layer, seed=seed), budget)

    def build(self, case: Case, seed: int) -> Layer:
        self.built.append(case.variant)
        return build(case, seed=seed)


def test_cases_that_differ_in_batch_tokens_and_pass_share_a_layer() -> None:
    counting = Counting()
    base = cases.dense()
    layers = {
        id(counting.shelf.subject(case, 0).layer)
        for case in (
            base,
            replace(base, batch=5),
            replace(base, tokens=3),
            replace(base, pass_="train"),
        )
    }
    assert len(layers) == 1
    assert counting.built == ["dense"]


@pytest.mark.parametrize("change", [{"d_ff": 128}, {"dtype": "float64"}, {"backend": "reference"}, {"variant": "b"}])
def test_cases_that_differ_in_their_layer_do_not(change: dict[str, object]) -> None:
    counting = Counting()
    first = counting.shelf.subject(cases.dense(), 0)
    second = counting.shelf.subject(cases.dense(**change), 0)
    assert first.layer is not second.layer


def test_another_seed_is_another_layer() -> None:
    counting = Counting()
    weights = [next(counting.shelf.subject(cases.dense(), seed).layer.parameters()) for seed in (0, 1)]
    assert not torch.equal(*weights)


def test_the_subject_of_a_case_stands_ready_the_second_time() -> None:
    counting = Counting()
    assert counting.shelf.subject(cases.dense(), 0) is counting.shelf.subject(cases.dense(), 0)


def test_a_shared_layer_is_as_the_case_needs_it() -> None:
    shelf = Counting().shelf
    forward, backward = cases.dense(), cases.dense(pass_="forward_backward", batch=3)
    for _ in range(2):
        subject = shelf.subject(backward, 0)
        assert subject.layer.case == backward
        assert all(weight.requires_grad for weight in subject.layer.parameters())
        subject.run()
        assert subject.x.grad is not None
        subject = shelf.subject(forward, 0)
        assert subject.layer.case == forward
        assert all(not weight.requires_grad and weight.grad is None for weight in subject.layer.parameters())


def test_training_leaves_the_shared_weights_as_they_were() -> None:
    shelf = Counting().shelf
    before = {name: w.clone() for name, w in shelf.subject(cases.dense(), 0).layer.state_dict().items()}
    subject = shelf.subject(cases.dense(pass_="train"), 0)
    for _ in range(3):
        subject.run()
    after = shelf.subject(cases.dense(), 0).layer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_least_recently_used_layer_goes_first() -> None:
    weights = cost(cases.dense()).weight_bytes
    counting = Counting(budget=int(2.5 * weights))
    a, b, c = (cases.dense(variant=name) for name in "abc")
    for case in (a, b, a, c, a, b):
        counting.shelf.subject(case, 0)
    assert counting.built == ["a", "b", "c", "b"]
    assert len(counting.shelf) == 2


def test_a_layer_larger_than_the_budget_is_built_all_the_same() -> None:
    counting = Counting(budget=1)
    assert counting.shelf.subject(cases.dense(), 0).run().shape == (2, 16, 32)
    assert counting.shelf.subject(cases.soft(), 0).run().shape == (2, 16, 32)
    assert len(counting.shelf) == 1


def test_what_was_dropped_is_built_anew() -> None:
    counting = Counting()
    first = counting.shelf.subject(cases.dense(), 0)
    counting.shelf.drop(cases.dense(), 0)
    assert counting.shelf.subject(cases.dense(), 0) is not first
    counting.shelf.clear()
    assert len(counting.shelf) == 0


def test_a_shared_layer_serves_each_case_by_its_own_backend_and_mode() -> None:
    """Few tokens and many may have another best backend, and noise belongs to the cases that train."""
    counting = Counting()
    base = cases.token_choice(noise="vmoe")
    layers = [counting.shelf.subject(replace(base, pass_=pass_), 0).layer for pass_ in ("train", "forward")]
    assert layers[0] is layers[1]
    assert not layers[1].training
    assert counting.shelf.subject(replace(base, pass_="train"), 0).layer.training
    layers[0].backend = "loop"
    assert counting.shelf.subject(base, 0).layer.backend == "grouped"
