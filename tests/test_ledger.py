from __future__ import annotations

from pathlib import Path

import pytest

from harness.declare.visits import Visit
from harness.engine.journal import Journal, Line, RunFolderError
from harness.engine.ledger import Ledger


def line(key: str, probe: str, round_: int | None = None, status: str = "ok") -> Line:
    own = {"visit": 0, "key": key, "id": key, "probe": probe, "round": round_, "status": status}
    return Line.model_validate({**own, "reason": "scripted", "started": "now", "seconds": 0.1})


def visit(key: str, probe: str, round_: int | None = None) -> Visit:
    return Visit(0, key, probe, round_)


EVERY = [visit("a", "check"), *(visit("a", "latency", round_) for round_ in range(70)), visit("a", "a_a", 3)]


@pytest.mark.parametrize("made", EVERY, ids=lambda made: f"{made.probe}-{made.round}")
def test_a_visit_that_was_made_is_the_only_one_that_is_not_left(made: Visit) -> None:
    ledger = Ledger(["a"])
    ledger.take(line(made.key, made.probe, made.round))
    assert ledger.left(EVERY) == [visit for visit in EVERY if visit != made]
    assert len(ledger) == 1


def test_a_visit_that_is_taken_twice_was_made_once() -> None:
    ledger = Ledger([])
    for _ in range(2):
        ledger.take(line("a", "check"))
    assert len(ledger) == 1


def test_a_case_that_failed_has_none_left_and_one_whose_second_label_failed_has_its_own() -> None:
    ledger = Ledger(["a", "b"])
    ledger.take(line("a", "check", status="crashed"))
    ledger.take(line("b", "a_a", 0, status="crashed"))
    assert ledger.left(EVERY) == []
    assert ledger.left([visit("b", "a_a", 1), visit("b", "latency", 1)]) == [visit("b", "latency", 1)]
    assert (ledger.has_failed("a"), ledger.has_failed("b")) == (True, False)


def test_lines_are_read_back_from_the_journal_after_those_of_an_earlier_sitting(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    earlier = [line("a", "check")]
    made = [line("a", "latency", 0), line("b", "check"), line("a", "latency", 1)]
    ledger = Ledger([], journal.read)
    ledger.expect([visit("a", "check"), visit("a", "latency", 0), visit("a", "latency", 1)])
    for one in earlier:
        ledger.take(one)
    assert not ledger.is_whole("a")
    for one in made:
        ledger.take(one, journal.append(one))
    assert ledger.of("a") == [earlier[0], made[0], made[2]]
    assert ledger.of("b") == [made[1]]
    assert (ledger.has("a"), ledger.has("c"), ledger.of("c")) == (True, False, [])
    assert ledger.is_whole("a")
    journal.close()


def test_a_journal_that_goes_on_is_read_at_the_right_places(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    first.append(line("a", "check"))
    first.close()
    with path.open("ab") as torn:
        torn.write(b'{"half')
    second = Journal(path)
    place = second.append(line("é", "memory"))
    after = second.append(line("b", "check"))
    assert (second.read(place).key, second.read(after).key) == ("é", "b")
    second.close()


def test_a_journal_that_somebody_changes_while_it_is_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    place = journal.append(line("a", "check"))
    path.write_bytes(b"x" * 400)
    with pytest.raises(RunFolderError, match="was changed while it was written"):
        journal.read(place)
    journal.close()
