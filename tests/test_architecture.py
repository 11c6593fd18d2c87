"""Architectures: which blocks have experts."""

from __future__ import annotations

import pytest

from harness.declare.architecture import Patches, expert_blocks


@pytest.mark.parametrize(
    ("where", "blocks"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("last_half", (3, 4, 5)),
        ("last:2", (4, 5)),
        ("last:9", (0, 1, 2, 3, 4, 5)),
        ("from:1", (1, 2, 3, 4, 5)),
        ("every:2", (1, 3, 5)),
        ("every:4", (3,)),
    ],
)
def test_which_blocks_have_experts(where: str, blocks: tuple[int, ...]) -> None:
    assert expert_blocks(where, 6) == blocks


@pytest.mark.parametrize(
    "where", ["", "some", "every", "every:0", "every:-1", "last:x", "all:3", "last_half:2", "from:"]
)
def test_an_unknown_pattern_says_what_was_expected(where: str) -> None:
    with pytest.raises(ValueError, match=r"expected all, last_half, last:N, every:N or from:N"):
        expert_blocks(where, 6)


def test_tokens_of_an_image() -> None:
    """Puigcerver et al. 2023: 49, 196, 256 and 784 tokens at patches of 32, 16, 14 and 8 pixels."""
    assert [Patches(image=224, patch=patch).tokens for patch in (32, 16, 14, 8)] == [49, 196, 256, 784]
