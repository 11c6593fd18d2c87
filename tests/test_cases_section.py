"""The table of all cases: what of the FLOPs serves."""

from __future__ import annotations

from pathlib import Path

from reports.read import read_run
from reports.review import review
from reports.sections.cases import command
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


def test_a_case_is_measured_again_on_the_devices_and_cores_of_its_run(tmp_path: Path) -> None:
    said = "harness run my.toml --device cpu --select 'batch == 8' --threads 1 --no-prune --devices 2 --ray head:6379"
    case = make_case("dense", "dense")
    again = "harness run my.toml --select 'id == \"{}\"' --device cpu --threads 1 --devices 2 --ray head:6379"
    made = review(read_run(write_run(tmp_path, [case], command=said))).cases
    assert command(made, case.id) == again.format(case.id)
