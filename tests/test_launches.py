"""Launches: the closed form against torch's own dispatcher, over families, backends, passes and scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from harness.case import Case
from harness.declare.costs import BACKENDS, unsupported
from harness.declare.costs_launches import launches
from harness.layers import build
from harness.probes.subject import make_subject
from tests.cases import block, dense, dense_moe, expert_choice, families, soft, stack, token_choice

VIEWS = frozenset((
    "view", "t", "transpose", "unbind", "slice", "select", "unsqueeze", "expand", "detach", "_unsafe_view", "squeeze",
    "split", "split_with_sizes", "permute", "alias", "as_strided", "chunk",
))  # fmt: skip
NEAR = 0.25
FEW = 4
"""Operations that a small count may be off by."""


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that are more than another view of what is there."""

    count: int

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in VIEWS
        return func(*args, **(kwargs or {}))


def dispatched(case: Case) -> int:
    subject = make_subject(case, build(case))
    subject.run()
    seen = Counting()
    with seen:
        subject.run()
    return seen.count


def every_backend() -> list[Case]:
    cases = [*families(), token_choice(experts=16, gated=True), expert_choice(experts=12), soft(experts=12, slots=2)]
    given = [replace(case, backend=backend) for case in cases for backend in BACKENDS[case.layer]]
    both = [replace(case, pass_=pass_) for case in given for pass_ in ("forward", "forward_backward")]
    return [case for case in both if unsupported(case) is None]


def scopes() -> list[Case]:
    inner = [dense(), token_choice(), soft(), dense_moe()]
    around = [block(case, causal=causal) for case in inner for causal in (False, True)] + [
        stack(case) for case in inner
    ]
    whole = [stack(token_choice(), causal=True, vocabulary=50), stack(soft(), vocabulary=50, patch=4)]
    return [replace(case, pass_=pass_) for case in (*around, *whole) for pass_ in ("forward", "train")]


@pytest.mark.parametrize("case", every_backend(), ids=lambda case: f"{case.id}-{case.backend}")
def test_a_layer_launches_about_as_many_operations_as_the_dispatcher_sees(case: Case) -> None:
    assert launches(case) == pytest.approx(dispatched(case), rel=NEAR, abs=FEW)


@pytest.mark.parametrize("case", scopes(), ids=lambda case: case.id)
def test_so_does_a_block_and_a_model(case: Case) -> None:
    assert launches(case) == pytest.approx(dispatched(case), rel=NEAR, abs=FEW)


@pytest.mark.parametrize("case", [token_choice(experts=8), soft(experts=8), dense()], ids=lambda case: case.variant)
def test_what_a_pass_does_does_not_depend_on_its_tokens(case: Case) -> None:
    assert launches(replace(case, tokens=512)) == pytest.approx(launches(replace(case, tokens=256)), rel=0.01)
