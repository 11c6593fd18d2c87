"""Moves: gathers there and back, against index arithmetic that torch differentiates by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.layers import moves, routing

TOKENS, EXPERTS, D = 12, 4, 5


@pytest.fixture
def tokens() -> Tensor:
    """Tokens [T, D] in float64."""
    return _normal(TOKENS, D)


def test_sorted_rows_there_and_back(tokens: Tensor) -> None:
    choice = _choice(2)
    to = routing.sort(choice, EXPERTS)
    gates = _normal(TOKENS, 2)
    back = moves.Back(to.row)
    rows = moves.dispatch(tokens, to.token, back)
    torch.testing.assert_close(moves.combine(rows, to.token, back, gates), tokens * gates.sum(1, keepdim=True))
    assert torch.autograd.gradcheck(lambda x: moves.dispatch(x, to.token, back), tokens)
    assert torch.autograd.gradcheck(lambda r, g: moves.combine(r, to.token, back, g), (rows.detach(), gates))


def test_a_dropped_assignment_moves_nothing_in_either_direction(tokens: Tensor) -> None:
    choice, room = _choice(2), 3
    to = routing.slot(choice, EXPERTS, 1, room)
    assert not bool(to.kept.all())
    back, gates = moves.Back(to.row), _normal(TOKENS, 2)

    def through(x: Tensor, g: Tensor) -> Tensor:
        rows = moves.dispatch(x, to.token, back, to.kept)
        return moves.combine(rows * torch.arange(1, len(rows) + 1)[:, None], to.token, back, g * to.kept)

    y = through(tokens, gates)
    lost = ~to.kept.any(1)
    assert bool((y[lost] == 0).all())
    assert torch.autograd.gradcheck(through, (tokens.requires_grad_(), gates.requires_grad_()))
    (of_gates,) = torch.autograd.grad(through(tokens, gates).sum(), gates)
    assert bool((of_gates[~to.kept] == 0).all())


def test_rows_of_any_number_there_and_back(tokens: Tensor) -> None:
    token = torch.tensor([3, 0, 3, 11, 3, 7])  # most tokens have none
    back = moves.ragged(token, TOKENS)
    weights = _normal(len(token))

    def through(x: Tensor, w: Tensor) -> Tensor:
        return moves.combine(moves.dispatch(x, token, back), token, back, w.gather(0, back.row))

    expected = torch.zeros_like(tokens).index_add(0, token, tokens[token] * weights[:, None])
    torch.testing.assert_close(through(tokens, weights), expected)
    assert torch.autograd.gradcheck(through, (tokens.requires_grad_(), weights.requires_grad_()))


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()


def _choice(k: int) -> Tensor:
    return torch.rand(TOKENS, EXPERTS, generator=torch.Generator().manual_seed(1)).topk(k).indices
