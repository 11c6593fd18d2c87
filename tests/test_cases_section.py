"""The table of all cases: what of the FLOPs serves."""

from __future__ import annotations

from pathlib import Path

from reports.read import read_run
from reports.review import review
from tests.fake_run import make_case, write_run


def test_the_table_of_cases_tells_what_of_the_flops_is_routed(tmp_path: Path) -> None:
    cases = [make_case("top-1", "token_choice", experts=8, top_k=1, capacity_factor=1.25), make_case("dense", "dense")]
    capacity, plain = review(read_run(write_run(tmp_path, cases))).cases.rows
    assert capacity.routed.text == "78 %"
    assert capacity.notes[0].startswith("FLOPs: ")
    assert [word for word in ("model", "routed", "executed") if word in capacity.notes[0]] == [
        "model",
        "routed",
        "executed",
    ]
    assert plain.routed.text == "100 %"
    assert not any(note.startswith("FLOPs: ") for note in plain.notes)
