"""The axis `routing` in a suite: its values, and stored assignments with what may be wrong with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.declare.assignments import Load, load_of
from harness.declare.faults import SuiteError
from harness.declare.plan import plan
from harness.declare.replays import AssignmentError, read_stored
from harness.declare.suite import parse_suite
from tests.cases import token_choice

SUITE = """\
title = "Loads"
[base]
size = "Ti"
batch = 2
tokens = 4
experts = 4
[[variant]]
name = "top-2"
layer = "token_choice"
sweep.routing = {routing}
"""
ROWS = [[0, 1], [1, 2], [2, 3], [3, 0], [0, 1], [1, 2], [2, 3], [3, 0]]


def cases_of(folder: Path, routing: str) -> list[Case]:
    suite = parse_suite(SUITE.format(routing=routing), str(folder / "loads.toml"))
    return [planned.case for planned in plan(suite).cases]


def faults_of(folder: Path, routing: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        cases_of(folder, routing)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("routing", "load"),
    [
        (None, Load("learned")),
        ("learned", Load("learned")),
        ("balanced", Load("balanced")),
        ("zipf:1.2", Load("zipf", 1.2)),
        ("hot", Load("hot", 0.5)),
        ("hot:0.05", Load("hot", 0.05)),
        ("replay:a/b:c.npy", Load("replay", file="a/b:c.npy")),
    ],
)
def test_what_routing_says(routing: str | None, load: Load) -> None:
    assert load_of(routing) == load


def test_every_value_is_a_case_with_an_id_of_its_own(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, '["learned", "balanced", "iid", "zipf:0.8", "hot", "hot:1", "hot:0.25"]')
    assert [case.routing for case in cases] == ["learned", "balanced", "iid", "zipf:0.8", "hot", "hot:1", "hot:0.25"]
    assert len({case.id for case in cases}) == len({case.key for case in cases}) == 7
    assert "-hot:0.25-" in cases[-1].id


@pytest.mark.parametrize("wrong", ["hot:0", "hot:0.0", "hot:1.5", "hot:", "zipf", "zipf:-1", "replay:", "even"])
def test_what_is_no_load_is_refused_with_what_there_is(tmp_path: Path, wrong: str) -> None:
    (fault,) = faults_of(tmp_path, f'["{wrong}"]')
    assert fault.startswith(f"{tmp_path}/loads.toml:10: variant[0].sweep.routing[0]: '{wrong}' is not known here")
    assert "learned, balanced, iid, zipf:1.2, hot, hot:0.5" in fault


def write(folder: Path, name: str, rows: object = ROWS) -> None:
    path = folder / name
    match path.suffix:
        case ".json":
            path.write_text(json.dumps(rows), "utf-8")
        case ".csv":
            path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows), "utf-8")  # type: ignore[attr-defined]
        case ".npy":
            np.save(path, np.array(rows, dtype=np.uint8))


def test_one_assignment_in_three_forms_has_one_content(tmp_path: Path) -> None:
    for ending in ("json", "csv", "npy"):
        write(tmp_path, f"trace.{ending}")
    cases = cases_of(tmp_path, '["replay:trace.json", "replay:trace.csv", "replay:trace.npy"]')
    assert len({case.assignment for case in cases}) == 1
    assert len({case.id for case in cases}) == len({case.key for case in cases}) == 3


def test_a_changed_file_is_a_changed_case(tmp_path: Path) -> None:
    write(tmp_path, "trace.json")
    (before,) = cases_of(tmp_path, '["replay:trace.json"]')
    write(tmp_path, "trace.json", [*ROWS[:-1], [3, 1]])
    (after,) = cases_of(tmp_path, '["replay:trace.json"]')
    assert before.key != after.key
    assert before.id != after.id
    assert before.routing == after.routing == "replay:trace.json"


def test_it_is_found_from_the_folder_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "traces").mkdir()
    write(tmp_path / "traces", "one.npy")
    monkeypatch.chdir("/")
    (case,) = cases_of(tmp_path, '["replay:traces/one.npy"]')
    assert "/" not in case.id
    assert Case.from_dict(case.variant, case.as_dict()) == case


def test_on_the_command_line_it_may_lie_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suites").mkdir()
    write(tmp_path, "trace.npy")
    monkeypatch.chdir(tmp_path)
    suite = parse_suite(SUITE.format(routing='["iid"]'), str(tmp_path / "suites" / "loads.toml"))
    (planned,) = plan(suite, overrides=["routing=replay:trace.npy"]).cases
    assert planned.case.assignment is not None
    with pytest.raises(SuiteError, match=r"--set routing=replay:gone\.npy: routing: top-2: gone\.npy: there is no"):
        plan(suite, overrides=["routing=replay:gone.npy"])


def test_cases_without_one_are_written_as_ever() -> None:
    assert "assignment" not in token_choice().as_dict()


WRONG = [
    ("gone.json", None, "gone.json: there is no such file"),
    ("n" * 300 + ".json", None, "there is no such file"),
    ("trace.txt", "0,1\n", "trace.txt: this is no .json, .csv or .npy file"),
    ("trace.json", '[[0, 1],\n[1, 2],\n[2 3]]', "trace.json: line 3: this is not JSON"),
    ("trace.json", "[[0, 1], [1]]", "trace.json: its rows are not all of one length"),
    ("trace.json", "[[0.5, 1]]", "trace.json: it holds float64 of shape [1, 2]"),
    ("trace.json", '{"choice": 1}', "trace.json: it holds object of shape []"),
    ("trace.json", "[[0, -1]]", "trace.json: token 0: an expert below 0: [0, -1]"),
    ("trace.json", json.dumps([*ROWS[:-1], [2, 2]]), "trace.json: token 7: the same expert twice: [2, 2]"),
    ("trace.json", json.dumps(ROWS[:-1]), "it is of 7 tokens with 2 experts each, and this case has 8 (batch 2 of 4)"),
    ("trace.json", json.dumps([*ROWS[:-1], [2, 4]]), "it names expert 4, and this case has experts 0 to 3"),
    ("trace.json", json.dumps([ROWS, ROWS]), "it is of 2 layers, and this case has 1 with experts"),
    ("trace.csv", "0,1\n1,two\n", "trace.csv: line 2: 'two' is no expert's number"),
    ("trace.csv", "0,1\n1,\n", "trace.csv: line 2: an expert's number is missing"),
    ("trace.csv", "0,1\n1\n", "trace.csv: line 2: 1 experts, and line 1 has 2"),
    ("trace.csv", "0,1\n1,1\n", "trace.csv: line 2: the same expert twice: [1, 1]"),
    ("trace.npy", "nothing", "trace.npy: cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_with_a_stored_assignment_is_said_at_the_suites_line(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    (fault,) = faults_of(tmp_path, f'["iid", "replay:{name}"]')
    assert fault.startswith(f"{tmp_path}/loads.toml:10: variant[0].sweep.routing: ")
    assert message in fault
    assert "expected: " in fault


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "trace.npy", np.array([["a"]], dtype=object), allow_pickle=True)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(ROWS))
    for name in ("trace.npy", "raw.npy"):
        with pytest.raises(AssignmentError, match="cannot be read"):
            read_stored(name, [tmp_path])


def test_a_selection_leaves_misfits_out_without_a_word(tmp_path: Path) -> None:
    write(tmp_path, "trace.json")
    source = SUITE.format(routing='["iid", "replay:trace.json"]').replace("batch = 2", "") + "sweep.batch = [2, 8]\n"
    source += "[select]\nexclude = [\"routing == 'replay:trace.json' and batch == 8\"]\n"
    suite = parse_suite(source, str(tmp_path / "loads.toml"))
    assert len(plan(suite).cases) == 3
