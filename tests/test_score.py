"""The score in `docs/method.md`: forty items, and each test that it stands on exists, once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "method.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([A-G]\d+) \| (.+?) \| ([012]) \| (.*) \|$", PAGE, flags=re.MULTILINE)
ITEMS = {"A": 8, "B": 13, "C": 5, "D": 4, "E": 5, "F": 3, "G": 2}


def test_every_item_has_a_row_and_the_sum_is_theirs() -> None:
    assert [row[0] for row in ROWS] == [f"{group}{n}" for group, most in ITEMS.items() for n in range(1, most + 1)]
    assert f"**{sum(int(score) for _, _, score, _ in ROWS)} of 80.**" in PAGE


@pytest.mark.parametrize(("item", "score", "cited"), [(item, int(score), cited) for item, _, score, cited in ROWS])
def test_a_full_score_stands_on_tests_that_are_there(item: str, score: int, cited: str) -> None:
    found = re.findall(r"`([\w/]+\.py)::(test_\w+)`", cited)
    assert found or score < 2
    for file, name in found:
        names = [node.name for node in ast.parse((ROOT / "tests" / file).read_text("utf-8")).body
                 if isinstance(node, ast.FunctionDef)]  # fmt: skip
        assert names.count(name) == 1, f"{item}: {file} has no {name}"
